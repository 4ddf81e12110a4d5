//! A run that applies a plan: only what was planned is looked at, and only what still is as it was planned is
//! changed. Whatever differs has drifted: it is left alone and said, or it stops the run.

use crate::cli::choices::OnDrift;
use crate::engine::job::{Asked, Planner, Task, Verdict};
use crate::exit::{Exit, Failure};
use crate::journal::manifest::Applies;
use crate::journal::plan::PlanFile;
use crate::journal::record::{Outcome, State};
use crate::journal::row_set::RowSet;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// Differences that are told about one row; more are counted.
const SHOWN: usize = 5;
/// The reason of a row that is left alone because it has drifted.
pub(crate) const DRIFTED: &str = "drifted";
/// The reason of a row of an undo that finds all as it was.
pub(crate) const AS_BEFORE: &str = "as-before";
/// The longest value that is shown whole, in characters.
const LONGEST: usize = 80;
/// The member of a change that holds the steps that were taken, for changes of several steps.
const STEPS: &str = "steps";

impl OnDrift {
    /// What a run has written down of it.
    pub fn of(applies: &Applies) -> Self {
        if applies.abort_on_drift { Self::Abort } else { Self::Skip }
    }
}

/// A change that can be held against an earlier plan of it.
pub(crate) trait Plannable: Serialize {
    /// Its members that are not part of what is decided: what it is estimated to take, how things are called.
    const PASSING: &'static [&'static str] = &[];
    /// The reasons of failures that say that DevRev is not as it was planned. They stay failures, but where the run is to
    /// stop at whatever is otherwise, it stops at them.
    const OTHERWISE: &'static [&'static str] = &[];
    /// Whether one that failed may have been carried out in part. What the run itself has done of it is no drift: tried
    /// again, it is continued, and not held against the plan a second time.
    const IN_PARTS: bool = false;

    /// Whether an outcome that says that nothing is to be changed says so because what was planned has been made, perhaps by
    /// an earlier run that carried the plan out: that is no drift.
    fn is_made(_planned: &RawValue, _outcome: &Outcome) -> bool {
        false
    }

    /// What was planned, with what has become known since of what the plan had to leave open.
    fn as_of_now(&self, planned: &RawValue) -> serde_json::Result<Value> {
        serde_json::from_str(planned.get())
    }

    /// How it differs from what was planned, in its own words, where it does.
    fn difference(&self, _planned: &RawValue) -> Option<String> {
        None
    }

    /// An outcome of it with its word for `report.json`, if it has one.
    fn told(&self, outcome: Outcome) -> Outcome {
        outcome
    }
}

/// An item, and what was planned for it.
#[derive(Debug)]
pub(crate) struct Planned<I> {
    item: I,
    row: u64,
    key: String,
    change: Box<RawValue>,
    begun: bool,
}

/// The tasks of a feed that a plan is about.
pub(crate) struct OnlyPlanned<F> {
    feed: F,
    plan: PlanFile,
    begun: RowSet,
}

impl<F> OnlyPlanned<F> {
    /// Of this feed, what this plan is about. `begun` are the rows of whose change the run has taken steps.
    pub(crate) fn new(feed: F, plan: PlanFile, begun: RowSet) -> Self {
        Self { feed, plan, begun }
    }
}

impl<F, I> Iterator for OnlyPlanned<F>
where
    F: Iterator<Item = Result<Task<I>, Failure>>,
{
    type Item = Result<Task<Planned<I>>, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        for task in &mut self.feed {
            let Task { rows, key, item, in_doubt } = match task {
                Ok(task) => task,
                Err(failure) => return Some(Err(failure)),
            };
            let change = match self.plan.change(rows.row) {
                Ok(Some(change)) => change,
                Ok(None) => continue,
                Err(error) => {
                    let text = format!("the plan cannot be read: {error}");
                    return Some(Err(Failure::new(Exit::Unexpected, text)));
                }
            };
            let begun = self.begun.contains(rows.row);
            let item = item.map(|item| Planned { item, row: rows.row, key: key.clone(), change, begun });
            return Some(Ok(Task { rows, key, item, in_doubt }));
        }
        None
    }
}

/// The reading and deciding half of a job that goes by a plan.
#[derive(Debug)]
pub(crate) struct ByPlan<P> {
    planner: P,
    on_drift: OnDrift,
}

impl<P> ByPlan<P> {
    /// What this planner decides, as far as it is what was planned.
    pub(crate) fn new(planner: P, on_drift: OnDrift) -> Self {
        Self { planner, on_drift }
    }
}

impl<P> Planner for ByPlan<P>
where
    P: Planner<Change: Plannable>,
{
    type Item = Planned<P::Item>;
    type Change = P::Change;

    async fn prepare(&mut self, batch: Vec<Asked<Self::Item>>) -> Result<Vec<Verdict<P::Change>>, Failure> {
        let mut asked = Vec::with_capacity(batch.len());
        let mut plans = Vec::with_capacity(batch.len());
        for Asked { item: Planned { item, row, key, change, begun }, in_doubt } in batch {
            asked.push(Asked { item, in_doubt });
            plans.push((row, key, change, begun && P::Change::IN_PARTS));
        }
        let decided = self.planner.prepare(asked).await?;
        let mut verdicts = Vec::with_capacity(decided.len());
        for (verdict, (row, key, planned, goes_on)) in decided.into_iter().zip(plans) {
            let drift = if goes_on { None } else { drift(&planned, &verdict, self.on_drift)? };
            verdicts.push(match drift {
                None => verdict,
                Some(drift) if self.on_drift == OnDrift::Abort => {
                    let text = format!(
                        "row {row} ({key}) has changed since it was planned: {drift}. Nothing of its batch was sent \
                         by this process (--on-drift abort); make a new plan, or continue without such rows with \
                         --on-drift skip"
                    );
                    return Err(Failure::new(Exit::Changed, text));
                }
                Some(drift) => Verdict::Settled(drifted(verdict, drift)),
            });
        }
        Ok(verdicts)
    }
}

/// How a verdict differs from what was planned, if it does.
fn drift<C: Plannable>(
    planned: &RawValue,
    verdict: &Verdict<C>,
    on_drift: OnDrift,
) -> Result<Option<String>, Failure> {
    let change = match verdict {
        Verdict::Change(change) => change,
        Verdict::Settled(outcome) => {
            let reason = outcome.reason.as_deref().unwrap_or_default();
            let has_drifted = match outcome.state {
                State::Already => !C::is_made(planned, outcome),
                State::Skipped => true,
                // An error says more by itself.
                State::Failed => on_drift == OnDrift::Abort && C::OTHERWISE.contains(&reason),
                // What an earlier process of this run did is done.
                State::Done | State::Unknown => false,
            };
            let words = || format!("{reason}: {}", outcome.detail.as_deref().unwrap_or_default());
            return Ok(has_drifted.then(words));
        }
    };
    let defect = |error: serde_json::Error| {
        Failure::new(Exit::Unexpected, format!("a defect: a change that is no JSON: {error}"))
    };
    let now = serde_json::to_value(change).map_err(defect)?;
    // It is under way, and has to be followed to its end whatever DevRev shows by now.
    if now[STEPS].as_array().is_some_and(|steps| !steps.is_empty()) {
        return Ok(None);
    }
    let before = change.as_of_now(planned).map_err(defect)?;
    let mut found = Differences::default();
    found.of_members(&before, &now, "", C::PASSING);
    Ok(found.text().map(|text| change.difference(planned).unwrap_or(text)))
}

/// The outcome of a row that has drifted.
fn drifted<C: Plannable>(verdict: Verdict<C>, drift: String) -> Outcome {
    let outcome = Outcome::of(State::Skipped, DRIFTED, drift);
    let before = match verdict {
        Verdict::Change(change) => return change.told(outcome),
        Verdict::Settled(before) => before,
    };
    let report = before.report.and_then(|report| {
        let mut report: Value = serde_json::from_str(report.get()).ok()?;
        for (member, value) in [
            ("state", Some(outcome.state.name())),
            ("reason", outcome.reason.as_deref()),
            ("detail", outcome.detail.as_deref()),
        ] {
            report.as_object_mut()?.insert(member.to_owned(), value.into());
        }
        to_raw_value(&report).ok()
    });
    outcome.reported(report)
}

/// How two values differ.
#[derive(Debug, Default)]
struct Differences {
    shown: Vec<String>,
    more: usize,
}

impl Differences {
    fn text(self) -> Option<String> {
        if self.shown.is_empty() {
            return None;
        }
        let more = if self.more > 0 { format!("; and {} more", self.more) } else { String::new() };
        Some(format!("{}{more}", self.shown.join("; ")))
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        if self.shown.len() < SHOWN {
            self.shown.push(text());
        } else {
            self.more += 1;
        }
    }

    fn of(&mut self, before: &Value, now: &Value, path: &str) {
        match (before, now) {
            (Value::Object(_), Value::Object(_)) => self.of_members(before, now, path, &[]),
            (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
                for (number, (old, new)) in old.iter().zip(new).enumerate() {
                    self.of(old, new, &format!("{path}[{number}]"));
                }
            }
            (Value::Array(old), Value::Array(new)) => {
                self.note(|| format!("{path}: {} -> {} entries", old.len(), new.len()));
            }
            _ if before == now => {}
            _ => self.note(|| format!("{path}: {} -> {}", shown(before), shown(now))),
        }
    }

    /// A member that is missing is as good as one that is null.
    fn of_members(&mut self, before: &Value, now: &Value, path: &str, passing: &[&str]) {
        let (Some(old), Some(new)) = (before.as_object(), now.as_object()) else {
            return self.of(before, now, path);
        };
        let added = new.keys().filter(|name| !old.contains_key(*name));
        for name in old.keys().chain(added).filter(|name| !passing.contains(&name.as_str())) {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            self.of(&before[name], &now[name], &path);
        }
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => format!("`{text}`"),
        other => other.to_string(),
    };
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain("...".chars()).collect()
}

#[cfg(test)]
#[path = "drift_tests.rs"]
mod tests;
