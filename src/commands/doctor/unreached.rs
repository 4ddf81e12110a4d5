//! What a failed call says: which check it belongs to, and what to do.

use crate::devrev::client::Client;
use crate::exit::Exit;
use crate::net::error::{ApiError, ErrorKind};
use crate::report::doctor::Check;
use std::time::Duration;
use tokio::time::Instant;

/// How long one call may take, the wait for the limit with it.
const LONGEST_CALL: Duration = Duration::from_secs(20);

/// Between two looks whether a call is worth the wait.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A call that failed.
#[derive(Debug)]
pub(super) struct Unreached {
    /// What is wrong.
    pub(super) check: Check,
    /// Whether anything answered: then there is a connection.
    pub(super) answered: bool,
    /// Whether the token may not do it.
    pub(super) refused: bool,
}

/// What an error of a call means to anyone who set this up.
pub(super) fn judge(error: &ApiError) -> Unreached {
    let text = error.to_string();
    let check = match &error.kind {
        ErrorKind::Unauthorized => Check::problem(
            "token",
            Exit::Credentials,
            format!("DevRev refuses it ({text})"),
            "put a valid token into DEVREV_API_TOKEN: it is wrong, expired or withdrawn, or another organisation's",
        ),
        ErrorKind::Forbidden => Check::problem(
            "token",
            Exit::Credentials,
            format!("its user may not do this ({text})"),
            "take a token of a user who may read and update issues and contacts",
        ),
        ErrorKind::Unreadable | ErrorKind::Moved { .. } | ErrorKind::NotFound | ErrorKind::Unexpected => {
            let what = if is_page(&text) { "points at a web page" } else { "is not DevRev's API" };
            let todo = "correct DEVREV_BASE_URL, or log in where a proxy or a gateway asks for it";
            Check::problem("base-url", Exit::Usage, format!("{what} ({text})"), todo)
        }
        ErrorKind::Throttled { retry_after } => {
            let wait = retry_after.map_or(String::new(), |wait| format!(" {} s", wait.as_secs()));
            let todo = format!("wait{wait}, and see who else uses this token");
            Check::problem("rate-limit", Exit::Stopped, format!("used up ({text})"), todo)
        }
        ErrorKind::Server | ErrorKind::BreakerOpen => {
            let todo = "DevRev, or a gateway before it, is failing: try again later";
            Check::problem("connection", Exit::Stopped, text, todo)
        }
        ErrorKind::Connect | ErrorKind::Broken => {
            let todo = cause(&text);
            Check::problem("connection", Exit::Stopped, text, todo)
        }
        ErrorKind::Refused
        | ErrorKind::Conflict
        | ErrorKind::Paging
        | ErrorKind::Stopped
        | ErrorKind::Stale
        | ErrorKind::NotKept => {
            Check::problem("connection", Exit::Unexpected, text, "check DEVREV_BASE_URL; is it DevRev's API?")
        }
    };
    let refused = error.kind == ErrorKind::Forbidden;
    Unreached { check, answered: error.status.is_some(), refused }
}

/// A call that was not over in time: DevRev had asked to be left alone for so long, or nothing came.
pub(super) fn silent(closed_for: Option<Duration>, waited: Duration) -> Unreached {
    let check = if let Some(left) = closed_for {
        let found = format!("used up: DevRev accepts no calls for another {} s", left.as_secs() + 1);
        Check::problem("rate-limit", Exit::Stopped, found, "wait, and see who else uses this token")
    } else {
        Check::problem(
            "connection",
            Exit::Stopped,
            format!("no answer within {} s", waited.as_secs()),
            TOO_LATE,
        )
    };
    Unreached { check, answered: closed_for.is_some(), refused: false }
}

const TOO_LATE: &str = "is a firewall in the way, or does the network need a proxy (HTTPS_PROXY)?";

fn is_page(text: &str) -> bool {
    let lower = text.to_lowercase();
    ["text/html", "<html", "<!doctype"].iter().any(|mark| lower.contains(mark))
}

/// What helps against a failure of the transport, which only its text tells apart.
fn cause(text: &str) -> &'static str {
    let lower = text.to_lowercase();
    let any = |marks: &[&str]| marks.iter().any(|mark| lower.contains(mark));
    if any(&["dns error", "dns name", "failed to lookup"]) {
        "the host's name leads nowhere: check DEVREV_BASE_URL, and this machine's DNS"
    } else if any(&["proxy", "tunnel"]) {
        "the proxy refuses: check HTTPS_PROXY and what it lets through"
    } else if any(&["certificate", "unknownissuer"]) {
        "the certificate is another host's or not trusted: check DEVREV_BASE_URL; add the authority of your proxy or \
            gateway to the system's (or name its file \
         in SSL_CERT_FILE); check this machine's clock"
    } else if any(&["corrupt message", "tls", "handshake", "invalidcontenttype"]) {
        "the other end speaks no TLS as it should: check DEVREV_BASE_URL and its port"
    } else if any(&["refused"]) {
        "nothing listens there: check DEVREV_BASE_URL and its port"
    } else if any(&["timed out", "unreachable"]) {
        TOO_LATE
    } else {
        "try again; if this persists, check the network and DEVREV_BASE_URL"
    }
}

/// Waits for a call, and no longer than it may take: also not for a limit that ends later.
pub(super) async fn in_time<T>(
    client: &Client,
    call: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, Unreached> {
    let until = Instant::now() + LONGEST_CALL;
    let hopeless = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let left = client.figures().closed_for;
            if left.is_some_and(|left| Instant::now() + left > until) || Instant::now() > until {
                return silent(left, LONGEST_CALL);
            }
        }
    };
    tokio::select! {
        biased;
        answer = call => answer.map_err(|error| judge(&error)),
        silent = hopeless => Err(silent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_apart() {
        for (text, todo) in [
            (
                "dns error: failed to lookup address information: Name or service not known",
                "name leads nowhere",
            ),
            ("tcp connect error: Connection refused (os error 111)", "nothing listens"),
            ("client error (Connect): invalid peer certificate: UnknownIssuer", "or not trusted"),
            ("received corrupt message of type InvalidContentType", "speaks no TLS"),
            ("tunnel error: unsuccessful", "the proxy refuses"),
            ("tcp connect error: Network is unreachable (os error 101)", "firewall"),
            ("connection closed before message completed", "try again"),
        ] {
            assert!(cause(text).contains(todo), "{text}: {}", cause(text));
        }
        assert!(is_page("200 OK with an answer (TEXT/HTML; x)") && !is_page("404 Not Found: not_found"));
    }

    #[test]
    fn a_limit_that_is_used_up_is_no_silence() {
        let longest = Duration::from_secs(20);
        let silent = |left: Option<u64>| silent(left.map(Duration::from_secs), longest);
        assert!(!silent(None).answered && silent(None).check.found.contains("within 20 s"));
        assert!(silent(Some(4)).answered && silent(Some(4)).check.found.contains("another 5 s"));
    }
}
