//! The store under the hubs: its steps, its settling, and what is found when it is opened again.

use crate::check::{ensure, fail};
use crate::model::State;
use crate::plan::{Fault, Plan};
use crate::world::{World, compare, tell};
use duramen_backend::disk::{Disk, Faults};
use duramen_backend::journal::{Opening, Record, SegmentSizes, segment_number};
use duramen_backend::rows::Rows as _;
use duramen_backend::{Backend as _, Event, Memory, MemoryOptions};
use duramen_core::checkpoint::Checkpoint;
use duramen_core::ids::{PartitionId, Position, StoreId};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) type Store = (Arc<Memory>, Arc<Mutex<VecDeque<Event>>>);

/// A checkpoint in a journal: where, under which lease, and what.
struct Found {
    position: Position,
    epoch: u32,
    checkpoint: Checkpoint,
}

/// What the next process will find.
pub(crate) struct Left {
    /// Everything at or below this is in the tables.
    settled: Position,
    /// What the journal holds beyond it.
    found: Vec<Found>,
}

/// What has been submitted, in the order of the journal, and the places of what is durable.
#[derive(Default)]
pub(crate) struct Submitted {
    pub(crate) all: Vec<(u32, Checkpoint)>,
    pub(crate) durable: Vec<Position>,
}

impl World {
    /// One write or one sync of the store.
    pub(crate) fn store_step(&mut self) -> bool {
        if self.happens(Fault::FailedSync, 12) {
            self.cover.count("fault: FailedSync");
            self.disk.set_faults(Faults { fail_syncs: true, ..Faults::default() });
        } else if self.happens(Fault::FailedWrite, 12) {
            self.cover.count("fault: FailedWrite");
            self.disk.set_faults(Faults { fail_writes: true, ..Faults::default() });
        }
        let stepped = self.store.step();
        self.after_store();
        stepped
    }

    /// What is durable goes into the tables, and segments that are not needed any more are used again;
    /// the process may die in the middle of it.
    pub(crate) fn settle_step(&mut self) -> bool {
        if self.happens(Fault::DiesRecycling, 200) {
            self.cover.count("fault: DiesRecycling");
            self.disk.set_faults(Faults { dies_after: Some(self.rng.below(8) as u64), ..Faults::default() });
        }
        if self.plan.has(Fault::SettleLate) {
            self.cover.count("fault: SettleLate");
        }
        tell!(self, "the store settles");
        let before = self.disk.list();
        self.store.settle_now();
        if self.disk.list() != before {
            self.cover.count("model: a segment is used again");
        }
        self.after_store();
        true
    }

    fn after_store(&mut self) {
        self.disk.set_faults(Faults::default());
        self.take_events();
        if self.failed {
            tell!(self, "the store fails");
            self.crash(None);
        }
    }

    /// Everything that is durable is in the tables now.
    pub(crate) fn noted_settled(&mut self) {
        self.cover.count("model: settled");
        if self.plan.has(Fault::SettleLate) {
            self.settled = Some(Box::new(self.durable.clone()));
        }
    }

    /// What reads of the tables show.
    pub(crate) fn in_tables(&self) -> &State {
        self.settled.as_deref().filter(|_| self.plan.has(Fault::SettleLate)).unwrap_or(&self.durable)
    }

    /// Compares what is left with what was submitted, and goes on from there.
    pub(crate) fn recover(&mut self, left: Left) {
        let Submitted { all, durable } = &mut self.submitted;
        let settled = durable.iter().take_while(|position| **position <= left.settled).count();
        let count = settled + left.found.len();
        ensure!(
            count >= durable.len(),
            "what was durable is found again",
            "{settled} checkpoints in the tables and {} in the journal, of {} that were durable",
            left.found.len(),
            durable.len()
        );
        ensure!(
            count <= all.len(),
            "the journal holds what was submitted",
            "{count} checkpoints, and {} were submitted",
            all.len()
        );
        for (place, (found, (epoch, was))) in left.found.iter().zip(&all[settled..]).enumerate() {
            ensure!(
                found.epoch == *epoch && found.checkpoint == *was,
                "the journal holds what was submitted",
                "at {place}: checkpoint {} of {}, and submitted was {} of {epoch}",
                found.checkpoint.number,
                found.epoch,
                was.number
            );
        }
        for pending in self.pending.drain(..).take(count - durable.len()) {
            self.durable.apply(&pending.checkpoint, None);
        }
        durable.truncate(settled);
        durable.extend(left.found.iter().map(|found| found.position));
        all.truncate(count);
        self.ahead = self.durable.clone();
        self.noted_settled();
    }

    /// At the end: a store opened from the same bytes has the same rows.
    pub(crate) fn compare_recovery(&mut self) {
        let copy = self.disk.copy();
        let opened = open_store(&copy, &self.plan);
        let (again, events) = opened.unwrap_or_else(|error| fail("the store opens after a crash", error));
        let ids: Vec<String> = self.durable.by_id.keys().cloned().collect();
        for id in ids {
            again.load(PartitionId(0), id.as_str().into());
            let event = events.lock().unwrap_or_else(PoisonError::into_inner).pop_back();
            let Some(Event::Loaded { image, .. }) = event else { fail("loads are answered", format!("{event:?}")) };
            compare("recovery gives the same state", &id, &image.as_deref(), &self.durable.image(&id).as_ref());
        }
    }
}

fn sizes(segment: u64) -> SegmentSizes {
    SegmentSizes { first: segment, next: segment * 2 }
}

pub(crate) fn open_store(disk: &Disk, plan: &Plan) -> Result<Store, String> {
    let options = MemoryOptions {
        store: StoreId(7),
        sizes: sizes(plan.segment),
        in_steps: true,
        settles_late: plan.has(Fault::SettleLate),
    };
    let memory = Arc::new(Memory::open(disk.boot(), options).map_err(|error| error.to_string())?);
    let events = Arc::new(Mutex::new(VecDeque::new()));
    let into = events.clone();
    memory.listen(Arc::new(move |event| into.lock().unwrap_or_else(PoisonError::into_inner).push_back(event)));
    Ok((memory, events))
}

/// What a process that ended has left, read with the journal's own reader.
pub(crate) fn read_what_is_left(disk: &Disk, plan: &Plan) -> Left {
    let standing = disk.tables().standing().unwrap_or_else(|error| fail("the tables can be read", error.to_string()));
    let settled = standing.map_or(Position(0), |standing| standing.position);
    let mut opening = Opening::new(settled, sizes(plan.segment));
    let mut found = Vec::new();
    for file in disk.list() {
        if segment_number(&file).is_none() {
            continue;
        }
        let bytes = disk.read(&file).unwrap_or_else(|error| fail("the disk reads", error.to_string()));
        let records = opening.segment(&file, bytes);
        let records = records.unwrap_or_else(|error| fail("the store opens after a crash", error.to_string()));
        for (position, record) in records {
            if let Record::Checkpoint { epoch, checkpoint, .. } = record
                && position > settled
            {
                found.push(Found { position, epoch: epoch.0, checkpoint });
            }
        }
    }
    Left { settled, found }
}
