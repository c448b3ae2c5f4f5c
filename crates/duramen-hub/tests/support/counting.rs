//! A store in memory that counts what it is asked for.

use duramen_backend::{Backend, Events, Hurry, Memory, Query, QueryId};
use duramen_core::checkpoint::{Checkpoint, TimerWindow};
use duramen_core::ids::{Epoch, InstanceId, PartitionId, Position, Slot};
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Default)]
pub(crate) struct Counting {
    store: Memory,
    loads: AtomicUsize,
    stretches: AtomicUsize,
}

impl Counting {
    /// Loads that were asked for.
    pub(crate) fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    /// Stretches of timers that were asked for.
    pub(crate) fn stretches(&self) -> usize {
        self.stretches.load(Ordering::SeqCst)
    }
}

impl Backend for Counting {
    fn listen(&self, events: Events) {
        self.store.listen(events);
    }

    fn acquire(&self, partition: PartitionId, slots: Vec<Slot>) {
        self.store.acquire(partition, slots);
    }

    fn append(&self, partition: PartitionId, epoch: Epoch, checkpoints: Vec<Checkpoint>, hurry: Hurry) {
        self.store.append(partition, epoch, checkpoints, hurry);
    }

    fn load(&self, partition: PartitionId, id: InstanceId) {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.store.load(partition, id);
    }

    fn timers(&self, partition: PartitionId, slots: Vec<Slot>, window: TimerWindow) {
        self.stretches.fetch_add(1, Ordering::SeqCst);
        self.store.timers(partition, slots, window);
    }

    fn query(&self, query: QueryId, what: Query) {
        self.store.query(query, what);
    }

    fn settle(&self, position: Position) {
        self.store.settle(position);
    }

    fn close(&self) {
        self.store.close();
    }
}
