//! What a database knows of its migrations: the rows of a table in it.

use serde::Serialize;

/// The table.
pub(crate) const TABLE: &str = "_devrev_batch_migrations";
/// The version that this tool writes next to what it has done.
pub(crate) const TOOL: &str = env!("CARGO_PKG_VERSION");

/// What is known of a migration that has a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Its statements are being executed without a transaction, or were when a process ended.
    Applying,
    /// All of it was executed.
    Applied,
    /// The same of the statements that take it back.
    Reverting,
    /// It was left out, since it needs what the database does not have.
    Skipped,
}

impl State {
    const ALL: [Self; 4] = [Self::Applying, Self::Applied, Self::Reverting, Self::Skipped];

    /// As the table has it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Applying => "applying",
            Self::Applied => "applied",
            Self::Reverting => "reverting",
            Self::Skipped => "skipped",
        }
    }

    /// The state with this word.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The number of the migration.
    pub(crate) version: i64,
    pub(crate) name: String,
    /// The SHA-256 of the file.
    pub(crate) checksum: String,
    pub(crate) state: State,
    /// When it got into that state, in UTC.
    pub(crate) at: String,
    /// The version of the tool that wrote this.
    pub(crate) tool: String,
}

impl Record {
    /// A row as the table has it; the error says what is wrong with it.
    pub(crate) fn new(version: i64, [name, checksum, state, at, tool]: [String; 5]) -> Result<Self, String> {
        let state = State::of_word(&state).ok_or_else(|| {
            format!("{TABLE} has the state `{state}` for {version}, which this version does not know: use a newer one")
        })?;
        Ok(Self { version, name, checksum, state, at, tool })
    }
}

/// What of a migration goes into its row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) version: i64,
    pub(crate) name: &'a str,
    pub(crate) checksum: &'a str,
}

/// A change of a row from one state to another; none is that there is no row. It happens only if the row is as expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) from: Option<State>,
    pub(crate) to: Option<State>,
}

#[cfg(feature = "sql")]
impl Change {
    /// The statement that makes this change in a table, by its quoted name: it changes one row, or none where the row is
    /// not as expected. `now` is the database's expression for the time.
    pub(crate) fn statement(self, row: Row<'_>, table: &str, now: &str) -> String {
        let Row { version, name, checksum } = row;
        let (name, checksum, tool) = (literal(name), literal(checksum), literal(TOOL));
        let expected = |state: State| format!("version = {version} AND state = '{}'", state.word());
        match (self.from, self.to) {
            (None, Some(to)) => format!(
                "INSERT INTO {table} (version, name, checksum, state, applied_at, tool_version) VALUES ({version}, {name}, \
                 {checksum}, '{}', {now}, {tool}) ON CONFLICT (version) DO NOTHING",
                to.word()
            ),
            (Some(from), Some(to)) => format!(
                "UPDATE {table} SET name = {name}, checksum = {checksum}, state = '{}', applied_at = {now}, tool_version = \
                 {tool} WHERE {}",
                to.word(),
                expected(from)
            ),
            (Some(from), None) => format!("DELETE FROM {table} WHERE {}", expected(from)),
            (None, None) => format!("DELETE FROM {table} WHERE version = {version} AND false"),
        }
    }
}

/// A text as a literal of PostgreSQL's and SQLite's.
#[cfg(feature = "sql")]
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(all(test, feature = "sql"))]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_one_statement() {
        let row = Row { version: 3, name: "it's", checksum: "c" };
        let sql = |from, to| Change { from, to }.statement(row, "t", "now()");
        let insert = sql(None, Some(State::Applied));
        assert!(
            insert.contains("(3, 'it''s', 'c', 'applied', now(), '") && insert.ends_with("DO NOTHING"),
            "{insert}"
        );
        let update = sql(Some(State::Applying), Some(State::Applied));
        assert!(update.ends_with("WHERE version = 3 AND state = 'applying'"), "{update}");
        assert_eq!(sql(Some(State::Applied), None), "DELETE FROM t WHERE version = 3 AND state = 'applied'");
    }

    #[test]
    fn a_state_of_a_newer_version_is_refused() {
        let texts = |state: &str| ["a", "c", state, "t", "9"].map(str::to_owned);
        assert_eq!(Record::new(1, texts("reverting")).unwrap().state, State::Reverting);
        assert!(Record::new(1, texts("paused")).unwrap_err().contains("use a newer one"));
    }
}
