//! Migrations of ClickHouse.
//!
//! - It has no transaction for statements that make tables: each is a request of its own, and a migration can be left half
//!   done.
//! - It has no lock either. To make a table that is there fails, whoever tries: a table is the lock. A process that is
//!   killed leaves it behind, and its holder stands in the table's comment.
//! - A row is never changed in its place: the newest of a number counts.

use super::error::MigrateError;
use super::records::{Change, Record, Row, State, TABLE, TOOL};
use super::target::{Look, Target, Terms};
use crate::database::clickhouse::{Clickhouse, WHO, literal};
use crate::database::error::{DatabaseError, until_answered};
use crate::source::grammar::Grammar;
use crate::stop::Stop;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep, timeout};

/// The table that is there while a process migrates.
const LOCK: &str = "_devrev_batch_migrating";
/// The code of a table that is there already. (Source: `ErrorCodes.cpp` in ClickHouse's code.)
const EXISTS: &str = "57";
/// Between two tries to get the lock.
const LOCK_EVERY: Duration = Duration::from_millis(500);
/// How long the end of a statement or of the lock may take.
const ENDING: Duration = Duration::from_secs(10);
/// The state of a migration that was taken back.
const GONE: &str = "reverted";
/// The longest answer of what returns nothing, in bytes.
const MAX_ANSWER: usize = 16 << 20;
/// What cannot write may still be given settings.
const READ_ONLY: (&str, &str) = ("readonly", "2");

/// Who holds the lock: what stands in the comment of its table.
pub(crate) struct Lock(String);

impl Clickhouse {
    /// Rows of texts. Asked again while nobody answers.
    async fn read(&self, sql: &str, stop: &Stop) -> Result<Vec<Vec<String>>, DatabaseError> {
        let session = self.connect()?;
        let ask = || session.rows(sql, &[READ_ONLY], "a list of migrations");
        until_answered(WHO, self.retry, &session.secrets, stop, ask).await
    }

    /// Does something that is soon done.
    async fn run(&self, sql: String, stop: &Stop) -> Result<(), DatabaseError> {
        let session = self.connect()?;
        let done = async {
            let response = session.ask(sql, &[("wait_end_of_query", "1"), ("async_insert", "0")]).await?;
            session.connection.whole(response, MAX_ANSWER).await.map(drop)
        };
        stop.race(done).await.ok_or(DatabaseError::Interrupted)?
    }

    /// The comment of a table, if it is there.
    async fn comment(&self, table: &str, stop: &Stop) -> Result<Option<String>, DatabaseError> {
        let sql = format!(
            "SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = '{table}'"
        );
        Ok(self.read(&sql, stop).await?.into_iter().next().and_then(|row| row.into_iter().next()))
    }

    async fn records(&self, stop: &Stop) -> Result<Vec<Record>, DatabaseError> {
        if self.comment(TABLE, stop).await?.is_none() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT toString(version), name, checksum, state, formatDateTime(applied_at, '%Y-%m-%dT%H:%i:%SZ', 'UTC'), \
             tool_version FROM {TABLE} FINAL WHERE state != '{GONE}' ORDER BY version"
        );
        let odd =
            || DatabaseError::Settings(format!("{WHO}: {TABLE} has other columns than this tool makes"));
        let record = |row: Vec<String>| {
            let [version, texts @ ..] = <[String; 6]>::try_from(row).map_err(|_| odd())?;
            Record::new(version.parse().map_err(|_| odd())?, texts).map_err(DatabaseError::Settings)
        };
        self.read(&sql, stop).await?.into_iter().map(record).collect()
    }

    /// Makes the table that is the lock; false if it is there.
    async fn try_lock(&self, holder: &str, stop: &Stop) -> Result<bool, DatabaseError> {
        let sql = format!("CREATE TABLE {LOCK} (nothing UInt8) ENGINE = Memory COMMENT {}", literal(holder));
        match self.run(sql, stop).await {
            Ok(()) => Ok(true),
            Err(DatabaseError::Refused(refusal)) if refusal.code == EXISTS => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn take(&self, holder: &str, terms: &Terms) -> Result<bool, DatabaseError> {
        let Terms { lock, takes_over, stop, .. } = terms;
        if *takes_over {
            self.run(format!("DROP TABLE IF EXISTS {LOCK}"), stop).await?;
        }
        let begun = Instant::now();
        let mut is_told = false;
        while !self.try_lock(holder, stop).await? {
            if begun.elapsed() >= *lock {
                return Ok(false);
            }
            if !is_told {
                tracing::warn!("another process migrates {}: waiting for it", self.place());
                is_told = true;
            }
            stop.race(sleep(LOCK_EVERY)).await.ok_or(DatabaseError::Interrupted)?;
        }
        Ok(true)
    }
}

impl Target for Clickhouse {
    const GRAMMAR: Grammar = Grammar::Clickhouse;
    const HAS_TRANSACTIONS: bool = false;
    type Lock = Lock;
    /// Each statement is a request of its own.
    type Session = ();

    fn place(&self) -> String {
        self.place()
    }

    fn name(&self) -> String {
        self.database.clone()
    }

    async fn look(&self, stop: &Stop) -> Result<Look, DatabaseError> {
        Ok(Look { records: self.records(stop).await?, ..Look::default() })
    }

    async fn lock(&self, terms: &Terms) -> Result<Lock, MigrateError> {
        let since = humantime::format_rfc3339_seconds(SystemTime::now());
        let holder = format!("process {} of {} since {since}", std::process::id(), host());
        let taken = match self.take(&holder, terms).await {
            Ok(taken) => taken,
            Err(error) => {
                // It may have been made for a process that did not hear of it.
                if terms.stop.is_set()
                    && timeout(ENDING, self.is_held(&mut Lock(holder.clone())))
                        .await
                        .is_ok_and(|held| held.is_ok())
                {
                    self.unlock(Lock(holder)).await;
                }
                return Err(MigrateError::Database { doing: "taking the lock", error });
            }
        };
        if !taken {
            let other = self.comment(LOCK, &terms.stop).await.ok().flatten().unwrap_or_default();
            return Err(MigrateError::Locked(format!(
                "another process migrates {} ({other}; the table {LOCK} says so), and still did after {} \
                 (--lock-timeout); nothing was done. If that process is gone, give --half-done retry, which takes over",
                self.place(),
                humantime::format_duration(terms.lock)
            )));
        }
        let lock = Lock(holder);
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {TABLE} (version Int64, name String, checksum String, state String, applied_at \
             DateTime, tool_version String, revision UInt64) ENGINE = ReplacingMergeTree(revision) ORDER BY version"
        );
        if let Err(error) = self.run(sql, &terms.stop).await {
            self.unlock(lock).await;
            return Err(MigrateError::Database { doing: "making the table of migrations", error });
        }
        Ok(lock)
    }

    async fn is_held(&self, lock: &mut Lock) -> Result<(), DatabaseError> {
        if self.comment(LOCK, &Stop::default()).await?.as_ref() == Some(&lock.0) {
            return Ok(());
        }
        Err(DatabaseError::Settings(format!(
            "{WHO}: the table {LOCK} is gone, or another process has made it"
        )))
    }

    async fn unlock(&self, mut lock: Lock) {
        let unlock = async {
            // Not another's, who has taken over.
            self.is_held(&mut lock).await?;
            self.run(format!("DROP TABLE IF EXISTS {LOCK}"), &Stop::default()).await
        };
        if !matches!(timeout(ENDING, unlock).await, Ok(Ok(()))) {
            tracing::warn!("the table {LOCK} could not be dropped: drop it, or else nobody can migrate");
        }
    }

    async fn open(&self, _: bool, _: &Terms) -> Result<(), DatabaseError> {
        Ok(())
    }

    async fn change(
        &self,
        (): &mut (),
        row: Row<'_>,
        change: Change,
        stop: &Stop,
    ) -> Result<bool, DatabaseError> {
        let Row { version, name, checksum } = row;
        let found = self.records(stop).await?.into_iter().find(|record| record.version == version);
        if found.map(|record| record.state) != change.from {
            return Ok(false);
        }
        let state = change.to.map_or(GONE, State::word);
        let revision = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros());
        let sql = format!(
            "INSERT INTO {TABLE} (version, name, checksum, state, applied_at, tool_version, revision) VALUES ({version}, \
             {}, {}, '{state}', now(), {}, {revision})",
            literal(name),
            literal(checksum),
            literal(TOOL)
        );
        self.run(sql, stop).await.map(|()| true)
    }

    async fn execute(
        &self,
        (): &mut (),
        lock: &mut Lock,
        sql: &str,
        terms: &Terms,
    ) -> Result<(), DatabaseError> {
        self.is_held(lock).await?;
        let query = format!("devrev-batch-{:032x}", rand::random::<u128>());
        let seconds = terms.statement.as_secs().max(1).to_string();
        let settings = [
            ("query_id", query.as_str()),
            // What goes wrong at the end of a statement is not taken for a success.
            ("wait_end_of_query", "1"),
            ("async_insert", "0"),
            // What changes rows that are there has ended when the statement has.
            ("mutations_sync", "1"),
            ("max_execution_time", &seconds),
        ];
        let session = self.connect()?;
        let executed = async {
            let response = session.ask(sql.to_owned(), &settings).await?;
            // What a query returns is nobody's.
            let mut response = response;
            while session.connection.chunk(&mut response).await?.is_some() {}
            Ok(())
        };
        // ClickHouse ends most statements by itself, but not all.
        let limit = terms.statement + ENDING;
        match terms.stop.race(timeout(limit, executed)).await {
            Some(Ok(Err(DatabaseError::Refused(refusal)))) if refusal.code == "159" => {
                Err(DatabaseError::TooSlow { who: WHO, hours: 0 })
            }
            Some(Ok(executed)) => executed,
            ended => {
                // Else it would go on without this process.
                let kill = format!("KILL QUERY WHERE query_id = '{query}' ASYNC");
                let _ = timeout(ENDING, self.run(kill, &Stop::default())).await;
                let too_slow = DatabaseError::TooSlow { who: WHO, hours: 0 };
                Err(if ended.is_some() { too_slow } else { DatabaseError::Interrupted })
            }
        }
    }

    async fn check(&self, (): &mut ()) -> Result<(), DatabaseError> {
        Ok(())
    }

    async fn commit(&self, (): ()) -> Result<(), DatabaseError> {
        Ok(())
    }

    async fn abandon(&self, (): ()) {}
}

/// The name of this machine, as far as it is known.
fn host() -> String {
    let name =
        std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    name.map_or_else(|| "an unknown host".to_owned(), |name| name.trim().to_owned())
}
