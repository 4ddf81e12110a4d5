//! ClickHouse for the tests: its engine behind `tests/clickhouse/server.py`, one for all tests, in a virtual environment
//! under `target/` that is made when it is first needed.

use super::program::Program;
use super::site::DATABASE_PASSWORD;
use super::tell;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// The engine is 565 MB, so it is only had where this says so.
const WANTED: &str = "DEVREV_BATCH_CLICKHOUSE_TESTS";

/// The server of all tests. It ends with this process, which holds the other end of its standard input.
struct Server {
    port: u16,
    _folder: TempDir,
    _child: Child,
}

/// A database of the server's, for one test.
pub(crate) struct Clickhouse {
    server: &'static Server,
    database: String,
}

impl Clickhouse {
    /// An empty database; none where these tests are left out.
    pub(crate) fn new() -> Option<Self> {
        static SERVER: OnceLock<Option<Server>> = OnceLock::new();
        static NEXT: AtomicU32 = AtomicU32::new(1);
        if std::env::var_os(WANTED).is_none_or(|value| value != "1") {
            tell(&format!(
                "left out: a test of --source clickhouse ({WANTED}=1 includes it: 565 MB from PyPI)"
            ));
            return None;
        }
        let Some(server) = SERVER.get_or_init(Server::start) else {
            tell("left out: a test of --source clickhouse (its engine cannot be had)");
            return None;
        };
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
        assert_eq!(self.server.call("POST", &format!("_run/{}", self.database), &statements), "{}");
    }

    /// What the program has asked.
    pub(crate) fn log(&self) -> Vec<String> {
        serde_json::from_str(&self.server.call("GET", &format!("_log/{}", self.database), "")).unwrap()
    }

    /// Settings by which a program finds this database.
    pub(crate) fn prepare(&self, program: Program) -> Program {
        program
            .env("CLICKHOUSE_URL", format!("http://127.0.0.1:{}", self.server.port))
            .env("CLICKHOUSE_PASSWORD", DATABASE_PASSWORD)
            .env("CLICKHOUSE_DATABASE", &self.database)
    }
}

impl Server {
    fn start() -> Option<Self> {
        let python = python()?;
        let folder = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clickhouse/server.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(folder.path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TZ", "Asia/Tokyo")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("the server says `{line}`"));
        Some(Self { port: port.parse().unwrap(), _folder: folder, _child: child })
    }

    fn call(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
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

/// The interpreter of the virtual environment, which is made if need be; other processes wait meanwhile.
fn python() -> Option<PathBuf> {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clickhouse/requirements.txt");
    let wanted = std::fs::read_to_string(&requirements).unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chdb");
    let (python, made) = (folder.join("bin/python"), folder.join("made-of.txt"));
    std::fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if std::fs::read_to_string(&made).is_ok_and(|made| made == wanted) {
        return Some(python);
    }
    tell(&format!("making {} for the tests of --source clickhouse (565 MB)", folder.display()));
    let succeeds = |what: &str, command: &mut Command| {
        let why = match command.output() {
            Ok(output) if output.status.success() => return true,
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        tell(&format!(
            "{what} failed: {why}\n(python3 with venv and pip is needed, and PyPI the first time)"
        ));
        false
    };
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
        "--requirement",
    ]);
    let venv = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).output();
    if !venv.is_ok_and(|output| output.status.success()) || !succeeds("pip install", pip.arg(&requirements)) {
        return None;
    }
    std::fs::write(&made, wanted).unwrap();
    Some(python)
}
