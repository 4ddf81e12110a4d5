//! Settings: which source goes first, and what is wrong with a value.

use super::*;
use serde_json::{Value, json};
use std::collections::HashMap;

fn resolve(flags: &BatchFlags, env: &[(&str, &str)], file: &[(&str, &str)]) -> Result<Settings, Failure> {
    let owned = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    let env = owned(env);
    let dotenv = DotEnv { path: ".env".into(), values: owned(file) };
    Settings::from_sources(flags, Rates::Backfill, |name| env.get(name).cloned(), dotenv)
}

#[test]
fn a_flag_goes_before_the_environment_before_the_file_before_the_default() {
    let file = [("BATCH_SIZE", "7"), ("MAX_RETRIES", "1"), ("CACHE_TTL", "60")];
    let env = [("BATCH_SIZE", "8"), ("MAX_RETRIES", "2"), ("CACHE_TTL", " ")];
    let flags = BatchFlags { batch_size: Some("9".to_owned()), ..BatchFlags::default() };
    let settings = resolve(&flags, &env, &file).unwrap();
    assert_eq!(settings.batch_size, 9);
    assert_eq!(settings.retry.max_retries, 2);
    assert_eq!(settings.cache_ttl, Duration::from_secs(60), "an empty variable counts as not set");
    assert_eq!(settings.concurrency, 8);
    assert_eq!(settings.record["BATCH_SIZE"], json!({"value": "9", "from": "--batch-size"}));
    assert_eq!(settings.record["MAX_RETRIES"]["from"], "MAX_RETRIES in the environment");
}

#[test]
fn all_that_is_wrong_is_told_with_where_it_came_from() {
    let flags = BatchFlags { batch_size: Some("0".to_owned()), ..BatchFlags::default() };
    let error =
        resolve(&flags, &[("MAX_ERRORS", "x")], &[("DEVREV_BASE_URL", "http://example.com")]).unwrap_err();
    assert_eq!(error.exit, Exit::Usage);
    for part in [
        "--batch-size: `0` is not a whole number from 1 to 10000",
        "MAX_ERRORS in the environment: `x` is neither",
        "DEVREV_BASE_URL in .env: `http://example.com` is neither https",
    ] {
        assert!(error.message.contains(part), "{part} in {error}");
    }
}

#[test]
fn the_token_is_in_no_debug_output_and_no_record() {
    let settings = resolve(&BatchFlags::default(), &[("DEVREV_API_TOKEN", "s3cr3t")], &[]).unwrap();
    assert!(!format!("{settings:?}").contains("s3cr3t"));
    assert!(!Value::Object(settings.record).to_string().contains("s3cr3t"));
}

#[test]
fn a_password_in_the_base_url_is_not_shown() {
    let error =
        resolve(&BatchFlags::default(), &[("DEVREV_BASE_URL", "https://u:s3cr3t@h")], &[]).unwrap_err();
    assert!(error.message.contains("https://...@h") && !error.message.contains("s3cr3t"), "{error}");
}

#[test]
fn only_a_base_url_that_keeps_the_token_safe_is_taken() {
    for good in [
        "https://api.devrev.ai",
        "https://app.devrev.ai/api/gateway/internal/",
        "http://127.8.8.8:1",
        "http://[::1]:80/x",
        "http://localhost",
    ] {
        assert!(base_url(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "api.devrev.ai",
        "http://api.devrev.ai",
        "https://u:p@api.devrev.ai",
        "ftp://localhost",
        "https://a/?x=1",
        "http://127.0.0.1.evil.com",
        "http://localhost.evil.com",
    ] {
        assert!(base_url(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_sample_shows_every_setting_with_its_default() {
    let set = |line: &&str| line.trim_start_matches('#').starts_with(|c: char| c.is_ascii_uppercase());
    let lines = include_str!("../.env.sample").lines().filter(set).filter(|line| line.contains('='));
    let sample = lines.map(|line| line.trim_start_matches('#')).collect::<Vec<_>>().join("\n");
    let pairs: Vec<_> = dotenvy::from_read_iter(sample.as_bytes()).map(Result::unwrap).collect();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let defaults = resolve(&BatchFlags::default(), &[], &[]).unwrap().record;
    let shown = resolve(&BatchFlags::default(), &[], &pairs).unwrap().record;
    for (name, default) in &defaults {
        assert!(pairs.iter().any(|(shown, _)| shown == name), "{name} is not in .env.sample");
        assert_eq!(shown[name]["value"], default["value"], "{name}");
    }
    for (name, _) in pairs {
        let known = name == "DEVREV_API_TOKEN"
            || watch::SECRETS.contains(&name)
            || [
                "SNOWFLAKE_",
                "DATABASE_URL",
                "CLICKHOUSE_",
                "METABASE_",
                "KAFKA_BROKERS",
                "BATCH_TIMEOUT_MS",
                "CONSUMER_GROUP_ID",
                "TIMESCALE_URL",
            ]
            .iter()
            .any(|of_source| name.starts_with(of_source))
            || defaults.contains_key(name);
        assert!(known, "{name} is no setting");
    }
    #[cfg(feature = "snowflake")]
    for name in snowflake::NAMES {
        assert!(sample.contains(&format!("{name}=")), "{name} is not in .env.sample");
    }
    #[cfg(feature = "clickhouse")]
    for name in clickhouse::NAMES {
        assert!(sample.contains(&format!("{name}=")), "{name} is not in .env.sample");
    }
    for name in metabase::NAMES {
        assert!(sample.contains(&format!("{name}=")), "{name} is not in .env.sample");
    }
    #[cfg(feature = "sql")]
    assert!(sample.contains(&format!("{}=", database::NAME)));
    for name in watch::SECRETS {
        assert!(sample.contains(&format!("{name}=")), "{name} is not in .env.sample");
    }
}

#[test]
fn no_rate_is_no_limit_and_the_default_is_not_given() {
    assert!(!resolve(&BatchFlags::default(), &[], &[]).unwrap().rate_given);
    let settings = resolve(&BatchFlags::default(), &[("RATE_LIMIT_CALLS", "0")], &[]).unwrap();
    assert!(settings.rate.is_none() && settings.rate_given);
}
