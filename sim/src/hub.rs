//! A hub as the simulation drives it: the real partitions and the real dispatcher, with every queue
//! between them in the hands of the schedule.

use crate::check::{ensure, fail};
use crate::plan::Fault;
use crate::post::{Moment, Post};
use crate::worker::Worker;
use crate::world::{Packet, World, tell};
use duramen_backend::Backend as _;
use duramen_core::checkpoint::{DueTimers, Image, Outstanding};
use duramen_core::dispatch::Dispatcher;
use duramen_core::ids::{Epoch, InstanceId, PartitionId, Position, Slot, StoreId};
use duramen_core::limits::Settings;
use duramen_core::partition::{Config, Effect, Input, Partition};
use duramen_core::time::Time;
use duramen_core::work::{Answer, WorkerId};
use std::collections::{BTreeMap, VecDeque};

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

    pub(crate) fn report_step(&mut self) -> bool {
        let (hub, part) = self.any_part();
        if self.rng.percent(30) && self.late_report(hub, part) {
            return true;
        }
        self.next_report(hub, part)
    }

    /// Says something that was held back.
    pub(crate) fn late_report(&mut self, hub: usize, part: usize) -> bool {
        let of = &mut self.hubs[hub].parts[part];
        if !of.loaded.is_empty() {
            let at = self.rng.below(of.loaded.len());
            let (id, image) = of.loaded.remove(at);
            self.handle(hub, part, Input::Loaded(id, image));
            return true;
        }
        if let Some(position) = of.lagging.take() {
            self.handle(hub, part, Input::Settled(position));
            return true;
        }
        false
    }

    pub(crate) fn next_report(&mut self, hub: usize, part: usize) -> bool {
        let of = &mut self.hubs[hub].parts[part];
        if of.stopped {
            return false;
        }
        let Some(report) = of.reports.pop_front() else { return false };
        match report {
            Report::Acquired(outstanding, store) => self.open_part(hub, part, *outstanding, store),
            Report::Committed(mut number, mut position) => {
                // Several may come at once: the last one stands for all.
                while let Some(Report::Committed(next, at)) = of.reports.front() {
                    if !self.rng.percent(50) {
                        break;
                    }
                    (number, position) = (*next, *at);
                    of.reports.pop_front();
                }
                let mut out = Vec::new();
                let id = of.id;
                if let Some(core) = &mut of.core {
                    core.committed(number, position, &mut out);
                }
                self.hubs[hub].dispatcher.committed(id, number);
                self.route(hub, part, out);
            }
            Report::Refused => self.stop_part(hub, part),
            Report::Loaded(id, image) => self.handle(hub, part, Input::Loaded(id, image)),
            Report::Timers(due) => self.handle(hub, part, Input::Timers(due)),
            Report::Settled(position) => {
                if self.happens(Fault::SettleLag, 700) {
                    self.cover.count("fault: SettleLag");
                    self.hubs[hub].parts[part].lagging = Some(position);
                } else {
                    self.hubs[hub].parts[part].lagging = None;
                    self.handle(hub, part, Input::Settled(position));
                }
            }
        }
        true
    }

    fn open_part(&mut self, hub: usize, part: usize, outstanding: Outstanding, store: StoreId) {
        let of = &self.hubs[hub].parts[part];
        let config = Config {
            id: of.id,
            epoch: of.epoch.expect("it was acquired"),
            store,
            slots: of.slots.clone(),
            settings: self.hubs[hub].settings.clone(),
        };
        let (id, epoch) = (config.id, config.epoch);
        self.hubs[hub].dispatcher.opened(id, epoch, self.now);
        let mut out = Vec::new();
        let core = Partition::open(config, outstanding, self.now, &mut out);
        let of = &mut self.hubs[hub].parts[part];
        of.latest = self.now;
        of.core = Some(core);
        self.route(hub, part, out);
    }

    /// A partition that has lost its lease ends: who waits does not know the outcome.
    fn stop_part(&mut self, hub: usize, part: usize) {
        let of = &mut self.hubs[hub].parts[part];
        of.stopped = true;
        of.core = None;
        of.inputs.clear();
        if self.hubs[hub].parts.iter().all(|part| part.stopped) {
            self.end_hub(hub);
        }
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

    /// Carries effects to where they go.
    pub(crate) fn route(&mut self, hub: usize, part: usize, effects: Vec<Effect>) {
        let deposed = self.hubs[hub].deposed;
        for effect in effects {
            match effect {
                Effect::Reply(request, reply) => self.reply(hub, request, &reply),
                Effect::Forward(request, asked) => {
                    let slot = asked.instance().slot();
                    let to = self.hubs[hub].part_of(slot);
                    let Some(to) = to else { fail("slots have owners", format!("{slot:?}")) };
                    self.hubs[hub].parts[to].inputs.push_back(Input::Request(request, asked));
                }
                Effect::Load(id) => self.hubs[hub].parts[part].loads.push_back(id),
                Effect::Timers(window) => {
                    let of = &self.hubs[hub].parts[part];
                    if !of.lost {
                        self.expected_timers = Some((of.slots.clone(), window));
                        self.store.timers(of.id, of.slots.clone(), window);
                        self.take_events();
                    }
                }
                Effect::Offer(offer) => {
                    let id = self.hubs[hub].parts[part].id;
                    tell!(self, "partition {part} offers {:?} after {}", offer.item, offer.after);
                    self.hubs[hub].dispatcher.offer(id, offer, self.now);
                }
                Effect::Work(worker, item) => self.give_work(hub, worker, item),
                Effect::Refused(grant) => self.hubs[hub].dispatcher.refused(&grant),
                Effect::Freed(worker, kind) => self.freed(hub, worker, kind),
                Effect::EndSession(worker, run) => {
                    tell!(self, "worker {} ends its session of run {:x}", worker.0, run.0);
                    if let Some(worker) = self.hubs[hub].workers.get_mut(&worker.0) {
                        worker.end_session(run.0);
                    }
                }
                Effect::Message(mark, message) => {
                    let known = self.durable.ever.messages.get(&(mark.source, mark.target, mark.sequence));
                    ensure!(known == Some(&message), "a message leaves when it is durable", "{mark:?}");
                    self.net.push(Packet::Message(mark, message));
                }
                Effect::Acknowledge(mark) => {
                    let taken = self.durable.received.get(&(mark.source, mark.target)).copied().unwrap_or(0);
                    ensure!(
                        mark.sequence <= taken || deposed,
                        "what is acknowledged is durable",
                        "{mark:?}, and {taken} is durable"
                    );
                    self.net.push(Packet::Acknowledge(mark));
                }
            }
        }
        if self.quiet || self.rng.percent(80) {
            self.run_grants(hub);
        }
    }

    /// Grants what can be granted; says whether there was anything.
    pub(crate) fn run_grants(&mut self, hub: usize) -> bool {
        let mut grants = Vec::new();
        self.hubs[hub].dispatcher.grants(self.now, &mut grants);
        let any = !grants.is_empty();
        for (id, grant) in grants {
            tell!(self, "granted {:?} to {}", grant.item, grant.worker.0);
            let part = self.hubs[hub].parts.iter().position(|part| part.id == id);
            let Some(part) = part else { fail("grants go to partitions", format!("{id:?}")) };
            if self.quiet || self.rng.percent(80) {
                self.handle(hub, part, Input::Granted(grant));
            } else {
                self.hubs[hub].parts[part].inputs.push_back(Input::Granted(grant));
            }
        }
        any
    }

    pub(crate) fn net_step(&mut self) -> bool {
        if self.net.is_empty() {
            return false;
        }
        let at = if self.happens(Fault::MessageReordered, 500) {
            self.cover.count("fault: MessageReordered");
            self.rng.below(self.net.len())
        } else {
            0
        };
        if self.happens(Fault::MessageLost, 100) {
            self.cover.count("fault: MessageLost");
            self.net.remove(at);
            return true;
        }
        let packet = if self.happens(Fault::MessageRepeated, 200) {
            self.cover.count("fault: MessageRepeated");
            self.net[at].clone()
        } else {
            self.net.remove(at)
        };
        let hub = self.any_hub();
        let (slot, input) = match packet {
            Packet::Message(mark, message) => (mark.target, Input::Message(mark, message)),
            Packet::Acknowledge(mark) => (mark.source, Input::Acknowledged(mark)),
        };
        if let Some(part) = self.hubs[hub].part_of(Slot(slot as u8)) {
            self.hubs[hub].parts[part].inputs.push_back(input);
        }
        true
    }

    pub(crate) fn leave_worker(&mut self, hub: usize, worker: u64) -> Option<Worker> {
        let gone = self.hubs[hub].workers.remove(&worker)?;
        tell!(self, "worker {worker} goes away");
        self.hubs[hub].dispatcher.leave(WorkerId(worker), self.now);
        self.unbook(worker);
        for part in &mut self.hubs[hub].parts {
            part.inputs.push_back(Input::WorkerGone(WorkerId(worker)));
        }
        Some(gone)
    }
}
