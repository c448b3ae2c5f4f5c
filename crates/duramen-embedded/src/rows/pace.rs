//! How hard a settle works.
//!
//! The tables are on the disk of the journal, and a settle that works flat out makes every sync of
//! the journal wait. So it rests between pieces of work, unless memory runs short.

use duramen_backend::rows::Haste;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Rows after which the clock is looked at.
const ROWS: u32 = 4;

/// How long it works before it rests, and how long it rests.
const WORK: Duration = Duration::from_millis(1);
const REST: Duration = Duration::from_millis(1);

/// The haste that is in force.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    gentle: AtomicBool,
}

impl Pacing {
    pub(super) fn set(&self, haste: Haste) {
        let gentle = match haste {
            Haste::Gentle => true,
            Haste::FlatOut => false,
        };
        self.gentle.store(gentle, Ordering::Relaxed);
    }

    /// Begins a stretch of work.
    pub(super) fn begin(&self) -> Pacer<'_> {
        Pacer { pacing: self, begun: Instant::now(), rows: 0 }
    }
}

/// One settle's work.
pub(super) struct Pacer<'a> {
    pacing: &'a Pacing,
    begun: Instant,
    rows: u32,
}

impl Pacer<'_> {
    /// A row is done: rests if it is time to.
    pub(super) fn row(&mut self) {
        self.rows += 1;
        if !self.rows.is_multiple_of(ROWS) || !self.pacing.gentle.load(Ordering::Relaxed) {
            return;
        }
        if self.begun.elapsed() >= WORK {
            std::thread::sleep(REST);
            self.begun = Instant::now();
        }
    }
}
