//! A backend from outside: submit, and wait for what comes.

use super::Subject;
use crate::{Backend, Event, Events, Hurry, Page, Query, QueryId};
use duramen_core::checkpoint::{Checkpoint, DueTimers, Image, Outstanding, TimerWindow};
use duramen_core::ids::{Epoch, InstanceId, PartitionId, Position, Slot, StoreId};
use std::cell::Cell;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longer than any answer takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// A backend and its events.
pub struct Probe {
    /// What is probed.
    pub backend: Arc<dyn Backend>,
    events: Receiver<Event>,
    queries: Cell<u64>,
    settled: Cell<Position>,
    /// The last position that was said to be durable.
    durable: Cell<Position>,
    short: Cell<bool>,
}

/// A lease as the probe got it.
pub struct Held {
    /// The partition.
    pub partition: PartitionId,
    /// Its epoch.
    pub epoch: Epoch,
    /// The store.
    pub store: StoreId,
    /// What was outstanding.
    pub outstanding: Outstanding,
}

impl Probe {
    /// Listens to a backend.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        let (sender, events) = mpsc::channel();
        let sender = Mutex::new(sender);
        let listen: Events = Arc::new(move |event| {
            // Nobody listens to what comes after the end of a test.
            let _ = sender.lock().expect("the probe does not panic with the lock held").send(event);
        });
        backend.listen(listen);
        Self {
            backend,
            events,
            queries: Cell::new(0),
            settled: Cell::new(Position(0)),
            durable: Cell::new(Position(0)),
            short: Cell::new(false),
        }
    }

    /// The next event; settle positions are noted, checked and passed over, and so is what is said of space.
    pub fn next(&self) -> Event {
        loop {
            match self.events.recv_timeout(PATIENCE).expect("the backend answers") {
                Event::Settled(position) => self.note_settled(position),
                Event::Space { short } => self.short.set(short),
                event => return event,
            }
        }
    }

    /// Whether the backend said last that space is short.
    pub fn is_short(&self) -> bool {
        self.short.get()
    }

    /// The next event if one has come.
    pub fn try_next(&self) -> Option<Event> {
        loop {
            match self.events.try_recv().ok()? {
                Event::Settled(position) => self.note_settled(position),
                Event::Space { short } => self.short.set(short),
                event => return Some(event),
            }
        }
    }

    /// Whether nothing but settle positions, and what is said of space, has come and is unread.
    pub fn is_silent(&self) -> bool {
        self.try_next().is_none()
    }

    fn note_settled(&self, position: Position) {
        assert!(
            position >= self.settled.get(),
            "settle positions only grow: {position:?} after {:?}",
            self.settled.get()
        );
        self.settled.set(position);
    }

    /// Waits until everything up to a position is settled.
    pub fn await_settled(&self, position: Position) {
        self.backend.settle(position);
        while self.settled.get() < position {
            match self.events.recv_timeout(PATIENCE).expect("the backend settles") {
                Event::Settled(position) => self.note_settled(position),
                Event::Space { short } => self.short.set(short),
                other => panic!("expected Settled, got {other:?}"),
            }
        }
    }

    /// Takes these slots for a partition.
    pub fn acquire_slots(&self, partition: u32, slots: impl IntoIterator<Item = u8>) -> Held {
        self.backend.acquire(PartitionId(partition), slots.into_iter().map(Slot).collect());
        match self.next() {
            Event::Acquired { partition: got, epoch, store, outstanding } => {
                assert_eq!(got, PartitionId(partition));
                Held { partition: got, epoch, store, outstanding: *outstanding }
            }
            other => panic!("expected Acquired, got {other:?}"),
        }
    }

    /// Takes all slots.
    pub fn acquire(&self) -> Held {
        self.acquire_slots(0, 0..=255)
    }

    /// Submits checkpoints.
    pub fn submit(&self, held: &Held, checkpoints: Vec<Checkpoint>, hurry: Hurry) {
        self.backend.append(held.partition, held.epoch, checkpoints, hurry);
    }

    /// Submits checkpoints and waits until all are durable; gives the last position.
    pub fn append(&self, held: &Held, checkpoints: Vec<Checkpoint>) -> Position {
        let numbers: Vec<_> = checkpoints.iter().map(|checkpoint| checkpoint.number).collect();
        self.submit(held, checkpoints, Hurry::Idle);
        numbers.into_iter().map(|number| self.expect_appended(held, number)).last().expect("there are checkpoints")
    }

    /// The next event is that this checkpoint is durable.
    pub fn expect_appended(&self, held: &Held, expected: u64) -> Position {
        match self.next() {
            Event::Appended { partition, epoch, number, position } => {
                assert_eq!((partition, epoch, number), (held.partition, held.epoch, expected));
                self.durable.set(position);
                position
            }
            other => panic!("expected Appended {expected}, got {other:?}"),
        }
    }

    /// The next event is that this checkpoint was refused.
    pub fn expect_refused(&self, held: &Held, expected: u64) {
        match self.next() {
            Event::Refused { partition, epoch, number, reason } => {
                assert_eq!((partition, epoch, number), (held.partition, held.epoch, expected));
                assert!(!reason.is_empty());
            }
            other => panic!("expected Refused {expected}, got {other:?}"),
        }
    }

    /// The next event is that the store has failed.
    pub fn expect_failed(&self) {
        match self.next() {
            Event::Failed(failure) => assert!(!failure.what.is_empty() && !failure.reason.is_empty()),
            other => panic!("expected Failed, got {other:?}"),
        }
    }

    /// Timers of a stretch in these slots.
    pub fn timers(&self, slots: impl IntoIterator<Item = u8>, window: TimerWindow) -> DueTimers {
        self.settle_all();
        self.backend.timers(PartitionId(0), slots.into_iter().map(Slot).collect(), window);
        match self.next() {
            Event::Timers { partition: PartitionId(0), due } => due,
            other => panic!("expected Timers, got {other:?}"),
        }
    }

    /// Waits until everything that was said to be durable is settled: a load gives what is.
    fn settle_all(&self) {
        if self.settled.get() < self.durable.get() {
            self.await_settled(self.durable.get());
        }
    }

    /// Loads an instance, as it is once everything that was said to be durable is settled.
    pub fn load(&self, id: &str) -> Option<Image> {
        self.settle_all();
        self.backend.load(PartitionId(0), InstanceId::from(id));
        match self.next() {
            Event::Loaded { partition: PartitionId(0), id: got, image } if got.as_str() == id => {
                image.map(|image| *image)
            }
            other => panic!("expected Loaded {id:?}, got {other:?}"),
        }
    }

    /// A page of a query.
    pub fn page(&self, what: &Query) -> Page {
        self.queries.set(self.queries.get() + 1);
        let query = QueryId(self.queries.get());
        self.backend.query(query, what.clone());
        match self.next() {
            Event::Queried { query: got, page } if got == query => page,
            other => panic!("expected Queried {query:?}, got {other:?}"),
        }
    }

    /// The ids of a query's rows, page by page; `between` runs after each page.
    pub fn list(&self, what: &Query, mut between: impl FnMut()) -> Vec<String> {
        let mut what = what.clone();
        let mut ids = Vec::new();
        for _ in 0..10_000 {
            let page = self.page(&what);
            assert!(page.rows.len() <= what.limit, "a page has at most {} rows", what.limit);
            ids.extend(page.rows.into_iter().map(|row| row.head.id));
            between();
            match page.next {
                Some(next) => what.after = Some(next),
                None => return ids,
            }
        }
        panic!("the list has no end: {what:?}");
    }
}

/// Runs a check twice: on the store as it is, and once it has been opened again.
pub(super) fn now_and_later(subject: &Subject, probe: Probe, check: impl Fn(&Probe)) {
    check(&probe);
    probe.backend.close();
    drop(probe);
    let probe = Probe::new((subject.open)());
    check(&probe);
    probe.backend.close();
}
