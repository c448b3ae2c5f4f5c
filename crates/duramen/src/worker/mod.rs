//! What runs the functions of an [`App`]: it takes work items and gives answers.
//!
//! ```text
//!  hub ─► Link::deliver ─┬─► a lane ─► session ─► episode ─┐
//!                        │   (plain threads)               ├─► Outbox ─► hub
//!                        └─► runtime ─► activity ──────────┘
//! ```
//!
//! Orchestrators run on plain threads, outside of any async runtime. A thread keeps the *sessions* of
//! the instances that it runs, so that an episode costs no replay. What never comes back is reported,
//! written off with its thread, and replaced.

mod activities;
#[cfg(any(feature = "embedded", feature = "testing"))]
mod attached;
pub(crate) mod author;
mod lane;
mod link;
mod options;
mod outbox;
pub(crate) mod panics;
mod pool;
mod sessions;
mod twice;
mod watch;

pub use link::Link;
pub use options::WorkerOptions;

use crate::{App, Error};
use duramen_core::work::{Announcement, Answer};
use pool::Pool;
use std::fmt;
use std::sync::Arc;
use tokio::runtime::Handle;

/// A worker that runs. Dropping it stops it without waiting for what it has in hand.
pub struct Worker {
    pool: Arc<Pool>,
}

impl Worker {
    /// Starts the threads. The worker has nothing to do until it is attached to a hub: give the hub
    /// [`link`](Self::link) and [`announcement`](Self::announcement), then the worker what the hub
    /// gave by [`attach`](Self::attach).
    pub fn start(app: App, options: WorkerOptions, runtime: Handle) -> Self {
        panics::install();
        let pool = Pool::start(Arc::new(app), options, runtime);
        Self { pool }
    }

    /// How the hub sends to this worker.
    pub fn link(&self) -> Link {
        Link::new(Arc::clone(&self.pool))
    }

    /// What the worker announces.
    pub fn announcement(&self) -> Announcement {
        self.pool.announcement()
    }

    /// Says where answers go; those that are already there go at once. What is given is dropped when
    /// the worker stops: own the hub's attachment in it, and that detaches the worker.
    pub fn attach(&self, send: impl Fn(Vec<Answer>) + Send + Sync + 'static) {
        self.pool.outbox.attach(Box::new(send), None);
    }

    /// Takes no more work, waits for what is in hand, at most [`WorkerOptions::drain`], and detaches.
    /// Threads that were written off are not waited for. It is an error when something is left: that
    /// is done again by the next worker.
    pub async fn shutdown(self) -> Result<(), Error> {
        match self.pool.drain().await {
            0 => Ok(()),
            left => Err(Error::msg(format!("the worker stopped with {left} items in hand; they will be done again"))),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.pool.stop();
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
