//! The rules of issues whose creator group is to be filled in.

use super::{Column, Identity, Judged, Prefixes, Values, is_missing};
use crate::devrev::ids::{ObjectType, Ref, USER_TYPES};
use crate::finding::Finding;
use crate::row::Row;
use crate::source::header::{ColumnError, Header};

/// The columns that there must be.
pub(crate) const REQUIRED: &[&str] = &["issue_id", "creator_user_id", "assigned_group"];
/// The column that there may be: the group that is set already.
pub(crate) const CREATOR_GROUP: &str = "creator_group";

/// Where the columns of issues are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IssueColumns {
    /// `issue_id`
    pub issue: Column,
    /// `creator_user_id`
    pub creator: Column,
    /// `assigned_group`
    pub assigned_group: Column,
    /// `creator_group`, if there is one.
    pub creator_group: Option<Column>,
}

/// What a row says of an issue, borrowed from the row. The texts as they are written are in the row's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IssueRow<'r> {
    /// The issue.
    pub issue: Ref<'r>,
    /// Anyone who created it.
    pub creator: Ref<'r>,
    /// The group that it is assigned to.
    pub assigned_group: Ref<'r>,
    /// The creator group that is set already; none where the input says so or does not say.
    pub creator_group: Option<Ref<'r>>,
}

impl IssueColumns {
    /// Finds the columns. The error names all that are missing.
    pub(crate) fn find(header: &Header) -> Result<Self, ColumnError> {
        let found = header.require(REQUIRED)?;
        let creator_group = header.optional(CREATOR_GROUP)?;
        let mut columns =
            found.into_iter().zip(REQUIRED.iter().copied()).map(|(index, name)| Column { index, name });
        let mut next = |name| columns.next().unwrap_or(Column { index: usize::MAX, name });
        Ok(Self {
            issue: next("issue_id"),
            creator: next("creator_user_id"),
            assigned_group: next("assigned_group"),
            creator_group: creator_group.map(|index| Column { index, name: CREATOR_GROUP }),
        })
    }

    /// The columns that are used.
    pub(crate) fn used(&self) -> Vec<usize> {
        let columns = [Some(self.issue), Some(self.creator), Some(self.assigned_group), self.creator_group];
        columns.into_iter().flatten().map(|column| column.index).collect()
    }

    /// Judges a row: hands over all that is wrong with it, not only the first. Allocates only for findings.
    pub(crate) fn judge<'r>(&self, row: &'r Row, found: &mut impl FnMut(Finding)) -> Judged<IssueRow<'r>> {
        self.judge_next(row, &mut Prefixes::default(), found)
    }

    /// The same, for one row of many: the prefixes of the last one make it quicker.
    pub(crate) fn judge_next<'r>(
        &self,
        row: &'r Row,
        prefixes: &mut Prefixes,
        found: &mut impl FnMut(Finding),
    ) -> Judged<IssueRow<'r>> {
        let texts = row.texts();
        let [of_issue, of_creator, of_assigned, of_group] = &mut prefixes.0;
        let issue = self.issue.id(row, self.issue.among(&texts), of_issue, &[ObjectType::Issue], found);
        let creator_text = self.creator.among(&texts);
        let creator = self.creator.id(row, creator_text, of_creator, USER_TYPES, found);
        let assigned_text = self.assigned_group.among(&texts);
        let assigned_group =
            self.assigned_group.id(row, assigned_text, of_assigned, &[ObjectType::Group], found);
        // What is missing here is what the job is for; what is there must be a group.
        let filled = self
            .creator_group
            .map(|column| (column, column.among(&texts)))
            .filter(|(_, text)| !is_missing(text));
        let creator_group =
            filled.and_then(|(column, text)| column.id(row, text, of_group, &[ObjectType::Group], found));

        let identity = issue.and_then(Ref::number).map(|key| {
            let mut values = Values::default();
            values.id(creator, creator_text);
            values.id(assigned_group, assigned_text);
            values.id(creator_group, filled.map_or("", |(_, text)| text));
            Identity { key, values: values.finish() }
        });
        let item = match (issue, creator, assigned_group) {
            (Some(issue), Some(creator), Some(assigned_group))
                if creator_group.is_some() == filled.is_some() =>
            {
                Some(IssueRow { issue, creator, assigned_group, creator_group })
            }
            _ => None,
        };
        Judged { item, identity }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{header, row};
    use super::*;
    use crate::finding::Rule;

    const COLUMNS: &[&str] = &["extra", "Issue_ID", "creator_user_id", "assigned_group", "creator_group"];

    fn judge(fields: &[&str]) -> (bool, Option<Identity>, Vec<Finding>) {
        let columns = IssueColumns::find(&header(COLUMNS)).unwrap();
        let mut found = Vec::new();
        let row = row(fields);
        let judged = columns.judge(&row, &mut |finding| found.push(finding));
        (judged.item.is_some(), judged.identity, found)
    }

    fn rules(fields: &[&str]) -> Vec<(Rule, String)> {
        let (good, _, found) = judge(fields);
        assert_eq!(good, found.is_empty());
        found.into_iter().map(|finding| (finding.rule, finding.column.unwrap().into_owned())).collect()
    }

    #[test]
    fn a_good_row_is_typed() {
        let columns = IssueColumns::find(&header(COLUMNS)).unwrap();
        let row = row(&["", " ISS-1 ", "don:identity:dvrv-us-1:devo/X:devu/7", "GROUP-4", "None"]);
        let item = columns.judge(&row, &mut |finding| panic!("{finding:?}")).item.unwrap();
        assert_eq!((item.issue.number(), item.creator.tail, item.assigned_group.tail), (Some(1), "7", "4"));
        assert_eq!(item.creator_group, None);
        assert_eq!(columns.issue.text(&row), "ISS-1");
    }

    #[test]
    fn everything_wrong_is_told() {
        assert_eq!(
            rules(&["", "", "ISS-1", "group 4", "DEVU-1"]),
            [
                (Rule::EmptyValue, "issue_id".to_owned()),
                (Rule::IdType, "creator_user_id".to_owned()),
                (Rule::IdShape, "assigned_group".to_owned()),
                (Rule::IdType, "creator_group".to_owned()),
            ]
        );
    }

    #[test]
    fn what_counts_as_missing() {
        for missing in ["", "  ", "null", "NULL", "none", "None"] {
            assert!(rules(&["", "ISS-1", "REVU-a", "GROUP-1", missing]).is_empty());
            let found = rules(&["", "ISS-1", missing, "GROUP-1", ""]);
            assert_eq!(found, [(Rule::EmptyValue, "creator_user_id".to_owned())]);
        }
    }

    #[test]
    fn a_finding_names_its_place_and_what_is_wanted() {
        let (_, _, found) = judge(&["", "ISS-1", "REVU-a", "g\t4", ""]);
        assert_eq!((found[0].row, found[0].line, found[0].value.as_str()), (4, Some(5), "g\\t4"));
        assert_eq!(found[0].message, "neither a DON (don:...) nor a display ID such as GROUP-123");
    }

    #[test]
    fn rows_are_compared_by_what_they_say() {
        let of = |fields: &[&str]| judge(fields).1;
        let plain = of(&["x", "ISS-1", "DEVU-7", "GROUP-4", ""]);
        let other_form = of(&[
            "y",
            "don:core:dvrv-us-1:devo/X:issue/1",
            "don:identity:dvrv-us-1:devo/X:devu/7",
            "group-4",
            "null",
        ]);
        assert_eq!(plain.unwrap().key, 1);
        assert_eq!(plain, other_form);
        for different in [
            ["x", "ISS-1", "REVU-7", "GROUP-4", ""],
            ["x", "ISS-1", "DEVU-7", "GROUP-5", ""],
            ["x", "ISS-1", "DEVU-7", "GROUP-4", "GROUP-4"],
            ["x", "ISS-1", "DEVU-7", "", "GROUP-4"],
            ["x", "ISS-1", "DEVU-7", "4", ""],
        ] {
            assert_ne!(plain, of(&different), "{different:?}");
        }
        assert_eq!(of(&["x", "TKT-1", "DEVU-7", "GROUP-4", ""]), None);
    }

    #[test]
    fn an_input_without_creator_groups_will_do() {
        let columns = IssueColumns::find(&header(REQUIRED)).unwrap();
        assert_eq!(columns.creator_group, None);
        let row = row(&["ISS-1", "DEVU-7", "GROUP-4"]);
        assert!(columns.judge(&row, &mut |_| ()).item.is_some());
    }
}
