//! How hard a settle works.
//!
//! The tables are on the disk of the journal, and a settle that works flat out makes every sync of
//! the journal wait. So it rests between pieces of work, unless memory runs short.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Rows after which the clock is looked at.
const ROWS: u32 = 4;

/// Work and rest, by turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// How long it works before it rests.
    pub work: Duration,
    /// How long it rests; zero for not at all.
    pub rest: Duration,
}

/// The pace that is in force.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    work: AtomicU64,
    rest: AtomicU64,
}

impl Pacing {
    pub(super) fn set(&self, pace: Pace) {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.work.store(nanos(pace.work), Ordering::Relaxed);
        self.rest.store(nanos(pace.rest), Ordering::Relaxed);
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
        let rest = self.pacing.rest.load(Ordering::Relaxed);
        if rest == 0 || !self.rows.is_multiple_of(ROWS) {
            return;
        }
        if self.begun.elapsed() >= Duration::from_nanos(self.pacing.work.load(Ordering::Relaxed)) {
            std::thread::sleep(Duration::from_nanos(rest));
            self.begun = Instant::now();
        }
    }
}
