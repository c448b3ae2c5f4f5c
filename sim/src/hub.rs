//! A hub as the simulation drives it: the real partitions and the real dispatcher, with every queue
//! between them in the hands of the schedule.

use crate::post::{Moment, Post};
use crate::worker::Worker;
use crate::world::{World, tell};
use duramen_backend::Backend as _;
use duramen_core::checkpoint::{DueTimers, Image, Outstanding};
use duramen_core::dispatch::Dispatcher;
use duramen_core::ids::{Epoch, InstanceId, PartitionId, Position, Slot, StoreId};
use duramen_core::limits::Settings;
use duramen_core::partition::{Input, Partition};
use duramen_core::time::Time;
use duramen_core::work::{Answer, WorkerId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What the backend said to a partition.
pub(crate) enum Report {
    Acquired(Box<Outstanding>, StoreId),
    Committed(u64, Position),
    Refused,
    Loaded(InstanceId, Option<Box<Image>>),
    Timers(DueTimers),
    Settled(Position),
}

pub(crate) struct Part {
    pub(crate) id: PartitionId,
    pub(crate) slots: Vec<Slot>,
    pub(crate) epoch: Option<Epoch>,
    pub(crate) core: Option<Partition>,
    pub(crate) inputs: VecDeque<Input>,
    pub(crate) reports: VecDeque<Report>,
    pub(crate) loads: VecDeque<InstanceId>,
    /// Loaded and not said yet.
    pub(crate) loaded: Vec<(InstanceId, Option<Box<Image>>)>,
    /// Settled and not said yet.
    pub(crate) lagging: Option<Position>,
    pub(crate) submitted: u64,
    /// The latest time that it was told since its last checkpoint.
    pub(crate) latest: Time,
    /// Another has its slots.
    pub(crate) lost: bool,
    /// It has been told so.
    pub(crate) stopped: bool,
}

impl Part {
    pub(crate) fn new(id: PartitionId, slots: Vec<Slot>) -> Self {
        Self {
            id,
            slots,
            epoch: None,
            core: None,
            inputs: VecDeque::new(),
            reports: VecDeque::new(),
            loads: VecDeque::new(),
            loaded: Vec::new(),
            lagging: None,
            submitted: 0,
            latest: Time::EPOCH,
            lost: false,
            stopped: false,
        }
    }
}

pub(crate) struct Hub {
    pub(crate) life: u64,
    pub(crate) settings: Settings,
    pub(crate) parts: Vec<Part>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) workers: BTreeMap<u64, Worker>,
    pub(crate) answers: Vec<(u64, Post)>,
    /// Another has its slots.
    pub(crate) deposed: bool,
    /// When, and at which place in the model's log.
    pub(crate) deposed_at: Option<(Moment, u64)>,
    pub(crate) loading_for: Option<PartitionId>,
}

impl Hub {
    /// Those under which its partitions are open.
    pub(crate) fn leases(&self) -> BTreeSet<Epoch> {
        self.parts.iter().filter_map(|part| part.core.as_ref()).map(|core| core.epoch()).collect()
    }

    pub(crate) fn new(life: u64, settings: Settings) -> Self {
        Self {
            life,
            settings,
            parts: Vec::new(),
            dispatcher: Dispatcher::new(),
            workers: BTreeMap::new(),
            answers: Vec::new(),
            deposed: false,
            deposed_at: None,
            loading_for: None,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.parts.iter().all(|part| part.core.is_some())
    }

    pub(crate) fn part_of(&self, slot: Slot) -> Option<usize> {
        self.parts.iter().position(|part| part.slots.contains(&slot))
    }
}

impl World {
    pub(crate) fn input_step(&mut self) -> bool {
        let (hub, part) = self.any_part();
        self.next_input(hub, part)
    }

    pub(crate) fn next_input(&mut self, hub: usize, part: usize) -> bool {
        let of = &mut self.hubs[hub].parts[part];
        let full = of.core.as_ref().is_none_or(|core| core.turn_bytes() >= duramen_core::limits::TURN_BYTES);
        if full {
            return false;
        }
        let Some(input) = of.inputs.pop_front() else { return false };
        self.handle(hub, part, input);
        true
    }

    pub(crate) fn handle(&mut self, hub: usize, part: usize, input: Input) {
        let now = self.now;
        let of = &mut self.hubs[hub].parts[part];
        if of.core.is_none() {
            return;
        }
        of.latest = of.latest.max(now);
        if let Input::Answer(worker, Answer::WrittenOff(token)) = &input {
            self.write_off(hub, worker.0, *token);
        }
        let Some(core) = &mut self.hubs[hub].parts[part].core else { return };
        let mut out = Vec::new();
        core.handle(input, now, &mut out);
        self.route(hub, part, out);
    }

    pub(crate) fn end_hub(&mut self, hub: usize) {
        let hub = self.hubs.remove(hub);
        tell!(self, "hub {} ends", hub.life);
        self.calls.retain(|_, call| call.life != hub.life);
        let lost = Some(hub.deposed_at.map_or(self.moment(), |(moment, _)| moment));
        self.strays.extend(hub.answers.into_iter().map(|(_, post)| Post { lost, ..post }));
        self.forget_strays();
        hub.workers.into_keys().for_each(|worker| self.forget_connection(worker));
    }

    pub(crate) fn cut_step(&mut self) -> bool {
        let (hub, part) = self.any_part();
        self.cut(hub, part)
    }

    pub(crate) fn cut(&mut self, hub: usize, part: usize) -> bool {
        let now = self.now;
        let Some(core) = &mut self.hubs[hub].parts[part].core else { return false };
        if core.unsynced() >= duramen_core::limits::UNSYNCED_CHECKPOINTS {
            return false;
        }
        let Some(checkpoint) = core.cut(now) else { return false };
        tell!(self, "partition {part} cuts checkpoint {}: {} changes", checkpoint.number, checkpoint.deltas.len());
        self.submit(hub, part, checkpoint);
        true
    }

    pub(crate) fn tick_step(&mut self) -> bool {
        let (hub, part) = self.any_part();
        self.tick(hub, part)
    }

    pub(crate) fn tick(&mut self, hub: usize, part: usize) -> bool {
        let now = self.now;
        let of = &mut self.hubs[hub].parts[part];
        let Some(core) = &mut of.core else { return false };
        if core.deadline().is_none_or(|at| at > now) {
            return false;
        }
        of.latest = of.latest.max(now);
        let mut out = Vec::new();
        core.tick(now, &mut out);
        self.route(hub, part, out);
        true
    }

    pub(crate) fn load_step(&mut self) -> bool {
        let (hub, part) = self.any_part();
        self.next_load(hub, part)
    }

    pub(crate) fn next_load(&mut self, hub: usize, part: usize) -> bool {
        let of = &mut self.hubs[hub].parts[part];
        let Some(id) = of.loads.pop_front() else { return false };
        let partition = of.id;
        // A hub that has lost the slots is not answered from what the new owner has made of them.
        if of.lost {
            return true;
        }
        self.hubs[hub].loading_for = Some(partition);
        self.store.load(partition, id);
        self.take_events();
        if let Some(hub) = self.hubs.get_mut(hub) {
            hub.loading_for = None;
        }
        true
    }

    pub(crate) fn leave_worker(&mut self, hub: usize, worker: u64) -> Option<Worker> {
        let gone = self.hubs[hub].workers.remove(&worker)?;
        tell!(self, "worker {worker} goes away");
        let departure = self.departure(hub, worker, &gone);
        self.hubs[hub].dispatcher.leave(WorkerId(worker), self.now);
        self.unbook(worker);
        for part in &mut self.hubs[hub].parts {
            part.inputs.push_back(Input::WorkerGone(WorkerId(worker), departure));
        }
        Some(gone)
    }
}
