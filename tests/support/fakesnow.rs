//! Snowflake's counterpart: fakesnow behind `tests/snowflake/server.py`, one for all tests, in a virtual environment
//! under `target/` that is made when it is first needed.

use super::program::Program;
use super::python::{Script, Server};
use super::tell;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Leaves the tests out that need this.
const SKIP: &str = "DEVREV_BATCH_SKIP_SNOWFLAKE_TESTS";
pub(crate) use super::site::SNOWFLAKE_PASSWORD as PASSWORD;

const SCRIPT: Script = Script {
    folder: "snowflake",
    tests: "--source snowflake",
    leave_out: "with DEVREV_BATCH_SKIP_SNOWFLAKE_TESTS=1",
    pip: &[],
    env: &[],
};

/// A database of the server's, for one test.
pub(crate) struct Warehouse {
    server: &'static Server,
    database: String,
}

impl Warehouse {
    /// An empty database; none where these tests are to be left out.
    pub(crate) fn new() -> Option<Self> {
        static SERVER: OnceLock<Server> = OnceLock::new();
        static NEXT: AtomicU32 = AtomicU32::new(1);
        if std::env::var_os(SKIP).is_some_and(|value| value == "1") {
            tell(&format!("left out, as {SKIP}=1 says: a test of --source snowflake"));
            return None;
        }
        let server = SERVER.get_or_init(|| Server::start(&SCRIPT));
        let warehouse = Self { server, database: format!("DB{}", NEXT.fetch_add(1, Ordering::Relaxed)) };
        warehouse.run(&[]);
        Some(warehouse)
    }

    /// The same, with a table `ISSUES` of so many issues: the rows of [`super::Org::of`] as many.
    pub(crate) fn with_issues(issues: usize) -> Option<Self> {
        let warehouse = Self::new()?;
        warehouse.run(&[
            "CREATE TABLE ISSUES (ISSUE_ID VARCHAR, CREATOR_USER_ID VARCHAR, ASSIGNED_GROUP VARCHAR, CREATOR_GROUP VARCHAR)",
            &format!(
                "INSERT INTO ISSUES SELECT 'ISS-' || n, 'DEVU-' || ((n - 1) % 4 + 1), 'GROUP-' || ((n - 1) % 4 + 1), NULL \
                 FROM (SELECT range AS n FROM range(1, {}))",
                issues + 1
            ),
        ]);
        Some(warehouse)
    }

    /// Runs statements.
    pub(crate) fn run(&self, statements: &[&str]) {
        let answer =
            self.call("POST", &format!("_run/{}", self.database), &Value::from(statements).to_string());
        assert_eq!(answer, "{}");
    }

    /// Breaks what comes next: see `fault` in `server.py`.
    pub(crate) fn faults(&self, faults: &Value) {
        let answer = self.call("POST", &format!("_faults/{}", self.database), &faults.to_string());
        assert_eq!(answer, "{}");
    }

    /// What was asked of this database: `login`, `poll`, `part`, or the SQL.
    pub(crate) fn log(&self) -> Vec<String> {
        serde_json::from_str(&self.call("GET", &format!("_log/{}", self.database), "")).unwrap()
    }

    /// Settings by which a program finds this database.
    pub(crate) fn prepare(&self, program: Program) -> Program {
        program
            .env("SNOWFLAKE_ACCOUNT", "acme-test")
            .env("SNOWFLAKE_USER", "loader")
            .env("SNOWFLAKE_PASSWORD", PASSWORD)
            .env("SNOWFLAKE_WAREHOUSE", "wh")
            .env("SNOWFLAKE_DATABASE", &self.database)
            .env("SNOWFLAKE_SCHEMA", "public")
            .env("SNOWFLAKE_HOST", format!("http://127.0.0.1:{}", self.server.port))
    }

    /// A key that the server made: `key.p8`, `key.encrypted.p8` or `key.rsa`.
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.server.folder.path().join(name)
    }
}

impl Warehouse {
    fn call(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.server.port)).unwrap();
        let head = format!("{method} /{path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{path}: {answer}"));
        assert!(head.lines().next().unwrap().contains(" 200 "), "{path}: {answer}");
        body.to_owned()
    }
}
