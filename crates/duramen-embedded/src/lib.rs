//! The default store: one folder on a local disk.
//!
//! ```text
//! append ─► queue ─► one batch at a time: encode, write, fdatasync ─► Appended
//!             │        by the writer thread, or in the caller's when nothing else waits
//!             │                                                        │
//!             └ everything that comes meanwhile is the next batch      ▼
//!                                      the settler's thread folds it into the tables ─► Settled
//! ```
//!
//! The folder holds `lock`, which one process at a time has, and `journal/`, the segments of the
//! journal. What they contain, how they are read and what is damage is decided in
//! `duramen_backend::journal`; here is only what touches files and threads. `tables.db` is the SQLite
//! file of the settled tables ([`rows`]); opening folds into it what the journal holds beyond it. `reserve` is space
//! that is kept back for the day on which the disk is full.
//!
//! The threads of a store (one writes, one settles, one reads, one makes and recycles segments) are there while
//! there is something to do, so a store that nobody uses costs none.
//!
//! [`verify`] looks whether a store is whole; [`Embedded::backup`] copies one while it works, and
//! [`restore`] makes a store of a copy.
//!
//! The crate knows nothing of hubs, partitions' logic or what a checkpoint means.

mod backup;
mod chores;
mod commit;
mod error;
pub mod export;
mod files;
mod folder;
mod pace;
mod reading;
mod reserve;
pub mod rows;
mod settle;
mod shift;
mod spread;
mod store;
#[cfg(test)]
mod tests;
mod verify;

pub use backup::{BackupError, EPOCHS_LEFT_OUT, Progress, restore};
pub use duramen_backend::journal::SegmentSizes;
pub use error::OpenError;
pub use files::Counters;
pub use pace::Settling;
pub use store::{Embedded, Options};
pub use verify::{Problem, Report, verify};
