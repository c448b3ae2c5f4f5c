//! Other processes of a run, which end with it.

use duramen::prelude::*;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a process may take until it does what it is there for.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A process, killed when this is dropped.
pub(super) struct Process {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    named: String,
}

impl Process {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let named = format!("{command:?}");
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| Error::msg(format!("failed to start {named}: {error}")))?;
        let stdout = child.stdout.take().expect("it is piped");
        Ok(Self { child, lines: BufReader::new(stdout).lines(), named })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it says with this in front, without it.
    pub(super) fn line_after(&mut self, start: &str) -> Result<String> {
        for line in self.lines.by_ref() {
            if let Some(rest) = line?.trim().strip_prefix(start) {
                return Ok(rest.trim().to_owned());
            }
        }
        Err(Error::msg(format!("{} ended without saying {start:?}", self.named)))
    }

    /// Waits until somebody answers on a port of this machine.
    pub(super) fn until_it_listens(&mut self, port: u16) -> Result<()> {
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if begun.elapsed() > START_LIMIT || self.child.try_wait()?.is_some() {
                return Err(Error::msg(format!("{} does not listen on port {port}", self.named)));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended needs neither.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on now.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Runs a command to its end; what it says is shown only when it fails.
pub(super) fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| Error::msg(format!("failed to start {command:?}: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::msg(format!("{command:?}: {}\n{said}", output.status)))
}
