//! A PostgreSQL server, one for all tests: from the binaries that are installed, or else from the wheel `pgserver` in a
//! virtual environment under `target/`. It ends with this process, however that ends.

use super::program::Program;
use super::{eventually, tell};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row};
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

pub(crate) use super::site::DATABASE_PASSWORD as PASSWORD;

/// PostgreSQL refuses to run as root, and as a user that is not there: `nobody` is everywhere.
const OTHER_USER: u32 = 65_534;

/// The server of all tests.
struct Server {
    port: u16,
    _folder: TempDir,
    /// Ends the server when its standard input, which this process holds, is closed.
    _keeper: Child,
}

/// A database of the server's, for one test.
pub(crate) struct Database {
    server: &'static Server,
    name: String,
}

impl Database {
    /// An empty database; none where no server can be had.
    pub(crate) fn new() -> Option<Self> {
        static SERVER: OnceLock<Option<Server>> = OnceLock::new();
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let Some(server) = SERVER.get_or_init(Server::start) else {
            tell(
                "left out: a test of --source postgres (no PostgreSQL server is installed, and PyPI cannot be reached)",
            );
            return None;
        };
        let name = format!("test{}", NEXT.fetch_add(1, Ordering::Relaxed));
        server.run("postgres", &format!("CREATE DATABASE {name}"));
        Some(Self { server, name })
    }

    /// The same, with a table `issues` of so many issues: the rows of [`super::Org::of`] as many.
    pub(crate) fn with_issues(issues: u32) -> Option<Self> {
        let database = Self::new()?;
        database.run(&format!(
            "CREATE TABLE issues (issue_id text, creator_user_id text, assigned_group text, creator_group text);
             INSERT INTO issues SELECT 'ISS-' || n, 'DEVU-' || ((n - 1) % 4 + 1), 'GROUP-' || ((n - 1) % 4 + 1), NULL
             FROM generate_series(1, {issues}) AS n"
        ));
        Some(database)
    }

    /// Runs statements.
    pub(crate) fn run(&self, sql: &str) {
        self.server.run(&self.name, sql);
    }

    /// The first value of a query, as text; none for NULL.
    pub(crate) fn ask(&self, sql: &str) -> Option<String> {
        self.server.connected(&self.name, async |mut connection| {
            let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            row.get(0)
        })
    }

    /// Its URL, for a user.
    pub(crate) fn url(&self, user: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{}", self.server.port, self.name)
    }

    /// The port that the server listens on.
    pub(crate) fn port(&self) -> u16 {
        self.server.port
    }

    /// Settings by which a program finds this database.
    pub(crate) fn prepare(&self, program: Program) -> Program {
        program.env("DATABASE_URL", self.url(&format!("postgres:{PASSWORD}")))
    }
}

impl Server {
    fn start() -> Option<Self> {
        let bin = installed().or_else(from_wheel)?;
        let is_root =
            std::fs::metadata("/proc/self").map(|data| std::os::unix::fs::MetadataExt::uid(&data) == 0);
        let is_root = is_root.unwrap_or(false);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
        if is_root {
            for path in [folder.path(), &folder.path().join("password")] {
                chown(path, Some(OTHER_USER), Some(OTHER_USER)).unwrap();
            }
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        }
        let as_other = |mut command: Command| {
            command.current_dir(folder.path()).env("LC_ALL", "C").env("TZ", "Asia/Tokyo");
            if is_root {
                command.uid(OTHER_USER).gid(OTHER_USER);
            }
            command
        };
        let data = folder.path().join("data");
        let mut initdb = Command::new(bin.join("initdb"));
        initdb.args([
            "-U",
            "postgres",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--no-sync",
            "-E",
            "UTF8",
        ]);
        initdb.arg("--pwfile=password").arg("-D").arg(&data);
        let made = as_other(initdb).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));

        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let keep = "\"$0\" -D data -p \"$1\" -k . -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=50 \
                    >log 2>&1 & p=$!; read _; kill -INT $p; wait $p";
        let mut keeper = Command::new("sh");
        keeper.args(["-c", keep]).arg(bin.join("postgres")).arg(port.to_string());
        let keeper = as_other(keeper).stdin(Stdio::piped()).spawn().unwrap();
        let server = Self { port, _folder: folder, _keeper: keeper };
        let pid = data.join("postmaster.pid");
        eventually("the PostgreSQL server", || {
            let text = std::fs::read_to_string(&pid).unwrap_or_default();
            text.lines().nth(7).is_some_and(|line| line.trim() == "ready")
        });
        Some(server)
    }

    fn run(&self, database: &str, sql: &str) {
        self.connected(database, async |mut connection| {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        });
    }

    fn connected<T>(&self, database: &str, work: impl AsyncFnOnce(PgConnection) -> T) -> T {
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username("postgres")
            .password(PASSWORD)
            .database(database);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { work(options.connect().await.unwrap()).await })
    }
}

/// The folder of the server's binaries, where they are installed.
fn installed() -> Option<PathBuf> {
    let has_server = |bin: &PathBuf| bin.join("initdb").exists() && bin.join("postgres").exists();
    let said = Command::new("pg_config").arg("--bindir").output().ok();
    let said = said.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut debian: Vec<_> = debian.map(|entry| entry.unwrap().path().join("bin")).collect();
    debian.sort();
    said.into_iter().chain(debian.into_iter().rev()).find(has_server)
}

/// The same, from the wheel, which is installed if need be; other processes wait meanwhile.
fn from_wheel() -> Option<PathBuf> {
    const WHEEL: &str = "pgserver==0.1.4";
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pgserver");
    std::fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let bin = |folder: &Path| {
        let lib = std::fs::read_dir(folder.join("lib")).ok()?;
        let mut bins = lib.map(|entry| entry.unwrap().path().join("site-packages/pgserver/pginstall/bin"));
        bins.find(|bin| bin.join("initdb").exists())
    };
    if let Some(bin) = bin(&folder) {
        return Some(bin);
    }
    tell(&format!("making {} for the tests of --source postgres", folder.display()));
    let succeeds = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let made = succeeds(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
        && succeeds(Command::new(folder.join("bin/python")).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--disable-pip-version-check",
            WHEEL,
        ]));
    made.then(|| bin(&folder)).flatten()
}
