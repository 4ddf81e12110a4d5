//! A folder and a sandbox, and the program between them.

use super::eventually;
use super::org::Org;
use super::program::{BINARY, Program};
use super::run::Run;
use devrev_batch::sandbox::{Options, Sandbox};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The token of every test; nothing else looks like it.
pub(crate) const TOKEN: &str = "pat-Zq7secret9xWv";

/// What all sandboxes run on.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// How a sandbox misbehaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble {
    faults: Vec<String>,
    rate_limit: Option<String>,
    delay: Option<Duration>,
}

impl Trouble {
    /// None.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// These faults.
    pub(crate) fn faults<S: Into<String>>(faults: impl IntoIterator<Item = S>) -> Self {
        Self { faults: faults.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Every answer takes so many milliseconds.
    pub(crate) fn delay(millis: u64) -> Self {
        Self { delay: Some(Duration::from_millis(millis)), ..Self::default() }
    }

    /// So many calls in so many seconds.
    pub(crate) fn rate_limit(limit: &str) -> Self {
        Self { rate_limit: Some(limit.to_owned()), ..Self::default() }
    }
}

/// An issue as the sandbox has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) group: Option<u32>,
    pub(crate) writes: u64,
}

/// A temporary folder, an organisation, and the sandbox that plays it.
pub(crate) struct Fixture {
    folder: TempDir,
    /// As it was in the beginning.
    pub(crate) org: Org,
    /// As it is when the sandbox starts next.
    now: Org,
    addr: SocketAddr,
    sandbox: Option<Sandbox>,
    /// Writes to each issue before the sandbox was started again.
    written: BTreeMap<String, u64>,
}

impl Fixture {
    /// An organisation whose API works, and its input as `issues.csv`.
    pub(crate) fn new(org: &Org) -> Self {
        Self::with(org, &Trouble::none())
    }

    /// The same, with trouble.
    pub(crate) fn with(org: &Org, trouble: &Trouble) -> Self {
        let mut fixture = Self::down(org);
        fixture.start(trouble);
        fixture
    }

    /// The same, with these faults.
    pub(crate) fn broken<S: Into<String>>(org: &Org, faults: impl IntoIterator<Item = S>) -> Self {
        Self::with(org, &Trouble::faults(faults))
    }

    /// An organisation whose API is down: nobody listens.
    pub(crate) fn down(org: &Org) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let addr = free_address();
        let (org, now) = (org.clone(), org.clone());
        let fixture = Self { folder, org, now, addr, sandbox: None, written: BTreeMap::new() };
        std::fs::create_dir(fixture.path("tmp")).unwrap();
        fixture.write("issues.csv", fixture.org.csv());
        fixture
    }

    fn start(&mut self, trouble: &Trouble) {
        // A process that is just being started by another test may hold the old listener for a moment.
        eventually("the address to be free", || {
            let options = Options {
                listen: self.addr,
                rate_limit: trouble.rate_limit.as_ref().map(|limit| limit.parse().unwrap()),
                faults: trouble.faults.iter().map(|rule| rule.parse().unwrap()).collect(),
                delay: trouble.delay,
                ..Options::new(self.now.data())
            };
            self.sandbox = RUNTIME.block_on(Sandbox::start(options)).ok();
            self.sandbox.is_some()
        });
    }

    /// Takes the API down, and remembers what it holds.
    pub(crate) fn take_down(&mut self) {
        let Some(sandbox) = self.sandbox.take() else { return };
        for (id, Seen { group, writes }) in seen(&self.get("issues")) {
            *self.written.entry(id.clone()).or_default() += writes;
            let number: usize = id.trim_start_matches("ISS-").parse().unwrap();
            self.now.issues[number - 1].group = group;
        }
        RUNTIME.block_on(sandbox.stop());
    }

    /// Starts the API (again) at the same address: with the same issues, and with other trouble.
    pub(crate) fn restart(&mut self, trouble: &Trouble) {
        self.take_down();
        self.start(trouble);
    }

    /// The same, as another organisation.
    pub(crate) fn restart_as(&mut self, code: &'static str) {
        self.take_down();
        self.now.code = code;
        self.start(&Trouble::none());
    }

    /// The API's base URL.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in the folder.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The program in this folder, set up for this API: no rate limit, and hardly a wait before a retry.
    pub(crate) fn program<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Program {
        self.prepare(Program::new(BINARY)).args(args)
    }

    /// Sets up a program for this API.
    pub(crate) fn prepare(&self, program: Program) -> Program {
        program
            .folder(self.folder.path())
            .env("TMPDIR", self.path("tmp"))
            .env("DEVREV_BASE_URL", self.base_url())
            .env("DEVREV_API_TOKEN", TOKEN)
            .env("RATE_LIMIT_CALLS", "0")
            .env("RETRY_BACKOFF", "0.01")
            .env("BREAKER_COOLDOWN", "0.01")
    }

    /// `backfill-groups --csv issues.csv --yes` and more.
    pub(crate) fn backfill(&self, more: &[&str]) -> Program {
        self.program(["backfill-groups", "--csv", "issues.csv", "--yes"]).args(more)
    }

    /// `resume --yes` and more.
    pub(crate) fn resume(&self, more: &[&str]) -> Program {
        self.program(["resume", "--yes"]).args(more)
    }

    /// The folders of all runs, oldest first.
    pub(crate) fn runs(&self) -> Vec<Run> {
        let Ok(entries) = std::fs::read_dir(self.path("runs")) else { return Vec::new() };
        let mut runs: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'))
            .collect();
        runs.sort();
        runs.into_iter().map(Run).collect()
    }

    /// The folder of the one run that there is.
    #[track_caller]
    pub(crate) fn the_run(&self) -> Run {
        let runs = self.runs();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs[0].clone()
    }

    /// What the sandbox counted since it was started last.
    pub(crate) fn stats(&self) -> Value {
        serde_json::from_str(&self.get("stats")).unwrap()
    }

    /// Calls of an endpoint since then.
    pub(crate) fn calls(&self, endpoint: &str) -> u64 {
        self.stats()["calls"][endpoint].as_u64().unwrap_or(0)
    }

    /// Writes that the sandbox took since then.
    pub(crate) fn writes(&self) -> u64 {
        self.stats()["writes"].as_u64().unwrap()
    }

    /// Every issue as it is, with all writes to it.
    pub(crate) fn issues(&self) -> BTreeMap<String, Seen> {
        let mut issues = seen(&self.get("issues"));
        for (id, issue) in &mut issues {
            issue.writes += self.written.get(id).copied().unwrap_or(0);
        }
        issues
    }

    /// Sets an issue's creator group as somebody else would.
    pub(crate) fn set_group(&self, issue: usize, group: Option<u32>) {
        let body = json!({"creator_group": group.map(|group| format!("GROUP-{group}"))}).to_string();
        let answer = self.control("POST", &format!("issues/ISS-{issue}"), &body);
        assert_eq!(answer, "{}");
    }

    /// Wants every issue as it should be, and none written more than once.
    #[track_caller]
    pub(crate) fn assert_right(&self) {
        let issues = self.issues();
        assert_eq!(issues.len(), self.org.issues.len());
        for (id, seen) in &issues {
            let number: usize = id.trim_start_matches("ISS-").parse().unwrap();
            assert_eq!(seen.group, self.org.right(number), "{id}");
            assert!(seen.writes <= 1, "{id} was written {} times", seen.writes);
        }
    }

    /// Wants an intent in the run's journal for every issue that was written, and none written twice.
    #[track_caller]
    pub(crate) fn assert_intents(&self, run: &Run) {
        let intents = run.intents();
        for (id, seen) in self.issues() {
            assert!(seen.writes == 0 || intents.contains(&id), "{id} was written without an intent");
            assert!(seen.writes <= 1, "{id} was written {} times", seen.writes);
        }
    }

    fn get(&self, control: &str) -> String {
        self.control("GET", control, "")
    }

    fn control(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        // HTTP/1.0: the answer ends with the connection.
        let head =
            format!("{method} /_sandbox/{path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

/// An address that nobody listens on. Below the ports that systems hand out by themselves, so that nobody is
/// given it while the sandbox is down.
fn free_address() -> SocketAddr {
    const PORTS: Range<u32> = 12_000..32_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let width = PORTS.end - PORTS.start;
    // Another test process begins somewhere else.
    let offset = std::process::id().wrapping_mul(977);
    loop {
        let port = PORTS.start + offset.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % width;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).unwrap()));
        if TcpListener::bind(addr).is_ok() {
            return addr;
        }
    }
}

fn seen(lines: &str) -> BTreeMap<String, Seen> {
    let seen = |line: &str| {
        let issue: Value = serde_json::from_str(line).unwrap();
        let group = issue["creator_group"].as_str().map(|don| don.rsplit('/').next().unwrap());
        let group = group.map(|number| number.parse().unwrap());
        (issue["id"].as_str().unwrap().to_owned(), Seen { group, writes: issue["writes"].as_u64().unwrap() })
    };
    lines.lines().map(seen).collect()
}
