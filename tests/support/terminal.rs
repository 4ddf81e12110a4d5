//! The real binary on a terminal: what an operator sees of it, and types.

use super::eventually;
use super::program::BINARY;
use super::site::{Site, TOKEN};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A terminal of this size.
fn size(rows: u16, cols: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

/// A program on a terminal; killed when it is dropped.
pub(crate) struct OnTerminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl OnTerminal {
    /// Starts the program in the site's folder, set up for its API, with more variables.
    pub(crate) fn start(site: &Site, args: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::begin(site, BINARY, args, variables)
    }

    /// The same with what is typed into a shell.
    pub(crate) fn shell(site: &Site, typed: &str, variables: &[(&str, &str)]) -> Self {
        Self::begin(site, "/bin/sh", &["-c", typed], variables)
    }

    fn begin(site: &Site, program: &str, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let pair = native_pty_system().openpty(size(24, 100)).unwrap();
        let mut command = CommandBuilder::new(program);
        command.env_clear();
        command.args(args);
        command.cwd(site.folder());
        let base_url = site.base_url();
        let own = [
            ("TERM", "xterm-256color"),
            ("DEVREV_BASE_URL", &*base_url),
            ("DEVREV_API_TOKEN", TOKEN),
            ("RATE_LIMIT_CALLS", "0"),
            ("RETRY_BACKOFF", "0.01"),
        ];
        for (name, value) in own.iter().chain(variables) {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut output = pair.master.try_clone_reader().unwrap();
        let keyboard = pair.master.take_writer().unwrap();
        let shown = Arc::<Mutex<Vec<u8>>>::default();
        let kept = Arc::clone(&shown);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                kept.lock().unwrap().extend_from_slice(&buffer[..read]);
            }
        });
        Self { child, master: pair.master, keyboard, shown, reader: Some(reader) }
    }

    /// All that it has written to the terminal so far.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Waits until this stands there.
    #[track_caller]
    pub(crate) fn until_it_shows(&self, text: &str) {
        eventually(text, || self.shown().contains(text));
    }

    /// Types keys.
    pub(crate) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Makes the window of another size.
    pub(crate) fn resize(&self, rows: u16, cols: u16) {
        self.master.resize(size(rows, cols)).unwrap();
    }

    /// Its exit code, once it has ended and all that it wrote is shown.
    pub(crate) fn has_ended(&mut self) -> Option<u32> {
        let status = self.child.try_wait().unwrap()?;
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        Some(status.exit_code())
    }

    /// Waits for its end; its exit code, and all that was shown.
    #[track_caller]
    pub(crate) fn exits(mut self, code: u32) -> String {
        let mut status = None;
        eventually("the program to end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        self.reader.take().unwrap().join().unwrap();
        let shown = self.shown();
        assert_eq!(status.unwrap().exit_code(), code, "{shown}");
        assert!(!shown.contains(TOKEN) && !shown.contains("panicked at"), "{shown}");
        shown
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // Gone already, where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text without what steers the terminal: escape sequences and carriage returns.
pub(crate) fn plain(shown: &str) -> String {
    let mut text = String::new();
    let mut chars = shown.chars();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' if chars.next() == Some('[') => {
                // Up to the letter that ends it.
                chars.by_ref().find(char::is_ascii_alphabetic);
            }
            '\x1b' | '\r' => {}
            _ => text.push(c),
        }
    }
    text
}
