//! The binary: as a sandbox in another process, and as the command that is measured.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// A sandbox in another process.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start(data: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_devrev-batch"))
            .args(["sandbox", "--json", "--data"])
            .arg(data)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        Self { child, url: said["base_url"].as_str().unwrap().to_owned() }
    }

    /// On any free port.
    pub(crate) fn with(data: &Path) -> Self {
        Self::start(data, &["--listen", "127.0.0.1:0"])
    }

    pub(crate) fn stats(&self) -> Value {
        let url = format!("{}/_sandbox/stats", self.url.trim_end_matches('/'));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let body = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap();
            serde_json::from_slice(&body.bytes().await.unwrap()).unwrap()
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What one run of the binary took.
pub(crate) struct Ran {
    pub(crate) summary: Value,
    pub(crate) took: Duration,
    pub(crate) began: SystemTime,
    /// The most memory that was resident, in MiB.
    pub(crate) peak_mib: f64,
}

/// Runs the binary in a folder, against a server if there is one, and expects it to succeed.
pub(crate) fn run(folder: &Path, server: Option<&Server>, args: &[&str]) -> Ran {
    let url = server.map(|server| ("DEVREV_BASE_URL", server.url.as_str()));
    run_with(folder, url.as_slice(), args)
}

/// The same with these variables.
pub(crate) fn run_with(folder: &Path, env: &[(&str, &str)], args: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devrev-batch"));
    command.args(args).arg("--json").current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::null());
    command.env_clear().env("DEVREV_API_TOKEN", "bench");
    command.envs(env.iter().copied());
    let (began, start) = (SystemTime::now(), Instant::now());
    let mut child = command.spawn().unwrap();
    let status_file = format!("/proc/{}/status", child.id());
    let stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || std::io::read_to_string(stdout).unwrap());
    let mut peak_kib = 0;
    let status = loop {
        // The peak only grows: the last look before the end is near enough.
        let text = std::fs::read_to_string(&status_file).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok());
        peak_kib = peak_kib.max(kib.unwrap_or(0u64));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let took = start.elapsed();
    assert!(status.success(), "{args:?}: {status}");
    let summary = serde_json::from_str(&reader.join().unwrap()).unwrap();
    Ran { summary, took, began, peak_mib: peak_kib as f64 / 1024.0 }
}
