//! Dates and steps, as job files and records have them.

use super::names::nearest;
use crate::jobs::rules::dates;
use chrono::{
    DateTime, Days, MappedLocalTime, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc,
};
use chrono_tz::{GapInfo, TZ_VARIANTS, Tz};

/// How long slices are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Time(TimeDelta),
    Days(u32),
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
        let days = match unit.trim() {
            "day" | "days" | "d" => Some(1),
            "week" | "weeks" | "w" => Some(7),
            _ => None,
        };
        if let Some(days) = days {
            return number.checked_mul(days).map(Self::Days).ok_or_else(wrong);
        }
        let time = humantime::parse_duration(text.trim()).map_err(|_| wrong())?;
        if time < std::time::Duration::from_secs(60) {
            return Err(format!("`{text}`: a slice is a minute long or longer"));
        }
        TimeDelta::from_std(time).map(Self::Time).map_err(|_| wrong())
    }

    /// The end of a step that begins at this moment, which is this time on the clocks of its zone. Days and months go by the
    /// clock, so that a day has 23 or 25 hours where the clock is changed; hours and minutes are as long as they always are.
    pub(super) fn after(
        self,
        start: DateTime<Tz>,
        clock: NaiveDateTime,
    ) -> Option<(DateTime<Tz>, NaiveDateTime)> {
        let clock = match self {
            Self::Time(time) => {
                let end = start.checked_add_signed(time)?;
                return Some((end, end.naive_local()));
            }
            Self::Days(days) => clock.checked_add_days(Days::new(days.into()))?,
            Self::Months(months) => clock.checked_add_months(Months::new(months))?,
        };
        Some((at(clock, start.timezone())?, clock))
    }
}

/// When a clock of a zone shows this. What it shows twice is the first time; what it never shows, since it was put forward, is
/// the moment at which it was.
fn at(clock: NaiveDateTime, zone: Tz) -> Option<DateTime<Tz>> {
    match zone.from_local_datetime(&clock) {
        MappedLocalTime::Single(moment) | MappedLocalTime::Ambiguous(moment, _) => Some(moment),
        MappedLocalTime::None => GapInfo::new(&clock, &zone)?.end,
    }
}

/// The first moment of a day.
pub(super) fn first_moment(day: NaiveDate, zone: Tz) -> Option<DateTime<Tz>> {
    at(day.and_time(NaiveTime::MIN), zone)
}

/// Whether a day of its zone begins then.
pub(super) fn begins_a_day(moment: DateTime<Tz>) -> bool {
    first_moment(moment.date_naive(), moment.timezone()) == Some(moment)
}

/// Whether the clocks of its zone show midnight, once that day.
pub(super) fn is_midnight(moment: DateTime<Tz>) -> bool {
    let midnight = moment.date_naive().and_time(NaiveTime::MIN);
    moment.timezone().from_local_datetime(&midnight) == MappedLocalTime::Single(moment)
}

/// A date, at its first moment, or a moment. What names no zone is of this one.
pub(super) fn moment(text: &str, zone: Tz) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return first_moment(date, zone).map(|moment| moment.to_utc());
    }
    let moment = dates::parse(text)?;
    if zone == Tz::UTC || dates::has_zone(text) {
        return Some(moment);
    }
    at(moment.naive_utc(), zone).map(|moment| moment.to_utc())
}

/// A zone by its IANA name. The error names the nearest.
pub(super) fn zone(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| {
        let names: Vec<String> = TZ_VARIANTS.iter().map(|zone| zone.name().to_owned()).collect();
        let near = nearest(name, &names).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        format!("timezone: `{name}` is not the IANA name of a time zone, such as Europe/Berlin{near}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_or_refused() {
        assert_eq!(Step::parse("1month"), Ok(Step::Months(1)));
        assert_eq!(Step::parse("2years"), Ok(Step::Months(24)));
        assert_eq!(Step::parse("90m"), Ok(Step::Time(TimeDelta::minutes(90))));
        assert_eq!(Step::parse("2w"), Ok(Step::Days(14)));
        for text in ["", "d", "0d", "1s", "-1d", "1 fortnight", "99999999999y"] {
            assert!(Step::parse(text).is_err(), "{text}");
        }
    }
}
