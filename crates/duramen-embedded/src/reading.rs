//! Reads, in a thread of their own: whoever asks does not wait for a disk.

use duramen_core::checkpoint::TimerWindow;
use duramen_core::ids::{InstanceId, PartitionId, Slot};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a query waits for the settle that it asked for.
const QUERY_PATIENCE: Duration = Duration::from_secs(1);

/// Something to be read.
#[derive(Debug)]
pub(crate) enum Read {
    /// An instance.
    Load(PartitionId, InstanceId),
    /// A stretch of timers.
    Timers(PartitionId, Vec<Slot>, TimerWindow),
    /// The queries whose settle has come, or also those that have waited long enough for it.
    Queries { late: bool },
}

#[derive(Default)]
pub(crate) struct Reading {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    reads: VecDeque<Read>,
    /// When the first query that waits has waited long enough.
    late_at: Option<Instant>,
    closing: bool,
}

impl Reading {
    pub(crate) fn put(&self, read: Read) {
        self.state().reads.push_back(read);
        self.wake.notify_one();
    }

    /// A query waits for a settle.
    pub(crate) fn await_settle(&self) {
        self.state().late_at.get_or_insert_with(|| Instant::now() + QUERY_PATIENCE);
        self.wake.notify_one();
    }

    pub(crate) fn close(&self) {
        self.state().closing = true;
        self.wake.notify_one();
    }

    /// Waits for something to read; `None` when the store is closing.
    pub(crate) fn next(&self) -> Option<Read> {
        let mut state = self.state();
        loop {
            if state.closing {
                return None;
            }
            if let Some(read) = state.reads.pop_front() {
                return Some(read);
            }
            let Some(at) = state.late_at else {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.late_at = None;
                return Some(Read::Queries { late: true });
            }
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
