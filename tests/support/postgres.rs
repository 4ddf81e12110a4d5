//! A PostgreSQL server of the tests' own, with a database for each that asks: Debian's binaries, where they are installed.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// PostgreSQL does not run as root; `nobody` may.
const NOBODY: u32 = 65_534;

/// The one server. It ends with the tests: its keeper reads from a pipe that closes then.
static SERVER: LazyLock<Option<Server>> = LazyLock::new(Server::start);

struct Server {
    port: u16,
    bin: PathBuf,
    _folder: TempDir,
    _keeper: Child,
}

/// The address of a new, empty database; `None` where there is no PostgreSQL.
pub(crate) fn database() -> Option<String> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let server = SERVER.as_ref()?;
    let name = format!("test{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let port = server.port.to_string();
    let made = Command::new(server.bin.join("createdb"))
        .args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", &name])
        .status();
    assert!(made.unwrap().success());
    Some(format!("postgres://postgres:pw-Zq7secret9xWv@127.0.0.1:{port}/{name}"))
}

fn bin() -> Option<PathBuf> {
    let said = Command::new("pg_config").arg("--bindir").output().ok()?;
    let bin = PathBuf::from(String::from_utf8(said.stdout).ok()?.trim());
    bin.join("initdb").exists().then_some(bin)
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|said| said.stdout == b"0\n")
}

impl Server {
    fn start() -> Option<Self> {
        let bin = bin()?;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        if is_root() {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
            fs::create_dir(&data).unwrap();
            chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let made = as_nobody(Command::new(bin.join("initdb")))
            .args(["-U", "postgres", "--auth=trust", "--no-sync", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        let free = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let server = format!(
            "'{}' -D '{}' -p {port} -c listen_addresses=127.0.0.1 -k '{}' -c fsync=off >/dev/null 2>&1 & p=$!; read _; kill -INT $p",
            bin.join("postgres").display(),
            data.display(),
            data.display(),
        );
        let keeper =
            as_nobody(Command::new("sh")).args(["-c", &server]).stdin(Stdio::piped()).spawn().unwrap();
        super::eventually("PostgreSQL to be ready", || is_ready(&data));
        Some(Self { port, bin, _folder: folder, _keeper: keeper })
    }
}

fn as_nobody(mut command: Command) -> Command {
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir("/").env("LC_ALL", "C.UTF-8");
    command
}

fn is_ready(data: &Path) -> bool {
    let text = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    text.lines().nth(7).is_some_and(|line| line.trim() == "ready")
}
