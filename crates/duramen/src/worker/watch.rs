//! Looks for threads that never come back.

use super::outbox::lock;
use super::pool::Pool;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Set once, when the worker stops.
#[derive(Default)]
pub(super) struct Stopped {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Stopped {
    pub(super) fn set(&self) {
        *lock(&self.is_set) = true;
        self.changed.notify_all();
    }

    /// Waits, and says whether it is set.
    fn wait(&self, at_most: Duration) -> bool {
        let is_set = lock(&self.is_set);
        let waited = self.changed.wait_timeout_while(is_set, at_most, |is_set| !*is_set);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

pub(super) fn start(pool: &Arc<Pool>, stuck_after: Duration) {
    let pool = Arc::clone(pool);
    let spawned = thread::Builder::new().name("duramen-watch".to_string()).spawn(move || {
        while !pool.stopped.wait(stuck_after / 4) {
            pool.write_off_stuck(stuck_after);
        }
    });
    if let Err(error) = spawned {
        tracing::error!(%error, "failed to start the thread that looks for stuck orchestrators");
    }
}
