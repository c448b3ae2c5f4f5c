//! A hub without threads: partitions, dispatcher and backend in one loop over virtual time.

use super::audit::{self, Audit};
use super::script::{self, Script};
use super::text;
use bytes::Bytes;
use duramen_backend::disk::Disk;
use duramen_backend::{Backend, Event, Hurry, Memory, MemoryOptions};
use duramen_core::checkpoint::{Checkpoint, Image, PairMark};
use duramen_core::dispatch::Dispatcher;
use duramen_core::ids::{Birth, Epoch, InstanceId, PartitionId, Position, Run, Slot};
use duramen_core::limits::{OPEN_TURN, Settings};
use duramen_core::partition::{Config, Effect, Input, Partition};
use duramen_core::request::{OnExisting, Refusal, Reply, Request, RequestId, Start, Until, Wait};
use duramen_core::time::Time;
use duramen_core::work::WorkItem;
use duramen_core::work::*;
use duramen_proto::*;
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
#[derive(Clone, Debug)]
pub enum Mail {
    Message(PairMark),
    Acknowledgement(PairMark),
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
    pub mail: Vec<Mail>,
    pub episodes: Vec<OrchestratorWork>,
    pub ended_sessions: Vec<(WorkerId, Run)>,
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

const AUDITOR: PartitionId = PartitionId(u32::MAX);

/// A worker in the hub's process, with room for everything.
pub fn in_process() -> Announcement {
    Announcement { in_process: true, orchestrators: 1_000, activities: 20_000, filters: None }
}

/// The same elsewhere.
pub fn remote() -> Announcement {
    Announcement { in_process: false, ..in_process() }
}

impl Hub {
    pub fn new(mode: Mode) -> Self {
        let options = MemoryOptions { in_steps: mode == Mode::Slow, ..MemoryOptions::default() };
        let backend = Memory::open(Disk::new(), options).expect("an empty disk opens");
        let events = Arc::new(Mutex::new(VecDeque::new()));
        let sink = events.clone();
        backend.listen(Arc::new(move |event| sink.lock().expect("no test panics in here").push_back(event)));
        let settings = Settings { evict_at_once: mode == Mode::Evict, ..Settings::default() };
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
            audited: true,
            mail: Vec::new(),
            episodes: Vec::new(),
            ended_sessions: Vec::new(),
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

    // Workers and their code.

    pub fn join(&mut self, id: WorkerId, announcement: Announcement) {
        self.dispatcher.join(id, announcement.clone());
        self.workers.insert(id, Worker { announcement, sessions: BTreeMap::new() });
        self.grant();
        self.run();
    }

    pub fn leave(&mut self, id: WorkerId) {
        self.workers.remove(&id);
        self.dispatcher.leave(id);
        self.jobs.retain(|(worker, _)| *worker != id);
        for partition in self.partitions.keys() {
            self.queue.push_back((*partition, Input::WorkerGone(id)));
        }
        self.run();
    }

    /// Replaces the worker by one elsewhere.
    pub fn go_remote(&mut self) {
        self.leave(WORKER);
        self.join(WORKER, remote());
    }

    pub fn orchestrator(&mut self, name: &str, code: impl Fn(&mut script::Context) -> Option<String> + 'static) {
        self.script.orchestrators.insert(name.into(), Rc::new(code));
    }

    pub fn raw(&mut self, name: &str, code: impl Fn(&OrchestratorWork) -> OrchestratorResponse + 'static) {
        self.script.raw.insert(name.into(), Rc::new(code));
    }

    pub fn activity(&mut self, name: &str, code: impl Fn(&str) -> Result<String, TaskFailureDetails> + 'static) {
        let code = move |work: &ActivityWork| code(&scheduled(work).1.input.unwrap_or_default()).map(Some);
        self.script.activities.insert(name.into(), Rc::new(code));
    }

    /// Puts items of a function aside; the answers are the test's.
    pub fn hold(&mut self, name: &str) {
        self.held_names.insert(name.into());
    }

    /// Lets the function's items run, those put aside first.
    pub fn release(&mut self, name: &str) {
        self.held_names.remove(name);
        let (free, held) = std::mem::take(&mut self.held).into_iter().partition(|(_, item)| name_of(item) == name);
        self.held = held;
        self.jobs.extend::<Vec<_>>(free);
        self.run();
    }

    /// The one item that is put aside.
    pub fn take_held(&mut self) -> (WorkerId, WorkItem) {
        assert_eq!(self.held.len(), 1, "one item is held: {:?}", self.held);
        self.held.remove(0)
    }

    pub fn answer(&mut self, worker: WorkerId, answer: Answer) {
        self.submit_answer(worker, answer);
        self.run();
    }

    /// Puts an answer into the queue without running the loop.
    pub fn submit_answer(&mut self, worker: WorkerId, answer: Answer) {
        for partition in self.partitions.keys() {
            self.queue.push_back((*partition, Input::Answer(worker, answer.clone())));
        }
    }

    /// Runs an item as the script has it.
    pub fn perform(&mut self, worker: WorkerId, item: &WorkItem) -> Answer {
        match &item.work {
            Work::Orchestrator(work) => {
                let past = self.past_of(worker, work);
                if self.audited {
                    audit::episode(work, &past);
                }
                let response = script::episode(&self.script, work, &past);
                let keeps = self.workers.get(&worker).is_some_and(|worker| worker.announcement.in_process);
                if keeps && !response.requires_history {
                    let mut history = past;
                    script::remember(&mut history, &work.new, &response);
                    let session = Session { episodes: work.session.episodes + 1, ..work.session };
                    let worker = self.workers.get_mut(&worker).expect("it was just there");
                    worker.sessions.insert(session.run, (session, history));
                }
                Answer::Orchestrator(item.token, response)
            }
            Work::Activity(work) => {
                let (id, task) = scheduled(work);
                self.ran.borrow_mut().push(task.name.clone());
                let code = self.script.activities.get(&task.name).cloned();
                let result =
                    code.map_or_else(|| Err(script::failure("ActivityTaskNotFound", &task.name)), |code| code(work));
                Answer::Activity(item.token, activity_response(work, id, result))
            }
        }
    }

    fn past_of(&mut self, worker: WorkerId, work: &OrchestratorWork) -> Vec<HistoryEvent> {
        if let Some(past) = &work.past {
            return text::decode(past);
        }
        let worker = self.workers.get_mut(&worker).expect("a worker with work is here");
        let kept = worker.sessions.remove(&work.session.run);
        let (session, history) = kept.expect("an item without history goes to the worker that holds the session");
        assert_eq!(session, work.session, "the session goes on where it was");
        history
    }

    // Clients.

    pub fn request(&mut self, request: Request) -> RequestId {
        let id = self.submit(request);
        self.run();
        id
    }

    /// Puts a request into the queue without running the loop.
    pub fn submit(&mut self, request: Request) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.open.insert(id, request.clone());
        let partition = self.owner(request.instance().slot());
        self.queue.push_back((partition, Input::Request(id, request)));
        id
    }

    pub fn cancel(&mut self, id: RequestId) {
        let request = self.open.remove(&id).expect("it is open");
        let partition = self.owner(request.instance().slot());
        self.queue.push_back((partition, Input::Cancelled(id)));
        self.run();
    }

    pub fn reply(&self, id: RequestId) -> Option<&Reply> {
        self.replies.get(&id)
    }

    pub fn ask(&mut self, request: Request) -> Reply {
        let what = format!("{request:?}");
        let id = self.request(request);
        self.replies.remove(&id).unwrap_or_else(|| panic!("no reply to {what}"))
    }

    pub fn refused(&mut self, request: Request) -> Refusal {
        match self.ask(request) {
            Reply::Refused(refusal) => refusal,
            other => panic!("it was not refused: {other:?}"),
        }
    }

    pub fn done(&mut self, request: Request) {
        match self.ask(request) {
            Reply::Done => {}
            other => panic!("it was not done: {other:?}"),
        }
    }

    pub fn start_with(&mut self, request: CreateInstanceRequest, on_existing: OnExisting) -> Reply {
        self.ask(Request::Start(Box::new(Start { request, fresh: false, on_existing })))
    }

    /// Starts an instance, and gives its birth.
    pub fn start(&mut self, id: &str, name: &str, input: Option<&str>) -> Birth {
        match self.start_with(create(id, name, input), OnExisting::Reject) {
            Reply::Started { birth, attached: false, .. } => birth,
            other => panic!("{id} was not started: {other:?}"),
        }
    }

    pub fn raise(&mut self, id: &str, name: &str, input: Option<&str>) {
        self.done(Request::Raise { id: id.into(), name: name.into(), input: input.map(Into::into) });
    }

    pub fn suspend(&mut self, id: &str) {
        self.done(Request::Suspend { id: id.into(), reason: None });
    }

    pub fn resume(&mut self, id: &str) {
        self.done(Request::Resume { id: id.into(), reason: None });
    }

    pub fn terminate(&mut self, id: &str, output: &str, recurse: bool) {
        self.done(Request::Terminate { id: id.into(), output: Some(output.into()), recurse });
    }

    pub fn wait(&mut self, id: &str, birth: Option<Birth>, until: Until, timeout: Option<u64>) -> RequestId {
        let timeout = timeout.map(Duration::from_secs);
        self.request(Request::Wait(Wait { id: id.into(), birth, until, timeout }))
    }

    pub fn find(&mut self, id: &str) -> Option<OrchestrationState> {
        match self.ask(Request::Get(id.into())) {
            Reply::State(state) => state.map(|state| *state),
            other => panic!("{other:?}"),
        }
    }

    pub fn state(&mut self, id: &str) -> OrchestrationState {
        self.find(id).unwrap_or_else(|| panic!("{id} exists"))
    }

    pub fn status(&mut self, id: &str) -> OrchestrationStatus {
        self.state(id).orchestration_status()
    }

    /// `STATUS output failure` in a line.
    pub fn outcome(&mut self, id: &str) -> String {
        let Some(state) = self.find(id) else { return "none".into() };
        let status = state.orchestration_status().as_str_name().trim_start_matches("ORCHESTRATION_STATUS_").to_string();
        let failure =
            state.failure_details.map(|failure| format!(" {}({})", failure.error_type, failure.error_message));
        format!(
            "{status}{}{}",
            state.output.map_or_else(String::new, |output| format!(" {output}")),
            failure.unwrap_or_default()
        )
    }

    pub fn events(&mut self, id: &str) -> Vec<Bytes> {
        match self.ask(Request::History(id.into())) {
            Reply::History(events) => events,
            other => panic!("{other:?}"),
        }
    }

    pub fn history(&mut self, id: &str) -> String {
        text::lines(&self.events(id)).join("\n")
    }

    /// Compares a history with lines whose indentation does not count.
    #[track_caller]
    pub fn expect_history(&mut self, id: &str, expected: &str) {
        let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let found = self.history(id);
        assert_eq!(found, expected.join("\n"), "the history of {id} in mode {:?} is:\n{found}\n", self.mode);
    }

    // Time and the loop.

    pub fn advance_seconds(&mut self, seconds: u64) {
        self.advance(Duration::from_secs(seconds));
    }

    /// Lets time pass, with everything that falls due.
    pub fn advance(&mut self, duration: Duration) {
        let end = self.now.plus(duration);
        self.run();
        while let Some(next) = self.deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.run();
        }
        self.now = end;
        self.run();
    }

    pub fn deadline(&self) -> Option<Time> {
        self.partitions.values().filter_map(Partition::deadline).min()
    }

    /// Does all that can be done without time passing.
    pub fn run(&mut self) {
        for step in 0.. {
            assert!(step < 400_000, "the hub does not come to rest");
            if self.run_at_hand() || (self.mode == Mode::Slow && self.backend.step()) {
                continue;
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
            self.dispatcher.grants(&mut grants);
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
                Effect::Load(instance) => self.backend.load(id, instance),
                Effect::Offer(offer) => self.dispatcher.offer(id, offer),
                Effect::Work(worker, item) => self.hand_over(worker, item),
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
                    self.post(Mail::Message(mark), to, || Input::Message(mark, message.clone()));
                }
                Effect::Acknowledge(mark) => {
                    self.audit.acknowledgement(&mark);
                    let to = self.owner(Slot(mark.source as u8));
                    self.post(Mail::Acknowledgement(mark), to, || Input::Acknowledged(mark));
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
        let in_process = there.announcement.in_process;
        if self.audited {
            let image = || durable(&self.backend, &self.events, instance_of(&item));
            match &item.work {
                Work::Activity(work) => self.audit.activity(work, image()),
                Work::Orchestrator(work) if !in_process => self.audit.remote_episode(work, image()),
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

    // Partitions.

    pub fn owner(&self, slot: Slot) -> PartitionId {
        self.owners[usize::from(slot.0)]
    }

    /// The n-th id that lives in a partition.
    pub fn id_in(&self, partition: u32, n: usize) -> String {
        let ids = (0..).map(|number| format!("i{number}"));
        let mut ids = ids.filter(|id| self.owner(InstanceId::new(id.as_str()).slot()) == PartitionId(partition));
        ids.nth(n).expect("every partition has ids without end")
    }

    pub fn partition(&self, id: u32) -> &Partition {
        &self.partitions[&PartitionId(id)]
    }

    /// An instance as it is stored.
    pub fn stored(&self, id: &str) -> Option<Image> {
        durable(&self.backend, &self.events, id.into())
    }

    /// The process dies and the store is opened again by another.
    pub fn crash(&mut self) {
        // What is durable was answered: a client whose answer got lost would have to look, not ask again.
        while let Some(event) = self.events.lock().map(|mut events| take_appended(&mut events)).expect("no panics") {
            if let Event::Appended { partition, epoch, number, position } = event {
                self.committed(partition, epoch, number, position);
            }
        }
        self.crashes += 1;
        assert!(self.crashes < 2_000, "the hub makes no progress between crashes");
        self.reopen(self.partitions.len());
    }

    /// Opens the store with this many partitions. Mail that has left arrives; all else that was only
    /// in memory is gone, and clients ask again.
    pub fn reopen(&mut self, count: usize) {
        self.owners = (0..Slot::COUNT).map(|slot| PartitionId((slot % count) as u32)).collect();
        self.dispatcher = Dispatcher::new();
        let left = std::mem::take(&mut self.queue);
        let is_mail = |input: &Input| matches!(input, Input::Message(..) | Input::Acknowledged(..));
        let mail: Vec<Input> = left.into_iter().map(|(_, input)| input).filter(is_mail).collect();
        self.jobs.clear();
        self.partitions.clear();
        let ids: Vec<PartitionId> = (0..count as u32).map(PartitionId).collect();
        let owners = self.owners.clone();
        let slots_of = |id: PartitionId| -> Vec<Slot> {
            (0..=255).map(Slot).filter(|slot| owners[usize::from(slot.0)] == id).collect()
        };
        ids.iter().for_each(|id| self.backend.acquire(*id, slots_of(*id)));
        while self.mode == Mode::Slow && self.backend.step() {}
        // What the last owner has not heard it will not hear.
        let said = std::mem::take(&mut *self.events.lock().expect("no test panics in here"));
        for event in said {
            let Event::Acquired { partition: id, epoch, store, outstanding } = event else { continue };
            let config = Config { id, epoch, store, slots: slots_of(id), settings: self.settings.clone() };
            let mut out = Vec::new();
            let partition = Partition::open(config, *outstanding, self.now, &mut out);
            self.partitions.insert(id, partition);
            self.route(id, out);
        }
        assert_eq!(self.partitions.len(), count, "leases are given at once");
        for (id, worker) in &mut self.workers {
            worker.sessions.clear();
            self.dispatcher.join(*id, worker.announcement.clone());
        }
        for input in mail {
            let slot = match &input {
                Input::Message(mark, _) => mark.target,
                Input::Acknowledged(mark) => mark.source,
                _ => unreachable!("only mail is kept"),
            };
            self.queue.push_back((self.owner(Slot(slot as u8)), input));
        }
        let again: Vec<(RequestId, Request)> = self.open.iter().map(|(id, request)| (*id, request.clone())).collect();
        for (id, request) in again {
            self.queue.push_back((self.owner(request.instance().slot()), Input::Request(id, request)));
        }
        self.grant();
        for id in ids {
            self.cut(id, self.now);
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
