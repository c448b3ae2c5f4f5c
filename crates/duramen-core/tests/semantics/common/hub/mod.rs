//! A hub without threads: partitions, dispatcher and backend in one loop over virtual time.

mod clients;
mod partitions;
mod workers;

use super::audit::{self, Audit};
use super::script::{self, Script};
use super::text;
use bytes::Bytes;
use duramen_backend::disk::Disk;
use duramen_backend::{Backend, Event, Hurry, Memory, MemoryOptions};
use duramen_core::checkpoint::{Checkpoint, Image, TimerWindow};
use duramen_core::dispatch::Dispatcher;
use duramen_core::ids::{Birth, Epoch, InstanceId, PartitionId, Position, Run, Slot, Token};
use duramen_core::limits::{OPEN_TURN, Settings};
use duramen_core::partition::{Config, Departure, Effect, Footprint, HeldItem, Input, Partition, Verdict};
use duramen_core::request::{OnExisting, Refusal, Reply, Request, RequestId, Start, Until, Wait};
use duramen_core::time::Time;
use duramen_core::work::{
    ActivityWork, Announcement, Answer, OrchestratorWork, Session, Work, WorkItem, WorkKind, WorkerId,
};
use duramen_proto::{
    ActivityResponse, CreateInstanceRequest, HistoryEvent, OrchestrationState, OrchestrationStatus,
    OrchestratorResponse, TaskFailureDetails, TaskScheduledEvent,
};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a scenario is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Every checkpoint is durable at once.
    Plain,
    /// So it is, and every instance leaves memory whenever it may.
    Evict,
    /// A checkpoint is durable only when nothing else can be done.
    Slow,
    /// Settling lags behind, little may be in memory, and windows and chunks are small.
    Late,
    /// The hub dies after every checkpoint and is opened again.
    Crash,
}

/// What becomes of a message or acknowledgement between partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Once,
    Lost,
    Twice,
    /// Ahead of whatever else is on its way.
    Early,
}

/// Something on its way between partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mail {
    Message,
    Acknowledgement,
}

/// What the backend has said and nobody has heard yet.
type Backlog = Mutex<VecDeque<Event>>;

/// Who decides about mail.
pub type Link = Box<dyn FnMut(&Mail) -> Fate>;

struct Worker {
    announcement: Announcement,
    /// What it keeps between episodes, by run.
    sessions: BTreeMap<Run, (Session, Vec<HistoryEvent>)>,
}

/// The worker that every hub begins with.
pub const WORKER: WorkerId = WorkerId(1);

pub struct Hub {
    pub mode: Mode,
    pub now: Time,
    pub settings: Settings,
    pub script: Script,
    /// Functions whose items are put aside for the test to answer.
    pub held_names: BTreeSet<String>,
    pub held: Vec<(WorkerId, WorkItem)>,
    /// Every checkpoint that was cut.
    pub checkpoints: Vec<(PartitionId, Checkpoint)>,
    /// Names of activities that ran.
    pub ran: Rc<RefCell<Vec<String>>>,
    pub link: Link,
    /// Whether each thing that leaves is held against what is durable. Costs a load each.
    pub audited: bool,
    /// In mode Late: how often there is nothing left to do before something is settled.
    pub settles_every: usize,
    /// How often there was nothing left to do.
    rests: usize,
    pub mail: Vec<Mail>,
    pub episodes: Vec<OrchestratorWork>,
    pub ended_sessions: Vec<(WorkerId, Run)>,
    /// Every load that was asked for.
    pub loads: Vec<String>,
    /// Every stretch of timers that was asked for.
    pub stretches: Vec<TimerWindow>,
    pub crashes: usize,
    /// While set, what the backend has to say waits.
    pub stalled: bool,
    backend: Memory,
    events: Arc<Backlog>,
    partitions: BTreeMap<PartitionId, Partition>,
    owners: Vec<PartitionId>,
    dispatcher: Dispatcher,
    queue: VecDeque<(PartitionId, Input)>,
    open: BTreeMap<RequestId, Request>,
    replies: BTreeMap<RequestId, Reply>,
    next_request: u64,
    workers: BTreeMap<WorkerId, Worker>,
    jobs: VecDeque<(WorkerId, WorkItem)>,
    audit: Audit,
}

fn settings_of(mode: Mode) -> Settings {
    match mode {
        Mode::Plain | Mode::Slow | Mode::Crash => Settings::default(),
        Mode::Evict => Settings { resident: 0, ..Settings::default() },
        Mode::Late => Settings {
            idle_after: Duration::from_secs(2),
            resident: 3,
            timer_window: Duration::from_secs(1),
            history_chunk: 2,
            ..Settings::default()
        },
    }
}

const AUDITOR: PartitionId = PartitionId(u32::MAX);

/// A worker in the hub's process, with room for everything.
pub fn in_process() -> Announcement {
    let (in_process, sessions) = (true, true);
    Announcement { in_process, sessions, orchestrators: 1_000, activities: 20_000, ..Announcement::default() }
}

/// The same elsewhere, as most SDKs are.
pub fn remote() -> Announcement {
    Announcement { in_process: false, sessions: false, ..in_process() }
}

/// The same elsewhere, with sessions.
pub fn remote_with_sessions() -> Announcement {
    Announcement { in_process: false, ..in_process() }
}

impl Hub {
    pub fn new(mode: Mode) -> Self {
        let options = MemoryOptions {
            in_steps: mode == Mode::Slow,
            settles_late: mode == Mode::Late,
            ..MemoryOptions::default()
        };
        let backend = Memory::open(Disk::new(), options).expect("an empty disk opens");
        let events = Arc::new(Mutex::new(VecDeque::new()));
        let sink = events.clone();
        backend.listen(Arc::new(move |event| sink.lock().expect("no test panics in here").push_back(event)));
        let settings = settings_of(mode);
        let mut hub = Self {
            mode,
            now: Time::new(1_000, 0),
            settings,
            script: Script::default(),
            held_names: BTreeSet::new(),
            held: Vec::new(),
            checkpoints: Vec::new(),
            ran: Rc::default(),
            link: Box::new(|_| Fate::Once),
            // What is durable can be looked at only when it is settled.
            audited: mode != Mode::Late,
            settles_every: 3,
            rests: 0,
            mail: Vec::new(),
            episodes: Vec::new(),
            ended_sessions: Vec::new(),
            loads: Vec::new(),
            stretches: Vec::new(),
            crashes: 0,
            stalled: false,
            backend,
            events,
            partitions: BTreeMap::new(),
            owners: Vec::new(),
            dispatcher: Dispatcher::new(),
            queue: VecDeque::new(),
            open: BTreeMap::new(),
            replies: BTreeMap::new(),
            next_request: 1,
            workers: BTreeMap::new(),
            jobs: VecDeque::new(),
            audit: Audit::default(),
        };
        hub.reopen(1);
        hub.join(WORKER, in_process());
        hub
    }

    pub fn advance_seconds(&mut self, seconds: u64) {
        self.advance(Duration::from_secs(seconds));
    }

    /// Lets time pass, with everything that falls due.
    pub fn advance(&mut self, duration: Duration) {
        let end = self.now.plus(duration);
        self.run();
        while let Some(next) = self.next_tick().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.grant();
            self.run();
        }
        self.now = end;
        self.run();
    }

    /// When something is due that a client can be waiting for.
    pub fn deadline(&self) -> Option<Time> {
        self.partitions.values().filter_map(Partition::awaited).chain(self.dispatcher.deadline()).min()
    }

    fn next_tick(&self) -> Option<Time> {
        self.partitions.values().filter_map(Partition::deadline).chain(self.dispatcher.deadline()).min()
    }

    /// Settles everything that is durable.
    pub fn settle(&mut self) {
        self.settle_unheard();
        self.run();
    }

    /// The same; nobody has heard of it yet.
    pub fn settle_unheard(&mut self) {
        self.backend.settle_now();
    }

    /// Items that wait for a worker.
    pub fn waiting(&self, kind: WorkKind) -> usize {
        self.dispatcher.waiting(kind)
    }

    pub fn footprint(&self) -> Footprint {
        self.partition(0).footprint()
    }

    /// Does all that can be done without time passing.
    pub fn run(&mut self) {
        for step in 0.. {
            assert!(step < 400_000, "the hub does not come to rest");
            if self.run_at_hand() || (self.mode == Mode::Slow && self.backend.step()) {
                continue;
            }
            self.rests += 1;
            if self.mode == Mode::Late && self.rests.is_multiple_of(self.settles_every) {
                self.backend.settle_now();
                while self.run_at_hand() {}
            }
            return;
        }
    }

    /// Everything but making checkpoints durable in mode Slow.
    pub fn run_at_hand(&mut self) -> bool {
        let event = || self.events.lock().expect("no test panics in here").pop_front();
        let event = if self.stalled { None } else { event() };
        if let Some(event) = event {
            self.on_event(event);
        } else if let Some((partition, input)) = self.queue.pop_front() {
            self.turn(partition, |partition, now, out| partition.handle(input, now, out));
        } else if let Some((worker, item)) = self.jobs.pop_front() {
            let answer = self.perform(worker, &item);
            let owner = self.owner(instance_of(&item).slot());
            self.queue.push_back((owner, Input::Answer(worker, answer)));
        } else {
            return self.tick() || self.close_turns();
        }
        true
    }

    fn tick(&mut self) -> bool {
        let now = self.now;
        let due: Vec<PartitionId> = self
            .partitions
            .iter()
            .filter(|(_, partition)| partition.deadline().is_some_and(|deadline| deadline <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in &due {
            self.turn(*id, Partition::tick);
        }
        !due.is_empty()
    }

    /// A turn stays open for in-process episodes for a millisecond at most.
    fn close_turns(&mut self) -> bool {
        let later = self.now.plus(OPEN_TURN);
        let ids: Vec<PartitionId> = self.partitions.keys().copied().collect();
        ids.into_iter().any(|id| self.cut(id, later))
    }

    fn turn(&mut self, id: PartitionId, act: impl FnOnce(&mut Partition, Time, &mut Vec<Effect>)) {
        let mut out = Vec::new();
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        act(partition, self.now, &mut out);
        self.route(id, out);
        self.grant();
        self.cut(id, self.now);
    }

    fn grant(&mut self) {
        let mut grants = Vec::new();
        loop {
            self.dispatcher.grants(self.now, &mut grants);
            for found in self.dispatcher.take_oversized() {
                if self.settings.fail_oversized {
                    self.dispatcher.forget_oversized(&found.item);
                    let input = Input::Oversized(found.item, found.bytes, found.limit);
                    self.queue.push_back((found.partition, input));
                }
            }
            if grants.is_empty() {
                return;
            }
            for (id, grant) in grants.drain(..) {
                let mut out = Vec::new();
                let partition = self.partitions.get_mut(&id).expect("an offer comes from a partition that is here");
                partition.handle(Input::Granted(grant), self.now, &mut out);
                self.route(id, out);
            }
        }
    }

    fn cut(&mut self, id: PartitionId, now: Time) -> bool {
        let partition = self.partitions.get_mut(&id).expect("it is here");
        let Some(checkpoint) = partition.cut(now) else { return false };
        let epoch = partition.epoch();
        self.checkpoints.push((id, checkpoint.clone()));
        self.backend.append(id, epoch, vec![checkpoint], Hurry::Busy);
        true
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Appended { partition: id, epoch, number, position } => {
                self.committed(id, epoch, number, position);
                if self.mode == Mode::Crash {
                    self.crash();
                } else {
                    self.grant();
                    self.cut(id, self.now);
                }
            }
            Event::Loaded { partition, id, image } => {
                self.turn(partition, |partition, now, out| partition.handle(Input::Loaded(id, image), now, out));
            }
            Event::Timers { partition, due } => {
                self.turn(partition, |partition, now, out| partition.handle(Input::Timers(due), now, out));
            }
            Event::Settled(position) => {
                let ids: Vec<PartitionId> = self.partitions.keys().copied().collect();
                for id in ids {
                    self.turn(id, |partition, now, out| partition.handle(Input::Settled(position), now, out));
                }
            }
            other => panic!("unexpected: {other:?}"),
        }
    }

    fn committed(&mut self, id: PartitionId, epoch: Epoch, number: u64, position: Position) {
        let partition = self.partitions.get_mut(&id).expect("it is here");
        if partition.epoch() != epoch {
            return;
        }
        let own = self.checkpoints.iter().rev();
        let mut own = own.filter(|(owner, checkpoint)| *owner == id && checkpoint.number == number);
        let checkpoint = &own.next().expect("only what was cut is appended").1;
        self.audit.committed(checkpoint);
        let mut out = Vec::new();
        partition.committed(number, position, &mut out);
        self.dispatcher.committed(id, number);
        if self.mode == Mode::Crash {
            out.retain(|effect| matches!(effect, Effect::Reply(..) | Effect::Message(..) | Effect::Acknowledge(..)));
        }
        self.route(id, out);
    }

    fn route(&mut self, id: PartitionId, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply(request, reply) => {
                    if self.audited {
                        let durable = |id: &str| durable(&self.backend, &self.events, id.into());
                        self.audit.reply(&reply, durable);
                    }
                    if self.open.remove(&request).is_some() {
                        self.replies.insert(request, reply);
                    }
                }
                Effect::Forward(request, asked) => {
                    self.queue.push_back((self.owner(asked.instance().slot()), Input::Request(request, asked)));
                }
                Effect::Load(instance) => {
                    self.loads.push(instance.to_string());
                    self.backend.load(id, instance);
                }
                Effect::Timers(window) => {
                    self.stretches.push(window);
                    let slots = (0..=255).map(Slot).filter(|slot| self.owner(*slot) == id).collect();
                    self.backend.timers(id, slots, window);
                }
                Effect::Offer(offer) => self.dispatcher.offer(id, offer, self.now),
                Effect::Withdrawn(withdrawn) => self.dispatcher.withdraw(&withdrawn),
                Effect::Counted(_) => {}
                Effect::Work(worker, item) => {
                    self.dispatcher.handed(worker, &item);
                    self.hand_over(worker, item);
                }
                Effect::Refused(grant) => self.dispatcher.refused(&grant),
                Effect::Freed(worker, kind) => self.dispatcher.freed(worker, kind),
                Effect::EndSession(worker, run) => {
                    self.ended_sessions.push((worker, run));
                    if let Some(worker) = self.workers.get_mut(&worker) {
                        worker.sessions.remove(&run);
                    }
                }
                Effect::Message(mark, message) => {
                    self.audit.message(&mark);
                    let to = self.owner(Slot(mark.target as u8));
                    assert_ne!(to, id, "a message within a partition does not leave it");
                    self.post(Mail::Message, to, || Input::Message(mark, message.clone()));
                }
                Effect::Acknowledge(mark) => {
                    self.audit.acknowledgement(&mark);
                    let to = self.owner(Slot(mark.source as u8));
                    self.post(Mail::Acknowledgement, to, || Input::Acknowledged(mark));
                }
            }
        }
    }

    fn post(&mut self, mail: Mail, to: PartitionId, input: impl Fn() -> Input) {
        let fate = (self.link)(&mail);
        self.mail.push(mail);
        match fate {
            Fate::Lost => {}
            Fate::Once => self.queue.push_back((to, input())),
            Fate::Twice => self.queue.extend([(to, input()), (to, input())]),
            Fate::Early => self.queue.push_front((to, input())),
        }
    }

    fn hand_over(&mut self, worker: WorkerId, item: WorkItem) {
        let there = self.workers.get(&worker).expect("work goes to workers that are here");
        let forgets = there.announcement.in_process || there.announcement.sessions;
        if self.audited {
            let image = || durable(&self.backend, &self.events, instance_of(&item));
            match &item.work {
                Work::Activity(work) => self.audit.activity(work, image()),
                Work::Orchestrator(work) if !forgets => self.audit.remote_episode(work, image()),
                Work::Orchestrator(_) => {}
            }
        }
        if let Work::Orchestrator(work) = &item.work {
            self.episodes.push(work.clone());
        }
        if self.held_names.contains(&name_of(&item)) {
            self.held.push((worker, item));
        } else {
            self.jobs.push_back((worker, item));
        }
    }
}

fn take_appended(events: &mut VecDeque<Event>) -> Option<Event> {
    let place = events.iter().position(|event| matches!(event, Event::Appended { .. }))?;
    events.remove(place)
}

/// An instance as the backend has it now.
fn durable(backend: &Memory, events: &Backlog, id: InstanceId) -> Option<Image> {
    backend.load(AUDITOR, id);
    let mut events = events.lock().expect("no test panics in here");
    let place = events.iter().position(|event| matches!(event, Event::Loaded { partition: AUDITOR, .. }));
    match events.remove(place.expect("a load is answered at once")) {
        Some(Event::Loaded { image, .. }) => image.map(|image| *image),
        _ => unreachable!("it was just found"),
    }
}

pub fn create(id: &str, name: &str, input: Option<&str>) -> CreateInstanceRequest {
    CreateInstanceRequest {
        instance_id: id.into(),
        name: name.into(),
        input: input.map(Into::into),
        ..CreateInstanceRequest::default()
    }
}

/// The id and the content of an activity's TaskScheduled.
pub fn scheduled(work: &ActivityWork) -> (i32, TaskScheduledEvent) {
    use duramen_proto::history_event::EventType;
    let event = text::decode(std::slice::from_ref(&work.scheduled)).remove(0);
    match event.event_type {
        Some(EventType::TaskScheduled(task)) => (event.event_id, task),
        other => panic!("an activity is a TaskScheduled: {other:?}"),
    }
}

pub fn activity_response(
    work: &ActivityWork,
    task_id: i32,
    result: Result<Option<String>, TaskFailureDetails>,
) -> ActivityResponse {
    let (result, failure_details) = match result {
        Ok(result) => (result, None),
        Err(failure) => (None, Some(failure)),
    };
    ActivityResponse {
        instance_id: work.instance.to_string(),
        task_id,
        result,
        failure_details,
        ..ActivityResponse::default()
    }
}

pub fn name_of(item: &WorkItem) -> String {
    match &item.work {
        Work::Orchestrator(work) => work.name.to_string(),
        Work::Activity(work) => scheduled(work).1.name,
    }
}

fn instance_of(item: &WorkItem) -> InstanceId {
    match &item.work {
        Work::Orchestrator(work) => work.instance.clone(),
        Work::Activity(work) => work.instance.clone(),
    }
}

/// The episode in an item.
pub fn orchestrator_work(item: &WorkItem) -> &OrchestratorWork {
    match &item.work {
        Work::Orchestrator(work) => work,
        Work::Activity(work) => panic!("an activity: {work:?}"),
    }
}
