//! SQLite: a database file, how to open it, and what its errors mean.

use super::error::{DatabaseError, LONGEST_QUERY_HOURS, Refusal, one_line};
use crate::stop::Stop;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub(crate) const WHO: &str = "SQLite";
/// How long to wait for a process that writes to the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// Steps of SQLite's machine between two looks at the stop signal: some milliseconds.
const STEPS_A_LOOK: i32 = 100_000;

/// A database file.
#[derive(Debug, Clone)]
pub struct Sqlite {
    pub(crate) path: PathBuf,
    /// What names the path, such as `DATABASE_URL`, for texts that say what to correct.
    pub(crate) setting: String,
}

impl Sqlite {
    /// How to open the file for reading only; with [`SqliteConnectOptions::read_only`] off, for writing.
    pub(crate) fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .read_only(true)
            .create_if_missing(false)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging()
    }

    /// Opens the file. What is done with it ends with the stop signal.
    pub(crate) async fn open(
        &self,
        options: &SqliteConnectOptions,
        stop: &Stop,
    ) -> Result<Opened, DatabaseError> {
        let connected = stop.race(options.connect()).await.ok_or(DatabaseError::Interrupted)?;
        let connection = connected.map_err(|error| self.failed(&error))?;
        let ended = Arc::new(AtomicBool::new(false));
        let mut opened = Opened { ended: Ended(ended), connection };
        let limit = Duration::from_secs(LONGEST_QUERY_HOURS * 3600);
        opened.watch(limit, stop).await.map_err(|error| self.failed(&error))?;
        Ok(opened)
    }

    /// Says what is wrong with the path in better words than SQLite's, which wants no file to be missing.
    pub(crate) fn check(&self) -> Result<(), DatabaseError> {
        let wrong = |text: &dyn std::fmt::Display| {
            DatabaseError::Settings(format!("{}: {}: {text}", self.setting, self.path.display()))
        };
        let data = std::fs::metadata(&self.path).map_err(|error| wrong(&error))?;
        if data.is_file() { Ok(()) } else { Err(wrong(&"is not a file")) }
    }

    /// What an error of the driver's means.
    pub(crate) fn failed(&self, error: &sqlx::Error) -> DatabaseError {
        let (path, setting) = (self.path.display(), &self.setting);
        let Some(database) = error.as_database_error() else {
            return DatabaseError::Answer { who: WHO, text: one_line(&error.to_string()) };
        };
        let code = database.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or_default();
        let text = format!("{} (code {code})", one_line(database.message()));
        // The lowest byte is the code, the rest tells more of it.
        match code & 0xff {
            // SQLITE_READONLY_ROLLBACK: a journal is left, which only a program that may write can take back.
            8 if code == 776 => DatabaseError::Settings(format!(
                "{setting}: a program that wrote to {path} was killed, and has left its journal: {text}; open the file once with a program \
                 that may write to it, such as sqlite3, and read a table"
            )),
            5 | 6 => DatabaseError::Unreachable { who: WHO, place: path.to_string(), text, after: None },
            9 => DatabaseError::TooSlow { who: WHO, hours: LONGEST_QUERY_HOURS },
            10 | 11 => DatabaseError::Answer { who: WHO, text },
            3 | 8 | 14 => DatabaseError::Settings(format!(
                "{setting}: {path} cannot be read: {text}; a database in WAL mode needs its -wal and -shm files, or a \
                 folder that may be written to"
            )),
            26 => DatabaseError::Settings(format!("{setting}: {path} is not an SQLite database: {text}")),
            _ => DatabaseError::Refused(Box::new(Refusal {
                who: WHO,
                text,
                code: code.to_string(),
                ..Refusal::default()
            })),
        }
    }
}

/// An open file.
pub(crate) struct Opened {
    /// Stands first, so that it is dropped first.
    pub(crate) ended: Ended,
    pub(crate) connection: SqliteConnection,
}

impl Opened {
    /// Lets SQLite stop by itself: when the stop signal is set, when nobody wants the rows any more, or at the end of this
    /// time, which begins now.
    pub(crate) async fn watch(&mut self, limit: Duration, stop: &Stop) -> Result<(), sqlx::Error> {
        let (ended, stop, since) = (Arc::clone(&self.ended.0), stop.clone(), Instant::now());
        let goes_on = move || !ended.load(Ordering::Relaxed) && !stop.is_set() && since.elapsed() < limit;
        self.connection.lock_handle().await?.set_progress_handler(STEPS_A_LOOK, goes_on);
        Ok(())
    }
}

/// Ends whatever SQLite still does for a connection, when it is dropped.
pub(crate) struct Ended(Arc<AtomicBool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
