//! The http_start example, spoken to over HTTP on a free port.

mod support;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Child;

/// The example, serving.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

/// What the server answered.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Server {
    /// Its orchestration rests for `pause_ms` before it greets.
    fn start(folder: &std::path::Path, pause_ms: u32) -> Self {
        let mut command = support::example("http_start", folder);
        let command = command.arg("0").env("DURAMEN_EXAMPLE_PAUSE_MS", pause_ms.to_string());
        let mut child = command.spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output is a pipe")).read_line(&mut line).expect("it says where");
        let address = line.trim().strip_prefix("listening on http://").expect("it says where").to_owned();
        Self { child, address }
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let (address, length) = (&self.address, body.len());
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// The path of a URL of this server.
    fn path<'a>(&self, url: &'a str) -> &'a str {
        url.strip_prefix(&format!("http://{}", self.address)).unwrap_or_else(|| panic!("{url} is of another server"))
    }

    /// Asks until the instance has ended.
    fn wait(&self, path: &str) -> Answer {
        loop {
            let answer = self.call("GET", path, "");
            if answer.status != 202 {
                return answer;
            }
            assert_eq!(self.path(answer.header("location").expect("202 says where")), path);
        }
    }
}

#[test]
fn a_start_says_where_to_look_and_the_result_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path(), 10);

    let started = server.call("POST", "/orchestrators/GreetLater", "\"Tokyo\"");
    assert_eq!(started.status, 202, "{}", started.body);
    let payload = started.json();
    let status_url = payload["statusQueryGetUri"].as_str().expect("a URL");
    assert_eq!(started.header("location"), Some(status_url));
    for link in ["sendEventPostUri", "terminatePostUri", "purgeHistoryDeleteUri", "suspendPostUri", "resumePostUri"] {
        assert!(payload[link].is_string(), "{link} is missing in {payload}");
    }

    let ended = server.wait(server.path(status_url));
    assert_eq!(ended.status, 200);
    let state = ended.json();
    assert_eq!(
        (&state["runtimeStatus"], &state["input"], &state["output"], &state["instanceId"]),
        (&json!("Completed"), &json!("Tokyo"), &json!("Hello Tokyo!"), &payload["id"])
    );
}

#[test]
fn the_links_of_the_payload_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path(), 3_600_000);
    let payload = server.call("POST", "/orchestrators/GreetLater", "\"Oslo\"").json();
    let link = |name: &str| server.path(payload[name].as_str().expect("a URL")).replace("{text}", "enough");

    assert_eq!(server.call("POST", &link("terminatePostUri"), "").status, 202);
    let ended = server.wait(&link("statusQueryGetUri"));
    assert_eq!(ended.json()["runtimeStatus"], "Terminated");
    assert_eq!(server.call("POST", &link("suspendPostUri"), "").status, 410);
    assert_eq!(server.call("DELETE", &link("purgeHistoryDeleteUri"), "").status, 200);
    assert_eq!(server.call("GET", &link("statusQueryGetUri"), "").status, 404);
}

#[test]
fn what_cannot_be_done_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path(), 10);
    assert_eq!(server.call("POST", "/orchestrators/GreetLater", "{").status, 400);
    assert_eq!(server.call("GET", "/instances/nobody", "").status, 404);
}
