//! Many lives of the real store, each ended at a random moment in a random way, and checked by the next.
//!
//! The journal is on a simulated disk and the tables are in SQLite under the shim; both lose power, or
//! their process, at one moment. A failure prints its seed. Threads are not ruled by the seed, so the
//! same seed does nearly the same again, and not always.

pub(super) mod story;

use crate::rows::Database;
use crate::store::Store;
use crate::tests::machine::{BUSY, Machine};
use duramen_backend::conformance::Probe;
use duramen_backend::{Backend, Cursor, Event, Failure, Hurry, Query, QueryId, disk};
use duramen_core::checkpoint::TimerWindow;
use duramen_core::ids::{Epoch, PartitionId, Position, Slot};
use duramen_core::time::Time;
use duramen_shim::Chance;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use story::{Author, LEDGER, State};

/// What the world outside knows of the store.
struct Witness {
    /// What was there when the last life began, and after each checkpoint that it submitted.
    states: Vec<State>,
    /// How many of those were acknowledged.
    acknowledged: usize,
    /// Where the last of them ends.
    position: Position,
    epoch: u32,
}

impl Witness {
    /// Looks at a store that was just opened. All that was acknowledged is there, whole, and what is
    /// missing is missing for ever.
    fn look(&mut self, probe: &Probe) {
        let noted = probe.load(LEDGER).map_or(0, |image| image.tail.episodes);
        let known = &self.states[self.acknowledged..];
        let Some(state) = known.iter().find(|state| state.count == noted).cloned() else {
            let (acknowledged, submitted) = (known[0].count, known[known.len() - 1].count);
            panic!("{noted} checkpoints are there, {acknowledged} were acknowledged, {submitted} submitted");
        };
        compare(probe, &state);
        self.states = vec![state];
        self.acknowledged = 0;
    }

    /// Takes all slots; `None` if the store fails over it.
    fn acquire(&mut self, probe: &Probe) -> Option<Epoch> {
        probe.backend.acquire(PartitionId(0), (0..=255).map(Slot).collect());
        match probe.next() {
            Event::Acquired { epoch, outstanding, .. } => {
                assert!(epoch.0 > self.epoch, "epoch {} is given after {}", epoch.0, self.epoch);
                self.epoch = epoch.0;
                assert_eq!(*outstanding, self.states[0].outstanding());
                Some(epoch)
            }
            Event::Failed(_) => None,
            other => panic!("expected Acquired, got {other:?}"),
        }
    }

    /// Takes an event of the store, and gives why it failed if that is what it says.
    fn hear(&mut self, event: Event) -> Option<Failure> {
        match event {
            Event::Appended { number, position, .. } => {
                assert_eq!(number, self.acknowledged as u64 + 1, "appends are answered in order");
                self.acknowledged += 1;
                self.position = position;
                None
            }
            Event::Failed(failure) => Some(failure),
            Event::Queried { .. } | Event::Loaded { .. } => None,
            other => panic!("{other:?}"),
        }
    }
}

/// Everything that can be asked of a store is what it has to be.
pub(super) fn compare(probe: &Probe, state: &State) {
    for (id, instance) in &state.instances {
        assert_eq!(probe.load(id).as_ref(), Some(&instance.sample.image), "{id}");
    }
    assert_eq!(probe.timers(0..=255, TimerWindow { after: None, before: Time::MAX }).timers, state.timers());
    let mut query = Query { limit: 20, ..Query::default() };
    let mut listed = Vec::new();
    loop {
        let page = probe.page(&query);
        for row in page.rows {
            let instance = &state.instances[&row.head.id];
            let image = &instance.sample.image;
            assert_eq!((&row.head, &row.tail, &row.custom_status), (&image.head, &image.tail, &image.custom_status));
            assert_eq!((&row.input, &row.output), (&instance.input, &instance.output), "{}", row.head.id);
            listed.push(row.head.id);
        }
        match page.next {
            Some(next @ Cursor::Created(..)) => query.after = Some(next),
            Some(other) => panic!("{other:?} in a list by creation"),
            None => break,
        }
    }
    assert_eq!(listed, state.created());
}

/// A life that ends while the store is being opened, or soon after.
fn open_and_end(machine: &Machine, chance: &mut Chance) -> Machine {
    machine.end_after(chance.draw(40), chance);
    let opened = machine.open(BUSY);
    assert!(opened.is_ok() || machine.has_ended(), "{:?}", opened.err());
    machine.end(chance)
}

/// A life with work in it.
fn live(machine: &Machine, witness: &mut Witness, chance: &mut Chance) -> Machine {
    let store = Arc::new(machine.open(BUSY).unwrap_or_else(|error| panic!("it does not open: {error}")));
    let probe = Probe::new(store.clone());
    witness.look(&probe);
    if chance.draw(2) == 0 {
        machine.end_after(chance.draw(400), chance);
    }
    let failure = match witness.acquire(&probe) {
        Some(epoch) => Life { machine, store: &store, probe: &probe, witness, epoch }.work(chance),
        None => None,
    };
    assert!(failure.is_none() || machine.has_ended(), "{failure:?}");
    if chance.draw(6) == 0 {
        store.close();
    }
    let next = machine.end(chance);
    store.close();
    while let Some(event) = probe.try_next() {
        witness.hear(event);
    }
    next
}

struct Life<'a> {
    machine: &'a Machine,
    store: &'a Store<Database>,
    probe: &'a Probe,
    witness: &'a mut Witness,
    epoch: Epoch,
}

impl Life<'_> {
    /// Uses the store until it fails, which nothing but a fault makes it, or long enough.
    fn work(mut self, chance: &mut Chance) -> Option<Failure> {
        let mut number = 0;
        let mut faulty = false;
        let steps = chance.draw(80);
        let mut author = Author::new(self.witness.states[0].clone(), self.epoch, chance);
        for _ in 0..steps {
            let mut failure = None;
            match author.chance.draw(14) {
                0..7 => self.append(&mut author, &mut number),
                7..9 => self.store.settle(self.witness.position),
                9 => {
                    let ids: Vec<_> = author.state.instances.keys().cloned().collect();
                    let at = author.chance.draw(ids.len().max(1) as u64) as usize;
                    ids.get(at).into_iter().for_each(|id| self.store.load(PartitionId(0), id.as_str().into()));
                }
                10 => self.store.query(QueryId(1 << 40), Query { limit: 5, ..Query::default() }),
                11 if author.chance.draw(20) == 0 => {
                    self.fail(author.chance);
                    faulty = true;
                }
                _ => {
                    while failure.is_none() && (self.witness.acknowledged as u64) < number {
                        failure = self.witness.hear(self.probe.next());
                    }
                }
            }
            while let Some(event) = self.probe.try_next() {
                failure = failure.or(self.witness.hear(event));
            }
            if failure.is_some() {
                return failure.filter(|_| !faulty);
            }
        }
        None
    }

    fn append(&mut self, author: &mut Author<'_>, number: &mut u64) {
        let hurry = if author.chance.draw(2) == 0 { Hurry::Idle } else { Hurry::Busy };
        let mut checkpoints = Vec::new();
        for _ in 0..=author.chance.draw(4) {
            *number += 1;
            checkpoints.push(author.checkpoint(*number));
            self.witness.states.push(author.state.clone());
        }
        self.store.append(PartitionId(0), self.epoch, checkpoints, hurry);
    }

    /// Something breaks, and stays broken until the process ends.
    fn fail(&self, chance: &mut Chance) {
        let (writes, syncs) = [(true, false), (false, true)][chance.draw(2) as usize];
        if chance.draw(4) == 0 {
            let faults = disk::Faults { fail_writes: writes, fail_syncs: syncs, ..Default::default() };
            self.machine.journal.set_faults(faults);
        } else {
            let faults = duramen_shim::Faults { fail_writes: writes, fail_syncs: syncs, ..Default::default() };
            self.machine.tables.set_faults(faults);
        }
    }
}

fn lives(seed: u64) {
    let mut chance = Chance::new(seed);
    let mut machine = Machine::new(&mut chance);
    let mut witness = Witness { states: vec![State::default()], acknowledged: 0, position: Position(0), epoch: 0 };
    for _ in 0..6 {
        machine = match chance.draw(5) {
            0 => open_and_end(&machine, &mut chance),
            _ => live(&machine, &mut witness, &mut chance),
        };
    }
    for _ in 0..2 {
        let store = machine.open(BUSY).unwrap_or_else(|error| panic!("it does not open: {error}"));
        let probe = Probe::new(Arc::new(store));
        witness.look(&probe);
        probe.backend.close();
    }
}

#[test]
fn what_one_life_believes_every_later_one_finds() {
    let seeds = seeds();
    let next = AtomicU64::new(seeds.start);
    // Most of a life is waiting.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds.end) {
                    if let Err(panic) = std::panic::catch_unwind(|| lives(seed)) {
                        eprintln!("seed {seed}");
                        std::panic::resume_unwind(panic);
                    }
                }
            });
        }
    });
}

/// A few hundred, or the one or the many that somebody looks into: `DURAMEN_SEEDS=7` or `200..5000`.
fn seeds() -> std::ops::Range<u64> {
    let Ok(given) = std::env::var("DURAMEN_SEEDS") else { return 0..200 };
    let number = |text: &str| text.parse().expect("seeds are numbers");
    match given.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => number(&given)..number(&given) + 1,
    }
}
