//! What a database has to offer, so that migrations can be carried out in it.

use super::error::MigrateError;
use super::records::{Change, Record, Row};
use crate::database::error::DatabaseError;
use crate::source::grammar::Grammar;
use crate::stop::Stop;
use std::time::Duration;

/// What is known of a database before anything is done.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// What it knows of its migrations, by number.
    pub(crate) records: Vec<Record>,
    /// Whether it has the extension TimescaleDB.
    pub(crate) has_timescaledb: bool,
    /// Whether there is no such database yet.
    pub(crate) is_new: bool,
}

/// How migrations are carried out.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// The longest time that a statement may take.
    pub(crate) statement: Duration,
    /// The longest time to wait for another process or session.
    pub(crate) lock: Duration,
    /// Whether the operator has said that no other process is migrating.
    #[cfg_attr(
        not(feature = "clickhouse"),
        expect(dead_code, reason = "only ClickHouse's lock outlives a process")
    )]
    pub(crate) takes_over: bool,
    pub(crate) stop: Stop,
}

/// A database. What is done ends with the stop signal, as [`DatabaseError::Interrupted`].
pub(crate) trait Target {
    /// Its SQL.
    const GRAMMAR: Grammar;
    /// Whether statements that make tables can be in a transaction.
    const HAS_TRANSACTIONS: bool;
    /// What keeps other processes out.
    type Lock;
    /// A connection, with or without a transaction.
    type Session;

    /// Where it is, and who is asked for; without a password.
    fn place(&self) -> String;
    /// The name that is typed to confirm a change of it.
    fn name(&self) -> String;
    /// Reads what it knows, by a connection that cannot write.
    async fn look(&self, stop: &Stop) -> Result<Look, DatabaseError>;
    /// Keeps other processes out, and makes the table of records if need be.
    async fn lock(&self, terms: &Terms) -> Result<Self::Lock, MigrateError>;
    /// Fails if other processes are not kept out any more.
    async fn is_held(&self, lock: &mut Self::Lock) -> Result<(), DatabaseError>;
    /// Lets other processes in.
    async fn unlock(&self, lock: Self::Lock);
    /// Connects; begins a transaction, if there is to be one.
    async fn open(&self, transaction: bool, terms: &Terms) -> Result<Self::Session, DatabaseError>;
    /// Changes a record. False if it is not as expected.
    async fn change(
        &self,
        session: &mut Self::Session,
        row: Row<'_>,
        change: Change,
        stop: &Stop,
    ) -> Result<bool, DatabaseError>;
    /// Executes a statement.
    async fn execute(
        &self,
        session: &mut Self::Session,
        lock: &mut Self::Lock,
        sql: &str,
        terms: &Terms,
    ) -> Result<(), DatabaseError>;
    /// Makes sure that what was done may stay.
    async fn check(&self, session: &mut Self::Session) -> Result<(), DatabaseError>;
    /// Commits the transaction, if there is one; disconnects.
    async fn commit(&self, session: Self::Session) -> Result<(), DatabaseError>;
    /// Takes the transaction back, if there is one; disconnects.
    async fn abandon(&self, session: Self::Session);
}
