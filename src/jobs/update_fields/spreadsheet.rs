//! What spreadsheets do to cells that nobody meant to change.

use crate::devrev::objects::Kind;

/// What a spreadsheet has done to a value of the base.
pub(crate) fn damage(kind: &Kind, base: &str, now: &str) -> Option<&'static str> {
    let is_text = matches!(kind, Kind::Text { .. } | Kind::RichText { .. });
    lost(base, now).or_else(|| rewritten(base, now).filter(|_| is_text))
}

/// What cannot be had back from what is left.
fn lost(base: &str, now: &str) -> Option<&'static str> {
    /// The longest text that a cell of a spreadsheet holds, in characters.
    const LONGEST: usize = 32_767;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if base.len() > LONGEST && now.chars().count() == LONGEST && base.starts_with(now) {
        return Some("was cut to 32,767 characters, the most that a spreadsheet keeps");
    }
    if is_number(base) && base.starts_with('0') && is_number(now) && base.trim_start_matches('0') == now {
        return Some("lost its leading zeros in a spreadsheet");
    }
    let (base, now) = match (base.strip_prefix('-'), now.strip_prefix('-')) {
        (Some(base), Some(now)) => (base, now),
        _ => (base, now),
    };
    if is_number(base) && base.len() > 11 {
        let mantissa = now
            .split_once(['E', 'e'])
            .map(|(mantissa, exponent)| (mantissa, exponent.trim_start_matches('+')));
        let is_power = mantissa.is_some_and(|(mantissa, exponent)| {
            is_number(exponent)
                && mantissa.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b','))
        });
        if is_power || is_rounded(base, now) {
            return Some("lost digits in a spreadsheet, which keeps 15");
        }
    }
    None
}

/// Whether a number of more digits has kept the first 15, cut off or rounded, and zeros for the rest.
fn is_rounded(base: &str, now: &str) -> bool {
    const KEPT: usize = 15;
    let (Ok(of_base), Ok(of_now)) = (base.parse::<u128>(), now.parse::<u128>()) else { return false };
    // A `u128` has 39 digits at the most.
    let Some(rest) = base.len().checked_sub(KEPT).and_then(|rest| 10_u128.checked_pow(rest.try_into().ok()?))
    else {
        return false;
    };
    of_base != of_now && of_now % rest == 0 && of_base.abs_diff(of_now) < rest
}

/// What a spreadsheet has made of a text that looks like a number, a time or a truth value: it says the same in another form.
fn rewritten(base: &str, now: &str) -> Option<&'static str> {
    let (base, now) = (base.trim(), now.trim());
    if matches!(base.to_ascii_lowercase().as_str(), "true" | "false")
        && now == base.to_ascii_uppercase()
        && base != now
    {
        return Some("was taken for a truth value by a spreadsheet");
    }
    if shape(base) == shape(now) {
        return None;
    }
    // What a spreadsheet writes is as short as can be; a number that was so already it leaves alone.
    if let (Some(of_base), Ok(of_now)) = (number(base), now.parse::<f64>())
        && of_base.to_string() != base
        && (of_base - of_now).abs() <= of_base.abs() * 1e-14
    {
        return Some("was taken for a number by a spreadsheet");
    }
    let (of_base, of_now) = (moment(base)?, moment(now)?);
    let mut added = of_now.parts.clone();
    for part in &of_base.parts {
        added.swap_remove(added.iter().position(|other| other == part)?);
    }
    // A date without a year gets this year's, a time its seconds.
    let is_plain = |part: &u32| *part == 0 || (of_now.is_date && (1900..2200).contains(part));
    let is_same = added.len() <= 2 && added.iter().all(is_plain);
    (is_same && of_now.is_date | of_now.is_time).then_some("was taken for a date or a time by a spreadsheet")
}

/// Digits and letters alike: an edit by hand mostly keeps it.
fn shape(text: &str) -> String {
    text.chars().map(|char| if char.is_ascii_digit() { '9' } else { char.to_ascii_lowercase() }).collect()
}

/// A number as spreadsheets read one: `3E5`, `1,000`, `$5`, `10%`.
fn number(text: &str) -> Option<f64> {
    let text = text.trim_start_matches(['$', '\u{20ac}', '\u{a3}', '\u{a5}']);
    let (text, scale) = text.strip_suffix('%').map_or((text, 1.0), |text| (text, 100.0));
    let whole = text.split(['.', 'E', 'e']).next().unwrap_or_default().trim_start_matches(['-', '+']);
    let groups: Vec<&str> = whole.split(',').collect();
    let is_grouped = groups.iter().skip(1).all(|group| group.len() == 3) && groups[0].len() <= 3;
    let is_plain = groups.len() == 1 || is_grouped;
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    let is_number = has_digit
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b'.' | b'E' | b'e' | b'+' | b'-'));
    (is_number && is_plain).then(|| text.replace(',', "").parse::<f64>().ok())?.map(|value| value / scale)
}

/// The numbers of what may be a date or a time.
struct Moment {
    parts: Vec<u32>,
    is_date: bool,
    is_time: bool,
}

fn moment(text: &str) -> Option<Moment> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let (mut found, mut half) =
        (Moment { parts: Vec::new(), is_date: false, is_time: text.contains(':') }, None);
    for word in text.split(['-', '/', '.', ':', ' ', ',']).filter(|word| !word.is_empty()) {
        let lower = word.to_ascii_lowercase();
        if word.bytes().all(|byte| byte.is_ascii_digit()) && word.len() <= 4 {
            let part = word.parse().ok()?;
            found.is_date |= word.len() == 4;
            found.parts.push(part);
        } else if lower == "am" || lower == "pm" {
            half = Some(lower == "pm");
        } else {
            let month = lower.get(..3).and_then(|start| MONTHS.iter().position(|name| *name == start))?;
            found.parts.push(u32::try_from(month).ok()? + 1);
            found.is_date = true;
        }
    }
    if let (Some(is_afternoon), Some(hour)) = (half, found.parts.first_mut()) {
        *hour = *hour % 12 + if is_afternoon { 12 } else { 0 };
    }
    (found.parts.len() >= 2).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_does_is_recognised() {
        for (base, now) in [
            ("007", "7"),
            ("12345678901234567", "1.23457E+16"),
            ("12345678901234567", "1E+16"),
            ("12345678901234567", "12345678901234500"),
            ("1234567890123456", "1234567890123450"),
            ("1234567890123456", "1234567890123460"),
            ("-1234567890123456", "-1234567890123450"),
        ] {
            assert!(lost(base, now).is_some(), "{base} {now}");
        }
        let long = "x".repeat(40_000);
        assert!(lost(&long, &long[..32_767]).is_some());
        for (base, now) in [
            ("7", "8"),
            ("007", "8"),
            ("abc", "7"),
            ("", "7"),
            ("100", "1E+2"),
            (&long, "x"),
            ("123456789012345", "123456789012340"),
            ("1234567890123456", "1234567890123470"),
        ] {
            assert_eq!(lost(base, now), None, "{base} {now}");
        }
    }

    #[test]
    fn another_form_of_the_same_is_recognised_and_an_edit_is_not() {
        for (base, now) in [
            ("true", "TRUE"),
            ("3E5", "300000"),
            ("1.50", "1.5"),
            ("1,000", "1000"),
            ("$5", "5"),
            ("10%", "0.1"),
            ("+5", "5"),
            ("1/2", "01/02/2026"),
            ("1-2", "2-Jan"),
            ("March 5", "05/03/2026"),
            ("2026-12-01", "01.12.2026"),
            ("12:30", "12:30:00 PM"),
            ("9:05", "09:05:00 AM"),
            ("13:30", "1:30:00 PM"),
        ] {
            assert!(rewritten(base, now).is_some(), "{base} {now}");
        }
        for (base, now) in [
            ("5", "5"),
            ("5", "6"),
            ("1.2", "1.2.3"),
            ("1.2", "1.3"),
            ("1-2", "2-1"),
            ("2026-12-01", "2026-01-12"),
            ("12:30", "12:45"),
            ("12:30", "12:30:59"),
            ("2026-12-01", "2026-12-24"),
            ("may be", "may"),
            ("true", "false"),
            ("x", "5"),
            ("5", ""),
            ("", "5"),
            ("1,00", "100"),
            ("ISO 9001", "ISO 9001:2015"),
            ("5", "$5"),
            ("5", "5.0"),
            ("1000", "1,000"),
            ("0.1", "10%"),
            ("e", "E"),
        ] {
            assert_eq!(rewritten(base, now), None, "{base} {now}");
        }
    }
}
