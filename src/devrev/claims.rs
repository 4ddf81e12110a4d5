//! What a token says of itself: to whom it belongs and when it expires.
//!
//! A token of DevRev's is a JWT as a rule. Its claims are read and not verified: DevRev does that, and nothing here
//! decides what may be done.

use super::dev_users;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

/// The longest token that is looked into, in bytes.
const LONGEST: usize = 64 << 10;
/// The claim that names the organisation by its DON.
const ORGANISATION: &str = "http://devrev.ai/devo_don";

/// The claims of a token that matter to its owner. Each may be missing, or may say anything at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// When it expires.
    pub expires: Option<DateTime<Utc>>,
    /// The user that it belongs to: a DON, as a rule.
    pub subject: Option<String>,
    /// The DON of the user's organisation.
    organisation: Option<String>,
}

impl Claims {
    /// Reads a token's claims; `None` for a token that is no JWT.
    pub(crate) fn read(token: &str) -> Option<Self> {
        if token.len() > LONGEST {
            return None;
        }
        let mut parts = token.split('.');
        let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let json = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
        let claims: Map<String, Value> = serde_json::from_slice(&json).ok()?;
        let text = |name: &str| {
            let text = claims.get(name)?.as_str()?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        Some(Self {
            expires: claims.get("exp").and_then(time),
            subject: text("sub"),
            organisation: text(ORGANISATION),
        })
    }

    /// The organisation: `devo/XXXX`.
    pub(crate) fn organisation(&self) -> Option<&str> {
        let dons = [self.organisation.as_deref(), self.subject.as_deref()].into_iter().flatten();
        dons.filter_map(dev_users::organisation).find(|part| part.starts_with("devo/"))
    }

    /// The user within the organisation, such as `devu/7`; what else the token says where that is no DON.
    pub(crate) fn user(&self) -> Option<&str> {
        let subject = self.subject.as_deref()?;
        Some(subject.split(':').nth(4).filter(|_| subject.starts_with("don:")).unwrap_or(subject))
    }
}

/// Seconds since the epoch, perhaps with a fraction; `None` for what is no time of this calendar.
fn time(value: &Value) -> Option<DateTime<Utc>> {
    // Cut to the bounds of the type, which are far outside of those of the calendar.
    #[allow(clippy::cast_possible_truncation)]
    let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64))?;
    DateTime::from_timestamp(seconds, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(claims: impl AsRef<[u8]>) -> String {
        format!("{}.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode(claims))
    }

    fn expires(exp: &str) -> Option<i64> {
        let claims = Claims::read(&token(format!("{{\"exp\":{exp}}}"))).unwrap();
        claims.expires.map(|time| time.timestamp())
    }

    #[test]
    fn a_token_of_devrev_says_whose_it_is() {
        let claims = r#"{"exp":1795319100,"iat":1,"iss":"https://auth-token.devrev.ai/",
            "sub":"don:identity:dvrv-us-1:devo/demo:devu/7","http://devrev.ai/devo_don":"don:identity:dvrv-us-1:devo/demo"}"#;
        let claims = Claims::read(&token(claims)).unwrap();
        assert_eq!(claims.expires.unwrap().to_rfc3339(), "2026-11-22T03:45:00+00:00");
        assert_eq!((claims.user(), claims.organisation()), (Some("devu/7"), Some("devo/demo")));
        let claims = Claims::read(&token(r#"{"sub":"don:identity:dvrv-us-1:devo/demo:devu/7"}"#)).unwrap();
        assert_eq!((claims.user(), claims.organisation()), (Some("devu/7"), Some("devo/demo")));
    }

    #[test]
    fn a_claim_that_makes_no_sense_is_not_there() {
        let odd = Claims::read(&token(r#"{"sub":"auth0|x:y:z","exp":"soon","http://devrev.ai/devo_don":7}"#));
        let odd = odd.unwrap();
        assert_eq!((odd.user(), odd.organisation(), odd.expires), (Some("auth0|x:y:z"), None, None));
        for short in [r#"{"sub":"don:identity"}"#, r#"{"sub":" "}"#, r#"{"sub":null}"#, "{}"] {
            assert_eq!(Claims::read(&token(short)).unwrap().organisation(), None, "{short}");
        }
        assert_eq!(Claims::read(&token(r#"{"sub":"don:identity"}"#)).unwrap().user(), Some("don:identity"));
    }

    #[test]
    fn times_may_be_anything() {
        assert_eq!(expires("1795319100.75"), Some(1_795_319_100));
        assert_eq!(expires("-5"), Some(-5));
        for no_time in
            ["1e300", "-1e300", "18446744073709551615", "99999999999999999", "null", "\"1\"", "[1]"]
        {
            assert_eq!(expires(no_time), None, "{no_time}");
        }
    }

    #[test]
    fn what_is_no_jwt_says_nothing() {
        let long = token(format!("{{\"sub\":\"{}\"}}", "x".repeat(LONGEST)));
        let five = format!("{}.a.b", token("{}"));
        let not_text = token(b"{\"sub\":\"\xff\xfe\"}");
        for text in [
            "",
            "pat-1",
            "a.b",
            "..",
            "a.!!.c",
            "é.é.é",
            &token("[]"),
            &token("7"),
            &token("{"),
            &long,
            &five,
            &not_text,
        ] {
            assert_eq!(Claims::read(text), None, "{text:.40}");
        }
        let padded = token(r#"{"sub":"ab"}"#).replace(".c2lnbm", "==.c2lnbm");
        assert_eq!(Claims::read(&padded).unwrap().user(), Some("ab"));
    }

    proptest! {
        #[test]
        fn nothing_in_it_is_a_panic(claims in any::<Vec<u8>>(), text in ".*", exp in any::<f64>()) {
            let _ = Claims::read(&token(claims));
            let _ = Claims::read(&text);
            let claims = Claims::read(&token(serde_json::json!({"exp": exp, "sub": text}).to_string())).unwrap();
            let _ = (claims.user(), claims.organisation());
        }
    }
}
