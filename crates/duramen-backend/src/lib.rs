//! How Duramen keeps what it must not lose.
//!
//! A [`Backend`] is one store. Calls are submitted and return at once; what comes of them arrives
//! as an [`Event`]. A backend is dumb: it writes checkpoints in order, folds their changes into rows
//! and gives rows back, and never looks into a history event.
//!
//! ```text
//! acquire, append ─► submission: fence and queue ─► journal: one batch ─► durable
//!                      (leases)                       (Io, on files           │
//!                                                      or on a disk)          ▼
//! load, timers, query ─► rows ◄─ one transaction ─ buffer ◄─ fold ─ settler: Appended, Settled
//! ```
//!
//! - [`journal`] is the truth, as pure code: it says what to write and is fed what was read.
//! - [`recovery`] goes from the bytes of a journal, and the rows beside it, to a store that can go on.
//! - [`rows`] is the settled side: what is written to it at a time, and what is read from it.
//! - [`buffer`] folds checkpoints into what is written next; [`settler`] says when, and answers.
//! - [`tables`] are rows in memory.
//! - [`submission`] and [`leases`] are what backends share before the journal.
//! - [`Memory`] puts them together over a simulated [`disk`]; `duramen-embedded` does over files.
//! - `conformance`, behind a feature, is what every backend has to pass.
//!
//! The crate knows nothing of event kinds, of instances' rules, and of real files.

pub mod buffer;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod cursor;
mod damage;
pub mod disk;
mod filter_text;
pub mod journal;
pub mod leases;
mod memory;
mod outlet;
mod query;
pub mod recovery;
pub mod rows;
pub mod settler;
pub mod submission;
pub mod tables;

pub use cursor::Cursor;
pub use damage::Damage;
pub use memory::{Memory, MemoryError, MemoryOptions};
pub use outlet::Outlet;
pub use query::{Order, Page, Query};

use duramen_core::checkpoint::{Checkpoint, DueTimers, Image, Outstanding, TimerWindow};
use duramen_core::ids::{Epoch, InstanceId, PartitionId, Position, Slot, StoreId};
use std::sync::Arc;

/// Names a query; its page carries it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueryId(pub u64);

/// Where a backend puts its events. Called from threads of the backend, or from within a submitted
/// call; it must not block and must not call the backend.
pub type Events = Arc<dyn Fn(Event) + Send + Sync>;

/// Whether the thread that appends may do the writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hurry {
    /// Nothing else waits for this thread: it may write and sync before it returns.
    Idle,
    /// Hand it over.
    Busy,
}

/// One store.
///
/// Appends of one partition are answered in order. An append with a number that does not follow the
/// one before, or with an epoch that is not the newest of its slots, is answered with
/// [`Event::Refused`] and changes nothing, and does not take those of other partitions along.
pub trait Backend: Send + Sync {
    /// Says where events go; called once, before every other call.
    fn listen(&self, events: Events);

    /// Takes the slots for a partition under a new epoch, which is durable before
    /// [`Event::Acquired`] is given, with everything that is outstanding in them.
    fn acquire(&self, partition: PartitionId, slots: Vec<Slot>);

    /// Makes checkpoints durable, in order: [`Event::Appended`] follows for each.
    fn append(&self, partition: PartitionId, epoch: Epoch, checkpoints: Vec<Checkpoint>, hurry: Hurry);

    /// Gives an instance as it is settled: [`Event::Loaded`].
    fn load(&self, partition: PartitionId, id: InstanceId);

    /// Gives a stretch of the timers in these slots, as they are settled: [`Event::Timers`].
    fn timers(&self, partition: PartitionId, slots: Vec<Slot>, window: TimerWindow);

    /// Gives a page of instances: [`Event::Queried`]. Everything that was durable when the call came
    /// is in it, unless [`Page::as_of`] says otherwise.
    fn query(&self, query: QueryId, what: Query);

    /// Asks that everything durable up to `position` be settled: [`Event::Settled`] follows, if not
    /// at once then as the backend's own pace has it.
    fn settle(&self, position: Position);

    /// Ends the store's work: what was submitted is finished, files are released. No event follows.
    fn close(&self);
}

/// What a backend has to say.
#[derive(Debug)]
pub enum Event {
    /// The slots belong to the partition.
    Acquired {
        /// Which partition asked.
        partition: PartitionId,
        /// Its epoch; checkpoints count from 1 in it.
        epoch: Epoch,
        /// The store.
        store: StoreId,
        /// What was under way.
        outstanding: Box<Outstanding>,
    },
    /// A checkpoint is durable.
    Appended {
        /// Whose.
        partition: PartitionId,
        /// Under which lease.
        epoch: Epoch,
        /// Which.
        number: u64,
        /// Where it ends in the journal.
        position: Position,
    },
    /// An append was not accepted and changed nothing: the partition has lost its lease.
    Refused {
        /// Whose.
        partition: PartitionId,
        /// Under which lease.
        epoch: Epoch,
        /// Which.
        number: u64,
        /// Why, for the log.
        reason: String,
    },
    /// What was asked for by `load`.
    Loaded {
        /// Who asked.
        partition: PartitionId,
        /// For what.
        id: InstanceId,
        /// What there is.
        image: Option<Box<Image>>,
    },
    /// What was asked for by `timers`.
    Timers {
        /// Who asked.
        partition: PartitionId,
        /// What there is.
        due: DueTimers,
    },
    /// What was asked for by `query`.
    Queried {
        /// Which query.
        query: QueryId,
        /// The rows.
        page: Page,
    },
    /// All at or below this position is in the tables. Positions only grow.
    Settled(Position),
    /// Space for what is stored has run out, or is there again. While it is short the store still takes appends;
    /// they should be such as give space back.
    Space {
        /// Whether it is short.
        short: bool,
    },
    /// The store cannot go on. No other event follows; it must be opened again.
    Failed(Failure),
}

/// Why a store stopped.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct Failure {
    /// What it was doing, and to which file.
    pub what: String,
    /// What the system said.
    pub reason: String,
}
