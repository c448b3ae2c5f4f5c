//! The endpoint on which a suite has its servers killed and started. Plain HTTP with `POST` and text, so that each
//! language reaches it with what it ships:
//!
//! - `POST /servers`: starts another server; each line of the body is one more argument, and the first may be the verb
//!   `serve` instead of `dev`. Answers `id address`.
//! - `POST /servers/ID/kill`, `/stop`, `/start`: SIGKILL; SIGTERM and wait; start again on the same ports and data.
//!   The server of the suite itself has the id 0.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::server::Servers;

pub(crate) struct Control {
    address: SocketAddr,
}

impl Control {
    /// Serves on a thread until the process ends.
    pub(crate) fn start(servers: Servers) -> Result<Self, String> {
        let failed = |error| format!("failed to open the control endpoint: {error}");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let servers = servers.clone();
                thread::spawn(move || {
                    if let Err(error) = serve(&stream, &servers) {
                        eprintln!("control endpoint: {error}");
                    }
                });
            }
        });
        Ok(Self { address })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// One request, one answer, end of the connection.
fn serve(stream: &TcpStream, servers: &Servers) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        match header.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().unwrap_or(0);
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = String::new();
    reader.take(length).read_to_string(&mut body)?;
    let (status, text) = match answer(first.split(' ').nth(1).unwrap_or_default(), &body, servers) {
        Ok(text) => ("200 OK", text),
        Err(problem) => ("500 Internal Server Error", problem),
    };
    write!(&*stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len())
}

fn answer(path: &str, body: &str, servers: &Servers) -> Result<String, String> {
    let number = |id: &str| id.parse().map_err(|_| format!("{id:?} is not the id of a server"));
    let done = |outcome: Result<(), String>| outcome.map(|()| "done".to_owned());
    match path.split('/').skip(1).collect::<Vec<_>>().as_slice() {
        ["servers"] => {
            let more: Vec<String> = body.lines().map(str::to_owned).collect();
            servers.add(&more).map(|started| format!("{} {}", started.id, started.address))
        }
        ["servers", id, "kill"] => done(servers.kill(number(id)?)),
        ["servers", id, "stop"] => done(servers.stop(number(id)?)),
        ["servers", id, "start"] => done(servers.start(number(id)?)),
        _ => Err(format!("no such path: {path}")),
    }
}
