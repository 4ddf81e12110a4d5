//! What the token says of itself. It is never shown.

use crate::devrev::claims::Claims;
use crate::exit::Exit;
use crate::report::doctor::Check;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};

/// A token that expires sooner causes a warning, in days.
const SOON: i64 = 14;

/// The longest text of a token's that is shown, in characters: what matters comes after it.
const LONGEST: usize = 80;

/// Checks a token's claims at a time: DevRev's, where it is known. Of a sandbox there is none to check. `told` is when it
/// expires as DevRev says. `is_taken`: DevRev has just taken it, and only DevRev says whether it is good.
pub(super) fn check(
    token: Option<&SecretString>,
    told: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    is_taken: bool,
) -> Check {
    const CHECK: &str = "token";
    let Some(token) = token else { return Check::ok(CHECK, "the sandbox takes any") };
    let claims = match (Claims::read(token.expose_secret()), told) {
        (Some(claims), _) => claims,
        (None, Some(_)) => Claims::default(),
        (None, None) => {
            return Check::ok(CHECK, "set; it is not a JWT, so whose it is and when it expires is unknown");
        }
    };
    let shown = |text: &str| text.chars().take(LONGEST).collect::<String>();
    let whose = match (claims.user().map(shown), claims.organisation().map(shown)) {
        (Some(user), Some(organisation)) => format!("belongs to {user} of {organisation}, "),
        (Some(user), None) => format!("belongs to {user}, "),
        (None, Some(organisation)) => format!("belongs to somebody of {organisation}, "),
        (None, None) => "set, ".to_owned(),
    };
    let Some(expires) = claims.expires.or(told) else {
        return Check::ok(CHECK, format!("{whose}does not say when it expires"));
    };
    let left = expires - now;
    let at = expires.format("%Y-%m-%d %H:%M UTC");
    let todo = "make a new one in DevRev (Settings > Account > Personal access tokens) and put it into .env";
    if left <= chrono::TimeDelta::zero() {
        if is_taken {
            let found = format!("{whose}expired at {at}, and DevRev still takes it: is a clock wrong?");
            return Check::warning(CHECK, found, todo);
        }
        return Check::problem(CHECK, Exit::Credentials, format!("{whose}expired at {at}"), todo);
    }
    let found = format!("{whose}expires at {at} (in {})", length(left));
    if left.num_days() < SOON { Check::warning(CHECK, found, todo) } else { Check::ok(CHECK, found) }
}

fn length(left: chrono::TimeDelta) -> String {
    match (left.num_days(), left.num_hours()) {
        (0, 0) => format!("{} min", left.num_minutes()),
        (0, hours) => format!("{hours} h"),
        (1, _) => "1 day".to_owned(),
        (days, _) => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::doctor::State;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    const NOW: i64 = 1_795_319_100;

    fn found(claims: &str) -> (State, String) {
        let token = SecretString::from(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)));
        let check = check(Some(&token), None, DateTime::from_timestamp(NOW, 0).unwrap(), false);
        assert_eq!(check.todo.is_some(), check.state != State::Ok);
        (check.state, check.found)
    }

    fn expiring(seconds: i64) -> (State, String) {
        found(&format!("{{\"exp\":{}}}", NOW + seconds))
    }

    #[test]
    fn a_token_says_when_it_expires() {
        const DAY: i64 = 86_400;
        for (seconds, state, said) in [
            (-1, State::Problem, "set, expired at 2026-11-22 03:44 UTC"),
            (0, State::Problem, "set, expired at 2026-11-22 03:45 UTC"),
            (120, State::Warning, "(in 2 min)"),
            (7200, State::Warning, "(in 2 h)"),
            (DAY, State::Warning, "(in 1 day)"),
            (14 * DAY - 1, State::Warning, "(in 13 days)"),
            (14 * DAY, State::Ok, "set, expires at 2026-12-06 03:45 UTC (in 14 days)"),
        ] {
            let (found, text) = expiring(seconds);
            assert!(found == state && text.contains(said), "{seconds}: {found:?} {text}");
        }
        // The ends of the calendar.
        assert_eq!(expiring(-NOW - 60_000_000_000_000).0, State::Ok);
        assert_eq!(expiring(8_000_000_000_000).0, State::Ok);
        assert_eq!(found("{\"exp\":-8000000000000}").0, State::Problem);
    }

    #[test]
    fn a_token_says_whose_it_is() {
        let sub = r#""sub":"don:identity:dvrv-us-1:devo/demo:devu/7""#;
        assert_eq!(
            found(&format!("{{{sub}}}")).1,
            "belongs to devu/7 of devo/demo, does not say when it expires"
        );
        assert!(found(r#"{"sub":"auth0|x"}"#).1.starts_with("belongs to auth0|x, "));
        let organisation = r#"{"http://devrev.ai/devo_don":"don:identity:dvrv-us-1:devo/demo"}"#;
        assert!(found(organisation).1.starts_with("belongs to somebody of devo/demo, "));
        let plain = check(Some(&SecretString::from("pat-1")), None, DateTime::UNIX_EPOCH, false);
        assert!(plain.state == State::Ok && plain.found.contains("not a JWT"));
        assert_eq!(check(None, None, DateTime::UNIX_EPOCH, false).found, "the sandbox takes any");
    }

    #[test]
    fn a_token_that_devrev_takes_is_no_problem() {
        let token = SecretString::from(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode("{\"exp\":1000}")));
        let check = check(Some(&token), None, DateTime::from_timestamp(NOW, 0).unwrap(), true);
        assert!(check.state == State::Warning && check.found.contains("still takes it"), "{check:?}");
    }

    #[test]
    fn a_long_name_does_not_hide_when_the_token_expires() {
        let (_, text) = found(&format!("{{\"exp\":{},\"sub\":\"{}\"}}", NOW - 1, "x".repeat(5000)));
        assert!(text.len() < 200 && text.contains("expired at"), "{text}");
    }
}
