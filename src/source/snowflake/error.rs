//! What goes wrong with Snowflake, classified once, where it happens.

use super::super::header::ColumnError;
use super::super::rows_file::KeepError;
use crate::net::redact::Secrets;

/// Why rows could not be had from Snowflake.
#[derive(Debug, thiserror::Error)]
pub enum SnowflakeError {
    /// The login was refused: wrong password, unknown key, a locked user.
    #[error("Snowflake refused the login: {}{}", said(code, message), login_hint(code))]
    Login {
        /// Snowflake's code.
        code: String,
        /// Snowflake's message.
        message: String,
    },
    /// The session is over, and so was the one that was begun instead of it.
    #[error("Snowflake ended the session: {}", said(code, message))]
    Session {
        /// Snowflake's code.
        code: String,
        /// Snowflake's message.
        message: String,
    },
    /// What is named in the settings or in the query is not there, or not for this role; or the SQL is wrong.
    #[error("Snowflake refused the {what}: {}{hint}", said(code, message))]
    Refused {
        /// `query` or `settings`.
        what: &'static str,
        /// Snowflake's code.
        code: String,
        /// Snowflake's message.
        message: String,
        /// What to do, where that is known.
        hint: &'static str,
    },
    /// No such account, or none that may be asked from here.
    #[error("{host} answered {status}: check SNOWFLAKE_ACCOUNT and SNOWFLAKE_HOST")]
    Account {
        /// Who was asked.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// Nothing came, however often it was tried.
    #[error("cannot reach Snowflake ({host}), tried {tries} times: {text}")]
    Unreachable {
        /// Who was asked.
        host: String,
        /// Requests that were sent.
        tries: u32,
        /// What became of the last one.
        text: String,
    },
    /// An answer that makes no sense, or is too long.
    #[error("Snowflake's answer cannot be used: {0}")]
    Answer(String),
    /// The private key.
    #[error("{0}")]
    Key(String),
    /// The query cannot be asked like this.
    #[error("{0}")]
    Query(String),
    /// The columns.
    #[error(transparent)]
    Columns(#[from] ColumnError),
    /// The rows could not be kept.
    #[error("Snowflake: {0}")]
    Keep(#[from] KeepError),
    /// The stop signal.
    #[error("interrupted while Snowflake was asked")]
    Interrupted,
}

/// Sessions that are over; the same may be asked in a new one.
const SESSION_OVER: [&str; 5] = ["390104", "390110", "390111", "390112", "390114"];
/// Roles, warehouses, databases and schemas of the settings that are not there.
const NAMED_WRONGLY: [&str; 3] = ["390186", "390189", "390201"];

impl SnowflakeError {
    /// The same without these secrets: Snowflake, or a proxy, may quote what it was sent.
    pub(crate) fn without(mut self, secrets: &Secrets) -> Self {
        match &mut self {
            Self::Login { message: text, .. }
            | Self::Session { message: text, .. }
            | Self::Refused { message: text, .. }
            | Self::Unreachable { text, .. }
            | Self::Answer(text)
            | Self::Query(text)
            | Self::Key(text) => *text = secrets.clean(std::mem::take(text)),
            Self::Account { .. } | Self::Columns(_) | Self::Keep(_) | Self::Interrupted => {}
        }
        self
    }

    /// What Snowflake's refusal of a login means.
    pub(super) fn of_login(code: String, message: String) -> Self {
        if NAMED_WRONGLY.contains(&code.as_str()) {
            let hint = "; check SNOWFLAKE_ROLE, SNOWFLAKE_WAREHOUSE, SNOWFLAKE_DATABASE and SNOWFLAKE_SCHEMA";
            return Self::Refused { what: "settings", code, message, hint };
        }
        Self::Login { code, message }
    }

    /// What Snowflake's refusal of a query means.
    pub(crate) fn of_query(code: String, message: String, state: &str) -> Self {
        if SESSION_OVER.contains(&code.as_str()) {
            return Self::Session { code, message };
        }
        let lower = message.to_lowercase();
        let hint = match code.as_str() {
            "000606" | "000607" | "000608" | "000609" | "090073" => WAREHOUSE,
            _ if state == "57P03" || lower.contains("warehouse") => WAREHOUSE,
            "002003" | "002043" => {
                "; check the name, SNOWFLAKE_DATABASE, SNOWFLAKE_SCHEMA, and what SNOWFLAKE_ROLE may see"
            }
            "003001" => "; check what SNOWFLAKE_ROLE may do",
            _ => "",
        };
        Self::Refused { what: "query", code, message, hint }
    }
}

const WAREHOUSE: &str = "; the warehouse is missing, suspended or out of credit: check SNOWFLAKE_WAREHOUSE, and that SNOWFLAKE_ROLE may use it";

fn said(code: &str, message: &str) -> String {
    // Snowflake's messages have several lines.
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if code.is_empty() { message } else { format!("{message} (code {code})") }
}

/// What helps where Snowflake's message does not: it calls any token invalid that it cannot check.
fn login_hint(code: &str) -> &'static str {
    if code == "390144" {
        "; check SNOWFLAKE_ACCOUNT and SNOWFLAKE_USER (the token names both), that the user has the public key of \
         SNOWFLAKE_PRIVATE_KEY_PATH, and this machine's clock"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart() {
        let query = |code: &str, message: &str, state: &str| {
            SnowflakeError::of_query(code.to_owned(), message.to_owned(), state).to_string()
        };
        let text =
            query("002003", "SQL compilation error:\nObject 'X' does not exist or not authorized.", "42S02");
        let said = "the query: SQL compilation error: Object 'X' does not exist or not authorized. (code 002003); check";
        assert!(text.contains(said), "{text}");
        for (code, message, state) in [
            ("000606", "No active warehouse selected in the current session.", "57P03"),
            (
                "090073",
                "Warehouse 'W' cannot be resumed because resource monitor 'M' has exceeded its quota",
                "22000",
            ),
        ] {
            assert!(query(code, message, state).contains("check SNOWFLAKE_WAREHOUSE"));
        }
        assert!(query("001003", "syntax error", "42000").ends_with("syntax error (code 001003)"));
        assert!(query("390112", "Your session has expired.", "").starts_with("Snowflake ended the session"));
        let login = |code: &str| SnowflakeError::of_login(code.to_owned(), "no".to_owned());
        assert!(matches!(login("390100"), SnowflakeError::Login { .. }));
        let invalid = login("390144").to_string();
        assert!(
            invalid.contains("check SNOWFLAKE_ACCOUNT") && invalid.contains("this machine's clock"),
            "{invalid}"
        );
        assert!(!login("390100").to_string().contains("check"));
        assert!(matches!(login("390201"), SnowflakeError::Refused { what: "settings", .. }));
    }
}
