//! What an operator is shown of the dispatcher.

use super::queues::{Label, Waiting};
use super::{Dispatcher, Unroutable};
use crate::ids::InstanceId;
use crate::time::Time;
use crate::work::{Announcement, ItemBytes, WorkKind, WorkerId};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Instances that a row names of those that it counts.
const NAMED_INSTANCES: usize = 10;

/// A worker.
#[derive(Clone, Debug)]
pub struct WorkerRow {
    /// Its name within the hub.
    pub worker: WorkerId,
    /// What it announced.
    pub announced: Announcement,
    /// Whether it gets nothing more.
    pub draining: bool,
}

/// Items that wait for workers and have kind, name and version in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRow {
    /// The kind of work.
    pub kind: WorkKind,
    /// The function.
    pub name: Arc<str>,
    /// The version that it runs as.
    pub version: Option<Arc<str>>,
    /// How many there are.
    pub waiting: usize,
    /// When the oldest was offered.
    pub oldest: Time,
}

/// Items that no connected worker can take, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnroutableRow {
    /// What they are, and how many.
    pub queue: QueueRow,
    /// Why.
    pub reason: Unroutable,
    /// The instances of the oldest of them, ten at most.
    pub instances: Vec<InstanceId>,
}

impl Dispatcher {
    /// The connected workers.
    pub fn worker_rows(&self) -> Vec<WorkerRow> {
        let row = |(worker, announced, draining): (WorkerId, &Announcement, bool)| WorkerRow {
            worker,
            announced: announced.clone(),
            draining,
        };
        self.workers.iter().map(row).collect()
    }

    /// What waits, by kind, name and version.
    pub fn queue_rows(&self) -> Vec<QueueRow> {
        let mut rows: BTreeMap<_, QueueRow> = BTreeMap::new();
        for waiting in self.all_waiting() {
            let row = QueueRow::of(waiting);
            let key = (row.kind, row.name.clone(), row.version.clone());
            rows.entry(key).and_modify(|known| known.add(waiting)).or_insert(row);
        }
        rows.into_values().collect()
    }

    /// What waits and can be taken by no connected worker. What is too large has a row for each item: sizes
    /// differ.
    pub fn unroutable_rows(&self) -> Vec<UnroutableRow> {
        let mut reasons: BTreeMap<_, Option<Unroutable>> = BTreeMap::new();
        let mut rows: BTreeMap<_, UnroutableRow> = BTreeMap::new();
        let mut large = Vec::new();
        for waiting in self.all_waiting() {
            let offer = &waiting.offer;
            let kind = offer.item.kind();
            let key = (kind, offer.name.clone(), offer.version.clone());
            let of_name = || self.workers.obstacle(kind, &Label::of(offer), ItemBytes::default());
            let mut reason = *reasons.entry(key.clone()).or_insert_with(of_name);
            if reason.is_none() && offer.bytes.is_known() {
                reason = self.workers.obstacle(kind, &Label::of(offer), offer.bytes);
            }
            let Some(reason) = reason else { continue };
            let row = || UnroutableRow {
                queue: QueueRow::of(waiting),
                reason,
                instances: [offer.item.instance().clone()].into(),
            };
            match reason {
                Unroutable::TooLarge { .. } => large.push(row()),
                Unroutable::NoWorker | Unroutable::NoneForName | Unroutable::NoneForVersion => {
                    rows.entry(key).and_modify(|known| known.add(waiting)).or_insert_with(row);
                }
            }
        }
        rows.into_values().chain(large).collect()
    }

    fn all_waiting(&self) -> impl Iterator<Item = &Waiting> {
        self.queues.iter().chain(self.parked.iter()).chain(&self.oversized)
    }
}

impl QueueRow {
    fn of(waiting: &Waiting) -> Self {
        let offer = &waiting.offer;
        Self {
            kind: offer.item.kind(),
            name: offer.name.clone(),
            version: offer.version.clone(),
            waiting: 1,
            oldest: waiting.since,
        }
    }

    fn add(&mut self, waiting: &Waiting) {
        self.waiting += 1;
        self.oldest = self.oldest.min(waiting.since);
    }
}

impl UnroutableRow {
    fn add(&mut self, waiting: &Waiting) {
        self.queue.add(waiting);
        if self.instances.len() < NAMED_INSTANCES {
            self.instances.push(waiting.offer.item.instance().clone());
        }
    }
}
