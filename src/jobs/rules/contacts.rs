//! The rules of contacts of which duplicates are to be merged: the columns of the contact export.

use std::hash::{Hash, Hasher};

use super::dates;
use super::email;
use super::{Column, Identity, Judged, LEAVE_EMPTY, Prefixes, Values, is_missing, is_placeholder};
use crate::devrev::ids::{ObjectType, Ref};
use crate::finding::{Finding, Rule};
use crate::row::Row;
use crate::source::header::{ColumnError, Header};
use chrono::{DateTime, Utc};

/// The columns that there must be. A value must stand in `REV_USER_ID`, `EMAIL` and `TICKET_COUNT`; names,
/// reference and dates may be empty, as they are for many a contact.
pub(crate) const REQUIRED: &[&str] = &[
    "REV_USER_ID",
    "DISPLAY_NAME",
    "EMAIL",
    "EXTERNAL_REF",
    "FULL_NAME",
    "CREATED_AT",
    "UPDATED_AT",
    "TICKET_COUNT",
];

/// What is said of a count that a program could not make.
const LEAVE_EMPTY_COUNT: &str = "stands for nothing in some exports, and a count is needed here: count again";

/// Where the columns of contacts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContactColumns {
    /// `REV_USER_ID`
    pub id: Column,
    /// `DISPLAY_NAME`
    pub display_name: Column,
    /// `EMAIL`
    pub email: Column,
    /// `EXTERNAL_REF`
    pub external_ref: Column,
    /// `FULL_NAME`
    pub full_name: Column,
    /// `CREATED_AT`
    pub created: Column,
    /// `UPDATED_AT`
    pub updated: Column,
    /// `TICKET_COUNT`
    pub tickets: Column,
}

/// What a row says of a contact, borrowed from the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContactRow<'r> {
    /// The contact.
    pub id: Ref<'r>,
    /// Its e-mail address as it is written.
    pub email: &'r str,
    /// Its external reference; may be empty.
    pub external_ref: &'r str,
    /// Its display name; may be empty.
    pub display_name: &'r str,
    /// Its tickets.
    pub tickets: u64,
}

impl ContactColumns {
    /// Finds the columns. The error names all that are missing.
    pub(crate) fn find(header: &Header) -> Result<Self, ColumnError> {
        let found = header.require(REQUIRED)?;
        let mut columns =
            found.into_iter().zip(REQUIRED.iter().copied()).map(|(index, name)| Column { index, name });
        let mut next = || columns.next().unwrap_or(Column { index: usize::MAX, name: "" });
        Ok(Self {
            id: next(),
            display_name: next(),
            email: next(),
            external_ref: next(),
            full_name: next(),
            created: next(),
            updated: next(),
            tickets: next(),
        })
    }

    /// The columns that are used; full names and dates are only compared.
    pub(crate) fn used(&self) -> Vec<usize> {
        [self.id, self.display_name, self.email, self.external_ref, self.tickets]
            .map(|column| column.index)
            .into()
    }

    /// Judges a row: hands over all that is wrong with it, not only the first. Allocates only for findings.
    pub(crate) fn judge<'r>(&self, row: &'r Row, found: &mut impl FnMut(Finding)) -> Judged<ContactRow<'r>> {
        self.judge_next(row, &mut Prefixes::default(), found)
    }

    /// The same, for one row of many: the prefix of the last one makes it quicker.
    pub(crate) fn judge_next<'r>(
        &self,
        row: &'r Row,
        prefixes: &mut Prefixes,
        found: &mut impl FnMut(Finding),
    ) -> Judged<ContactRow<'r>> {
        let texts = row.texts();
        let [of_id, ..] = &mut prefixes.0;
        let id = self.id.id(row, self.id.among(&texts), of_id, &[ObjectType::RevUser], found);
        let email_text = self.email.among(&texts);
        let email = self.checked_email(row, email_text, found);
        let tickets_text = self.tickets.among(&texts);
        let tickets = self.checked_tickets(row, tickets_text, found);
        let created = checked_date(self.created, row, self.created.among(&texts), found);
        let updated = checked_date(self.updated, row, self.updated.among(&texts), found);
        if let (Ok(Some(created)), Ok(Some(updated))) = (created, updated)
            && updated < created
        {
            found(self.updated.finding(row, Rule::DateOrder, "earlier than CREATED_AT"));
        }

        let display_name = self.display_name.among(&texts);
        let external_ref = self.external_ref.among(&texts);
        let identity = id.map(|id| {
            let mut key = Values::default();
            key.id(Some(id), "");
            // The case of an e-mail address does not count, nor how a number or a date is written.
            let mut values = Values::default();
            values.text(display_name);
            values.text(external_ref);
            values.text(self.full_name.among(&texts));
            values.caseless(email_text);
            match tickets {
                Some(tickets) => values.0.write_u64(tickets),
                None => values.text(tickets_text),
            }
            for (date, column) in [(created, self.created), (updated, self.updated)] {
                match date {
                    Ok(date) => date.hash(&mut values.0),
                    Err(()) => values.text(column.among(&texts)),
                }
            }
            Identity { key: key.finish(), values: values.finish() }
        });
        let item = match (id, email, tickets) {
            (Some(id), Some(email), Some(tickets)) => {
                Some(ContactRow { id, email, external_ref, display_name, tickets })
            }
            _ => None,
        };
        Judged { item, identity }
    }

    fn checked_email<'r>(
        &self,
        row: &Row,
        text: &'r str,
        found: &mut impl FnMut(Finding),
    ) -> Option<&'r str> {
        let Some(problem) = email::problem(text) else { return Some(text) };
        // What is missing is no address either, so that one question is enough for the good ones.
        if is_missing(text) {
            found(self.email.empty(row));
        } else {
            found(self.email.finding(row, Rule::EmailShape, problem));
        }
        None
    }

    fn checked_tickets(&self, row: &Row, text: &str, found: &mut impl FnMut(Finding)) -> Option<u64> {
        // As a spreadsheet or a column of floats writes a whole number.
        let digits = text.split_once('.').filter(|(_, rest)| rest.bytes().all(|byte| byte == b'0'));
        let digits = digits.map_or(text, |(digits, _)| digits);
        // u64's own parser takes a leading plus.
        let tickets =
            if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None };
        if tickets.is_none() && is_missing(text) {
            found(self.tickets.empty(row));
        } else if tickets.is_none() && is_placeholder(text) {
            found(self.tickets.finding(row, Rule::TicketCount, LEAVE_EMPTY_COUNT));
        } else if tickets.is_none() {
            found(self.tickets.finding(row, Rule::TicketCount, "not a whole number, 0 or more"));
        }
        tickets
    }
}

fn checked_date(
    column: Column,
    row: &Row,
    text: &str,
    found: &mut impl FnMut(Finding),
) -> Result<Option<DateTime<Utc>>, ()> {
    let date = dates::parse(text);
    if date.is_some() || is_missing(text) {
        return Ok(date);
    }
    if is_placeholder(text) {
        found(column.finding(row, Rule::Date, LEAVE_EMPTY));
        return Err(());
    }
    let wanted = "not a date such as 2024-05-01, 2024-05-01T12:34:56Z or 2024-05-01 12:34:56.123 +0000";
    found(column.finding(row, Rule::Date, wanted));
    Err(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{header, row};
    use super::*;

    const GOOD: [&str; 8] = [
        "REVU-a1",
        "Ann",
        "ann@example.com",
        "user_7",
        "Ann Lee",
        "2024-05-01 12:34:56.123 +0000",
        "2024-06-01",
        "12",
    ];

    fn judge(fields: &[&str]) -> (bool, Option<Identity>, Vec<(Rule, String)>) {
        let columns = ContactColumns::find(&header(REQUIRED)).unwrap();
        let mut found = Vec::new();
        let row = row(fields);
        let judged = columns
            .judge(&row, &mut |finding| found.push((finding.rule, finding.column.unwrap().into_owned())));
        (judged.item.is_some(), judged.identity, found)
    }

    fn changed(column: usize, value: &'static str) -> [&'static str; 8] {
        let mut fields = GOOD;
        fields[column] = value;
        fields
    }

    #[test]
    fn a_good_row_is_typed() {
        let columns = ContactColumns::find(&header(REQUIRED)).unwrap();
        let row = row(&GOOD);
        let contact = columns.judge(&row, &mut |finding| panic!("{finding:?}")).item.unwrap();
        assert_eq!((contact.id.tail, contact.email, contact.tickets), ("a1", "ann@example.com", 12));
        assert_eq!((contact.external_ref, contact.display_name), ("user_7", "Ann"));
    }

    #[test]
    fn what_may_be_empty_and_what_may_not() {
        for column in [1, 3, 4, 5, 6] {
            assert_eq!(judge(&changed(column, "")).2, []);
        }
        for column in [0, 2, 7] {
            assert_eq!(judge(&changed(column, "")).2, [(Rule::EmptyValue, REQUIRED[column].to_owned())]);
        }
    }

    #[test]
    fn each_rule() {
        for (column, value, rule) in [
            (0, "a1", Rule::IdShape),
            (0, "DEVU-1", Rule::IdType),
            (2, "ann", Rule::EmailShape),
            (5, "01.05.2024", Rule::Date),
            (6, "2024-13-01", Rule::Date),
            (6, "2023-01-01", Rule::DateOrder),
            (7, "1.5", Rule::TicketCount),
            (7, "-1", Rule::TicketCount),
            (7, "+1", Rule::TicketCount),
            (7, "99999999999999999999", Rule::TicketCount),
        ] {
            let (good, _, found) = judge(&changed(column, value));
            assert_eq!(found, [(rule, REQUIRED[column].to_owned())], "{value}");
            assert_eq!(good, matches!(rule, Rule::Date | Rule::DateOrder));
        }
    }

    #[test]
    fn rows_are_compared_by_what_they_say() {
        let good = judge(&GOOD).1;
        for (column, value) in [
            (0, "don:identity:dvrv-us-1:devo/X:revu/a1"),
            (2, "Ann@Example.COM"),
            (5, "2024-05-01T14:34:56.123+02:00"),
            (6, "2024-06-01 00:00:00"),
            (7, "012"),
        ] {
            assert_eq!(judge(&changed(column, value)).1, good, "{value}");
        }
        for (column, value) in [
            (0, "REVU-A1"),
            (1, "ann"),
            (2, "ann@example.org"),
            (3, "user_8"),
            (4, ""),
            (5, ""),
            (6, "2024-06-02"),
            (7, "13"),
        ] {
            assert_ne!(judge(&changed(column, value)).1, good, "{value}");
        }
        assert_eq!(judge(&changed(0, "")).1, None);
    }
}
