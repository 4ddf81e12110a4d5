//! Dates and steps, as job files and records have them.

use chrono::{DateTime, Months, NaiveDate, NaiveTime, TimeDelta, Utc};

/// How long slices are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Time(TimeDelta),
    Months(u32),
}

impl Step {
    /// Reads a step such as `30d` or `1month`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a step such as 1h, 30d, 2w, 1month or 1year");
        let digits = text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(text.len() - digits);
        let number: u32 = number.parse().map_err(|_| wrong())?;
        let months = match unit.trim() {
            "month" | "months" | "M" => Some(1),
            "year" | "years" | "y" => Some(12),
            _ => None,
        };
        if number == 0 || number > 1_000_000 {
            return Err(wrong());
        }
        if let Some(months) = months {
            return number.checked_mul(months).map(Self::Months).ok_or_else(wrong);
        }
        let time = humantime::parse_duration(text.trim()).map_err(|_| wrong())?;
        if time < std::time::Duration::from_secs(60) {
            return Err(format!("`{text}`: a slice is a minute long or longer"));
        }
        TimeDelta::from_std(time).map(Self::Time).map_err(|_| wrong())
    }

    /// The moment a step later.
    pub(super) fn after(self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Time(time) => moment.checked_add_signed(time),
            Self::Months(months) => moment.checked_add_months(Months::new(months)),
        }
    }
}

/// A date, at midnight, or a moment.
pub(super) fn moment(text: &str) -> Option<DateTime<Utc>> {
    let date = NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").ok();
    date.map(|date| date.and_time(NaiveTime::MIN).and_utc())
        .or_else(|| crate::jobs::rules::dates::parse(text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_or_refused() {
        assert_eq!(Step::parse("1month"), Ok(Step::Months(1)));
        assert_eq!(Step::parse("2years"), Ok(Step::Months(24)));
        assert_eq!(Step::parse("90m"), Ok(Step::Time(TimeDelta::minutes(90))));
        for text in ["", "d", "0d", "1s", "-1d", "1 fortnight", "99999999999y"] {
            assert!(Step::parse(text).is_err(), "{text}");
        }
    }
}
