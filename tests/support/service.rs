//! A service over HTTP whose answers are written down.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What it got.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The path with its query.
    pub(crate) path: String,
    /// The lines of the head.
    pub(crate) head: Vec<String>,
    pub(crate) body: String,
}

/// What it says.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Lines of the head.
    pub(crate) head: &'static str,
    pub(crate) body: String,
    /// Bytes of the body that are promised and never sent.
    pub(crate) lacks: usize,
    /// Whether nothing but the end of the connection says where the body ends.
    pub(crate) is_endless: bool,
}

impl Answer {
    pub(crate) fn new(status: u16, body: &str) -> Self {
        Self { status, head: "", body: body.to_owned(), lacks: 0, is_endless: false }
    }
}

/// A service on this machine.
pub(crate) struct Service {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Service {
    /// One that gives these answers, one a request, the last of them for ever.
    pub(crate) fn new(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (addr, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let all: Arc<Mutex<Vec<Asked>>> = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read(&stream) else { continue };
                let mut all = all.lock().unwrap();
                let answer = &answers[all.len().min(answers.len() - 1)];
                all.push(request);
                let length = format!("Content-Length: {}\r\n", answer.body.len() + answer.lacks);
                let length = if answer.is_endless { "" } else { &length };
                let (status, more) = (answer.status, answer.head);
                let head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n{more}{length}\r\n");
                // A program that has gone away is in its right.
                let _ = stream.write_all((head + &answer.body).as_bytes());
            }
        });
        Self { addr, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? <= 2 {
            break;
        }
        head.push(line.trim_end().to_owned());
    }
    let path = head.first()?.split(' ').nth(1)?.to_owned();
    let length = head.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { path, head, body: String::from_utf8(body).ok()? })
}
