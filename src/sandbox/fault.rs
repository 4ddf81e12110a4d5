//! Faults to order: which calls are broken, and how.

use super::endpoints;
use super::prices;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What fault rules call it.
pub(super) const STORAGE: &str = "storage";

/// A rule that breaks calls, read from text such as `path=works.update,status=503,after=3,count=2`.
///
/// Which calls: `path=` an endpoint's name, `storage` (the host of the artifacts' bytes) or `*` (the default),
/// `after=N` spares the first N of them, `count=N` breaks no more than N, `p=0.1` breaks each with that
/// probability (`seed=N` makes another series of the same chance; a series is always the same). Calls that
/// the rate limit or the check of the token turns away do not count. Of several rules the first that matches
/// is taken.
///
/// How, one of:
/// - `status=N`: answers that status (300 to 599) and applies nothing; with `applied`, applies first. Goes
///   with `page` (a gateway's HTML instead of the API's JSON), `retry_after=SECONDS` and, for 301, 302, 307 and
///   308, `location=TEXT`.
/// - `html`: answers 200 with a page of HTML, and applies nothing.
/// - `reset=before` or `reset=after`: resets the connection without an answer, before or after applying.
/// - `hang`, `hang=before` or `hang=after`: never answers; `hang` alone applies nothing.
/// - `truncate`: applies, and breaks the answer off in the middle.
///
/// `delay=MILLISECONDS` holds the answer back; alone, it breaks nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// An endpoint's name; `None` for every call.
    path: Option<String>,
    after: u64,
    count: Option<u64>,
    probability: Option<f64>,
    seed: u64,
    pub(super) action: Action,
    pub(super) delay: Duration,
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// Nothing but the delay.
    Delay,
    /// A status in place of the true answer.
    Status { status: u16, applied: bool, page: bool, retry_after: Option<u64>, location: Option<String> },
    /// A gateway's page.
    Html,
    /// The connection is reset.
    Reset(When),
    /// No answer comes.
    Hang(When),
    /// Half of the answer comes.
    Truncate,
}

/// Before the request is carried out, or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Before,
    After,
}

/// A text that is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad fault rule `{rule}`: {problem}")]
pub struct FaultError {
    rule: String,
    problem: String,
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let mut parts = Parts::default();
        let read = text.split(',').try_for_each(|part| parts.read(part.trim()));
        read.and_then(|()| parts.finish()).map_err(|problem| FaultError { rule: text.to_owned(), problem })
    }
}

/// A rule while it is read.
#[derive(Default)]
struct Parts {
    seen: Vec<String>,
    path: Option<String>,
    after: Option<u64>,
    count: Option<u64>,
    probability: Option<f64>,
    seed: Option<u64>,
    delay: Option<u64>,
    retry_after: Option<u64>,
    location: Option<String>,
    applied: bool,
    page: bool,
    action: Option<Action>,
}

impl Parts {
    fn read(&mut self, part: &str) -> Result<(), String> {
        let (key, value) = part.split_once('=').map_or((part, None), |(key, value)| (key, Some(value)));
        if self.seen.iter().any(|seen| seen == key) {
            return Err(format!("`{key}` appears twice"));
        }
        self.seen.push(key.to_owned());
        match key {
            "path" => self.path = Some(path(wanted(key, value)?)?),
            "after" => self.after = Some(number(key, value)?),
            "count" => self.count = Some(number(key, value)?),
            "seed" => self.seed = Some(number(key, value)?),
            "delay" => self.delay = Some(number(key, value)?),
            "retry_after" => self.retry_after = Some(number(key, value)?),
            "location" => self.location = Some(wanted(key, value)?.to_owned()),
            "p" => {
                let chance: f64 = number(key, value)?;
                if !(0.0..=1.0).contains(&chance) {
                    return Err(format!("`p`: {chance} is not from 0 to 1"));
                }
                self.probability = Some(chance);
            }
            "applied" => {
                flag(key, value)?;
                self.applied = true;
            }
            "page" => {
                flag(key, value)?;
                self.page = true;
            }
            "status" => {
                let status: u16 = number(key, value)?;
                if !(300..=599).contains(&status) {
                    return Err(format!("`status`: {status} is not from 300 to 599"));
                }
                let (applied, page, retry_after, location) = (false, false, None, None);
                self.act(Action::Status { status, applied, page, retry_after, location })?;
            }
            "html" => flag(key, value).and_then(|()| self.act(Action::Html))?,
            "truncate" => flag(key, value).and_then(|()| self.act(Action::Truncate))?,
            "reset" => {
                let when = when(key, Some(wanted(key, value)?))?;
                self.act(Action::Reset(when))?;
            }
            "hang" => {
                let when = when(key, value)?;
                self.act(Action::Hang(when))?;
            }
            "" => return Err("an empty part".to_owned()),
            _ => return Err(format!("unknown key `{key}`")),
        }
        Ok(())
    }

    fn act(&mut self, action: Action) -> Result<(), String> {
        if self.action.replace(action).is_some() {
            return Err("only one of status, html, reset, hang and truncate may stand there".to_owned());
        }
        Ok(())
    }

    fn finish(self) -> Result<Fault, String> {
        let details = [
            ("applied", self.applied),
            ("page", self.page),
            ("retry_after", self.retry_after.is_some()),
            ("location", self.location.is_some()),
        ];
        let action = match self.action {
            Some(Action::Status { status, .. }) => {
                if self.location.is_some() && !matches!(status, 301 | 302 | 307 | 308) {
                    return Err(format!("`location` does not go with status {status}"));
                }
                let Self { applied, page, retry_after, location, .. } = self;
                Some(Action::Status { status, applied, page, retry_after, location })
            }
            other => match details.iter().find(|(_, given)| *given) {
                Some((key, _)) => return Err(format!("`{key}` needs `status`")),
                None => other,
            },
        };
        if self.seed.is_some() && self.probability.is_none() {
            return Err("`seed` needs `p`".to_owned());
        }
        let action = match (action, self.delay) {
            (Some(action), _) => action,
            (None, Some(_)) => Action::Delay,
            (None, None) => {
                return Err("give one of status, html, reset, hang, truncate or delay".to_owned());
            }
        };
        Ok(Fault {
            path: self.path.filter(|path| path != "*"),
            after: self.after.unwrap_or(0),
            count: self.count,
            probability: self.probability,
            seed: self.seed.unwrap_or(0),
            action,
            delay: Duration::from_millis(self.delay.unwrap_or(0)),
        })
    }
}

/// A path that names no endpoint would break nothing, unseen.
fn path(path: &str) -> Result<String, String> {
    if path == "*" || path == STORAGE || path == prices::NAME || endpoints::find(path).is_some() {
        Ok(path.to_owned())
    } else {
        Err(format!("`path`: the sandbox has no endpoint `{path}`"))
    }
}

fn wanted<'a>(key: &str, value: Option<&'a str>) -> Result<&'a str, String> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| format!("`{key}` needs a value"))
}

fn flag(key: &str, value: Option<&str>) -> Result<(), String> {
    value.map_or(Ok(()), |_| Err(format!("`{key}` takes no value")))
}

fn number<T: FromStr>(key: &str, value: Option<&str>) -> Result<T, String> {
    let text = wanted(key, value)?;
    text.parse().map_err(|_| format!("`{key}`: `{text}` is not a number that fits"))
}

fn when(key: &str, value: Option<&str>) -> Result<When, String> {
    match value {
        None | Some("before") => Ok(When::Before),
        Some("after") => Ok(When::After),
        Some(other) => Err(format!("`{key}`: `{other}` is neither before nor after")),
    }
}

/// The rules of a sandbox, with what they have counted.
#[derive(Debug)]
pub(super) struct Faults(Vec<(Fault, Counters)>);

#[derive(Debug, Default)]
struct Counters {
    matching: AtomicU64,
    broken: AtomicU64,
}

impl Faults {
    pub(super) fn new(faults: Vec<Fault>) -> Self {
        Self(faults.into_iter().map(|fault| (fault, Counters::default())).collect())
    }

    /// The rule that breaks this call, if one does. Counts the call.
    pub(super) fn pick(&self, endpoint: &str) -> Option<&Fault> {
        self.0.iter().find(|(fault, counters)| fault.breaks(endpoint, counters)).map(|(fault, _)| fault)
    }
}

impl Fault {
    fn breaks(&self, endpoint: &str, counters: &Counters) -> bool {
        if self.path.as_deref().is_some_and(|path| path != endpoint) {
            return false;
        }
        let earlier = counters.matching.fetch_add(1, Ordering::Relaxed);
        if earlier < self.after || self.probability.is_some_and(|chance| draw(self.seed, earlier) >= chance) {
            return false;
        }
        let Some(count) = self.count else { return true };
        let one_more = |broken| (broken < count).then_some(broken + 1);
        counters.broken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }
}

/// The n-th number of a series from 0 to 1 (SplitMix64): the same on every run and machine.
fn draw(seed: u64, n: u64) -> f64 {
    let mut bits = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    // The upper 32 bits are exact in a float.
    f64::from((bits >> 32) as u32) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests;
