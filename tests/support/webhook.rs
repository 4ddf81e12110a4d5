//! An incoming webhook, as Slack has them.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The secret part of its URL; nothing else looks like it.
pub(crate) const SECRET: &str = "hook-Zq7secret9xWv";

/// What a webhook does with what it gets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answers {
    /// Takes it, or not.
    Status(u16),
    /// Gives no answer.
    Never,
}

/// A webhook on this machine.
pub(crate) struct Webhook {
    addr: SocketAddr,
    got: Arc<Mutex<Vec<String>>>,
}

impl Webhook {
    /// One that answers so.
    pub(crate) fn new(answers: Answers) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (addr, got) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let all = Arc::clone(&got);
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(text) = message(&stream) else { continue };
                all.lock().unwrap().push(text);
                match answers {
                    Answers::Status(status) => {
                        let body = format!("echo {SECRET}");
                        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
                        // A program that has gone away is in its right.
                        let _ = stream.write_all((head + &body).as_bytes());
                    }
                    Answers::Never => held.push(stream),
                }
            }
        });
        Self { addr, got }
    }

    /// One that nobody listens to any more.
    pub(crate) fn dead() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self { addr: listener.local_addr().unwrap(), got: Arc::default() }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/services/T0/{SECRET}", self.addr)
    }

    /// The texts that were sent to it, every try counted.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.got.lock().unwrap().clone()
    }
}

/// The text of a request, if there is one.
fn message(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line).ok()? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).ok()?;
    Some(body["text"].as_str().unwrap().to_owned())
}
