//! Who gets which work. One dispatcher serves a hub: partitions offer references to items, workers
//! announce what they can do and how much of it, and a grant is put to the partition, which builds
//! the item or says that it is no longer open.

mod queues;
mod workers;

use crate::ids::{Birth, InstanceId, PartitionId, Run};
use crate::work::{Announcement, WorkKind, WorkerId};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use queues::Queues;
use workers::Workers;

/// Names an item of work. A reference, never a decision: the partition looks whether it is open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// The next episode of an instance.
    Episode {
        /// The instance.
        id: InstanceId,
        /// Its row.
        birth: Birth,
        /// The run that is to go on.
        run: Run,
    },
    /// An activity.
    Task {
        /// The instance that asked.
        id: InstanceId,
        /// Its row.
        birth: Birth,
        /// The task's number in it.
        number: u64,
    },
}

impl Item {
    /// What kind of work it is.
    pub fn kind(&self) -> WorkKind {
        match self {
            Self::Episode { .. } => WorkKind::Orchestrator,
            Self::Task { .. } => WorkKind::Activity,
        }
    }

    /// The instance that it belongs to.
    pub fn instance(&self) -> &InstanceId {
        match self {
            Self::Episode { id, .. } | Self::Task { id, .. } => id,
        }
    }
}

/// An item that waits for a worker.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The item.
    pub item: Item,
    /// The function that is to run.
    pub name: Arc<str>,
    /// Its version, or that of the orchestration for an activity without one.
    pub version: Option<Arc<str>>,
    /// The checkpoint that caused it; 0 when it is durable.
    pub after: u64,
    /// The worker that holds the session.
    pub prefer: Option<WorkerId>,
}

/// An item that goes to a worker.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The item.
    pub item: Item,
    /// The worker.
    pub worker: WorkerId,
    /// Whether the worker lives in the hub's process.
    pub in_process: bool,
}

/// Matches offers with workers.
#[derive(Debug, Default)]
pub struct Dispatcher {
    queues: Queues,
    workers: Workers,
    committed: BTreeMap<PartitionId, u64>,
}

impl Dispatcher {
    /// One without workers and work.
    pub fn new() -> Self {
        Self::default()
    }

    /// A worker has come.
    pub fn join(&mut self, worker: WorkerId, announcement: Announcement) {
        self.workers.join(worker, announcement);
    }

    /// A worker is gone. What it had is offered again by the partitions.
    pub fn leave(&mut self, worker: WorkerId) {
        self.workers.leave(worker);
    }

    /// An item waits.
    pub fn offer(&mut self, partition: PartitionId, offer: Offer) {
        self.queues.push(partition, offer);
    }

    /// A worker has room for one more item of a kind.
    pub fn freed(&mut self, worker: WorkerId, kind: WorkKind) {
        self.workers.freed(worker, kind);
    }

    /// A partition's checkpoints are durable up to and with `number`.
    pub fn committed(&mut self, partition: PartitionId, number: u64) {
        self.committed.insert(partition, number);
    }

    /// Items that wait, by kind.
    pub fn waiting(&self, kind: WorkKind) -> usize {
        self.queues.waiting(kind)
    }

    /// Room for further items over all workers: of orchestrators, and of activities.
    pub fn room(&self) -> (usize, usize) {
        (self.workers.room(WorkKind::Orchestrator), self.workers.room(WorkKind::Activity))
    }

    /// Gives out what can be given out: oldest first, and never more than a worker has room for.
    pub fn grants(&mut self, out: &mut Vec<(PartitionId, Grant)>) {
        for kind in [WorkKind::Orchestrator, WorkKind::Activity] {
            self.grants_of(kind, out);
        }
    }

    fn grants_of(&mut self, kind: WorkKind, out: &mut Vec<(PartitionId, Grant)>) {
        // Where to look on: queues before it have a head that nobody can take now.
        let mut from = 0;
        while self.workers.room(kind) > 0 {
            let Some((place, queue, head)) = self.queues.head_from(kind, from) else { return };
            let durable = head.offer.after <= self.committed.get(&head.partition).copied().unwrap_or(0);
            match self.workers.choose(kind, queue, head.offer.prefer, durable) {
                Some((worker, in_process)) => {
                    let waiting = self.queues.pop(kind, place);
                    self.workers.take(worker, kind);
                    out.push((waiting.partition, Grant { item: waiting.offer.item, worker, in_process }));
                }
                None => from = place + 1,
            }
        }
    }
}

#[cfg(test)]
mod tests;
