//! HTTP/2 by hand: what no client library would do.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// A connection that says what it is told. It never gives the server more room to send than HTTP/2 begins with.
pub(crate) struct Raw {
    socket: TcpStream,
    next: u32,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let mut socket = TcpStream::connect(address).await.expect("it listens");
        socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("it reads");
        let mut raw = Self { socket, next: 1 };
        raw.frame(SETTINGS, 0, 0, &[]).await;
        raw.frame(SETTINGS, ACK, 0, &[]).await;
        raw
    }

    /// A connection that may have been closed takes nothing, which is as well.
    async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let _ = self.socket.write_all(&frame(kind, flags, stream, payload)).await;
    }

    /// Begins a call; gives its stream.
    pub(crate) async fn call(&mut self, rpc: &str) -> u32 {
        let stream = self.next;
        self.next += 2;
        self.frame(HEADERS, END_HEADERS, stream, &headers(rpc)).await;
        stream
    }

    /// Sends some of a message that is said to be so long.
    pub(crate) async fn begin_message(&mut self, stream: u32, length: u32, some: &[u8]) {
        let mut bytes = vec![0];
        bytes.extend(length.to_be_bytes());
        bytes.extend_from_slice(some);
        self.frame(DATA, 0, stream, &bytes).await;
    }

    /// Begins a call with a whole message, and leaves the sending side open.
    pub(crate) async fn whole(&mut self, rpc: &str, message: &[u8]) {
        let stream = self.call(rpc).await;
        let mut bytes = vec![0];
        bytes.extend((message.len() as u32).to_be_bytes());
        bytes.extend_from_slice(message);
        self.frame(DATA, 1, stream, &bytes).await;
    }

    /// Calls, and gives each up at once.
    pub(crate) async fn call_and_reset(&mut self, rpc: &str, times: usize) {
        let mut bytes = Vec::new();
        for _ in 0..times {
            bytes.extend(frame(HEADERS, END_HEADERS, self.next, &headers(rpc)));
            bytes.extend(frame(RESET, 0, self.next, &8u32.to_be_bytes()));
            self.next += 2;
        }
        let _ = self.socket.write_all(&bytes).await;
    }

    /// Headers that do not end.
    pub(crate) async fn endless_headers(&mut self, frames: usize) {
        let stream = self.next;
        self.next += 2;
        self.frame(HEADERS, 0, stream, &headers("Hello")).await;
        let mut field = Vec::new();
        literal(b"x", &[b'x'; 100], &mut field);
        let fields = field.repeat(100);
        for _ in 0..frames {
            self.frame(CONTINUATION, 0, stream, &fields).await;
        }
    }

    /// Settings and pings, each of which wants an answer.
    pub(crate) async fn settings_and_pings(&mut self, times: usize) {
        let both = [frame(SETTINGS, 0, 0, &[]), frame(PING, 0, 0, &[0; 8])].concat();
        let _ = self.socket.write_all(&both.repeat(times)).await;
    }

    /// Reads until the server closes the connection.
    pub(crate) async fn closed(&mut self) {
        let mut some = [0; 4096];
        while self.socket.read(&mut some).await.is_ok_and(|read| read > 0) {}
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Without a table and without Huffman's code. `POST` and `http` have numbers of their own.
fn headers(rpc: &str) -> Vec<u8> {
    let mut bytes = vec![0x83, 0x86];
    literal(b":path", format!("/TaskHubSidecarService/{rpc}").as_bytes(), &mut bytes);
    literal(b":authority", b"localhost", &mut bytes);
    literal(b"content-type", b"application/grpc", &mut bytes);
    literal(b"te", b"trailers", &mut bytes);
    bytes
}

fn literal(name: &[u8], value: &[u8], into: &mut Vec<u8>) {
    into.push(0);
    for text in [name, value] {
        into.push(u8::try_from(text.len()).expect("it is short"));
        into.extend_from_slice(text);
    }
}
