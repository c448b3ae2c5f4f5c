//! What an operator asks of the loop, and what the loop tells one in the log.

use super::Driver;
use crate::hub::Shared;
use crate::inbox::Look;
use crate::operator::{ConnectedWorker, InFlight};
use duramen_core::dispatch::WorkerRow;
use duramen_core::partition::{Counted, Input};
use duramen_core::work::WorkerId;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

impl Driver {
    pub(super) fn look(&self, look: Look) {
        // Whoever has gone meanwhile needs no answer.
        match look {
            Look::Workers(show) => drop(show.send(self.connected_workers())),
            Look::Queues(show) => drop(show.send(self.dispatcher.queue_rows())),
            Look::Unroutable(show) => drop(show.send(self.dispatcher.unroutable_rows())),
        }
    }

    fn connected_workers(&self) -> Vec<ConnectedWorker> {
        let mut all: BTreeMap<WorkerId, Vec<InFlight>> = BTreeMap::new();
        for item in self.slices.iter().flat_map(|slice| slice.partition.in_flight()) {
            let (instance, key) = (item.item.instance().clone(), item.item.key());
            all.entry(item.worker).or_default().push(InFlight { instance, key, since: item.since });
        }
        let row = |WorkerRow { worker, announced, draining }| {
            let (since, given_back) = self.workers.record(worker)?;
            let in_flight = all.remove(&worker).unwrap_or_default();
            Some(ConnectedWorker { worker, announced, since, draining, given_back, in_flight })
        };
        self.dispatcher.worker_rows().into_iter().filter_map(row).collect()
    }

    pub(super) fn drain_worker(&mut self, worker: WorkerId, told: Option<oneshot::Sender<bool>>) {
        let known = self.dispatcher.drain(worker);
        self.workers.drain(worker);
        if let Some(told) = told {
            let _ = told.send(known);
        }
    }

    /// Lets go the workers that are drained.
    pub(super) fn let_drained_go(&mut self, shared: &Shared) {
        for worker in self.workers.drained() {
            tracing::info!(worker = worker.0, "a worker is drained");
            self.workers.tell_drained(worker);
            self.worker_gone(shared, worker);
        }
    }

    pub(super) fn worker_gone(&mut self, shared: &Shared, worker: WorkerId) {
        if let Some(departure) = self.workers.left(worker) {
            self.dispatcher.leave(worker, self.now);
            for at in 0..self.slices.len() {
                self.handle(shared, at, Input::WorkerGone(worker, departure));
            }
        }
    }

    /// What was found to be too large for all workers is named, and failed if the hub is set so.
    pub(super) fn see_to_oversized(&mut self, shared: &Shared) {
        for found in self.dispatcher.take_oversized() {
            let (instance, function) = (found.item.instance().as_str(), &*found.name);
            let (bytes, limit) = (found.bytes, found.limit);
            tracing::warn!(
                instance,
                function,
                bytes,
                limit,
                "a work item is too large for every connected worker that runs its function"
            );
            if shared.options.settings.fail_oversized {
                self.dispatcher.forget_oversized(&found.item);
                self.handle(shared, found.partition.0 as usize, Input::Oversized(found.item, bytes, limit));
            }
        }
    }
}

/// Says that a dispatch counts against an item.
pub(super) fn log(counted: &Counted) {
    let Counted { instance, key, name, loss, count, held } = counted;
    let (instance, function, item) = (instance.as_str(), &**name, key.to_string());
    let (worker, cause) = (loss.worker.as_str(), loss.cause());
    if *held {
        tracing::error!(
            instance,
            function,
            item,
            worker,
            ?cause,
            count,
            "no worker survives a work item: it is held until an operator has it tried again or fails it"
        );
    } else {
        tracing::warn!(instance, function, item, worker, ?cause, count, "a work item was lost with its worker");
    }
}
