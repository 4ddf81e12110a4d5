//! A browser without a window, where there is one: what it makes of a page.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Its names, as distributions have them.
const NAMES: [&str; 2] = ["chromium", "chromium-browser"];

/// A browser.
pub(crate) struct Browser(PathBuf);

/// What it made of a page.
pub(crate) struct Looked {
    /// The document after all that is in it was loaded.
    pub(crate) dom: String,
    /// What it wrote to its console.
    pub(crate) console: Vec<String>,
}

impl Browser {
    /// The one that is on `PATH`. Where there is none it is said, and the test is left out.
    pub(crate) fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = std::env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name)));
        let found = places.into_iter().find(|place| place.is_file());
        if found.is_none() {
            super::tell("left out, as there is no chromium on PATH: a test of report.html in a browser");
        }
        found.map(Self)
    }

    /// Opens a page of a file and lets it load.
    pub(crate) fn look(&self, page: &Path) -> Looked {
        self.visit(&of_file(page))
    }

    /// Opens a page by its address and lets it load.
    pub(crate) fn visit(&self, address: &str) -> Looked {
        let (dom, log) = self.run(address, &["--enable-logging=stderr".into(), "--dump-dom".into()]);
        let console = log.lines().filter(|line| line.contains(":CONSOLE:")).map(str::to_owned).collect();
        Looked { dom, console }
    }

    /// A picture of the page as it is shown in the light or in the dark: PNG.
    pub(crate) fn picture(&self, page: &Path, dark: bool) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("page.png");
        let mut to = OsString::from("--screenshot=");
        to.push(&file);
        let scheme = format!("--blink-settings=preferredColorScheme={}", u8::from(!dark));
        self.run(
            &of_file(page),
            &[to, scheme.into(), "--hide-scrollbars".into(), "--window-size=1000,1200".into()],
        );
        std::fs::read(&file).unwrap()
    }

    fn run(&self, address: &str, flags: &[OsString]) -> (String, String) {
        let profile = tempfile::tempdir().unwrap();
        let mut data_dir = OsString::from("--user-data-dir=");
        data_dir.push(profile.path());
        let mut command = Command::new(&self.0);
        command
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .arg(data_dir)
            .args(flags)
            .arg(address)
            .env("HOME", profile.path())
            .stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, log) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{command:?}: {}\n{log}", output.status);
        (out, log)
    }
}

fn of_file(page: &Path) -> String {
    format!("file://{}", page.display())
}
