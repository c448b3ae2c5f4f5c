//! Rows in memory: what all settled checkpoints amount to.
//!
//! The rows are laid out as they would be in a database: instances by birth, histories by run, and
//! flat ordered maps for what is open (inbox entries, tasks, timers, messages), so that starting up
//! costs what is outstanding and not what is stored. Payloads are shared `Bytes`, never copied: a
//! reference to an inbox entry or a history event is resolved when it is folded.
//!
//! [`Tables`] changes only by folding; [`Settling`] holds back what is durable and not yet settled.

mod damage;
mod fold;
mod load;
mod query;
mod settling;
#[cfg(test)]
mod tests;

pub use damage::Damage;
pub use settling::Settling;

use bytes::Bytes;
use duramen_core::checkpoint::{CustomStatus, Head, Tail, Task, TaskKey, Timer};
use duramen_core::time::Time;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// All rows of a store.
#[derive(Default)]
pub struct Tables {
    instances: HashMap<u64, Instance>,
    runs: HashMap<u64, Run>,
    inbox: BTreeMap<(u64, u64), Bytes>,
    tasks: BTreeMap<TaskKey, Task>,
    timers: BTreeMap<(u64, u64), Timer>,
    outbox: BTreeMap<(u32, u32, u64), Bytes>,
    sent: BTreeMap<(u32, u32), u64>,
    received: BTreeMap<(u32, u32), u64>,
    by_id: BTreeMap<Arc<str>, u64>,
    by_created: BTreeSet<(Time, u64)>,
    by_completed: BTreeMap<(Time, Arc<str>), u64>,
    by_parent: BTreeSet<(Arc<str>, u64)>,
}

/// The row of an instance. Head and tail are kept as they came, and beside them what their texts
/// pointed to at that time.
struct Instance {
    id: Arc<str>,
    head: Head,
    input: Option<Bytes>,
    tail: Tail,
    output: Option<Bytes>,
    custom_status: Option<CustomStatus>,
    /// Runs before the current one that have not been closed; mostly none.
    elder: Vec<u64>,
}

/// A run that has not been closed.
#[derive(Default)]
struct Run {
    /// Whose it is; 0 until its head comes, which it does within the same checkpoint.
    birth: u64,
    history: Vec<Bytes>,
}

impl Tables {
    /// How many instances there are.
    pub fn len(&self) -> usize {
        self.instances.len()
    }

    /// How many rows there are of what is open: inbox entries, tasks and timers.
    pub fn open_rows(&self) -> usize {
        self.inbox.len() + self.tasks.len() + self.timers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }
}
