//! Offered items, in a queue for each kind, name and version.

use super::chunks::Chunks;
use super::{Item, Offer};
use crate::ids::PartitionId;
use crate::time::Time;
use crate::work::{ItemBytes, WorkKind, WorkerId};
use alloc::boxed::Box;
use alloc::collections::btree_map::Entry;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;

/// An item that waits for a worker. There may be a million of them: what those of a queue have in common
/// is kept once.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) label: Arc<Label>,
    pub(super) partition: PartitionId,
    /// Whether a worker of the hub before may have it, or something of its name.
    pub(super) earlier: bool,
    pub(super) item: Item,
    /// The checkpoint that caused it; 0 when it is durable.
    pub(super) after: u64,
    /// The worker that holds the session.
    pub(super) prefer: Option<WorkerId>,
    /// Its size, which few have: it did not fit somewhere.
    large: Option<Box<ItemBytes>>,
    /// When it was offered.
    pub(super) since: Time,
}

impl Waiting {
    pub(super) fn bytes(&self) -> ItemBytes {
        self.large.as_deref().copied().unwrap_or_default()
    }
}

/// What all items of a queue have in common.
#[derive(Debug)]
pub(super) struct Label {
    pub(super) name: Arc<str>,
    /// The name in lower case: filters compare without case.
    pub(super) lower: String,
    pub(super) version: Option<Arc<str>>,
}

impl Label {
    fn of((name, version): &Key) -> Self {
        Self { name: name.clone(), lower: name.to_lowercase(), version: version.clone() }
    }

    fn key(&self) -> Key {
        (self.name.clone(), self.version.clone())
    }
}

#[derive(Debug)]
pub(super) struct Queue {
    label: Arc<Label>,
    /// With the place of each among all offers.
    items: Chunks<(u64, Waiting)>,
    /// Items that nobody needs any more. Those that are here go when they have come to the front, where none of them
    /// stays; others were given out before it was known, and are forgotten when there are more of them than of items.
    withdrawn: BTreeSet<Item>,
}

impl Queue {
    fn new(label: Label) -> Self {
        Self { label: Arc::new(label), items: Chunks::default(), withdrawn: BTreeSet::new() }
    }

    /// How many there are. While some are withdrawn, all have to be looked at.
    pub(super) fn len(&self) -> usize {
        if self.withdrawn.is_empty() { self.items.len() } else { self.iter().count() }
    }

    pub(super) fn head(&self) -> Option<&Waiting> {
        self.items.front().map(|(_, waiting)| waiting)
    }

    fn place_of_head(&self) -> Option<u64> {
        self.items.front().map(|(place, _)| *place)
    }

    /// The oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        let waiting = self.items.iter().map(|(_, waiting)| waiting);
        waiting.filter(|waiting| self.withdrawn.is_empty() || !self.withdrawn.contains(&waiting.item))
    }

    fn skim(&mut self) {
        while let Some((_, head)) = self.items.front()
            && self.withdrawn.remove(&head.item)
        {
            self.items.pop_front();
        }
        if self.withdrawn.len() > self.items.len() {
            self.withdrawn.clear();
        }
    }
}

/// Queues above this number go when they are empty: names come from outside.
const EMPTY_QUEUES: usize = 64;

type Key = (Arc<str>, Option<Arc<str>>);

#[derive(Debug, Default)]
struct OfKind {
    queues: BTreeMap<Key, Queue>,
    /// Queues that hold something, by the place of their head.
    heads: BTreeMap<u64, Key>,
}

impl OfKind {
    /// Changes a queue, and with it the heads.
    fn change<T>(&mut self, key: Key, by: impl FnOnce(&mut Queue) -> T) -> T {
        let many = self.queues.len() > EMPTY_QUEUES;
        let mut entry = match self.queues.entry(key) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => {
                let queue = Queue::new(Label::of(entry.key()));
                entry.insert_entry(queue)
            }
        };
        let queue = entry.get_mut();
        let head = queue.place_of_head();
        let changed = by(queue);
        queue.skim();
        let new_head = queue.place_of_head();
        if new_head != head {
            if let Some(place) = head {
                self.heads.remove(&place);
            }
            if let Some(place) = new_head {
                self.heads.insert(place, entry.key().clone());
            }
        }
        if new_head.is_none() && many {
            entry.remove();
        }
        changed
    }
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

    /// How many wait. All queues are looked at.
    pub(super) fn waiting(&self, kind: WorkKind) -> usize {
        let of_kind = match kind {
            WorkKind::Orchestrator => &self.orchestrators,
            WorkKind::Activity => &self.activities,
        };
        of_kind.queues.values().map(Queue::len).sum()
    }

    /// What waits, queue by queue. None of them is empty.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Queue> {
        let queues = self.orchestrators.queues.values().chain(self.activities.queues.values());
        queues.filter(|queue| queue.head().is_some())
    }

    /// An item has been offered.
    pub(super) fn push(&mut self, (partition, earlier): (PartitionId, bool), offer: Offer, since: Time) {
        let Offer { item, name, version, after, prefer, bytes, follows: _ } = offer;
        let large = bytes.is_known().then(|| Box::new(bytes));
        self.enter(item.kind(), (name, version), |label| Waiting {
            label,
            partition,
            earlier,
            item,
            after,
            prefer,
            large,
            since,
        });
    }

    /// One that stood aside waits again, behind the others.
    pub(super) fn push_back(&mut self, waiting: Waiting) {
        let key = waiting.label.key();
        self.enter(waiting.item.kind(), key, |label| Waiting { label, ..waiting });
    }

    fn enter(&mut self, kind: WorkKind, key: Key, waiting: impl FnOnce(Arc<Label>) -> Waiting) {
        let place = self.next;
        self.next += 1;
        self.of(kind).change(key, |queue| {
            let waiting = waiting(queue.label.clone());
            // It is needed again.
            queue.withdrawn.remove(&waiting.item);
            queue.items.push_back((place, waiting));
        });
    }

    /// An item is needed no more.
    pub(super) fn withdraw(&mut self, item: &Item, name: &Arc<str>, version: Option<&Arc<str>>) {
        let key = (name.clone(), version.cloned());
        self.of(item.kind()).change(key, |queue| queue.withdrawn.insert(item.clone()));
    }

    /// The oldest head at or after a place.
    pub(super) fn head_from(&mut self, kind: WorkKind, from: u64) -> Option<(u64, &Waiting)> {
        let of_kind = self.of(kind);
        let (place, key) = of_kind.heads.range(from..).next()?;
        let queue = of_kind.queues.get(key)?;
        Some((*place, queue.head()?))
    }

    /// Takes the head at a place that [`Queues::head_from`] gave.
    pub(super) fn pop(&mut self, kind: WorkKind, place: u64) -> Waiting {
        let of_kind = self.of(kind);
        let key = of_kind.heads.get(&place).expect("a head stands at its place").clone();
        let (_, waiting) =
            of_kind.change(key, |queue| queue.items.pop_front()).expect("a queue with a head holds something");
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{InstanceId, Run};
    use alloc::vec;
    use alloc::vec::Vec;

    fn offer(name: Arc<str>, version: Arc<str>, number: u64) -> Offer {
        let item = Item::Task { id: InstanceId::new("i"), birth: Run(1), number, action: 0 };
        let bytes = ItemBytes::default();
        Offer { item, name, version: Some(version), after: 0, prefer: None, follows: false, bytes }
    }

    /// A million items that wait for a worker are a million of these, and the id of each instance.
    #[test]
    fn a_reference_is_small() {
        if size_of::<usize>() == 8 {
            assert_eq!(size_of::<(u64, Waiting)>(), 112);
        }
    }

    /// What is shown, and what is given out.
    #[test]
    fn what_is_withdrawn_is_counted_and_given_out_no_more() {
        let (name, version): (Arc<str>, Arc<str>) = ("A".into(), "1".into());
        let mut queues = Queues::default();
        let item = |number| offer(name.clone(), version.clone(), number).item;
        let push = |queues: &mut Queues, number| {
            queues.push((PartitionId(0), false), offer(name.clone(), version.clone(), number), Time::EPOCH);
        };
        let numbers = |queues: &Queues| -> Vec<u64> {
            let shown: Vec<u64> = queues.iter().flat_map(Queue::iter).map(|waiting| number_of(&waiting.item)).collect();
            assert_eq!(queues.iter().map(Queue::len).sum::<usize>(), shown.len());
            assert_eq!(queues.waiting(WorkKind::Activity), shown.len());
            shown
        };
        let head = |queues: &mut Queues| {
            queues.head_from(WorkKind::Activity, 0).map(|(place, waiting)| (place, number_of(&waiting.item)))
        };
        (0..6).for_each(|number| push(&mut queues, number));
        for (gone, left) in [(2, vec![0, 1, 3, 4, 5]), (0, vec![1, 3, 4, 5]), (1, vec![3, 4, 5]), (4, vec![3, 5])] {
            queues.withdraw(&item(gone), &name, Some(&version));
            assert_eq!(numbers(&queues), left);
        }
        // One that is offered again is needed again, and may be there twice.
        push(&mut queues, 4);
        assert_eq!(numbers(&queues), [3, 4, 5, 4]);
        queues.withdraw(&item(5), &name, Some(&version));
        let mut given = Vec::new();
        while let Some((place, number)) = head(&mut queues) {
            assert_eq!(number_of(&queues.pop(WorkKind::Activity, place).item), number);
            given.push(number);
        }
        assert_eq!((given, numbers(&queues)), (vec![3, 4, 4], vec![]));
        // What is not there, because it had been given out, takes nothing else along.
        queues.withdraw(&item(7), &name, Some(&version));
        queues.withdraw(&item(7), &"B".into(), None);
        push(&mut queues, 8);
        queues.withdraw(&item(9), &name, Some(&version));
        queues.withdraw(&item(10), &name, Some(&version));
        assert_eq!((numbers(&queues), head(&mut queues).map(|(_, number)| number)), (vec![8], Some(8)));
        push(&mut queues, 10);
        assert_eq!(numbers(&queues), [8, 10]);
    }

    fn number_of(item: &Item) -> u64 {
        match item {
            Item::Task { number, .. } => *number,
            Item::Episode { .. } => unreachable!("all are tasks"),
        }
    }

    #[test]
    fn the_items_of_a_queue_share_its_name_and_version() {
        let mut queues = Queues::default();
        let mut copies = Vec::new();
        for number in 0..3 {
            let (name, version): (Arc<str>, Arc<str>) = ("Charge".into(), "1.0".into());
            copies.extend([Arc::downgrade(&name), Arc::downgrade(&version)]);
            queues.push((PartitionId(0), false), offer(name, version, number), Time::EPOCH);
        }
        assert_eq!(copies.iter().filter(|copy| copy.strong_count() > 0).count(), 2, "those that came first");
        let (place, _) = queues.head_from(WorkKind::Activity, 0).expect("three wait");
        let aside = queues.pop(WorkKind::Activity, place);
        assert_eq!((&*aside.label.name, aside.label.version.as_deref()), ("Charge", Some("1.0")));
        queues.push_back(aside);
        assert_eq!(queues.iter().map(Queue::len).collect::<Vec<_>>(), [3], "it is back in its queue");
        let numbers = queues.iter().flat_map(Queue::iter).map(|waiting| number_of(&waiting.item));
        assert_eq!(numbers.collect::<Vec<_>>(), [1, 2, 0], "behind the others");
    }
}
