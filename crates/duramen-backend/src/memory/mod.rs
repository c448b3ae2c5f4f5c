//! The backend over a simulated disk: for tests, for the simulator, and for hubs whose work need not
//! outlive them.
//!
//! It is the embedded store without threads: the same journal, the same rules of opening, the same
//! tables. By default every call is answered at once, in the calling thread. In steps, appends wait
//! until somebody calls [`Memory::step`], which does one write or one sync.

#[cfg(test)]
mod lives;
#[cfg(test)]
mod tests;

use crate::disk::Disk;
use crate::journal::{Frame, Io, Journal, SegmentSizes, is_unfinished, segment_number};
use crate::recovery::{Recovery, RecoveryError};
use crate::settler::{Settled, Settler};
use crate::submission::{Queue, Submitted, fill};
use crate::tables::Tables;
use crate::{Backend, Events, Failure, Hurry, Query, QueryId};
use duramen_core::checkpoint::{Checkpoint, TimerWindow};
use duramen_core::ids::{Epoch, InstanceId, PartitionId, Position, Slot, StoreId};
use duramen_core::planted::{self, Bug};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How a store in memory is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryOptions {
    /// The number of a store that is made.
    pub store: StoreId,
    /// How large segments are.
    pub sizes: SegmentSizes,
    /// Whether appends wait for [`Memory::step`].
    pub in_steps: bool,
    /// Whether settling waits for [`Memory::settle_now`], or for somebody who asks for it.
    pub settles_late: bool,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        // Small segments: a hub in a test should not cost 64 MiB.
        Self {
            store: StoreId(1),
            sizes: SegmentSizes { first: 1 << 18, next: 1 << 20 },
            in_steps: false,
            settles_late: false,
        }
    }
}

/// A store on a simulated disk.
pub struct Memory {
    options: MemoryOptions,
    disk: Disk,
    settler: Settler<Tables>,
    state: Mutex<State>,
}

/// Why a simulated disk is not opened.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// What is on it cannot be read.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The disk did not do what it was told.
    #[error("failed to open the simulated disk: {0}")]
    Disk(#[from] io::Error),
}

struct State {
    queue: Queue,
    journal: Journal,
    frame: Frame,
    /// A batch that is written and not synced: the operations left, its answers, its position.
    written: Option<(Io, Vec<Submitted>, Position)>,
    closed: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// An empty store on a disk of its own, which answers at once.
    pub fn new() -> Self {
        match Self::open(Disk::new(), MemoryOptions::default()) {
            Ok(memory) => memory,
            Err(error) => unreachable!("an empty disk without faults cannot fail: {error}"),
        }
    }

    /// The store on this disk, as it is after whatever happened to it.
    pub fn open(disk: Disk, options: MemoryOptions) -> Result<Self, MemoryError> {
        let mut recovery = Recovery::new(disk.tables(), options.sizes)?;
        for file in disk.list() {
            if is_unfinished(&file) {
                disk.perform(&Io::Remove { file })?;
            } else if segment_number(&file).is_some() {
                recovery.segment(&file, disk.read(&file)?)?;
            }
        }
        let recovered = recovery.finish(|| Journal::create(options.store, options.sizes))?;
        let believed = planted::has(Bug::UnsyncedTailBelieved) && !disk.list().is_empty();
        let performed = |io: &&Io| !believed || !matches!(io, Io::Write { .. } | Io::Sync { .. });
        recovered.io.iter().filter(performed).try_for_each(|io| disk.perform(io))?;
        let memory = Self {
            options,
            disk,
            settler: recovered.settler,
            state: Mutex::new(State {
                queue: Queue::new(recovered.leases),
                journal: recovered.journal,
                frame: Frame::default(),
                written: None,
                closed: false,
            }),
        };
        memory.settle_locked(&mut memory.state());
        Ok(memory)
    }

    /// The disk that the store is on.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Writes the next batch, or syncs the one that is written and answers for it. Says whether
    /// there was anything to do.
    pub fn step(&self) -> bool {
        let mut state = self.state();
        let stepped = self.step_locked(&mut state);
        drop(state);
        self.settler.outlet().deliver();
        stepped
    }

    /// Writes the empty batch that follows a time of quiet, of which a store without a clock knows
    /// nothing.
    #[cfg(test)]
    fn mark_unsynced(&self) {
        let mut state = self.state();
        if state.written.is_none() && !state.journal.is_marked() && !self.settler.has_failed() {
            let _ = state.journal.mark(false).iter().try_for_each(|io| self.disk.perform(io));
        }
    }

    /// Settles everything that is durable.
    pub fn settle_now(&self) {
        self.settle_locked(&mut self.state());
        self.settler.outlet().deliver();
    }

    /// How many rows the tables have of what is open, with everything settled: inbox entries, tasks
    /// and timers.
    pub fn open_rows(&self) -> usize {
        self.settle_now();
        self.settler.rows().open_rows()
    }

    /// Settles, and takes segments back into use that are not needed any more.
    fn settle_locked(&self, state: &mut State) {
        let Settled::Done = self.settler.settle() else { return };
        self.recycle(state, self.settler.settled());
        for (query, what, _) in self.settler.due_queries(false) {
            self.settler.answer(query, &what, None);
        }
    }

    /// Takes segments back into use that hold nothing behind a position.
    fn recycle(&self, state: &mut State, settled: Position) {
        while state.written.is_none()
            && !self.settler.has_failed()
            && let Some(recycling) = state.journal.recycle(settled)
        {
            match recycling.io.iter().try_for_each(|io| self.disk.perform(io)) {
                Ok(()) => state.journal.recycled(recycling),
                Err(error) => self.settler.fail(failure("recycle a segment", &error)),
            }
        }
    }

    /// Settles if that is what is wanted now.
    fn settle_if_due(&self, state: &mut State) {
        if !self.options.settles_late || self.settler.is_asked_for() {
            self.settle_locked(state);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step_locked(&self, state: &mut State) -> bool {
        if self.settler.has_failed() {
            return false;
        }
        if let Some((sync, batch, position)) = state.written.take() {
            if let Err(error) = self.disk.perform(&sync) {
                self.settler.fail(failure("sync the journal", &error));
                return true;
            }
            state.journal.synced();
            self.settler.committed(batch, position);
            if planted::has(Bug::SegmentStillNeeded) {
                self.recycle(state, position);
            }
            self.settle_if_due(state);
            return true;
        }
        let mut waiting = state.queue.take();
        let batch = fill(&mut waiting, &mut state.frame);
        state.queue.put_back(waiting);
        if batch.is_empty() {
            return false;
        }
        if state.frame.is_empty() {
            // Nothing but refusals: there is nothing to write.
            self.settler.committed(batch, state.journal.end());
            return true;
        }
        let (mut io, position) = state.journal.batch(&mut state.frame);
        let Some(sync) = io.pop() else { unreachable!("a batch ends with its sync") };
        match io.iter().try_for_each(|io| self.disk.perform(io)) {
            Ok(()) => state.written = Some((sync, batch, position)),
            Err(error) => self.settler.fail(failure("write to the journal", &error)),
        }
        true
    }

    fn submit(&self, submit: impl FnOnce(&mut Queue) -> Result<(), Failure>) {
        let mut state = self.state();
        if state.closed || self.settler.has_failed() {
            return;
        }
        if let Err(failure) = submit(&mut state.queue) {
            self.settler.fail(failure);
        }
        if !self.options.in_steps {
            while self.step_locked(&mut state) {}
        }
        drop(state);
        self.settler.outlet().deliver();
    }

    fn read(&self, read: impl FnOnce(&Settler<Tables>)) {
        let mut state = self.state();
        if !state.closed {
            read(&self.settler);
            self.settle_if_due(&mut state);
            drop(state);
            self.settler.outlet().deliver();
        }
    }
}

fn failure(what: &str, error: &io::Error) -> Failure {
    Failure { what: format!("failed to {what} on the simulated disk"), reason: error.to_string() }
}

impl Backend for Memory {
    fn listen(&self, events: Events) {
        self.settler.outlet().listen(events);
    }

    fn acquire(&self, partition: PartitionId, slots: Vec<Slot>) {
        self.submit(|queue| queue.acquire(partition, slots));
    }

    fn append(&self, partition: PartitionId, epoch: Epoch, checkpoints: Vec<Checkpoint>, _hurry: Hurry) {
        let checkpoints = checkpoints.into_iter().map(Into::into).collect();
        self.submit(|queue| {
            queue.append(partition, epoch, checkpoints);
            Ok(())
        });
    }

    fn load(&self, partition: PartitionId, id: InstanceId) {
        self.read(|settler| settler.load(partition, id));
    }

    fn timers(&self, partition: PartitionId, slots: Vec<Slot>, window: TimerWindow) {
        self.read(|settler| settler.timers(partition, &slots, window));
    }

    fn query(&self, query: QueryId, what: Query) {
        self.read(|settler| {
            settler.query(query, what);
        });
    }

    fn settle(&self, position: Position) {
        self.read(|settler| {
            settler.settle_to(position);
        });
    }

    fn close(&self) {
        let mut state = self.state();
        if state.closed || self.settler.has_failed() {
            return;
        }
        while self.step_locked(&mut state) {}
        if !self.settler.has_failed() && !state.journal.is_marked() {
            // Nobody listens any more: a mark that fails is a mark that is not there.
            let _ = state.journal.mark(true).iter().try_for_each(|io| self.disk.perform(io));
        }
        state.closed = true;
        drop(state);
        self.settler.outlet().deliver();
    }
}
