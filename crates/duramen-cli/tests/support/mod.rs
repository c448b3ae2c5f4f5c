//! Starts the binary as a user does, reads what it says, and talks to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary, in a folder, with no settings of the machine that runs the test.
pub(crate) fn duramen(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

/// Runs it to its end, which has to come by itself.
pub(crate) fn output(mut command: Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let (process, (end, ends)) = (child.id(), channel());
    thread::spawn(move || end.send(child.wait_with_output()));
    let Ok(output) = ends.recv_timeout(PATIENCE) else {
        kill("KILL", process);
        panic!("it runs on: {command:?}");
    };
    output.expect("it was read to its end")
}

fn kill(signal: &str, process: u32) {
    let kill = format!("kill -{signal} {process}");
    let sent = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
    assert!(sent.success(), "{kill}");
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// A server that runs. It is killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    /// What it said when it had started.
    pub(crate) text: String,
    stderr: Receiver<String>,
}

impl Server {
    /// Starts it and waits until it says where everything is.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let (told, tells) = channel();
        thread::spawn(move || {
            let mut text = String::new();
            for line in BufReader::new(stdout).lines() {
                let line = line.expect("text");
                text = text + &line + "\n";
                if line.trim_start().starts_with("connect") {
                    let _ = told.send(std::mem::take(&mut text));
                }
            }
        });
        let (log, (says, stderr)) = (stderr, channel());
        thread::spawn(move || {
            for line in BufReader::new(log).lines() {
                let _ = says.send(line.expect("text"));
            }
        });
        let Ok(text) = tells.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            panic!("it did not start: {:?}", stderr.iter().collect::<Vec<_>>());
        };
        Self { child, text, stderr }
    }

    /// What stands behind a word in the text.
    pub(crate) fn place(&self, what: &str) -> &str {
        let line = self.text.lines().find_map(|line| line.trim_start().strip_prefix(what));
        line.unwrap_or_else(|| panic!("{what} is not in {}", self.text)).trim()
    }

    /// Asks the HTTP door.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let address = self.place("HTTP").strip_prefix("http://").expect("an address");
        let address = address.split(' ').next().expect("a word");
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        (head[9..12].parse().expect("a status"), body.to_owned())
    }

    pub(crate) fn signal(&self, name: &str) {
        kill(name, self.child.id());
    }

    /// Waits for its end; gives that, and what it logged.
    pub(crate) fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let status = self.child.wait().expect("it ends");
        (status, self.stderr.iter().collect())
    }

    /// Waits until it logs a line with this in it.
    pub(crate) fn logs(&self, what: &str) -> String {
        loop {
            let line = self.stderr.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("no {what:?}: {error}"));
            if line.contains(what) {
                return line;
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
