//! A target of tests that hold for SQLite and PostgreSQL alike: a table in a file of the site, or in a database.

use super::{KEY, site};
use crate::support::postgres::Database;
use crate::support::program::Program;
use crate::support::run::Run;
use crate::support::site::{Site, Trouble};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};

/// Where a table is, and the folder that jobs are run in.
pub(crate) struct Place {
    pub(crate) site: Site,
    pub(crate) database: Option<Database>,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self { site: site(&Trouble::none()), database: None }
    }

    /// None where no server can be had.
    pub(crate) fn postgres() -> Option<Self> {
        Some(Self { site: site(&Trouble::none()), database: Some(Database::new()?) })
    }

    /// One of each kind.
    pub(crate) fn each() -> Vec<Self> {
        std::iter::once(Self::sqlite()).chain(Self::postgres()).collect()
    }

    pub(crate) fn kind(&self) -> &'static str {
        if self.database.is_some() { "postgres" } else { "sqlite" }
    }

    /// A job file's target with these members.
    pub(crate) fn target(&self, members: &str) -> String {
        match &self.database {
            Some(_) => format!("target: {{postgres: {{{members}}}}}\n"),
            None => format!("target: {{sqlite: {{path: t.db, {members}}}}}\n"),
        }
    }

    /// A job file's source with these members.
    pub(crate) fn source(&self, members: &str) -> String {
        match &self.database {
            Some(_) => format!("source: {{postgres: {{{members}}}}}"),
            None => format!("source: {{sqlite: {{path: t.db, {members}}}}}"),
        }
    }

    /// Runs statements.
    pub(crate) fn run(&self, sql: &str) {
        if let Some(database) = &self.database {
            return database.run(sql);
        }
        let (path, sql) = (self.site.path("t.db"), sql.to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
            let mut connection = options.connect().await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
            sqlx::Connection::close(connection).await.unwrap();
        });
    }

    /// What a query finds: a text a row, which the query makes.
    pub(crate) fn rows(&self, select: &str) -> Vec<String> {
        match &self.database {
            Some(database) => {
                let all = format!("SELECT CAST(json_agg(line) AS text) FROM ({select}) AS q(line)");
                let text = database.ask(&all).unwrap_or_else(|| "[]".to_owned());
                serde_json::from_str(&text).unwrap()
            }
            None => super::query(&self.site, "t.db", select),
        }
    }

    /// The slices in the ledger, by name.
    pub(crate) fn ledger(&self) -> Vec<String> {
        self.rows("SELECT name FROM _devrev_batch_loads ORDER BY name")
    }

    pub(crate) fn program(&self, args: &[&str]) -> Program {
        let program = self.site.program(args).env("PRICES_API_KEY", KEY);
        match &self.database {
            Some(database) => database.prepare(program),
            None => program,
        }
    }

    pub(crate) fn load(&self, more: &[&str]) -> Program {
        self.program(&["load", "job.yaml", "--yes"]).args(more)
    }

    pub(crate) fn undo(&self, run: &Run, more: &[&str]) -> Program {
        self.program(&["undo", run.id(), "--yes"]).args(more)
    }

    pub(crate) fn resume(&self) -> Program {
        self.program(&["resume", "--if-any", "--latest", "--yes"])
    }
}
