//! What a query has to return for each kind of rows, and the query that is sent by default.

use super::{contacts, issues};
use crate::kind::Kind;
use crate::source::query::{Columns, Table};

/// The issues that lack a creator group.
pub(crate) const ISSUES_QUERY: &str = "\
SELECT ISSUE_ID, CREATOR_USER_ID, ASSIGNED_GROUP, CREATOR_GROUP
FROM ISSUES
WHERE CREATOR_GROUP IS NULL
ORDER BY ISSUE_ID";

/// All contacts, each with the number of its tickets.
pub(crate) const CONTACTS_QUERY: &str = "\
SELECT
  U.REV_USER_ID, U.DISPLAY_NAME, U.EMAIL, U.EXTERNAL_REF, U.FULL_NAME, U.CREATED_AT, U.UPDATED_AT,
  COALESCE(T.TICKET_COUNT, 0) AS TICKET_COUNT
FROM REV_USERS AS U
LEFT JOIN (
  SELECT REV_USER_ID, COUNT(*) AS TICKET_COUNT FROM TICKETS GROUP BY REV_USER_ID
) AS T ON T.REV_USER_ID = U.REV_USER_ID
ORDER BY 1";

/// The table that a command reads; of both where it takes either, of issues is then the default.
pub(crate) fn table(kind: Option<Kind>) -> Table {
    let of_issues =
        Columns { required: issues::REQUIRED, optional: Some(issues::CREATOR_GROUP), key: "issue_id" };
    let of_contacts = Columns { required: contacts::REQUIRED, optional: None, key: "REV_USER_ID" };
    let (columns, query) = match kind {
        None => (vec![of_issues, of_contacts], ISSUES_QUERY),
        Some(Kind::Groups) => (vec![of_issues], ISSUES_QUERY),
        Some(Kind::Contacts | Kind::Update) => (vec![of_contacts], CONTACTS_QUERY),
    };
    Table { columns, query }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::grammar::Grammar;
    use crate::source::sql::{Order, Statement};

    #[test]
    fn the_default_queries_are_queries_with_an_order_of_their_own() {
        for sql in [ISSUES_QUERY, CONTACTS_QUERY] {
            for grammar in [Grammar::Snowflake, Grammar::Postgres, Grammar::Sqlite, Grammar::Clickhouse] {
                let statement = Statement::parse(sql, grammar).unwrap();
                assert_eq!(statement.text, sql);
                assert!(matches!(statement.order, Order::Columns(_)), "{sql}");
            }
            assert_eq!(Statement::parse(sql, Grammar::Any).unwrap().text, sql);
        }
    }
}
