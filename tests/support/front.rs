//! A server before the sandbox that changes its answers: what the sandbox itself never says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// An answer's status and body.
pub(crate) type Said = (u16, String);

/// Changes the answer to a call of this endpoint, which is the so manieth of all, from 1.
pub(crate) trait Change: Fn(&str, usize, Said) -> Said + Send + Sync + 'static {}
impl<F: Fn(&str, usize, Said) -> Said + Send + Sync + 'static> Change for F {}

/// Starts one; returns its base URL. It lives as long as the tests.
pub(crate) fn before(upstream: &str, change: impl Change) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (upstream, change) = (upstream.trim_start_matches("http://").to_owned(), Arc::new(change));
    std::thread::spawn(move || {
        for (number, stream) in (1..).zip(listener.incoming()) {
            let (upstream, change) = (upstream.clone(), Arc::clone(&change));
            // One connection a call. Anyone who hangs up has not waited for the answer.
            std::thread::spawn(move || stream.and_then(|stream| one(stream, &upstream, number, &*change)));
        }
    });
    url
}

/// The first line and the headers of a message, and its body.
fn message(stream: &TcpStream) -> std::io::Result<(Vec<String>, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        head.push(line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((head, body))
}

fn one(mut client: TcpStream, upstream: &str, number: usize, change: &impl Change) -> std::io::Result<()> {
    let (head, body) = message(&client)?;
    let mut sandbox = TcpStream::connect(upstream)?;
    write!(sandbox, "{}\r\nConnection: close\r\n\r\n", head.join("\r\n"))?;
    sandbox.write_all(&body)?;
    let (answer, body) = message(&sandbox)?;
    let endpoint = head[0].split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
    let status = answer[0].split(' ').nth(1).unwrap().parse().unwrap();
    let (status, body) = change(&endpoint, number, (status, String::from_utf8(body).unwrap()));
    let length = body.len();
    write!(
        client,
        "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
