//! What counts as drift, and what becomes of it.

use super::*;
use crate::journal::replay::InDoubt;
use serde_json::json;

#[derive(Debug, Clone, Serialize)]
struct Change(Value);

impl Plannable for Change {
    const PASSING: &'static [&'static str] = &["preview", "steps"];
    const OTHERWISE: &'static [&'static str] = &["gone"];

    fn told(&self, outcome: Outcome) -> Outcome {
        let report = json!({"of": self.0, "state": outcome.state.name()});
        outcome.reported(to_raw_value(&report).ok())
    }
}

/// Decides what it is told to.
struct Says(Vec<Verdict<Change>>);

impl Planner for Says {
    type Item = ();
    type Change = Change;

    async fn prepare(&mut self, batch: Vec<Asked<()>>) -> Result<Vec<Verdict<Change>>, Failure> {
        assert_eq!(batch.len(), self.0.len());
        Ok(std::mem::take(&mut self.0))
    }
}

fn raw(value: &Value) -> Box<RawValue> {
    to_raw_value(value).unwrap()
}

async fn judged(
    planned: &Value,
    verdict: Verdict<Change>,
    on_drift: OnDrift,
) -> Result<Verdict<Change>, Failure> {
    let item = Planned { item: (), row: 7, key: "ISS-5".to_owned(), change: raw(planned), begun: false };
    let asked = vec![Asked { item, in_doubt: Some(InDoubt::default()) }];
    ByPlan::new(Says(vec![verdict]), on_drift).prepare(asked).await.map(|mut verdicts| verdicts.remove(0))
}

/// The drift that is told; empty for none.
async fn told(planned: Value, now: Value) -> String {
    match judged(&planned, Verdict::Change(Change(now)), OnDrift::Skip).await.unwrap() {
        Verdict::Change(_) => String::new(),
        Verdict::Settled(outcome) => {
            assert_eq!((outcome.state, outcome.reason.as_deref()), (State::Skipped, Some("drifted")));
            assert!(outcome.report.unwrap().get().contains("\"state\":\"skipped\""));
            outcome.detail.unwrap()
        }
    }
}

#[tokio::test]
async fn any_member_that_is_not_passing_counts_and_is_named() {
    let cases = [
        (json!({"a": 1}), json!({"a": 1}), ""),
        (json!({"a": 1, "preview": 5}), json!({"a": 1}), ""),
        (json!({"a": null}), json!({}), ""),
        (
            json!({"before": null, "after": "G-1"}),
            json!({"before": null, "after": "G-2"}),
            "after: `G-1` -> `G-2`",
        ),
        (json!({"before": null}), json!({"before": "G-2"}), "before: none -> `G-2`"),
        (json!({"p": {"tickets": 3}}), json!({"p": {"tickets": 4}}), "p.tickets: 3 -> 4"),
        (json!({"w": [{"id": 1}]}), json!({"w": [{"id": 2}]}), "w[0].id: 1 -> 2"),
        (json!({"w": [1]}), json!({"w": [1, 2]}), "w: 1 -> 2 entries"),
        // Passing at the top alone.
        (json!({"p": {"preview": 3}}), json!({"p": {"preview": 4}}), "p.preview: 3 -> 4"),
        (json!({"a": 1}), json!(1), ": {\"a\":1} -> 1"),
    ];
    for (planned, now, expected) in cases {
        assert_eq!(told(planned.clone(), now.clone()).await, expected, "{planned} {now}");
    }
    let long = told(json!({"a": "x".repeat(500)}), json!({})).await;
    assert!(long.len() < 120 && long.ends_with("x... -> none"), "{long}");
    let numbers =
        |from: u32| (0..9).map(|n| (n.to_string(), json!(from + n))).collect::<serde_json::Map<_, _>>();
    let many = told(numbers(0).into(), numbers(1).into()).await;
    assert!(many.starts_with("0: 0 -> 1; ") && many.ends_with("; and 4 more"), "{many}");
}

#[tokio::test]
async fn what_is_under_way_is_followed_whatever_was_planned() {
    let now = Change(json!({"a": 2, "steps": [{"what": "merging"}]}));
    let verdict = judged(&json!({"a": 1}), Verdict::Change(now), OnDrift::Abort).await.unwrap();
    assert!(matches!(verdict, Verdict::Change(_)));
}

#[tokio::test]
async fn what_is_settled_has_drifted_unless_it_failed_or_is_done() {
    for (state, drifts) in [
        (State::Already, true),
        (State::Skipped, true),
        (State::Done, false),
        (State::Failed, false),
        (State::Unknown, false),
    ] {
        let settled =
            Outcome::of(state, "why", "words").reported(Some(raw(&json!({"state": "x", "more": 1}))));
        let verdict = judged(&json!({}), Verdict::Settled(settled.clone()), OnDrift::Skip).await.unwrap();
        let Verdict::Settled(outcome) = verdict else { panic!("a change") };
        if !drifts {
            assert_eq!(outcome, settled);
            continue;
        }
        assert_eq!((outcome.state, outcome.reason.as_deref()), (State::Skipped, Some("drifted")));
        assert_eq!(outcome.detail.as_deref(), Some("why: words"));
        let report: Value = serde_json::from_str(outcome.report.unwrap().get()).unwrap();
        assert_eq!(
            report,
            json!({"state": "skipped", "reason": "drifted", "detail": "why: words", "more": 1})
        );
        let aborted = judged(&json!({}), Verdict::Settled(settled), OnDrift::Abort).await.unwrap_err();
        assert_eq!(aborted.exit, Exit::Changed);
        assert!(aborted.message.starts_with("row 7 (ISS-5) has changed since it was planned: why: words. "));
    }
}

#[tokio::test]
async fn a_failure_that_says_that_something_is_otherwise_stops_a_run_that_is_to_stop() {
    for (reason, on_drift, stops) in
        [("gone", OnDrift::Abort, true), ("http-500", OnDrift::Abort, false), ("gone", OnDrift::Skip, false)]
    {
        let verdict = Verdict::Settled(Outcome::of(State::Failed, reason, "ISS-5"));
        let judged = judged(&json!(1), verdict, on_drift).await;
        let Ok(verdict) = judged else {
            assert!(stops, "{reason}");
            continue;
        };
        assert!(!stops && matches!(verdict, Verdict::Settled(outcome) if outcome.state == State::Failed));
    }
}
