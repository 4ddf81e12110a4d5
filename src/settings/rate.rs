//! Settings of the rate limit, and where the times of recent calls are kept.

use super::sources::{Sources, flag};
use super::{Rates, Settings};
use crate::net;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// The most calls that a limit may have.
const MOST_CALLS: u32 = 1_000_000;

/// `RATE_LIMIT_CALLS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Calls {
    /// 0: no limit but DevRev's own.
    Unlimited,
    /// So many.
    Limit(NonZeroU32),
    /// As the server says.
    Auto,
}

impl Calls {
    /// The calls of the limit, with `auto` those of the default.
    pub(super) fn or_default(self, rates: Rates) -> Option<NonZeroU32> {
        match self {
            Self::Unlimited => None,
            Self::Limit(calls) => Some(calls),
            Self::Auto => NonZeroU32::new(default_calls(rates)),
        }
    }
}

fn default_calls(rates: Rates) -> u32 {
    match rates {
        Rates::Backfill => 50,
        Rates::Merge => 45,
    }
}

/// Resolves `RATE_LIMIT_CALLS` and `RATE_LIMIT_SHARE`.
pub(super) fn calls(
    from: &mut Sources<'_>,
    typed: Option<&String>,
    rates: Rates,
) -> (Option<Calls>, Option<f64>) {
    let default = default_calls(rates).to_string();
    let calls = from.parsed("RATE_LIMIT_CALLS", flag("rate-limit-calls", typed), &default, |text| {
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Calls::Auto);
        }
        let calls = text.parse().ok().filter(|calls| *calls <= MOST_CALLS);
        let calls = calls.ok_or(format!("is neither auto nor a whole number from 0 to {MOST_CALLS}"))?;
        Ok(NonZeroU32::new(calls).map_or(Calls::Unlimited, Calls::Limit))
    });
    let share = from.parsed("RATE_LIMIT_SHARE", None, "0.8", |text| match text.parse() {
        Ok(share) if (0.01..=1.0).contains(&share) => Ok(share),
        _ => Err("is not a share from 0.01 to 1, such as 0.8".to_owned()),
    });
    (calls, share)
}

impl Settings {
    /// Where the times of recent calls with this token may be kept, so that all processes together keep the limit: in
    /// the user's cache folder, whatever runs folder a process uses, else beside the other caches if there is a runs
    /// folder.
    ///
    /// DevRev's limit counts per user, so the token names the file, but cannot be told from it. Servers on this
    /// machine are told apart by their ports: they are sandboxes.
    pub(crate) fn recent_calls(&self, token: &SecretString) -> Vec<PathBuf> {
        let place = match self.base_url.port_or_known_default() {
            Some(port) if net::is_here(&self.base_url) => port.to_string(),
            _ => String::new(),
        };
        let digest = Sha256::new()
            .chain_update("devrev-batch recent calls\0")
            .chain_update(&place)
            .chain_update("\0")
            .chain_update(token.expose_secret())
            .finalize();
        let name = digest.iter().take(8).fold("calls-".to_owned(), |mut name, byte| {
            let _ = write!(name, "{byte:02x}");
            name
        });
        let of_user = self.cache_dir.as_ref().map(|folder| folder.join("devrev-batch"));
        let of_runs = self.runs_dir.is_dir().then(|| self.runs_dir.join(".cache"));
        of_user.into_iter().chain(of_runs).map(|folder| folder.join(&name)).collect()
    }
}

/// The user's cache folder, as the environment says.
pub(super) fn cache_dir(environment: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let folder = |name: &str| environment(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    folder("XDG_CACHE_HOME")
        .or_else(|| folder("LOCALAPPDATA"))
        .or_else(|| folder("HOME").map(|home| home.join(".cache")))
}
