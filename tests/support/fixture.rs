//! An organisation of issues, and the sandbox that plays it: for `backfill-groups`.

pub(crate) use super::site::{TOKEN, Trouble};

use super::org::Org;
use super::program::Program;
use super::run::Run;
use super::site::Site;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Deref;

/// An issue as the sandbox has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) group: Option<u32>,
    pub(crate) writes: u64,
}

/// An organisation, and a site whose sandbox plays it.
pub(crate) struct Fixture {
    site: Site,
    /// As it was in the beginning.
    pub(crate) org: Org,
    /// As it is when the sandbox starts next.
    now: Org,
    /// Writes to each issue before the sandbox was started again.
    written: BTreeMap<String, u64>,
}

impl Deref for Fixture {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Fixture {
    /// An organisation whose API works, and its input as `issues.csv`.
    pub(crate) fn new(org: &Org) -> Self {
        Self::with(org, &Trouble::none())
    }

    /// The same, with trouble.
    pub(crate) fn with(org: &Org, trouble: &Trouble) -> Self {
        let mut fixture = Self::down(org);
        fixture.start(trouble);
        fixture
    }

    /// The same, with these faults.
    pub(crate) fn broken<S: Into<String>>(org: &Org, faults: impl IntoIterator<Item = S>) -> Self {
        Self::with(org, &Trouble::faults(faults))
    }

    /// An organisation whose API is down: nobody listens.
    pub(crate) fn down(org: &Org) -> Self {
        let (org, now) = (org.clone(), org.clone());
        let fixture = Self { site: Site::new(), org, now, written: BTreeMap::new() };
        fixture.write("issues.csv", fixture.org.csv());
        fixture
    }

    fn start(&mut self, trouble: &Trouble) {
        let now = self.now.clone();
        self.site.start(|| now.data(), trouble);
    }

    /// Takes the API down, and remembers what it holds.
    pub(crate) fn take_down(&mut self) {
        if !self.is_up() {
            return;
        }
        // What is carried out after the look would be lost with it.
        self.control("POST", "close", "");
        for (id, Seen { group, writes }) in seen(&self.get("issues")) {
            *self.written.entry(id.clone()).or_default() += writes;
            let number: usize = id.trim_start_matches("ISS-").parse().unwrap();
            self.now.issues[number - 1].group = group;
        }
        self.site.stop();
    }

    /// Starts the API (again) at the same address: with the same issues, and with other trouble.
    pub(crate) fn restart(&mut self, trouble: &Trouble) {
        self.take_down();
        self.start(trouble);
    }

    /// The same, and `DEVU-6` is now in this group.
    pub(crate) fn restart_joined(&mut self, group: u32) {
        self.take_down();
        self.now.joined = Some(group);
        self.start(&Trouble::none());
    }

    /// The same, as another organisation.
    pub(crate) fn restart_as(&mut self, code: &'static str) {
        self.take_down();
        self.now.code = code;
        self.start(&Trouble::none());
    }

    /// `backfill-groups --csv issues.csv --yes` and more.
    pub(crate) fn backfill(&self, more: &[&str]) -> Program {
        self.program(["backfill-groups", "--csv", "issues.csv", "--yes"]).args(more)
    }

    /// `resume --yes` and more.
    pub(crate) fn resume(&self, more: &[&str]) -> Program {
        self.program(["resume", "--yes"]).args(more)
    }

    /// Every issue as it is, with all writes to it.
    pub(crate) fn issues(&self) -> BTreeMap<String, Seen> {
        let mut issues = seen(&self.get("issues"));
        for (id, issue) in &mut issues {
            issue.writes += self.written.get(id).copied().unwrap_or(0);
        }
        issues
    }

    /// Sets an issue's creator group as somebody else would.
    pub(crate) fn set_group(&self, issue: usize, group: Option<u32>) {
        let body = json!({"creator_group": group.map(|group| format!("GROUP-{group}"))}).to_string();
        let answer = self.control("POST", &format!("issues/ISS-{issue}"), &body);
        assert_eq!(answer, "{}");
    }

    /// Wants every issue as it should be, and none written more than once.
    #[track_caller]
    pub(crate) fn assert_right(&self) {
        let issues = self.issues();
        assert_eq!(issues.len(), self.org.issues.len());
        for (id, seen) in &issues {
            let number: usize = id.trim_start_matches("ISS-").parse().unwrap();
            assert_eq!(seen.group, self.org.right(number), "{id}");
            assert!(seen.writes <= 1, "{id} was written {} times", seen.writes);
        }
    }

    /// Wants an intent in the run's journal for every issue that was written, and none written twice.
    #[track_caller]
    pub(crate) fn assert_intents(&self, run: &Run) {
        let intents = run.intents();
        for (id, seen) in self.issues() {
            assert!(seen.writes == 0 || intents.contains(&id), "{id} was written without an intent");
            assert!(seen.writes <= 1, "{id} was written {} times", seen.writes);
        }
    }
}

fn seen(lines: &str) -> BTreeMap<String, Seen> {
    let seen = |line: &str| {
        let issue: Value = serde_json::from_str(line).unwrap();
        let group = issue["creator_group"].as_str().map(|don| don.rsplit('/').next().unwrap());
        let group = group.map(|number| number.parse().unwrap());
        (issue["id"].as_str().unwrap().to_owned(), Seen { group, writes: issue["writes"].as_u64().unwrap() })
    };
    lines.lines().map(seen).collect()
}
