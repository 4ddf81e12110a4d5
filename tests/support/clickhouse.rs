//! ClickHouse: its embedded engine behind `tests/clickhouse/server.py`, one for all tests. Half a GiB to install, so only
//! where it is asked for.

use super::program::Program;
use super::python::{Script, Server};
use super::site::DATABASE_PASSWORD;
use super::tell;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Runs the tests that need it.
const ASKED: &str = "DEVREV_BATCH_CLICKHOUSE_TESTS";

const SCRIPT: Script = Script {
    folder: "clickhouse",
    tests: "--source clickhouse",
    leave_out: "by not setting DEVREV_BATCH_CLICKHOUSE_TESTS",
    // The engine alone; what else it names is for data frames.
    pip: &["--no-deps"],
    // Another zone than that of the program.
    env: &[("TZ", "Asia/Tokyo")],
};

/// A database of the server's, for one test.
pub(crate) struct Clickhouse {
    server: &'static Server,
    database: String,
}

impl Clickhouse {
    /// An empty database; none where it is not asked for.
    pub(crate) fn new() -> Option<Self> {
        static SERVER: OnceLock<Server> = OnceLock::new();
        static NEXT: AtomicU32 = AtomicU32::new(1);
        if std::env::var_os(ASKED).is_none_or(|value| value != "1") {
            tell(&format!("left out without {ASKED}=1: a test of --source clickhouse"));
            return None;
        }
        let server = SERVER.get_or_init(|| Server::start(&SCRIPT));
        let clickhouse = Self { server, database: format!("db{}", NEXT.fetch_add(1, Ordering::Relaxed)) };
        clickhouse.run(&[]);
        Some(clickhouse)
    }

    /// The same, with a table `ISSUES` of so many issues: the rows of [`super::Org::of`] as many.
    pub(crate) fn with_issues(issues: u32) -> Option<Self> {
        let clickhouse = Self::new()?;
        clickhouse.run(&[
            "CREATE TABLE ISSUES (ISSUE_ID String, CREATOR_USER_ID String, ASSIGNED_GROUP String, \
             CREATOR_GROUP Nullable(String)) ENGINE = MergeTree ORDER BY ISSUE_ID",
            &format!(
                "INSERT INTO ISSUES SELECT 'ISS-' || toString(number + 1), 'DEVU-' || toString(number % 4 + 1), \
                 'GROUP-' || toString(number % 4 + 1), NULL FROM numbers({issues})"
            ),
        ]);
        Some(clickhouse)
    }

    /// Runs statements.
    pub(crate) fn run(&self, statements: &[&str]) {
        let statements = serde_json::Value::from(statements).to_string();
        assert_eq!(self.call("POST", &format!("_run/{}", self.database), &statements), "{}");
    }

    /// The rows that a query finds, cells apart by `|`.
    pub(crate) fn ask(&self, sql: &str) -> Vec<String> {
        let found = self.call("POST", &format!("_ask/{}", self.database), sql);
        found.lines().map(|line| line.replace('\t', "|")).collect()
    }

    /// What goes wrong with the batches to come, one each.
    pub(crate) fn faults(&self, faults: &[Option<&str>]) {
        let faults = serde_json::json!(faults).to_string();
        assert_eq!(self.call("POST", &format!("_fault/{}", self.database), &faults), "{}");
    }

    /// What the program has asked.
    pub(crate) fn log(&self) -> Vec<String> {
        serde_json::from_str(&self.call("GET", &format!("_log/{}", self.database), "")).unwrap()
    }

    /// Settings by which a program finds this database.
    pub(crate) fn prepare(&self, program: Program) -> Program {
        program
            .env("CLICKHOUSE_URL", self.url())
            .env("CLICKHOUSE_PASSWORD", DATABASE_PASSWORD)
            .env("CLICKHOUSE_DATABASE", &self.database)
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port)
    }

    /// It and this database, as a target.
    pub(crate) fn target(&self) -> String {
        format!("clickhouse+http://127.0.0.1:{}/{}", self.server.port, self.database)
    }

    fn call(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.server.port)).unwrap();
        let head = format!(
            "{method} /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{path}: {answer}"));
        assert!(head.lines().next().unwrap().contains(" 200 "), "{path}: {answer}");
        body.to_owned()
    }
}
