//! Rows in memory.
//!
//! They are laid out as they would be in a database: instances by birth, histories by run, and flat
//! ordered maps for what is open (inbox entries, tasks, timers, messages), so that starting up costs
//! what is outstanding and not what is stored. Payloads are shared `Bytes`, never copied.

mod load;
mod query;
#[cfg(test)]
mod tests;
mod write;

use crate::rows::{Changes, Rows, RowsError, Standing};
use crate::{Failure, Page, Query};
use bytes::Bytes;
use duramen_core::checkpoint::{
    CustomStatus, DueTimers, Head, Image, Outstanding, Tail, Task, TaskKey, Timer, TimerWindow,
};
use duramen_core::ids::Slot;
use duramen_core::time::Time;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rows in memory. Clones are the same rows.
#[derive(Clone, Default)]
pub struct Tables {
    contents: Arc<Mutex<Contents>>,
    /// The process that writes; those that ended before write nothing more.
    life: u64,
}

/// All rows of a store.
#[derive(Clone, Default)]
struct Contents {
    life: u64,
    standing: Option<Standing>,
    instances: HashMap<u64, Instance>,
    histories: HashMap<u64, Vec<Bytes>>,
    inbox: BTreeMap<(u64, u64), (u64, Bytes)>,
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
#[derive(Clone)]
struct Instance {
    id: Arc<str>,
    head: Head,
    input: Option<Bytes>,
    tail: Tail,
    output: Option<Bytes>,
    custom_status: Option<CustomStatus>,
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let contents = self.contents();
        f.debug_struct("Tables").field("standing", &contents.standing).finish_non_exhaustive()
    }
}

impl Tables {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same rows, from now on apart from these.
    pub(crate) fn fork(&self) -> Self {
        Self { contents: Arc::new(Mutex::new(self.contents().clone())), life: self.life }
    }

    /// The same rows, as the process of this number writes them: what one before it still does fails.
    pub(crate) fn of_life(&self, life: u64) -> Self {
        let mut contents = self.contents();
        contents.life = contents.life.max(life);
        drop(contents);
        Self { contents: self.contents.clone(), life }
    }

    /// How many rows there are of what is open: inbox entries, tasks and timers.
    pub fn open_rows(&self) -> usize {
        let contents = self.contents();
        contents.inbox.len() + contents.tasks.len() + contents.timers.len()
    }
}

impl Rows for Tables {
    fn standing(&self) -> Result<Option<Standing>, RowsError> {
        Ok(self.contents().standing)
    }

    fn write(&self, changes: &Changes) -> Result<(), RowsError> {
        let mut contents = self.contents();
        if contents.life != self.life {
            let what = "failed to write to the rows in memory".to_owned();
            return Err(RowsError::Failed(Failure { what, reason: "the process has ended".to_owned() }));
        }
        Ok(contents.apply(changes.clone())?)
    }

    fn arrived(&self, run: u64, sequence: u64) -> Result<Option<Bytes>, RowsError> {
        Ok(self.contents().inbox.get(&(run, sequence)).map(|(_, event)| event.clone()))
    }

    fn history(&self, run: u64, index: u64) -> Result<Option<Bytes>, RowsError> {
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        Ok(self.contents().histories.get(&run).and_then(|history| history.get(at).cloned()))
    }

    fn task(&self, key: TaskKey) -> Result<Option<Task>, RowsError> {
        Ok(self.contents().tasks.get(&key).cloned())
    }

    fn load(&self, id: &str) -> Result<Option<Image>, RowsError> {
        Ok(self.contents().load(id)?)
    }

    fn query(&self, query: &Query) -> Result<Page, RowsError> {
        Ok(self.contents().page(query))
    }

    fn outstanding(&self, slots: &[Slot]) -> Result<Outstanding, RowsError> {
        Ok(self.contents().outstanding(slots))
    }

    fn timers(&self, slots: &[Slot], window: TimerWindow) -> Result<DueTimers, RowsError> {
        Ok(self.contents().due_timers(slots, window))
    }
}
