//! The thread that settles, and the one that reads.

use crate::commit::Committer;
use crate::pace::{Order, Outcome};
use crate::reading::{Read, Reading};
use crate::rows::FILE;
use duramen_backend::Event;
use duramen_backend::rows::{Haste, Rows, RowsError, Thrift, Tidied};
use duramen_backend::settler::Settled;
use duramen_core::time::Time;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// What the two threads know of each other.
#[derive(Default)]
pub(crate) struct Settles {
    pub(crate) reading: Reading,
    pub(crate) count: AtomicU64,
    /// When the last one was done: what a query shows that could not wait for the next.
    last: Mutex<Time>,
}

impl<R: Rows> Committer<R> {
    /// The thread that settles.
    pub(crate) fn run_settling(&self) {
        loop {
            let order = self.pace.next();
            match order {
                Order::Fold => drop(self.settler.fold()),
                Order::Settle => self.settle(),
                Order::Tidy => self.tidy(),
                // What is not settled now is when the store is opened again.
                Order::Close => self.settle(),
                Order::Leave => return,
            }
            self.settler.outlet().deliver();
            if order == Order::Close || self.settler.has_failed() {
                return self.pace.ended();
            }
        }
    }

    fn settle(&self) {
        let haste = if self.pace.is_late() { Haste::FlatOut } else { Haste::Gentle };
        self.settler.rows().set_haste(haste);
        let _settle = tracing::debug_span!("settle").entered();
        match self.settler.settle() {
            Settled::Done => {
                if self.pace.is_full() {
                    tracing::info!("there is space to settle again");
                }
                self.pace.settled(Outcome::Done(self.settler.unsettled_bytes()));
                self.settles.count.fetch_add(1, Ordering::Relaxed);
                *self.settles.last.lock().unwrap_or_else(PoisonError::into_inner) = now();
                self.settles.reading.put(Read::Queries { late: false });
                self.chores.recycle();
            }
            Settled::Full(failure) => {
                if !self.pace.is_full() {
                    tracing::error!(%failure, "there is no space to settle; it is tried again, and nothing is lost");
                }
                self.fall_short();
                self.pace.settled(Outcome::Full);
            }
            Settled::Failed => {}
        }
    }

    fn tidy(&self) {
        let _tidy = tracing::debug_span!("tidy").entered();
        let thrift = if self.is_short() { Thrift::Strict } else { Thrift::Usual };
        match self.settler.rows().tidy(thrift) {
            Ok(Tidied::Done) => self.keep_back(),
            Ok(Tidied::More) => self.pace.tidied(true, false),
            Ok(Tidied::Later) => self.pace.tidied(true, true),
            Err(RowsError::Full(failure)) => {
                tracing::warn!(%failure, "there is no space to tidy the tables");
                self.pace.tidied(true, true);
            }
            Err(RowsError::Failed(failure)) => self.settler.fail(failure),
            Err(RowsError::Damage(damage)) => {
                let what = "failed to tidy the tables".to_owned();
                self.settler.fail(duramen_backend::Failure { what, reason: damage.to_string() });
            }
        }
    }

    /// Whether there is no space for anything but what gives space back.
    pub(crate) fn is_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }

    /// There was no space: lets go of what was kept back, and says so. `true` if that has made some space.
    pub(crate) fn fall_short(&self) -> bool {
        let released = self.reserve.release().unwrap_or_else(|error| {
            tracing::error!(%error, "failed to let go of the space that was kept back");
            false
        });
        if !self.short.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "the disk is full: nothing new is taken and no work is given out until there is space. Purge instances \
                 that have ended (space is kept back for that), or free space on the disk"
            );
            self.settler.outlet().put([Event::Space { short: true }]);
        }
        released
    }

    /// Keeps space back beside the tables as they are now. Where the disk was full, this finds out whether it still is.
    fn keep_back(&self) {
        if self.pace.is_full() || self.starved.load(Ordering::Relaxed) {
            // What there is belongs to the settle and to the journal first.
            return self.pace.tidied(true, true);
        }
        let tables = self.files.folder().and_then(|folder| fs::metadata(folder.root().join(FILE)).ok());
        match self.reserve.keep(tables.map_or(0, |tables| tables.len())) {
            Ok(cost) => {
                self.files.count(cost);
                self.pace.tidied(false, false);
                if self.short.swap(false, Ordering::Relaxed) {
                    tracing::info!("there is space on the disk again: everything goes on");
                    self.settler.outlet().put([Event::Space { short: false }]);
                }
            }
            Err(_) if self.is_short() => self.pace.tidied(true, true),
            Err(error) => {
                tracing::warn!(%error, "there is not enough space on the disk to keep some back for purging");
                self.pace.tidied(false, false);
            }
        }
    }

    /// The thread that reads.
    pub(crate) fn run_reading(&self) {
        while let Some(read) = self.settles.reading.next() {
            match read {
                Read::Load(partition, id) => self.settler.load(partition, id),
                Read::Timers(partition, slots, window) => self.settler.timers(partition, &slots, window),
                Read::Queries { late } => self.answer_queries(late),
            }
            self.settler.outlet().deliver();
        }
    }

    fn answer_queries(&self, late: bool) {
        for (query, what, stale) in self.settler.due_queries(late) {
            let as_of = stale.then(|| *self.settles.last.lock().unwrap_or_else(PoisonError::into_inner));
            self.settler.answer(query, &what, as_of);
        }
    }
}

/// The time of the system, for people.
fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time::new(i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
}
