//! The real binary as another process, in a clean environment.

use super::{DEADLINE, LOOK_EVERY};
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

/// The binary.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_devrev-batch");

/// A command line that is being put together.
pub(crate) struct Program {
    command: Command,
    stdin: Option<Vec<u8>>,
}

impl Program {
    /// A program with nothing in its environment but `PATH`, and nothing on its standard input.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        Self { command, stdin: None }
    }

    /// More arguments.
    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// One more argument.
    pub(crate) fn arg(self, arg: impl AsRef<OsStr>) -> Self {
        self.args([arg])
    }

    /// A variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Without this variable.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// The folder that it is started in.
    pub(crate) fn folder(mut self, folder: impl AsRef<std::path::Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// What stands on its standard input.
    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Where its standard output goes, if not to the test.
    pub(crate) fn stdout(mut self, to: Stdio) -> Self {
        self.command.stdout(to);
        self
    }

    /// Starts it.
    pub(crate) fn spawn(mut self) -> Running {
        self.command.stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        let shown = format!("{:?}", self.command);
        let mut child = self.command.spawn().unwrap();
        if let (Some(bytes), Some(mut stdin)) = (self.stdin, child.stdin.take()) {
            // A program that does not read to the end is in its right.
            std::thread::spawn(move || drop(stdin.write_all(&bytes)));
        }
        let (out, err) = (Text::default(), Text::default());
        let readers =
            [child.stdout.take().map(|from| out.read(from)), child.stderr.take().map(|from| err.read(from))];
        Running { child, shown, out, err, readers: readers.into_iter().flatten().collect() }
    }

    /// Starts it, and waits until something is so.
    pub(crate) fn run_until(self, mut so: impl FnMut() -> bool) -> Running {
        let mut running = self.spawn();
        super::eventually("the program to get there", || so() || running.has_ended());
        running
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Ended {
        self.spawn().wait()
    }
}

/// What a program has written so far.
#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Text {
    fn read(&self, mut from: impl Read + Send + 'static) -> JoinHandle<()> {
        let text = self.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                text.0.lock().unwrap().extend_from_slice(&buffer[..read]);
            }
        })
    }

    fn get(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// A program that was started; killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    shown: String,
    out: Text,
    err: Text,
    readers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Its process ID.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, such as `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }

    /// What it has written to standard output so far.
    pub(crate) fn out(&self) -> String {
        self.out.get()
    }

    /// What it has written to standard error so far.
    pub(crate) fn err(&self) -> String {
        self.err.get()
    }

    /// Waits until this stands on standard error.
    pub(crate) fn until_it_says(&self, text: &str) {
        super::eventually(text, || self.err.get().contains(text));
    }

    /// The most memory that it has had, in KiB; 0 once it has ended, and where the system does not tell.
    pub(crate) fn peak_memory(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Kills it, so that it cannot do another thing, and waits until it is gone.
    pub(crate) fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.end()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ended {
        let since = Instant::now();
        while !self.has_ended() {
            if since.elapsed() > DEADLINE {
                let _ = self.child.kill();
                panic!("does not end: {}\n{}\n{}", self.shown, self.out.get(), self.err.get());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        self.end()
    }

    fn end(&mut self) -> Ended {
        let code = self.child.wait().unwrap().code();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let shown = std::mem::take(&mut self.shown);
        let ended = Ended { code, shown, out: self.out.get(), err: self.err.get() };
        let shows = |text: &str| {
            [super::site::TOKEN, super::site::SNOWFLAKE_PASSWORD].iter().any(|secret| text.contains(secret))
        };
        assert!(!shows(&ended.out) && !shows(&ended.err), "a secret is shown: {}", ended.all());
        ended
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already, where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that has ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` when a signal killed it.
    pub(crate) code: Option<i32>,
    shown: String,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// All that helps to understand a failed assertion.
    pub(crate) fn all(&self) -> String {
        let Self { code, shown, out, err } = self;
        format!("{shown}\nexit: {code:?}\nstandard output:\n{out}\nstandard error:\n{err}")
    }

    /// Holds its exit code against the expected one.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.all());
        assert!(!self.err.contains("panicked at"), "{}", self.all());
        self
    }

    /// Wants a text on standard output or standard error.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text) || self.err.contains(text), "`{text}` is missing\n{}", self.all());
        self
    }

    /// The one JSON object that is all of standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let value: Value =
            serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}\n{}", self.all()));
        assert!(value.is_object(), "{}", self.all());
        value
    }
}
