//! Everything there is: a disk, a store, hubs, workers, clients, a clock; and one schedule over it.

use crate::check::{ensure, fail};
use crate::coverage::Coverage;
use crate::hub::{Hub, Part};
use crate::lists::List;
use crate::model::{Causes, State};
use crate::plan::{Fault, Plan, Without};
use crate::post::{Connections, Post};
use crate::replies::{Call, Moment};
use crate::rng::Rng;
use crate::store::{Submitted, open_store, read_what_is_left};
use crate::story::{reply_kind, short, verb};
use crate::worker::Sessions;
use bytes::Bytes;
use duramen_backend::disk::{Disk, Fate, Faults};
use duramen_backend::{Backend as _, Event, Memory};
use duramen_core::checkpoint::{Checkpoint, PairMark, TimerWindow};
use duramen_core::ids::{PartitionId, Slot};
use duramen_core::limits::Settings;
use duramen_core::request::{Reply, RequestId};
use duramen_core::time::Time;
use duramen_core::work::{WorkKind, WorkerId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A token that was given out.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(crate) worker: u64,
    pub(crate) instance: String,
    pub(crate) item: Key,
    pub(crate) epoch: u32,
    /// When it was given out.
    pub(crate) since: crate::post::Moment,
    pub(crate) answered: bool,
    /// Its worker, or one that meant another item, has given it back.
    pub(crate) given_back: bool,
}

/// An item, however often it is handed out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Episode { run: u64, episode: u64 },
    Task { execution: String, event: Bytes },
}

/// A message between partitions.
#[derive(Clone, Debug)]
pub(crate) enum Packet {
    Message(PairMark, Bytes),
    Acknowledge(PairMark),
}

/// A checkpoint on its way.
pub(crate) struct Pending {
    pub(crate) epoch: u32,
    pub(crate) checkpoint: Checkpoint,
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) plan: Plan,
    pub(crate) now: Time,
    /// The latest time that it ever was.
    pub(crate) furthest: Time,
    pub(crate) disk: Disk,
    pub(crate) store: Arc<Memory>,
    pub(crate) events: Arc<Mutex<VecDeque<Event>>>,
    /// The stretch of timers that a partition has just asked for, and in which slots.
    pub(crate) expected_timers: Option<(Vec<Slot>, TimerWindow)>,
    pub(crate) hubs: Vec<Hub>,
    pub(crate) net: Vec<Packet>,
    /// Answers of remote workers whose connection is gone.
    pub(crate) strays: Vec<Post>,
    pub(crate) connections: Connections,
    pub(crate) calls: BTreeMap<u64, Call>,
    pub(crate) lists: BTreeMap<u64, List>,
    /// What is durable.
    pub(crate) durable: State,
    /// That, and what is on its way.
    pub(crate) ahead: State,
    pub(crate) pending: VecDeque<Pending>,
    pub(crate) epochs: BTreeSet<u32>,
    pub(crate) causes: Causes,
    pub(crate) tokens: BTreeMap<u64, Issued>,
    /// The last token of an item under a lease.
    pub(crate) latest: BTreeMap<(u32, Key), u64>,
    /// What an item held when it was first handed out by a hub.
    pub(crate) shown: BTreeMap<(u32, u64, u64), Vec<Bytes>>,
    /// Episodes that never came back from their thread: (lease, run, episode).
    pub(crate) written_off: BTreeSet<(u32, u64, u64)>,
    /// Dispatches under a lease that were lost with their workers.
    pub(crate) lost: BTreeMap<(u32, Key), usize>,
    /// Something waits for another process.
    pub(crate) restart_at_end: bool,
    /// Workers, past ones too, that keep sessions.
    pub(crate) keepers: BTreeSet<u64>,
    /// What remote workers keep whose connection is gone: the next that comes may be one of them.
    pub(crate) kept: Vec<Sessions>,
    pub(crate) next: u64,
    pub(crate) steps: u64,
    pub(crate) quiet: bool,
    pub(crate) cover: Coverage,
    pub(crate) story: VecDeque<String>,
    pub(crate) tells: bool,
    pub(crate) submitted: Submitted,
    /// What the tables hold, where they lag behind.
    pub(crate) settled: Option<Box<State>>,
    pub(crate) failed: bool,
}

/// Adds a line to the story of the run, if somebody reads it.
macro_rules! tell {
    ($world:expr, $($what:tt)+) => {
        if $world.tells {
            let line = format!($($what)+);
            $world.tell_line(line);
        }
    };
}
pub(crate) use tell;

const STORY: usize = 4000;

impl World {
    pub(crate) fn new(seed: u64, without: &Without, tells: bool) -> Self {
        let mut rng = Rng::new(seed);
        let plan = Plan::of(seed, without, &mut rng);
        let disk = Disk::new();
        let (store, events) = open_store(&disk, &plan).unwrap_or_else(|error| fail("a new store opens", error));
        let mut world = Self {
            rng,
            plan,
            now: Time::new(1_700_000_000, 0),
            furthest: Time::new(1_700_000_000, 0),
            disk,
            store,
            events,
            expected_timers: None,
            hubs: Vec::new(),
            net: Vec::new(),
            strays: Vec::new(),
            connections: Connections::default(),
            written_off: BTreeSet::new(),
            lost: BTreeMap::new(),
            restart_at_end: false,
            calls: BTreeMap::new(),
            lists: BTreeMap::new(),
            durable: State::default(),
            ahead: State::default(),
            pending: VecDeque::new(),
            epochs: BTreeSet::new(),
            causes: Causes::default(),
            tokens: BTreeMap::new(),
            latest: BTreeMap::new(),
            shown: BTreeMap::new(),
            keepers: BTreeSet::new(),
            kept: Vec::new(),
            next: 0,
            steps: 0,
            quiet: false,
            cover: Coverage::default(),
            story: VecDeque::new(),
            tells,
            submitted: Submitted::default(),
            settled: None,
            failed: false,
        };
        world.causes.hold_after = world.plan.hold_after as usize;
        world.start_hub();
        world
    }

    /// Runs the seed to its end. A broken rule ends it by a panic.
    pub(crate) fn run(&mut self) {
        let limit = self.plan.steps * 4;
        while (self.steps < self.plan.steps || self.durable.births < self.plan.births) && self.steps < limit {
            self.step();
        }
        self.finish();
    }

    pub(crate) fn tell_line(&mut self, line: String) {
        if self.story.len() == STORY {
            self.story.pop_front();
        }
        let since = self.now.since(Time::new(1_700_000_000, 0));
        self.story.push_back(format!("{:>5} {:>10.3}s  {line}", self.steps, since.as_secs_f64()));
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Whether a fault of this run happens now.
    pub(crate) fn happens(&mut self, fault: Fault, permille: u32) -> bool {
        !self.quiet && self.plan.has(fault) && self.rng.permille(permille)
    }

    fn step(&mut self) {
        self.furthest = self.furthest.max(self.now);
        let slow = self.plan.has(Fault::SlowSync);
        let done = match self.rng.below(1_000) {
            0..90 => self.client_step(),
            90..330 => self.input_step(),
            330..480 => self.report_step(),
            480..590 => self.cut_step(),
            590..700 => (!slow || self.rng.percent(30)) && self.store_step(),
            700..800 => self.worker_step(),
            800..880 => self.answer_step(),
            880..920 => self.net_step(),
            920..950 => self.load_step(),
            950..970 => self.clock_step(),
            970..975 => self.plan.has(Fault::SettleLate) && self.settle_step(),
            975..988 => self.tick_step(),
            _ => self.fault_step(),
        };
        self.steps += u64::from(done);
    }

    /// The hub that owns the slots.
    pub(crate) fn owner(&self) -> usize {
        self.hubs.len() - 1
    }

    pub(crate) fn any_hub(&mut self) -> usize {
        let owner = self.owner();
        if owner > 0 && self.rng.percent(25) { self.rng.below(owner) } else { owner }
    }

    pub(crate) fn any_part(&mut self) -> (usize, usize) {
        let hub = self.any_hub();
        let part = self.rng.below(self.hubs[hub].parts.len());
        (hub, part)
    }

    fn settings(&self) -> Settings {
        Settings {
            episode_limit: self.plan.episode_limit,
            activity_limit: self.plan.activity_limit,
            hold_after: self.plan.hold_after,
            fail_oversized: false,
            unknown_wait: self.plan.unknown_wait,
            resident: self.plan.resident,
            idle_after: self.plan.idle_after,
            timer_window: self.plan.timer_window,
            history_chunk: self.plan.history_chunk,
        }
    }

    /// A hub begins: it takes all slots, in as many partitions as it likes.
    pub(crate) fn start_hub(&mut self) {
        let mut partitions = self.plan.partitions;
        if self.plan.has(Fault::Repartition) {
            partitions = 1 + self.rng.below(8);
            self.cover.count("fault: Repartition");
        }
        let spread = 1 + self.rng.below(3) * 2;
        let shift = self.rng.below(256);
        let life = self.number();
        let settings = self.settings();
        let mut hub = Hub::new(life, settings);
        for id in 0..partitions {
            let slots: Vec<Slot> = (0..=u8::MAX)
                .filter(|slot| (usize::from(*slot) + shift) / spread % partitions == id)
                .map(Slot)
                .collect();
            if !slots.is_empty() {
                hub.parts.push(Part::new(PartitionId(id as u32), slots));
            }
        }
        self.take_over_connections();
        let (moment, sequence) = (self.moment(), self.durable.ever.sequence);
        for old in &mut self.hubs {
            old.deposed = true;
            old.deposed_at.get_or_insert((moment, sequence));
            for part in &mut old.parts {
                part.lost = true;
            }
        }
        tell!(self, "hub {life} begins with {} partitions", hub.parts.len());
        let asks: Vec<_> = hub.parts.iter().map(|part| (part.id, part.slots.clone())).collect();
        self.hubs.push(hub);
        for (id, slots) in asks {
            self.store.acquire(id, slots);
            self.take_events();
        }
        let workers = 1 + self.rng.below(3);
        for _ in 0..workers {
            self.join_worker();
        }
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.hubs.iter().flat_map(|hub| &hub.parts)
    }

    /// The process dies, and perhaps the power goes; then it begins again.
    pub(crate) fn crash(&mut self, power: Option<bool>) {
        let moment = self.moment();
        for hub in (0..self.hubs.len()).rev() {
            self.lose_workers(hub);
            let answers = std::mem::take(&mut self.hubs[hub].answers);
            self.strays.extend(answers.into_iter().map(|(_, post)| Post { lost: Some(moment), ..post }));
            self.hubs.pop();
        }
        self.forget_strays();
        self.calls.clear();
        self.lists.clear();
        self.failed = false;
        self.disk.kill();
        self.disk.set_faults(Faults::default());
        if let Some(torn) = power {
            let rng = &mut self.rng;
            let kept = rng.below(101) as u32;
            self.disk.crash(|_, sector| match (rng.percent(kept), sector) {
                (true, _) => Fate::Kept,
                (false, Some(_)) if torn && rng.percent(40) => Fate::Torn,
                (false, _) => Fate::Lost,
            });
        }
        let left = read_what_is_left(&self.disk, &self.plan);
        let opened = open_store(&self.disk, &self.plan);
        (self.store, self.events) = opened.unwrap_or_else(|error| fail("the store opens after a crash", error));
        self.recover(left);
        self.start_hub();
    }

    /// A client is told.
    pub(crate) fn reply(&mut self, hub: usize, request: RequestId, reply: &Reply) {
        let Some(call) = self.calls.remove(&request.0) else {
            // Cancelled, or of another life.
            self.cover.count("a reply nobody waits for");
            return;
        };
        ensure!(call.life == self.hubs[hub].life, "a request is answered by its hub", "{call:?}");
        tell!(self, "client {}: {} {} -> {}", request.0, verb(&call.request), call.request.instance(), short(reply));
        let moment = Moment {
            durable: &self.durable,
            now: self.now,
            deposed: self.hubs[hub].deposed_at.map(|(_, sequence)| sequence),
            steady: !self.plan.has(Fault::ClockBack),
        };
        moment.check(&call, reply);
        self.cover.count(reply_kind(reply));
    }

    pub(crate) fn freed(&mut self, hub: usize, worker: WorkerId, kind: WorkKind) {
        self.hubs[hub].dispatcher.freed(worker, kind);
    }

    pub(crate) fn clock_step(&mut self) -> bool {
        let by = match self.rng.below(10) {
            0..5 => Duration::from_micros(1 + self.rng.below(2_000) as u64),
            5..8 => Duration::from_millis(1 + self.rng.below(500) as u64),
            8 => Duration::from_secs(1 + self.rng.below(20) as u64),
            _ => {
                // To where the next thing is due.
                let next = self.parts().filter_map(|part| part.core.as_ref().and_then(|core| core.deadline())).min();
                next.map_or(Duration::ZERO, |at| at.since(self.now))
            }
        };
        self.now = self.now.plus(by.min(Duration::from_secs(1_000)));
        true
    }
}

pub(crate) fn compare<T: PartialEq + std::fmt::Debug>(check: &'static str, what: &str, found: &T, expected: &T) {
    ensure!(found == expected, check, "{what}: {found:?}\n   instead of {expected:?}");
}
