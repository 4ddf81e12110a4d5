//! What is wrong with a backup.

use serde::Serialize;
use std::fmt;

/// How many problems of one backup are told; who has so many needs no more.
const MOST: usize = 1000;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file or folder, as a path within the backup; `.` for the backup itself.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.path, self.what)
    }
}

/// Gathers problems.
#[derive(Debug, Default)]
pub(super) struct Problems {
    list: Vec<Problem>,
    more: u64,
}

impl Problems {
    /// Takes one.
    pub(super) fn add(&mut self, path: impl fmt::Display, what: impl Into<String>) {
        if self.list.len() < MOST {
            self.list.push(Problem { path: path.to_string(), what: what.into() });
        } else {
            self.more += 1;
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, or the first and how many more there are.
    pub(super) fn into_list(mut self) -> Vec<Problem> {
        if self.more > 0 {
            let what = format!("{} more problems are not listed", self.more);
            self.list.push(Problem { path: ".".to_owned(), what });
        }
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn very_many_are_counted_only() {
        let mut problems = Problems::default();
        (0..MOST + 7).for_each(|number| problems.add(number, "is wrong"));
        let list = problems.into_list();
        assert_eq!(list.len(), MOST + 1);
        assert_eq!(list[MOST].to_string(), ".: 7 more problems are not listed");
    }
}
