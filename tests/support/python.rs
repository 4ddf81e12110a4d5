//! Servers of the tests that are Python scripts: each has a virtual environment under `target/`, made when it is first needed.

use super::{eventually, tell};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A script, `tests/FOLDER/server.py`, with its `requirements.txt`.
pub(crate) struct Script {
    pub(crate) folder: &'static str,
    /// What its tests are called.
    pub(crate) tests: &'static str,
    /// How they are left out.
    pub(crate) leave_out: &'static str,
    /// What is added to `pip install`.
    pub(crate) pip: &'static [&'static str],
    pub(crate) env: &'static [(&'static str, &'static str)],
}

/// The server of all tests. It ends with this process, which holds the other end of its standard input.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
    _child: Child,
}

impl Server {
    pub(crate) fn start(script: &Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script.folder);
        let mut child = Command::new(python(script))
            .arg(tests.join("server.py"))
            .arg(folder.path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs(script.env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("the server says `{line}`"));
        let server = Self { port: port.parse().unwrap(), folder, _child: child };
        eventually("the server to listen", || TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).is_ok());
        server
    }
}

/// The interpreter of the virtual environment, which is made if need be; other processes wait meanwhile.
fn python(script: &Script) -> PathBuf {
    let requirements =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script.folder).join("requirements.txt");
    let wanted = std::fs::read_to_string(&requirements).unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(script.folder);
    let (python, made) = (folder.join("bin/python"), folder.join("made-of.txt"));
    std::fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if std::fs::read_to_string(&made).is_ok_and(|made| made == wanted) {
        return python;
    }
    let Script { tests, leave_out, .. } = script;
    tell(&format!("making {} for the tests of {tests} (a minute)", folder.display()));
    let run = |what: &str, command: &mut Command| {
        let ended = command.output();
        let why = match &ended {
            Ok(output) if output.status.success() => return,
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        panic!(
            "the tests of {tests} need python3 (3.11 or newer) with venv and pip, and PyPI the first time.\n\
             {what} failed: {why}\n\
             Install them (apt install python3-venv), or leave these tests out {leave_out}"
        );
    };
    run("python3 -m venv", Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
    run(
        "pip install",
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(&requirements)
            .args(script.pip),
    );
    std::fs::write(&made, wanted).unwrap();
    python
}
