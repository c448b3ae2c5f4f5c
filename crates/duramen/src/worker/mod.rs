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
#[cfg(feature = "hub")]
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
#[cfg(feature = "remote")]
pub(crate) use outbox::{Outbox, lock};

#[cfg(feature = "remote")]
use crate::remote::Connected;
use crate::{App, Error};
#[cfg(feature = "remote")]
use duramen_core::work::Filters;
use duramen_core::work::{Announcement, Answer};
use pool::Pool;
use std::fmt;
use std::sync::Arc;
#[cfg(feature = "remote")]
use std::sync::OnceLock;
use tokio::runtime::Handle;

/// A worker that runs. Dropping it stops it without waiting for what it has in hand.
pub struct Worker {
    pool: Arc<Pool>,
    /// Its connection, if its hub is on a server.
    #[cfg(feature = "remote")]
    connected: OnceLock<Connected>,
}

impl Worker {
    /// Starts the threads. The worker has nothing to do until it is attached to a hub: give the hub
    /// [`link`](Self::link) and [`announcement`](Self::announcement), then the worker what the hub
    /// gave by [`attach`](Self::attach).
    pub fn start(app: App, options: WorkerOptions, runtime: Handle) -> Self {
        panics::install();
        let pool = Pool::start(Arc::new(app), options, runtime);
        Self {
            pool,
            #[cfg(feature = "remote")]
            connected: OnceLock::new(),
        }
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
        self.pool.outbox.attach(false, Box::new(send), None);
    }

    /// The same for a hub on a server. An answer is in hand until [`arrivals`](Self::arrivals) is told that it has
    /// arrived.
    #[cfg(feature = "remote")]
    pub(crate) fn attach_far(&self, connected: Connected, send: impl Fn(Vec<Answer>) + Send + Sync + 'static) {
        let first = self.connected.set(connected).is_ok();
        assert!(first, "a worker is attached once");
        self.pool.outbox.attach(true, Box::new(send), None);
    }

    /// Who is told that answers have arrived.
    #[cfg(feature = "remote")]
    pub(crate) fn arrivals(&self) -> Arc<Outbox> {
        Arc::clone(&self.pool.outbox)
    }

    /// The names of all functions, as filters.
    #[cfg(feature = "remote")]
    pub(crate) fn registered(&self) -> Filters {
        self.pool.registered()
    }

    /// Takes no more work, waits for what is in hand, at most [`WorkerOptions::drain`], and detaches.
    /// Threads that were written off are not waited for. It is an error when something is left: that
    /// is done again by the next worker.
    pub async fn shutdown(self) -> Result<(), Error> {
        let left = self.pool.drain().await;
        #[cfg(feature = "remote")]
        if let Some(connected) = self.connected.get() {
            connected.give_back().await;
        }
        self.pool.stop();
        match left {
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
