//! DevRev: one call that tells most, a few that measure, one that looks at issues.

use super::rights;
use super::token;
use super::unreached::{Unreached, in_time};
use crate::devrev::any_object::{Members, ObjectList};
use crate::devrev::auth_tokens::AuthTokensInfo;
use crate::devrev::client::Client;
use crate::devrev::dev_users::{DevUserAnswer, DevUsersSelf};
use crate::devrev::pages::List;
use crate::devrev::schemas::SchemaGet;
use crate::exit::{Exit, Failure};
use crate::jobs::backfill_groups::field::{self, FieldCheck};
use crate::jobs::target::DevRev;
use crate::jobs::update_fields::value;
use crate::net::heard::Heard;
use crate::net::rate::Rate;
use crate::net::retry::RetryPolicy;
use crate::report::doctor::{Check, State};
use crate::settings::Settings;
use crate::stop::Stop;
use serde_json::json;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout_at};

/// Calls whose time is taken, and how long all of them may take.
const TIMED: usize = 5;
const LONGEST_TIMING: Duration = Duration::from_secs(10);
/// From here on a run is slow.
const SLOW: f64 = 1.0;
/// A clock that is wrong by more, in seconds, causes a warning.
const MOST_SKEW: f64 = 30.0;
/// Both clocks are read in whole seconds somewhere: less is no difference.
const NO_SKEW: f64 = 2.0;

/// What depends on an answer to the first call.
const NEED_ANSWER: [&str; 8] =
    ["identity", "latency", "group-field", "backfill", "merge", "update", "rate-limit", "clock"];

/// Checks DevRev, with so many tries after the first of each call.
pub(super) async fn checks(settings: &Settings, sandbox: bool, retries: u32, stop: &Stop) -> Vec<Check> {
    let retry = RetryPolicy { max_retries: retries, ..settings.retry };
    let settings = Settings { retry, ..settings.clone() };
    let mut checks = Vec::new();
    let target = if sandbox { "the built-in sandbox".to_owned() } else { settings.base_url.to_string() };
    let origin = settings.origin("DEVREV_BASE_URL");
    let base_url = match (sandbox, origin) {
        (true, _) => Check::ok("base-url", target.as_str()),
        (false, "default") => Check::ok("base-url", format!("{target} (the default)")),
        (false, origin) => Check::ok("base-url", format!("{target} ({origin})")),
    };
    let connection = match DevRev::connect(&settings, sandbox, stop).await {
        Ok(connection) => connection,
        Err(failure) => {
            checks.push(base_url);
            checks.extend(unopened(failure));
            return checks;
        }
    };
    let client = &connection.client;
    let since = Instant::now();
    let first = in_time(client, client.read_only().call(&DevUsersSelf {})).await;
    let first_took = first.is_ok().then(|| since.elapsed());
    let is_https = !sandbox && settings.base_url.scheme() == "https";
    let reached = connected(is_https, first_took);
    let heard = client.heard();
    let now = heard.and_then(|heard| heard.server_time).unwrap_or_else(SystemTime::now);
    // Where the token is no JWT, DevRev may say when it expires.
    let told = match &first {
        Ok(_) => in_time(client, client.read_only().call_once(&AuthTokensInfo {})).await.ok(),
        Err(_) => None,
    };
    let told = told.and_then(|answer| answer.expires());
    let of_token =
        token::check(settings.token.as_ref().filter(|_| !sandbox), told, now.into(), first.is_ok());
    let answer = match first {
        Ok(answer) => answer,
        Err(Unreached { check, answered, .. }) => {
            checks.extend(without_answer(&check, answered, [base_url, reached, of_token]));
            return checks;
        }
    };
    checks.extend([base_url, reached, of_token, identity(&answer)]);
    checks.push(latency(client).await);
    let some_issues =
        ObjectList::at("works.list", [("type".to_owned(), json!(["issue"]))].into_iter().collect());
    let issues = in_time(client, client.read_only().call(&some_issues)).await;
    let issues = issues.map(|answer| ObjectList::split(answer).0);
    checks.push(group_field(client, &settings.creator_group_field, &issues).await);
    checks.extend(rights::checks(client, &issues).await);
    let rate = settings.rate_of(sandbox);
    checks.push(rate_limit(heard, client.heard(), rate, settings.rate_share.is_some()));
    checks.push(clock(client.heard()));
    checks
}

/// The checks where not even a client could be made.
fn unopened(failure: Failure) -> impl Iterator<Item = Check> {
    // Else it is the system's certificates, or the sandbox.
    let is_token = failure.exit == Exit::Usage && failure.message.contains("TOKEN");
    let (wrong, todo) = if is_token {
        ("token", "make a personal access token in DevRev and put it into .env")
    } else {
        ("connection", "fix this machine's set-up: no call can be made")
    };
    let problem = Check::problem(wrong, failure.exit, failure.message, todo);
    let others = ["connection", "token"].into_iter().chain(NEED_ANSWER).filter(move |name| *name != wrong);
    let unasked = others.map(move |name| Check::not_checked(name, format!("no call was made: see {wrong}")));
    [problem].into_iter().chain(unasked)
}

/// The list of checks after a first call that failed: its own takes the place of the one with the same name.
fn without_answer(failed: &Check, answered: bool, before: [Check; 3]) -> Vec<Check> {
    let why = format!("DevRev did not answer as it should: see {}", failed.check);
    let before = before.into_iter().map(|check| match check.check {
        "base-url" if failed.check == "base-url" => failed.clone().of(&check.found),
        // It says why DevRev refuses it.
        "token" if failed.check == "token" && check.state == State::Problem => {
            failed.clone().of(&format!("{};", check.found))
        }
        "connection" if !answered => Check::not_checked("connection", why.as_str()),
        _ => check,
    });
    let after = NEED_ANSWER.map(|name| Check::not_checked(name, why.as_str()));
    let is_failed = |check: &Check| check.check == failed.check && check.state != State::Problem;
    before.chain(after).map(|check| if is_failed(&check) { failed.clone() } else { check }).collect()
}

fn connected(is_https: bool, took: Option<Duration>) -> Check {
    let how = if is_https { "https, certificate trusted" } else { "plain http to this machine" };
    let took = took.map_or(String::new(), |took| format!("; first answer in {}", millis(took.as_secs_f64())));
    Check::ok("connection", format!("{how}{took}"))
}

/// Who the token belongs to, as DevRev says.
fn identity(answer: &DevUserAnswer) -> Check {
    let user = &answer.dev_user;
    let name = user.display_name.as_deref().filter(|name| !name.is_empty());
    let id = user.display_id.as_deref().unwrap_or(&user.id);
    let who = name.map_or_else(|| id.to_owned(), |name| format!("{name} ({id})"));
    let of = answer.organisation().map_or(String::new(), |organisation| format!(" of {organisation}"));
    Check::ok("identity", format!("{who}{of}"))
}

/// How long DevRev takes, without the waits for the limit.
async fn latency(client: &Client) -> Check {
    let spent = || client.figures().calls.endpoints.get("dev-users.self").map_or(0.0, |calls| calls.seconds);
    let until = Instant::now() + LONGEST_TIMING;
    let mut took = Vec::new();
    let mut failed = None;
    for _ in 0..TIMED {
        let before = spent();
        match timeout_at(until, client.read_only().call(&DevUsersSelf {})).await {
            Ok(Ok(_)) => took.push(spent() - before),
            Ok(Err(error)) => failed = Some(error),
            Err(_) => break,
        }
    }
    took.sort_by(f64::total_cmp);
    if let Some(error) = failed {
        let found = format!("{} of {TIMED} calls succeeded: {error}", took.len());
        return Check::warning("latency", found, "check again: a run tries such calls again, and waits");
    }
    let (Some(median), Some(worst)) = (took.get(took.len() / 2), took.last()) else {
        let secs = LONGEST_TIMING.as_secs();
        return Check::not_checked(
            "latency",
            format!("no call was over within {secs} s, the wait for the rate limit included"),
        );
    };
    let calls = took.len();
    let found = format!("median {}, worst {} of {calls} calls", millis(*median), millis(*worst));
    if *median >= SLOW {
        return Check::warning("latency", found, "a run will be slow: check the network and the proxy");
    }
    Check::ok("latency", found)
}

fn millis(seconds: f64) -> String {
    if seconds < 0.01 { format!("{:.1} ms", seconds * 1e3) } else { format!("{:.0} ms", seconds * 1e3) }
}

/// Whether issues have the creator-group field: as DevRev's schema says, else as issues show it. That none shows it proves
/// nothing.
async fn group_field(client: &Client, name: &str, issues: &Result<Vec<Members>, Unreached>) -> Check {
    const CHECK: &str = "group-field";
    let schema = in_time(client, client.read_only().call_once(&SchemaGet::of("issue"))).await;
    let in_schema = match &schema {
        Ok(answer) => field::check(&answer.schema, name),
        Err(_) => FieldCheck::NotTold("the token may not read the schema"),
    };
    let correct = "correct CREATOR_GROUP_FIELD: a run stops before it writes";
    match &in_schema {
        FieldCheck::Missing(alike) => {
            let hint = if alike.is_empty() {
                String::new()
            } else {
                format!("; did you mean {}?", alike.join(" or "))
            };
            return Check::problem(
                CHECK,
                Exit::Usage,
                format!("issues have no field `{name}`{hint}"),
                correct,
            );
        }
        FieldCheck::WrongType(found) => {
            let found = format!("`{name}` holds no group: its type is {found}");
            return Check::problem(CHECK, Exit::Usage, found, correct);
        }
        FieldCheck::Fits(_) | FieldCheck::NotTold(_) => {}
    }
    let works = match issues {
        Ok(works) => works,
        Err(Unreached { check, .. }) => return check.clone().named(CHECK),
    };
    let field = field::named(name);
    let custom = || works.iter().filter_map(|work| work.get("custom_fields")?.as_object());
    let is_shown = |members: &&Members| members.contains_key(name);
    let shown = if field.is_custom() {
        custom().filter(is_shown).count()
    } else {
        works.iter().filter(is_shown).count()
    };
    let filled = works.iter().filter(|work| field::group(&value::of(&field, work)).is_some()).count();
    let looked = format!("{} issue{}", works.len(), if works.len() == 1 { "" } else { "s" });
    let found = format!("`{name}` exists: set on {filled} of {looked}");
    match in_schema {
        FieldCheck::Fits(notes) if !notes.is_empty() => {
            return Check::warning(CHECK, found, notes.join("; "));
        }
        FieldCheck::Fits(_) => return Check::ok(CHECK, found),
        _ if shown > 0 => return Check::ok(CHECK, found),
        _ => {}
    }
    let found = format!("`{name}` is on none of {looked}: cannot tell whether it exists");
    let mut alike: Vec<_> =
        custom().flat_map(Members::keys).map(String::as_str).filter(|name| name.contains("group")).collect();
    alike.sort_unstable();
    alike.dedup();
    alike.truncate(3);
    let todo = if alike.is_empty() {
        "try one issue first (--limit 1); if DevRev knows no such field, correct CREATOR_GROUP_FIELD"
            .to_owned()
    } else {
        format!("is it one of these? {}: then correct CREATOR_GROUP_FIELD", alike.join(", "))
    };
    Check::not_checked(CHECK, found).todo(todo)
}

/// DevRev's limit, what is left of it, and whether the configured rate keeps it.
fn rate_limit(first: Option<Heard>, last: Option<Heard>, rate: Option<Rate>, is_auto: bool) -> Check {
    const CHECK: &str = "rate-limit";
    /// How many times as many calls DevRev has to allow to be worth a word.
    const MUCH_FASTER: f64 = 2.0;
    let configured = rate.map_or("configured: no limit but DevRev's".to_owned(), |rate| {
        format!("configured: {} calls in {} s", rate.calls, rate.period.as_secs_f64())
    });
    let Some((limit, remaining)) = last.and_then(|heard| Some((heard.limit?, heard.remaining?))) else {
        return Check::not_checked(CHECK, format!("DevRev's answers name no limit; {configured}"));
    };
    let resets_in = last.and_then(|heard| heard.resets_in);
    let ends = resets_in.map_or(String::new(), |left| format!(", which ends in {} s", left.as_secs()));
    let found = format!("{remaining} of {limit} calls are left in DevRev's window{ends}; {configured}");
    // A window is at least as long as its end is away; DevRev's clock and its end are in whole seconds.
    let window = first.and_then(|heard| heard.resets_in).max(resets_in).map(|time| time.as_secs_f64() - 2.0);
    if let (Some(rate), Some(window)) = (rate, window.filter(|window| *window > 0.0)) {
        let (period, calls) = (rate.period.as_secs_f64(), f64::from(rate.calls.get()));
        #[allow(clippy::cast_precision_loss)]
        let allowed = limit as f64 / window * period;
        if calls > allowed {
            let todo = format!(
                "set RATE_LIMIT_CALLS to {:.0} at most (in {period} s): else a run waits for DevRev in each window",
                allowed.floor().max(1.0)
            );
            return Check::warning(CHECK, found, todo);
        }
        // The window may be longer than it seems, so no number is named: `auto` goes by what is left.
        if !is_auto && calls * MUCH_FASTER <= allowed && remaining > limit / 10 {
            let todo = format!(
                "a run could be {:.0} times as fast: RATE_LIMIT_CALLS=auto uses a share of what DevRev allows",
                (allowed / calls).floor().min(1000.0)
            );
            return Check::ok(CHECK, found).todo(todo);
        }
    }
    if remaining <= limit / 10 {
        let todo = "wait for the window's end: others with this token are using the limit too";
        return Check::warning(CHECK, found, todo);
    }
    Check::ok(CHECK, found)
}

/// This machine's clock beside DevRev's.
fn clock(heard: Option<Heard>) -> Check {
    const CHECK: &str = "clock";
    let Some((server, local)) = heard.and_then(|heard| Some((heard.server_time?, heard.at))) else {
        return Check::not_checked(CHECK, "DevRev's answers have no date");
    };
    let (apart, side) = match local.duration_since(server) {
        Ok(ahead) => (ahead.as_secs_f64(), "ahead of"),
        Err(behind) => (behind.duration().as_secs_f64(), "behind"),
    };
    let found = format!("{apart:.0} s {side} DevRev's");
    match apart {
        apart if apart <= NO_SKEW => Check::ok(CHECK, "agrees with DevRev's"),
        apart if apart <= MOST_SKEW => Check::ok(CHECK, found),
        _ => Check::warning(
            CHECK,
            found,
            "set this machine's clock: a login with a key to Snowflake needs it right",
        ),
    }
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
