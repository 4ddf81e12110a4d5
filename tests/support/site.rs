//! A folder, an address, and the sandbox that listens there; and the program between them.

use super::eventually;
use super::program::{BINARY, Program};
use super::run::Run;
use devrev_batch::sandbox::{Data, MergeOptions, Options, Sandbox};
use serde_json::Value;
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
/// The password of Snowflake's counterpart.
pub(crate) const SNOWFLAKE_PASSWORD: &str = "pw-Zq7secret9xWv";

/// The password of every database that tests start.
pub(crate) const DATABASE_PASSWORD: &str = "db-Zq7secret9xWv";

/// What all sandboxes run on.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// How a sandbox misbehaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble {
    faults: Vec<String>,
    rate_limit: Option<String>,
    delay: Option<Duration>,
    merge: Option<String>,
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

    /// The same, and merges that go so: `delay=MS,ends=WORD,ref_delay=MS`.
    pub(crate) fn merge(self, merge: &str) -> Self {
        Self { merge: Some(merge.to_owned()), ..self }
    }
}

/// A temporary folder, and the sandbox that is called from it.
pub(crate) struct Site {
    folder: TempDir,
    addr: SocketAddr,
    sandbox: Option<Sandbox>,
}

impl Site {
    /// A folder, and an address that nobody listens on yet.
    pub(crate) fn new() -> Self {
        let site = Self { folder: folder(), addr: free_address(), sandbox: None };
        std::fs::create_dir(site.path("tmp")).unwrap();
        site
    }

    /// Starts the sandbox.
    pub(crate) fn start(&mut self, data: impl Fn() -> Data, trouble: &Trouble) {
        // A process that is just being started by another test may hold the old listener for a moment.
        eventually("the address to be free", || {
            let merge = trouble.merge.as_ref().map(|merge| merge.parse::<MergeOptions>().unwrap());
            let options = Options {
                listen: self.addr,
                rate_limit: trouble.rate_limit.as_ref().map(|limit| limit.parse().unwrap()),
                faults: trouble.faults.iter().map(|rule| rule.parse().unwrap()).collect(),
                delay: trouble.delay,
                merge,
                ..Options::new(data())
            };
            self.sandbox = RUNTIME.block_on(Sandbox::start(options)).ok();
            self.sandbox.is_some()
        });
    }

    /// Whether the sandbox is up.
    pub(crate) fn is_up(&self) -> bool {
        self.sandbox.is_some()
    }

    /// Stops the sandbox, which forgets what it holds.
    pub(crate) fn stop(&mut self) {
        if let Some(sandbox) = self.sandbox.take() {
            RUNTIME.block_on(sandbox.stop());
        }
    }

    /// The API's base URL.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
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

    /// Wants the token in no file of the folder.
    #[track_caller]
    pub(crate) fn assert_no_token(&self) {
        for path in super::files_below(self.folder()) {
            let bytes = std::fs::read(&path).unwrap();
            let shown = bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
            assert!(!shown, "the token is in {}: {}", path.display(), String::from_utf8_lossy(&bytes));
        }
    }

    /// The folders of all runs, oldest first.
    pub(crate) fn runs(&self) -> Vec<Run> {
        let Ok(entries) = std::fs::read_dir(self.path("runs")) else { return Vec::new() };
        let mut runs: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'))
            .collect();
        // The second of the day, and the part of it: the ends of an ID.
        runs.sort_by_key(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            (name[..15].to_owned(), name[name.len() - 4..].to_owned())
        });
        runs.into_iter().map(Run).collect()
    }

    /// The run that began last.
    #[track_caller]
    pub(crate) fn newest_run(&self) -> Run {
        self.runs().pop().expect("a run")
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

    /// What a control of the sandbox shows.
    pub(crate) fn get(&self, control: &str) -> String {
        self.control("GET", control, "")
    }

    /// Calls an endpoint of the API as anyone else would, and returns the answer.
    pub(crate) fn call(&self, endpoint: &str, body: &Value) -> Value {
        // Trouble is for the program; it ends after some calls.
        let answers = (0..5).map(|_| self.send("POST", endpoint, &body.to_string()));
        let mut good = answers.filter_map(|answer| {
            let (head, body) = answer.split_once("\r\n\r\n")?;
            head.split(' ').nth(1)?.starts_with('2').then(|| serde_json::from_str(body).ok())?
        });
        good.next().unwrap_or_else(|| panic!("{endpoint} {body} has no good answer"))
    }

    /// Uses a control of the sandbox.
    pub(crate) fn control(&self, method: &str, path: &str, body: &str) -> String {
        let answer = self.send(method, &format!("_sandbox/{path}"), body);
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn send(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        // HTTP/1.0: the answer ends with the connection.
        let head = format!(
            "{method} /{path} HTTP/1.0\r\nAuthorization: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // One that was cut off is no good answer.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
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

/// A folder in memory, where there is such a place with room: the tests cost tens of thousands of fsyncs, and what a
/// crash of the machine leaves is not theirs to see.
fn folder() -> TempDir {
    const ROOM: u64 = 2 << 30;
    let memory = Path::new("/dev/shm");
    let has_room = devrev_batch::backup::space::available(memory).is_ok_and(|bytes| bytes >= ROOM);
    if has_room { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}
