//! The names of all settings. They are taken from `.env.sample`, which a test keeps complete.

const SAMPLE: &str = include_str!("../../.env.sample");

/// How alike two names must be for one to be taken for the other misspelt, from 0 to 1.
const ALIKE: f64 = 0.9;

/// The names, in the order of `.env.sample`.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    SAMPLE.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix('#').unwrap_or(line).split_once('=')?;
        let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        (!name.is_empty() && name.bytes().all(fits)).then_some(name)
    })
}

/// Whether a setting has this name.
pub(super) fn is_setting(name: &str) -> bool {
    all().any(|known| known == name)
}

/// The setting whose name is nearly this one, if there is one. Case does not count.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_uppercase();
    let alike = |known: &'static str| (strsim::jaro_winkler(&name, known), known);
    let (alike, known) = all().map(alike).max_by(|one, other| one.0.total_cmp(&other.0))?;
    // Names with one prefix are alike by that alone.
    (alike >= ALIKE && strsim::osa_distance(&name, known) <= 3).then_some(known)
}

/// Variables of the environment whose names are nearly those of settings, with the settings.
pub(super) fn misspelt(environment: impl Iterator<Item = std::ffi::OsString>) -> Vec<(String, &'static str)> {
    let misspelt = |name: std::ffi::OsString| {
        let name = name.into_string().ok().filter(|name| !is_setting(name))?;
        let nearest = nearest(&name)?;
        Some((name, nearest))
    };
    environment.filter_map(misspelt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_sample() {
        assert!(all().count() > 40);
        for name in ["DEVREV_API_TOKEN", "RATE_LIMIT_CALLS", "SNOWFLAKE_HOST", "ENVIRONMENT"] {
            assert!(is_setting(name), "{name}");
        }
        assert!(!is_setting("") && !is_setting("RATE_LIMT_CALLS") && !is_setting("A"));
    }

    #[test]
    fn only_misspelt_variables_of_the_environment_are_told() {
        let names = ["PATH", "BATCH_SIZE", "RATE_LIMT_CALLS", "SMTP_SERVER", "NOTIFY_SOCKET", "RUNS_DIRS"];
        assert_eq!(
            misspelt(names.into_iter().map(Into::into)),
            [("RATE_LIMT_CALLS".to_owned(), "RATE_LIMIT_CALLS"), ("RUNS_DIRS".to_owned(), "RUNS_DIR")]
        );
    }

    #[test]
    fn a_misspelt_name_is_known() {
        for (name, nearest_to) in [
            ("RATE_LIMT_CALLS", Some("RATE_LIMIT_CALLS")),
            ("DEVREV_TOKEN", None),
            ("DEVREV_API_TOKE", Some("DEVREV_API_TOKEN")),
            ("batch_size", Some("BATCH_SIZE")),
            ("SNOWFLAKE_PASSWROD", Some("SNOWFLAKE_PASSWORD")),
            ("DATABASE_ULR", Some("DATABASE_URL")),
            ("CLICKHOUSE_PASSWROD", Some("CLICKHOUSE_PASSWORD")),
            ("PATH", None),
            ("eyJhbGciOiJIUzI1NiJ9", None),
        ] {
            assert_eq!(nearest(name), nearest_to, "{name}");
        }
    }
}
