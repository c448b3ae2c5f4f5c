//! The connected workers, and work that is about to leave.

use crate::attachment::WorkerLink;
use duramen_core::ids::Run;
use duramen_core::partition::Departure;
use duramen_core::time::Time;
use duramen_core::work::{WorkItem, WorkerId};
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Workers {
    connected: BTreeMap<WorkerId, Worker>,
}

struct Worker {
    link: Box<dyn WorkerLink>,
    items: Vec<WorkItem>,
    /// Items that it was granted and has not answered.
    busy: usize,
    in_process: bool,
    draining: bool,
    since: Time,
    given_back: u64,
}

impl Workers {
    pub(super) fn joined(&mut self, id: WorkerId, link: Box<dyn WorkerLink>, in_process: bool, since: Time) {
        let worker = Worker { link, items: Vec::new(), busy: 0, in_process, draining: false, since, given_back: 0 };
        self.connected.insert(id, worker);
    }

    /// How it went, if it had been there. One of this process is stopped by the program that it is part of.
    pub(super) fn left(&mut self, id: WorkerId) -> Option<Departure> {
        let worker = self.connected.remove(&id)?;
        Some(if worker.in_process || worker.draining { Departure::Left } else { Departure::Lost })
    }

    /// It is to be given nothing more.
    pub(super) fn drain(&mut self, id: WorkerId) {
        if let Some(worker) = self.connected.get_mut(&id) {
            worker.draining = true;
        }
    }

    /// Workers that are being drained and have nothing left.
    pub(super) fn drained(&self) -> Vec<WorkerId> {
        let done = self.connected.iter().filter(|(_, worker)| worker.draining && worker.busy == 0);
        done.map(|(id, _)| *id).collect()
    }

    /// Tells a worker that it is drained.
    pub(super) fn tell_drained(&self, id: WorkerId) {
        if let Some(worker) = self.connected.get(&id) {
            worker.link.drained();
        }
    }

    /// It has given an item back.
    pub(super) fn gave_back(&mut self, id: WorkerId) {
        if let Some(worker) = self.connected.get_mut(&id) {
            worker.given_back += 1;
        }
    }

    /// When a worker came, and how many items it has given back.
    pub(super) fn record(&self, id: WorkerId) -> Option<(Time, u64)> {
        self.connected.get(&id).map(|worker| (worker.since, worker.given_back))
    }

    /// An item will go to it.
    pub(super) fn granted(&mut self, id: WorkerId) {
        if let Some(worker) = self.connected.get_mut(&id) {
            worker.busy += 1;
        }
    }

    /// It has room for one more.
    pub(super) fn freed(&mut self, id: WorkerId) {
        if let Some(worker) = self.connected.get_mut(&id) {
            worker.busy = worker.busy.saturating_sub(1);
        }
    }

    /// Whether an answer is to be expected.
    pub(super) fn are_busy(&self) -> bool {
        self.connected.values().any(|worker| worker.busy > 0)
    }

    /// Puts an item with those that leave at the end of the turn. A worker that has gone was granted
    /// nothing after the partitions heard of it, so there is nobody to lose an item.
    pub(super) fn give(&mut self, id: WorkerId, item: WorkItem) {
        if let Some(worker) = self.connected.get_mut(&id) {
            worker.items.push(item);
        }
    }

    /// Ends a session, behind the items that were given before.
    pub(super) fn end_session(&mut self, id: WorkerId, run: Run) {
        if let Some(worker) = self.connected.get_mut(&id) {
            worker.release();
            worker.link.end_session(run);
        }
    }

    /// Sends each worker what has gathered for it.
    pub(super) fn release(&mut self) {
        self.connected.values_mut().for_each(Worker::release);
    }

    /// Tells everyone that the hub has stopped.
    pub(super) fn stopped(&mut self, reason: &str) {
        for worker in std::mem::take(&mut self.connected).into_values() {
            worker.link.closed(reason);
        }
    }
}

impl Worker {
    fn release(&mut self) {
        if !self.items.is_empty() {
            self.link.deliver(std::mem::take(&mut self.items));
        }
    }
}
