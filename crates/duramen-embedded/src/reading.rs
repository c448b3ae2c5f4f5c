//! Reads, in a thread of their own: whoever asks does not wait for a disk.

use crate::shift::{Attendance, Shift};
use duramen_core::checkpoint::TimerWindow;
use duramen_core::ids::{InstanceId, PartitionId, Slot};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
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
    pub(crate) shift: Shift,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    reads: VecDeque<Read>,
    /// When the first query that waits has waited long enough.
    late_at: Option<Instant>,
    attendance: Attendance,
}

impl Reading {
    pub(crate) fn put(&self, read: Read) {
        let mut state = self.state();
        state.reads.push_back(read);
        self.shift.call(&mut state.attendance);
    }

    /// A query waits for a settle.
    pub(crate) fn await_settle(&self) {
        let mut state = self.state();
        state.late_at.get_or_insert_with(|| Instant::now() + QUERY_PATIENCE);
        self.shift.call(&mut state.attendance);
    }

    /// Has the thread look what there is.
    pub(crate) fn begin(&self) {
        self.shift.call(&mut self.state().attendance);
    }

    pub(crate) fn close(&self) {
        self.shift.close(&mut self.state().attendance);
    }

    /// Waits for something to read; `None` when the thread is to end: the store is closing, or there was nothing to read
    /// for a while.
    pub(crate) fn next(&self) -> Option<Read> {
        let mut state = self.state();
        let mut tired = false;
        loop {
            if state.attendance.is_closing() {
                state.attendance.leave();
                return None;
            }
            if let Some(read) = state.reads.pop_front() {
                return Some(read);
            }
            let Some(at) = state.late_at else {
                if tired {
                    state.attendance.leave();
                    return None;
                }
                (state, tired) = self.shift.idle(state);
                continue;
            };
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.late_at = None;
                return Some(Read::Queries { late: true });
            }
            state = self.shift.wait(state, left);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
