//! ClickHouse: its embedded engine behind `tests/clickhouse/server.py`. Half a GiB to install, so only where it is asked for.

use super::program::Program;
use super::python::{Script, Server};
use super::tell;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::OnceLock;

/// Runs the tests that need it.
const ASKED: &str = "DEVREV_BATCH_CLICKHOUSE_TESTS";
/// The password of `loader`.
pub(crate) const PASSWORD: &str = "pw-Zq7secret9xWv";

const SCRIPT: Script = Script {
    folder: "clickhouse",
    tests: "--source clickhouse",
    leave_out: "by not setting DEVREV_BATCH_CLICKHOUSE_TESTS",
    // The engine alone; what else it names is for data frames.
    pip: &["--no-deps"],
    env: &[("CLICKHOUSE_TEST_PASSWORD", PASSWORD)],
};

/// The server of all tests.
pub(crate) struct ClickHouse(&'static Server);

impl ClickHouse {
    /// The server; none where it is not asked for.
    pub(crate) fn new() -> Option<Self> {
        static SERVER: OnceLock<Server> = OnceLock::new();
        if std::env::var_os(ASKED).is_none_or(|value| value != "1") {
            tell(&format!("left out without {ASKED}=1: a test of --source clickhouse"));
            return None;
        }
        Some(Self(SERVER.get_or_init(|| Server::start(&SCRIPT))))
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port)
    }

    /// Runs a statement.
    pub(crate) fn run(&self, statement: &str) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.0.port)).unwrap();
        let head = format!(
            "POST / HTTP/1.0\r\nX-ClickHouse-User: loader\r\nX-ClickHouse-Key: {PASSWORD}\r\nContent-Length: {}\r\n\r\n",
            statement.len()
        );
        stream.write_all((head + statement).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.lines().next().unwrap().contains(" 200 "), "{statement}: {answer}");
    }

    /// Settings by which a program finds it.
    pub(crate) fn prepare(&self, program: Program) -> Program {
        program
            .env("CLICKHOUSE_URL", self.url())
            .env("CLICKHOUSE_USER", "loader")
            .env("CLICKHOUSE_PASSWORD", PASSWORD)
    }
}
