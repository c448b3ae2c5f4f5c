//! Offered items, in a queue for each kind, name and version.

use super::Offer;
use crate::ids::PartitionId;
use crate::time::Time;
use crate::work::WorkKind;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;

/// An item that waits for a worker.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) partition: PartitionId,
    pub(super) offer: Offer,
    /// When it was offered.
    pub(super) since: Time,
}

/// What all items of a queue have in common.
#[derive(Debug)]
pub(super) struct Label {
    /// The function's name in lower case: filters compare without case.
    pub(super) name: String,
    pub(super) version: Option<Arc<str>>,
}

impl Label {
    pub(super) fn of(offer: &Offer) -> Self {
        Self { name: offer.name.to_lowercase(), version: offer.version.clone() }
    }
}

#[derive(Debug)]
struct Queue {
    label: Label,
    /// With the place of each among all offers.
    items: VecDeque<(u64, Waiting)>,
}

/// Queues above this number go when they are empty: names come from outside.
const EMPTY_QUEUES: usize = 64;

type Key = (Arc<str>, Option<Arc<str>>);

#[derive(Debug, Default)]
struct OfKind {
    queues: BTreeMap<Key, Queue>,
    /// Queues that hold something, by the place of their head.
    heads: BTreeMap<u64, Key>,
    waiting: usize,
}

#[derive(Debug, Default)]
pub(super) struct Queues {
    next: u64,
    orchestrators: OfKind,
    activities: OfKind,
}

impl Queues {
    fn of(&mut self, kind: WorkKind) -> &mut OfKind {
        match kind {
            WorkKind::Orchestrator => &mut self.orchestrators,
            WorkKind::Activity => &mut self.activities,
        }
    }

    pub(super) fn waiting(&self, kind: WorkKind) -> usize {
        match kind {
            WorkKind::Orchestrator => self.orchestrators.waiting,
            WorkKind::Activity => self.activities.waiting,
        }
    }

    /// What waits, queue by queue: the oldest first. None of them is empty.
    pub(super) fn iter(&self) -> impl Iterator<Item = impl ExactSizeIterator<Item = &Waiting> + Clone> {
        let queues = self.orchestrators.queues.values().chain(self.activities.queues.values());
        queues.filter(|queue| !queue.items.is_empty()).map(|queue| queue.items.iter().map(|(_, waiting)| waiting))
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        let place = self.next;
        self.next += 1;
        let offer = &waiting.offer;
        let of_kind = self.of(offer.item.kind());
        let key = (offer.name.clone(), offer.version.clone());
        let queue = of_kind
            .queues
            .entry(key.clone())
            .or_insert_with(|| Queue { label: Label::of(offer), items: VecDeque::new() });
        if queue.items.is_empty() {
            of_kind.heads.insert(place, key);
        }
        queue.items.push_back((place, waiting));
        of_kind.waiting += 1;
    }

    /// The oldest head at or after a place.
    pub(super) fn head_from(&mut self, kind: WorkKind, from: u64) -> Option<(u64, &Label, &Waiting)> {
        let of_kind = self.of(kind);
        let (place, key) = of_kind.heads.range(from..).next()?;
        let queue = of_kind.queues.get(key)?;
        Some((*place, &queue.label, &queue.items.front()?.1))
    }

    /// Takes the head at a place that [`Queues::head_from`] gave.
    pub(super) fn pop(&mut self, kind: WorkKind, place: u64) -> Waiting {
        let of_kind = self.of(kind);
        let key = of_kind.heads.remove(&place).expect("a head stands at its place");
        let queue = of_kind.queues.get_mut(&key).expect("a head has a queue");
        let (_, waiting) = queue.items.pop_front().expect("a queue with a head holds something");
        of_kind.waiting -= 1;
        let next = queue.items.front().map(|(place, _)| *place);
        if let Some(next) = next {
            of_kind.heads.insert(next, key);
        } else if of_kind.queues.len() > EMPTY_QUEUES {
            of_kind.queues.remove(&key);
        }
        waiting
    }
}
