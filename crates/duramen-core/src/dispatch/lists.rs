//! What an operator is shown of the dispatcher.

use super::queues::{Queue, Waiting};
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
        let aside = self.aside().map(QueueRow::of);
        for row in self.queues.iter().filter_map(QueueRow::of_all).chain(aside) {
            let key = (row.kind, row.name.clone(), row.version.clone());
            rows.entry(key).and_modify(|known| known.add(&row)).or_insert(row);
        }
        rows.into_values().collect()
    }

    /// What waits and can be taken by no connected worker. What is too large has a row for each item: sizes
    /// differ.
    pub fn unroutable_rows(&self) -> Vec<UnroutableRow> {
        let mut rows: BTreeMap<_, UnroutableRow> = BTreeMap::new();
        let mut large = Vec::new();
        let obstacle = |waiting: &Waiting, bytes| self.workers.obstacle(waiting.item.kind(), &waiting.label, bytes);
        for queue in self.queues.iter() {
            let Some(head) = queue.head() else { continue };
            match (obstacle(head, ItemBytes::default()), QueueRow::of_all(queue)) {
                (Some(reason), Some(row)) => {
                    let named = queue.iter().take(NAMED_INSTANCES).map(|waiting| waiting.item.instance().clone());
                    let key = (row.kind, row.name.clone(), row.version.clone());
                    rows.insert(key, UnroutableRow { queue: row, reason, instances: named.collect() });
                }
                _ => large.extend(queue.iter().filter(|waiting| waiting.bytes().is_known())),
            }
        }
        large.extend(self.aside());
        let mut single = Vec::new();
        for waiting in large {
            let Some(reason) = obstacle(waiting, waiting.bytes()) else { continue };
            let row = UnroutableRow {
                queue: QueueRow::of(waiting),
                reason,
                instances: [waiting.item.instance().clone()].into(),
            };
            match reason {
                Unroutable::TooLarge { .. } => single.push(row),
                Unroutable::NoWorker | Unroutable::NoneForName | Unroutable::NoneForVersion => {
                    let key = (row.queue.kind, row.queue.name.clone(), row.queue.version.clone());
                    rows.entry(key).and_modify(|known| known.add(&row)).or_insert(row);
                }
            }
        }
        rows.into_values().chain(single).collect()
    }

    /// What waits beside the queues.
    fn aside(&self) -> impl Iterator<Item = &Waiting> {
        self.parked.iter().chain(&self.oversized)
    }
}

impl QueueRow {
    fn of(waiting: &Waiting) -> Self {
        Self {
            kind: waiting.item.kind(),
            name: waiting.label.name.clone(),
            version: waiting.label.version.clone(),
            waiting: 1,
            oldest: waiting.since,
        }
    }

    /// Of a queue.
    fn of_all(queue: &Queue) -> Option<Self> {
        Some(Self { waiting: queue.len(), ..Self::of(queue.head()?) })
    }

    fn add(&mut self, other: &Self) {
        self.waiting += other.waiting;
        self.oldest = self.oldest.min(other.oldest);
    }
}

impl UnroutableRow {
    fn add(&mut self, other: &Self) {
        self.queue.add(&other.queue);
        let room = NAMED_INSTANCES.saturating_sub(self.instances.len());
        self.instances.extend(other.instances.iter().take(room).cloned());
    }
}
