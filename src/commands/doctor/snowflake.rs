//! Snowflake, where it is set up: a login and the smallest query.

use crate::cli;
use crate::connectors::snowflake::failure;
use crate::exit::Failure;
use crate::report::doctor::Check;
use crate::settings::snowflake as settings;
use crate::source::snowflake::{SnowflakeError, ping};
use crate::stop::Stop;
use std::time::Duration;
use tokio::time::{Instant, timeout};

const CHECK: &str = "snowflake";
/// How long the login and the query may take.
const LONGEST: Duration = Duration::from_secs(30);

/// Checks Snowflake.
pub(super) async fn check(global: &cli::Global, client: &cli::client::ClientFlags, stop: &Stop) -> Check {
    match settings::is_set_up(global) {
        Ok(true) => {}
        Ok(false) => return Check::ok(CHECK, "not set up; only --source snowflake needs it"),
        Err(_) => return Check::not_checked(CHECK, "the settings are wrong"),
    }
    let wrong = |failure: Failure| {
        Check::problem(CHECK, failure.exit, failure.message, "correct them, or take SNOWFLAKE_* away")
    };
    let mut access = match settings::resolve(global, client) {
        Ok((access, _)) => access,
        Err(failure) => return wrong(failure),
    };
    // What a second try would hide is to be seen.
    access.retry.max_retries = 0;
    let since = Instant::now();
    let error = match timeout(LONGEST, ping(&access, stop)).await {
        Ok(Ok(())) => {
            let (user, account, took) = (&access.user, &access.account, since.elapsed().as_secs_f64());
            return Check::ok(CHECK, format!("{user} can log in at {account}, and ask ({took:.1} s)"));
        }
        Ok(Err(error)) => error,
        Err(_) => {
            let text = format!("no answer within {} s", LONGEST.as_secs());
            let host = access.account.clone();
            SnowflakeError::Unreachable { host, tries: 1, text }
        }
    };
    Check::problem(CHECK, failure(&error).exit, error.to_string(), todo(&error))
}

fn todo(error: &SnowflakeError) -> &'static str {
    match error {
        SnowflakeError::Login { .. } | SnowflakeError::Session { .. } => {
            "check SNOWFLAKE_USER and SNOWFLAKE_PASSWORD or SNOWFLAKE_PRIVATE_KEY_PATH"
        }
        SnowflakeError::Key(_) => "fix the key or SNOWFLAKE_PRIVATE_KEY_PATH",
        SnowflakeError::Account { .. } => "correct SNOWFLAKE_ACCOUNT or SNOWFLAKE_HOST",
        SnowflakeError::Unreachable { .. } => {
            "check SNOWFLAKE_ACCOUNT and SNOWFLAKE_HOST, the network and the proxy"
        }
        SnowflakeError::Refused { .. } => "correct the SNOWFLAKE_ settings that it names",
        SnowflakeError::Answer(_)
        | SnowflakeError::Query(_)
        | SnowflakeError::Columns(_)
        | SnowflakeError::Keep(_)
        | SnowflakeError::Interrupted => "check SNOWFLAKE_ACCOUNT and SNOWFLAKE_HOST: is that Snowflake?",
    }
}
