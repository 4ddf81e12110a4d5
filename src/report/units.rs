//! Numbers for people.

/// Bytes for people.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let (mut shown, mut unit) = (bytes, "bytes");
    let mut tenths = 0;
    for next in UNITS {
        if shown < 1024 {
            break;
        }
        tenths = shown % 1024 * 10 / 1024;
        shown /= 1024;
        unit = next;
    }
    if unit == "bytes" || shown >= 100 {
        format!("{shown} {unit}")
    } else {
        format!("{shown}.{tenths} {unit}")
    }
}

/// A number and its noun: `1 pair`, `2 pairs`.
pub fn counted(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1_600_000, "1.5 MiB"),
            (200 << 20, "200 MiB"),
            (5 << 30, "5.0 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn nouns_follow_their_number() {
        assert_eq!([0, 1, 2].map(|number| counted(number, "row")), ["0 rows", "1 row", "2 rows"]);
    }
}
