//! The store under a bench: in this process, or in that of the server.

use crate::process;
use duramen::prelude::*;
use duramen_embedded::{Counters, Embedded};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a store has done, and what the process that it is in has used.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) syncs: u64,
    pub(crate) written_bytes: u64,
    /// How long the journal's batches took since the store was opened.
    pub(crate) batch_p999: Duration,
    pub(crate) batch_max: Duration,
    pub(crate) unsettled_bytes: u64,
    pub(crate) unsettled_bytes_max: u64,
    pub(crate) cpu: Duration,
    pub(crate) rss_mb: f64,
    pub(crate) peak_rss_mb: f64,
}

impl Figures {
    pub(crate) fn new(counters: Counters, cpu: Duration) -> Self {
        let Counters { syncs, written_bytes, unsettled_bytes, unsettled_bytes_max, batch_p999, batch_max, .. } =
            counters;
        let (rss_mb, peak_rss_mb) = (process::rss_mb(), process::peak_rss_mb());
        Self {
            syncs,
            written_bytes,
            unsettled_bytes,
            unsettled_bytes_max,
            batch_p999,
            batch_max,
            cpu,
            rss_mb,
            peak_rss_mb,
        }
    }
}

#[derive(Clone)]
pub(crate) enum Store {
    Here(Arc<Embedded>),
    There(Arc<Server>),
}

impl Store {
    pub(crate) fn figures(&self) -> Result<Figures> {
        match self {
            Self::Here(store) => Ok(Figures::new(store.counters(), process::cpu())),
            Self::There(server) => server.figures(),
        }
    }

    /// How often it has synced.
    pub(crate) fn syncs(&self) -> Result<u64> {
        match self {
            Self::Here(store) => Ok(store.counters().syncs),
            Self::There(server) => Ok(server.figures()?.syncs),
        }
    }
}

/// A process that serves a store.
pub(crate) struct Server {
    address: String,
    talk: Mutex<Talk>,
}

struct Talk {
    child: Child,
    say: Option<ChildStdin>,
    hear: BufReader<ChildStdout>,
}

impl Server {
    /// Starts one over a folder, with so many segments made ahead.
    pub(crate) fn start(folder: &Path, prepare: usize) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").arg(folder).args(["--prepare", &prepare.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let say = child.stdin.take();
        let hear = BufReader::new(child.stdout.take().ok_or_else(|| Error::msg("the server has no output"))?);
        let mut talk = Talk { child, say, hear };
        let address = talk.line()?;
        Ok(Self { address, talk: Mutex::new(talk) })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    fn figures(&self) -> Result<Figures> {
        let mut talk = self.talk.lock().unwrap_or_else(PoisonError::into_inner);
        talk.say.as_mut().ok_or_else(|| Error::msg("the server was stopped"))?.write_all(b"\n")?;
        Ok(serde_json::from_str(&talk.line()?)?)
    }

    /// Has it close its store, and waits until it has.
    pub(crate) fn stop(&self) -> Result<()> {
        let mut talk = self.talk.lock().unwrap_or_else(PoisonError::into_inner);
        drop(talk.say.take());
        let status = talk.child.wait()?;
        if status.success() { Ok(()) } else { Err(Error::msg(format!("the server ended with {status}"))) }
    }
}

impl Talk {
    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.hear.read_line(&mut line)? == 0 {
            return Err(Error::msg(format!("the server has gone: {}", self.child.wait()?)));
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Talk {
    /// Without its store being closed, if the bench has failed.
    fn drop(&mut self) {
        if self.say.take().is_some() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
