//! A mail server, without TLS: on this machine it may do without.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The password that it takes; nothing else looks like it.
pub(crate) const PASSWORD: &str = "smtp-Zq7secret9xWv";

/// An e-mail that it took.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taken {
    /// What stood behind `AUTH`.
    pub(crate) auth: String,
    /// Sender and recipients, as they were told to the server.
    pub(crate) envelope: Vec<String>,
    /// Head and body.
    pub(crate) text: String,
}

/// A mail server on this machine.
pub(crate) struct Smtp {
    addr: SocketAddr,
    taken: Arc<Mutex<Vec<Taken>>>,
    logins: Arc<AtomicUsize>,
}

impl Smtp {
    /// One that takes everything, or answers so to every recipient.
    pub(crate) fn new(refusal: Option<&'static str>) -> Self {
        Self::refusing(refusal, "")
    }

    /// One that answers so to recipients whose address contains this text; to logins if it is `AUTH`.
    pub(crate) fn refusing(refusal: Option<&'static str>, whom: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (addr, taken) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let all = Arc::clone(&taken);
        let logins = Arc::<AtomicUsize>::default();
        let tried = Arc::clone(&logins);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let email = converse(&stream.unwrap(), refusal, whom, &tried);
                all.lock().unwrap().extend(email);
            }
        });
        Self { addr, taken, logins }
    }

    /// Its port.
    pub(crate) fn port(&self) -> String {
        self.addr.port().to_string()
    }

    /// How often somebody tried to log in.
    pub(crate) fn logins(&self) -> usize {
        self.logins.load(Ordering::SeqCst)
    }

    /// What it took.
    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }
}

/// One conversation; the e-mail, if it came to that.
fn converse(stream: &TcpStream, refusal: Option<&str>, whom: &str, tried: &AtomicUsize) -> Option<Taken> {
    let mut lines = BufReader::new(stream).lines();
    let say = |text: &str| {
        let mut stream = stream;
        stream.write_all(format!("{text}\r\n").as_bytes())
    };
    say("220 test").ok()?;
    let (mut taken, mut is_whole) = (Taken::default(), false);
    while let Some(Ok(line)) = lines.next() {
        let answer = match line.split([' ', ':']).next().unwrap() {
            "EHLO" => "250-test\r\n250 AUTH PLAIN",
            "AUTH" => {
                tried.fetch_add(1, Ordering::SeqCst);
                let is_refused = whom == "AUTH";
                taken.auth = line;
                refusal.filter(|_| is_refused).unwrap_or("235 in")
            }
            "MAIL" | "RCPT" => {
                let is_refused = line.starts_with("RCPT") && line.contains(whom);
                taken.envelope.push(line);
                refusal.filter(|_| is_refused).unwrap_or("250 yes")
            }
            "DATA" => {
                say("354 go on").ok()?;
                while let Some(Ok(line)) = lines.next() {
                    if line == "." {
                        is_whole = true;
                        break;
                    }
                    taken.text += &(line + "\n");
                }
                "250 taken"
            }
            "QUIT" => "221 bye",
            _ => "502 what?",
        };
        if say(answer).is_err() || answer.starts_with("221") {
            break;
        }
    }
    is_whole.then_some(taken)
}
