//! The worker's connection, and whether work comes over it.

use crate::remote::{Backoff, Calls, Remote};
use crate::worker::lock;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::watch;

/// How long a worker waits for its server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For an answer to a call that opens the stream.
    pub(super) opening: Duration,
    /// For anything on the stream. A server says that it is there every half minute.
    pub(super) silence: Duration,
    /// The pauses between tries: anything up to the first bound, which doubles up to the second.
    pub(super) pauses: (Duration, Duration),
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            opening: Duration::from_secs(30),
            silence: Duration::from_secs(120),
            pauses: (Duration::from_secs(1), Duration::from_secs(30)),
        }
    }
}

/// The connection of a worker.
pub(super) struct Line {
    remote: Remote,
    /// What the worker calls itself, for people who look at the server.
    name: String,
    pub(super) patience: Patience,
    calls: Mutex<Calls>,
    open: watch::Sender<bool>,
    tried: watch::Sender<bool>,
}

impl Line {
    pub(super) fn new(remote: Remote, name: String, patience: Patience) -> Self {
        let calls = Mutex::new(remote.worker_calls(&name));
        Self { remote, name, patience, calls, open: watch::Sender::new(false), tried: watch::Sender::new(false) }
    }

    pub(super) fn calls(&self) -> Calls {
        lock(&self.calls).clone()
    }

    /// The connection is not to be trusted any more: what is called from now on goes over a new one.
    pub(super) fn renew(&self) {
        *lock(&self.calls) = self.remote.worker_calls(&self.name);
    }

    pub(super) fn address(&self) -> String {
        self.remote.address()
    }

    pub(super) fn backoff(&self) -> Backoff {
        Backoff::between(self.patience.pauses.0, self.patience.pauses.1)
    }

    /// Says whether work comes, after a try to have it come.
    pub(super) fn set_open(&self, open: bool) {
        self.open.send_replace(open);
        self.tried.send_replace(true);
    }

    /// Waits until work comes: then the server is there.
    pub(super) async fn opened(&self) {
        is(&self.open).await;
    }

    /// Waits until the first try has ended.
    pub(super) async fn tried(&self) {
        is(&self.tried).await;
    }
}

/// Waits until it is true.
async fn is(sender: &watch::Sender<bool>) {
    if !*sender.borrow() {
        // It cannot fail: the sender is here.
        let _ = sender.subscribe().wait_for(|value| *value).await;
    }
}
