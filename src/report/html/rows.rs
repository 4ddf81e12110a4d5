//! The rows that the page shows: gathered in one pass over the journal's last words, as many as it takes and no more.

use super::entry::{Entry, Said};
use super::text::Text;
use crate::journal::ordered::Word;
use crate::journal::record::{Outcome, State};

/// Rows that the page shows at most, in all its lists together.
pub(crate) const MOST: usize = 1000;
/// Of every reason so many rows are shown, whatever comes before them.
const OF_EACH_REASON: usize = 10;

/// Makes words for people of what the journal has of a job.
pub(crate) type Tell = fn(Said<'_>) -> Option<Entry>;

/// A row that failed, or whose state is unknown.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    pub(super) row: u64,
    pub(super) key: Text,
    pub(super) words: Text,
    pub(super) attempts: u32,
}

/// Rows of one reason.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) state: State,
    pub(super) reason: String,
    pub(super) rows: Vec<Failed>,
}

/// A row of which more is to be said.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) row: u64,
    pub(super) key: Text,
    /// Its state's name.
    pub(super) state: &'static str,
    pub(super) why: Option<Text>,
    pub(super) entry: Entry,
}

/// The rows that are shown.
#[derive(Debug)]
pub(crate) struct RowsTable {
    tell: Tell,
    pub(super) groups: Vec<Group>,
    failures: usize,
    pub(super) told: Vec<Told>,
    /// All of which more could be said, shown or not.
    pub(super) all_told: u64,
}

impl RowsTable {
    /// None yet.
    pub(crate) fn new(tell: Tell) -> Self {
        Self { tell, groups: Vec::new(), failures: 0, told: Vec::new(), all_told: 0 }
    }

    /// Takes the last word on a row, in the order of the rows.
    pub(crate) fn take(&mut self, row: u64, word: &Word) {
        match word {
            Word::Outcome { key, outcome, .. } => {
                if matches!(outcome.state, State::Failed | State::Unknown) {
                    self.fail(row, key, outcome);
                }
                if let Some(report) = &outcome.report {
                    self.tell(row, key, outcome.state.name(), Said::Ended(report), Some(outcome));
                }
            }
            Word::Planned { key, change: Some(change) } => {
                self.tell(row, key, "planned", Said::Planned(change), None);
            }
            Word::Planned { change: None, .. } => {}
            Word::Open { key, change } => {
                // As the result files have it.
                let text = "the process ended before it knew the answer";
                let outcome = Outcome::of(State::Unknown, "no-outcome", text);
                self.fail(row, key, &outcome);
                if let Some(change) = change {
                    self.tell(row, key, "unknown", Said::Meant(change), Some(&outcome));
                }
            }
        }
    }

    fn fail(&mut self, row: u64, key: &str, outcome: &Outcome) {
        let reason = outcome.reason.as_deref().unwrap_or("no reason given");
        let is_it = |group: &Group| group.state == outcome.state && group.reason == reason;
        let place = self.groups.iter().position(is_it);
        if self.failures == MOST {
            let known = place.map_or(0, |place| self.groups[place].rows.len());
            if known >= OF_EACH_REASON || !self.make_room() {
                return;
            }
        }
        let place = place.unwrap_or_else(|| {
            let (state, reason) = (outcome.state, reason.to_owned());
            self.groups.push(Group { state, reason, rows: Vec::new() });
            self.groups.len() - 1
        });
        let words = Text::of(outcome.detail.as_deref().unwrap_or_default());
        self.groups[place].rows.push(Failed { row, key: Text::of(key), words, attempts: outcome.attempts });
        self.failures += 1;
    }

    /// Takes the last row out of the longest list, if it can spare one.
    fn make_room(&mut self) -> bool {
        let longest = self.groups.iter_mut().max_by_key(|group| group.rows.len());
        let spared =
            longest.filter(|group| group.rows.len() > OF_EACH_REASON).and_then(|group| group.rows.pop());
        self.failures -= usize::from(spared.is_some());
        spared.is_some()
    }

    fn tell(&mut self, row: u64, key: &str, state: &'static str, said: Said<'_>, outcome: Option<&Outcome>) {
        if self.told.len() == MOST {
            self.all_told += 1;
            return;
        }
        let Some(entry) = (self.tell)(said) else { return };
        self.all_told += 1;
        let why =
            outcome.filter(|outcome| outcome.reason.is_some() || outcome.detail.is_some()).map(|outcome| {
                let parts = [outcome.reason.as_deref(), outcome.detail.as_deref()];
                Text::of(parts.into_iter().flatten().collect::<Vec<_>>().join(": "))
            });
        self.told.push(Told { row, key: Text::of(key), state, why, entry });
    }

    /// Leaves no more than [`MOST`] rows in all lists together: where both are long, half of them in each.
    pub(super) fn cut(&mut self) {
        let of_failures = (MOST - self.told.len().min(MOST / 2)).min(self.failures);
        while self.failures > of_failures {
            if !self.make_room() {
                break;
            }
        }
        // Only where there are more reasons than room for some of each.
        while self.failures > of_failures
            && let Some(group) = self.groups.iter_mut().rfind(|group| !group.rows.is_empty())
        {
            group.rows.pop();
            self.failures -= 1;
        }
        self.told.truncate(MOST - self.failures);
    }

    /// Failures that are shown.
    pub(super) fn failures(&self) -> usize {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use serde_json::value::to_raw_value;
    use std::borrow::Cow;

    fn failed(reason: &str) -> Word {
        let outcome =
            Outcome { reason: Some(Cow::Owned(reason.to_owned())), ..Outcome::of(State::Failed, "", "d") };
        Word::Outcome { key: "k".to_owned(), outcome, first: true }
    }

    fn planned() -> Word {
        let change = to_raw_value(&json!({"before": 1, "after": 2})).unwrap();
        Word::Planned { key: "k".to_owned(), change: Some(change) }
    }

    fn rows() -> RowsTable {
        RowsTable::new(|said| Entry::before_and_after("value", said))
    }

    fn shown(rows: &RowsTable) -> Vec<(&str, usize)> {
        rows.groups.iter().map(|group| (group.reason.as_str(), group.rows.len())).collect()
    }

    #[test]
    fn the_first_rows_are_shown_and_some_of_every_reason() {
        let mut rows = rows();
        for row in 1..=100_000 {
            rows.take(row, &failed(if row % 1000 == 0 && row > 5000 { "rare" } else { "usual" }));
        }
        rows.cut();
        assert_eq!(shown(&rows), [("usual", MOST - OF_EACH_REASON), ("rare", OF_EACH_REASON)]);
        assert_eq!(rows.failures(), MOST);
        let numbers: Vec<u64> = rows.groups[0].rows.iter().map(|failed| failed.row).collect();
        assert!(numbers.iter().copied().eq(1..=990));
    }

    #[test]
    fn lists_that_are_both_long_get_half_each() {
        for (failures, plans, expected) in
            [(2000, 2000, (500, 500)), (2000, 10, (990, 10)), (10, 2000, (10, 990)), (400, 600, (400, 600))]
        {
            let mut rows = rows();
            for row in 1..=failures {
                rows.take(row, &failed("x"));
            }
            for row in 1..=plans {
                rows.take(row, &planned());
            }
            rows.cut();
            assert_eq!((rows.failures(), rows.told.len()), expected, "{failures}, {plans}");
            assert_eq!(rows.all_told, plans);
        }
    }

    #[test]
    fn any_number_of_reasons_is_bounded() {
        let mut rows = rows();
        for row in 1..=10_000_u64 {
            rows.take(row, &failed(&row.to_string()));
            rows.take(row, &planned());
        }
        assert!(rows.groups.len() <= MOST && rows.told.len() == MOST);
        rows.cut();
        assert_eq!((rows.failures(), rows.told.len()), (500, 500));
    }

    #[test]
    fn a_row_whose_process_ended_is_unknown() {
        let mut rows = rows();
        let change = Some(to_raw_value(&json!({"before": 1, "after": 2})).unwrap());
        rows.take(7, &Word::Open { key: "k".to_owned(), change });
        assert_eq!((rows.groups[0].state, shown(&rows)[0]), (State::Unknown, ("no-outcome", 1)));
        assert!(rows.told.is_empty());
    }
}
