//! The reference model: what the durable state is, and which changes of it are allowed.
//!
//! It reads checkpoints as they are submitted, one change at a time, and asks of each whether
//! something that happened explains it. It shares no code with the core: rows are rebuilt here, and
//! the rules are written from the design.

use crate::check::{ensure, fail};
use crate::coverage::Coverage;
use crate::program::Input;
use bytes::Bytes;
use duramen_core::checkpoint::{
    Arrived, Change, Checkpoint, CustomStatus, Head, HistoryParts, Image, Outstanding, PairMark, Part, Place, Queued,
    Ready, Sent, Tail, Task, Timer, TimerWindow,
};
use duramen_core::time::Time;
use duramen_proto::history_event::EventType;
use duramen_proto::{HistoryEvent, OrchestrationStatus};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};

const RUNNING: i32 = OrchestrationStatus::Running as i32;
const FAILED: i32 = OrchestrationStatus::Failed as i32;
const PENDING: i32 = OrchestrationStatus::Pending as i32;
const TERMINATED: i32 = OrchestrationStatus::Terminated as i32;

/// What explains changes: everything that was said to the hub from outside.
#[derive(Debug, Default)]
pub(crate) struct Causes {
    /// Starts that clients sent, by the mark of the input: the id.
    pub(crate) starts: BTreeMap<String, String>,
    /// Restarts that clients sent: the id of the new instance.
    pub(crate) restarts: BTreeMap<String, u64>,
    /// Raises, suspends, resumes, terminations of clients, by their unique text: the id.
    pub(crate) texts: BTreeMap<String, String>,
    /// Results that were answered under the token that was current, by their unique text.
    pub(crate) results: BTreeSet<String>,
    /// Episodes that were answered under the token that was current: (lease, run, episode).
    pub(crate) episodes: BTreeSet<(u32, u64, u64)>,
    /// Runs in which a worker answered garbage.
    pub(crate) garbled: BTreeSet<u64>,
    /// The latest time that the hub was told since the last checkpoint of a partition.
    pub(crate) latest: Time,
    /// The latest time that it was ever told.
    pub(crate) latest_ever: Time,
}

/// Something that was true of an id at a moment; for replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facet {
    pub(crate) exists: bool,
    pub(crate) ended: bool,
    pub(crate) suspended: bool,
    pub(crate) status: i32,
    pub(crate) birth: u64,
}

const NOBODY: Facet = Facet { exists: false, ended: false, suspended: false, status: -1, birth: 0 };

#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) history: Vec<Bytes>,
    pub(crate) inbox: BTreeMap<u64, Bytes>,
    pub(crate) timers: BTreeMap<u64, Timer>,
    pub(crate) episodes: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) head: Head,
    pub(crate) tail: Tail,
    pub(crate) custom: Option<CustomStatus>,
    pub(crate) run: Run,
    pub(crate) tasks: BTreeMap<u64, Task>,
    pub(crate) last_started: Option<Time>,
    next_arrival: u64,
    next_task: u64,
    next_timer: u64,
}

/// The rows, and what was ever in them.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) instances: BTreeMap<u64, Instance>,
    pub(crate) by_id: BTreeMap<String, u64>,
    runs: BTreeMap<u64, u64>,
    largest_run: BTreeMap<u32, u64>,
    pub(crate) outbox: BTreeMap<(u32, u32, u64), Bytes>,
    pub(crate) sent: BTreeMap<(u32, u32), u64>,
    pub(crate) received: BTreeMap<(u32, u32), u64>,
    /// Every unique text that arrived: in which run.
    arrived: BTreeMap<String, u64>,
    /// The last action of an execution whose event arrived at an instance.
    order: BTreeMap<(String, u64), i32>,
    /// Children asked for and not yet made, by (run, action).
    children: BTreeMap<(u64, i32), i64>,
    rewound: BTreeSet<u64>,
    pub(crate) births: u64,
    /// Everything that was ever durable, for replies.
    pub(crate) ever: Ever,
}

/// What was ever in the rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ever {
    pub(crate) sequence: u64,
    pub(crate) facets: BTreeMap<String, Vec<(u64, Facet)>>,
    pub(crate) texts: BTreeSet<String>,
    pub(crate) executions: BTreeMap<String, u64>,
    pub(crate) outcomes: BTreeSet<(String, i32, Option<String>)>,
    pub(crate) custom: BTreeSet<(u64, Option<String>)>,
    pub(crate) begun: BTreeSet<u64>,
    pub(crate) births: BTreeMap<u64, (String, Option<String>)>,
    pub(crate) purged: BTreeMap<String, u64>,
    pub(crate) messages: BTreeMap<(u32, u32, u64), Bytes>,
    pub(crate) tasks: BTreeSet<(String, Bytes)>,
}

/// With what a checkpoint is judged; without it, it is only applied.
pub(crate) struct Judge<'a> {
    pub(crate) causes: &'a Causes,
    pub(crate) epoch: u32,
    pub(crate) cover: &'a mut Coverage,
    /// Messages that were durable before.
    pub(crate) messages: &'a BTreeMap<(u32, u32, u64), Bytes>,
}

pub(crate) fn decode(event: &Bytes) -> HistoryEvent {
    HistoryEvent::decode(event.clone())
        .unwrap_or_else(|error| fail("history is well-formed", format!("an event does not parse: {error}")))
}

pub(crate) fn kind(event: &Bytes) -> EventType {
    decode(event).event_type.unwrap_or_else(|| fail("history is well-formed", "an event without a type".into()))
}

/// The text that makes an inbound event unlike every other.
fn text_of(kind: &EventType) -> Option<String> {
    match kind {
        EventType::EventRaised(raised) => raised.input.clone(),
        EventType::ExecutionSuspended(suspended) => suspended.input.clone(),
        EventType::ExecutionResumed(resumed) => resumed.input.clone(),
        EventType::TaskCompleted(done) => done.result.clone(),
        EventType::TaskFailed(failed) => failed.failure_details.as_ref().map(|failure| failure.error_message.clone()),
        _ => None,
    }
}

/// Whether an event is for the instance and not for a run.
fn moves_on(kind: &EventType) -> bool {
    matches!(
        kind,
        EventType::EventRaised(_)
            | EventType::ExecutionSuspended(_)
            | EventType::ExecutionResumed(_)
            | EventType::ExecutionTerminated(_)
    )
}

fn place(part: Option<&Part>) -> &Place {
    part.and_then(|part| part.place.as_ref())
        .unwrap_or_else(|| fail("checkpoint is well-formed", "a part without a place".into()))
}

/// What a checkpoint has to make good before it ends.
#[derive(Default)]
struct Promises {
    /// Inbox entries that an episode put into the history: they have to be taken.
    into_history: BTreeSet<(u64, u64)>,
    /// Entries that were taken: (run, sequence) and what they were.
    taken: Vec<(u64, u64, Bytes)>,
    /// Events of a closed run that have to go on in the next, by birth.
    moving: BTreeMap<u64, Vec<Bytes>>,
    moved: BTreeMap<u64, Vec<Bytes>>,
    touched: BTreeSet<u64>,
    tasks_closed: BTreeMap<(u64, u64), Task>,
    timers_closed: BTreeMap<(u64, i32), Timer>,
}

impl State {
    pub(crate) fn instance(&self, id: &str) -> Option<&Instance> {
        self.by_id.get(id).and_then(|birth| self.instances.get(birth))
    }

    fn facet(&self, id: &str) -> Facet {
        self.instance(id).map_or(NOBODY, |instance| Facet {
            exists: true,
            ended: instance.tail.completed.is_some(),
            suspended: instance.tail.suspended,
            status: instance.tail.status,
            birth: instance.head.birth,
        })
    }

    fn note(&mut self, id: &str, facet: Facet) {
        self.ever.sequence += 1;
        let log = self.ever.facets.entry(id.to_owned()).or_default();
        if log.last().is_none_or(|(_, last)| *last != facet) {
            log.push((self.ever.sequence, facet));
        }
    }

    /// What was true of an id at any moment since `since`.
    pub(crate) fn facets_since(&self, id: &str, since: u64) -> Vec<Facet> {
        let Some(log) = self.ever.facets.get(id) else { return vec![NOBODY] };
        let first = log.partition_point(|(at, _)| *at <= since);
        let before = if first == 0 { NOBODY } else { log[first - 1].1 };
        std::iter::once(before).chain(log[first..].iter().map(|(_, facet)| *facet)).collect()
    }

    /// Applies a checkpoint; with a judge, every change has to be explained.
    pub(crate) fn apply(&mut self, checkpoint: &Checkpoint, mut judge: Option<Judge<'_>>) {
        let mut promises = Promises::default();
        for delta in &checkpoint.deltas {
            let Some(change) = &delta.change else {
                fail("checkpoint is well-formed", "a delta without a change".into())
            };
            self.change(change, &mut promises, judge.as_mut());
        }
        self.keep_promises(promises, judge.as_mut());
    }

    fn change(&mut self, change: &Change, promises: &mut Promises, judge: Option<&mut Judge<'_>>) {
        match change {
            Change::Head(head) => self.head(head, promises, judge),
            Change::Tail(tail) => self.tail(tail, promises, judge),
            Change::CustomStatus(status) => {
                let instance = self.of_birth(status.birth, "CustomStatus");
                ensure!(
                    instance.head.run == status.set_by,
                    "custom status belongs to the current run",
                    "{status:?} in run {:#x}",
                    instance.head.run
                );
                instance.custom = Some(status.clone());
                self.ever.custom.insert((status.birth, status.value.clone()));
            }
            Change::Arrived(arrived) => self.arrive(arrived, promises, judge),
            Change::Taken(taken) => {
                for sequence in &taken.sequences {
                    let run = self.of_run(taken.run, "Taken");
                    let Some(event) = run.run.inbox.remove(sequence) else {
                        fail("inbox entries are taken once", format!("{sequence} of run {:#x} is not there", taken.run))
                    };
                    promises.taken.push((taken.run, *sequence, event));
                }
            }
            Change::History(parts) => self.history(parts, promises, judge),
            Change::RunClosed(closed) => {
                let instance = self.of_run(closed.run, "RunClosed");
                let birth = instance.head.birth;
                let inbox = std::mem::take(&mut instance.run.inbox);
                instance.run.timers.clear();
                instance.run.history.clear();
                let moving = inbox.into_values().filter(|event| moves_on(&kind(event))).collect();
                promises.moving.insert(birth, moving);
                self.runs.remove(&closed.run);
            }
            Change::Task(task) => self.task(task, judge),
            Change::TaskClosed(key) => {
                let instance = self.of_birth(key.birth, "TaskClosed");
                let Some(task) = instance.tasks.remove(&key.number) else {
                    fail("tasks are closed once", format!("task {} of {:#x}", key.number, key.birth))
                };
                promises.tasks_closed.insert((key.birth, key.number), task);
            }
            Change::Timer(timer) => {
                let key = timer.key.unwrap_or_default();
                let instance = self.of_run(key.run, "Timer");
                ensure!(
                    key.number == instance.next_timer,
                    "timers are numbered in order",
                    "timer {} after {}",
                    key.number,
                    instance.next_timer
                );
                instance.next_timer += 1;
                instance.run.timers.insert(key.number, timer.clone());
            }
            Change::TimerClosed(key) => {
                let instance = self.of_run(key.run, "TimerClosed");
                let Some(timer) = instance.run.timers.remove(&key.number) else {
                    fail("timers are closed once", format!("timer {} of {:#x}", key.number, key.run))
                };
                if let Some(id) = timer.event_id {
                    promises.timers_closed.insert((key.run, id), timer);
                }
            }
            Change::Purged(purged) => {
                let Some(instance) = self.instances.remove(&purged.birth) else {
                    fail("only what exists is purged", format!("{:#x}", purged.birth))
                };
                self.runs.remove(&instance.head.run);
                self.by_id.remove(&instance.head.id);
                *self.ever.purged.entry(instance.head.id.clone()).or_default() += 1;
                self.note(&instance.head.id, NOBODY);
                if let Some(judge) = judge {
                    judge.cover.count("model: purged");
                    let ended = instance
                        .run
                        .history
                        .last()
                        .is_some_and(|last| matches!(kind(last), EventType::ExecutionCompleted(_)));
                    ensure!(ended, "only what has ended is purged", "{} was live", instance.head.id);
                }
            }
            Change::Sent(sent) => self.sent(sent, judge),
            Change::Acknowledged(mark) => {
                let sent = self.sent.get(&(mark.source, mark.target)).copied().unwrap_or(0);
                ensure!(mark.sequence <= sent, "acknowledged is what was sent", "{mark:?} and sent {sent}");
                self.outbox.retain(|(source, target, sequence), _| {
                    (*source, *target) != (mark.source, mark.target) || *sequence > mark.sequence
                });
            }
            Change::Received(mark) => self.receive(mark, judge),
        }
    }

    fn of_birth(&mut self, birth: u64, change: &str) -> &mut Instance {
        self.instances
            .get_mut(&birth)
            .unwrap_or_else(|| fail("changes name what exists", format!("{change} of birth {birth:#x}")))
    }

    fn of_run(&mut self, run: u64, change: &str) -> &mut Instance {
        let birth = self.runs.get(&run).copied();
        birth
            .and_then(|birth| self.instances.get_mut(&birth))
            .unwrap_or_else(|| fail("changes name what exists", format!("{change} of run {run:#x}")))
    }

    fn head(&mut self, head: &Head, promises: &mut Promises, judge: Option<&mut Judge<'_>>) {
        self.ever.executions.insert(head.execution_id.clone(), head.birth);
        promises.touched.insert(head.birth);
        let Some(instance) = self.instances.get_mut(&head.birth) else {
            return self.birth(head, judge);
        };
        let before = std::mem::replace(&mut instance.head, head.clone());
        if before.run == head.run {
            // A rewind.
            ensure!(
                instance.tail.status == FAILED
                    || instance
                        .run
                        .history
                        .last()
                        .is_none_or(|last| !matches!(kind(last), EventType::ExecutionCompleted(_))),
                "only what failed is rewound",
                "{} is {}",
                head.id,
                instance.tail.status
            );
            ensure!(
                head.rewinds.len() == before.rewinds.len() + 1 && head.execution_id != before.execution_id,
                "a rewind has a new execution and is noted",
                "{head:?}"
            );
            self.rewound.insert(head.run);
            for rewind in &head.rewinds {
                self.ever.texts.extend(rewind.reason.clone());
            }
            let facet = Facet { exists: true, ended: false, suspended: false, status: RUNNING, birth: head.birth };
            self.note(&head.id, facet);
            judge.into_iter().for_each(|judge| judge.cover.count("model: rewound"));
            return;
        }
        // A new generation.
        ensure!(
            !self.runs.contains_key(&before.run),
            "a run is closed before the next begins",
            "run {:#x} of {}",
            before.run,
            head.id
        );
        self.new_run(head.run, head.birth, judge.as_deref().map(|judge| judge.epoch));
        let instance = self.instances.get_mut(&head.birth).expect("it was just there");
        instance.run = Run { history: Vec::new(), inbox: BTreeMap::new(), timers: BTreeMap::new(), episodes: 0 };
        judge.into_iter().for_each(|judge| judge.cover.count("model: continued as new"));
    }

    fn new_run(&mut self, run: u64, birth: u64, epoch: Option<u32>) {
        let of = (run >> 40) as u32;
        let largest = self.largest_run.entry(of).or_default();
        ensure!(run > *largest, "a run is never used twice", "run {run:#x} after {largest:#x}");
        ensure!(epoch.is_none_or(|epoch| epoch == of), "runs are of their lease", "run {run:#x} in epoch {epoch:?}");
        *largest = run;
        self.runs.insert(run, birth);
    }

    fn birth(&mut self, head: &Head, judge: Option<&mut Judge<'_>>) {
        ensure!(head.birth == head.run, "a birth is the first run", "{head:?}");
        ensure!(!self.by_id.contains_key(&head.id), "one instance an id", "{} exists", head.id);
        self.new_run(head.run, head.birth, judge.as_deref().map(|judge| judge.epoch));
        self.births += 1;
        self.by_id.insert(head.id.clone(), head.birth);
        self.instances.insert(
            head.birth,
            Instance {
                head: head.clone(),
                tail: Tail { birth: head.birth, status: PENDING, ..Tail::default() },
                custom: None,
                run: Run { history: Vec::new(), inbox: BTreeMap::new(), timers: BTreeMap::new(), episodes: 0 },
                tasks: BTreeMap::new(),
                last_started: None,
                next_arrival: 0,
                next_task: 0,
                next_timer: 0,
            },
        );
        self.ever.births.insert(head.birth, (head.id.clone(), None));
        self.note(&head.id, Facet { exists: true, ended: false, suspended: false, status: PENDING, birth: head.birth });
    }

    /// Explains a birth by its ExecutionStarted.
    fn explain_birth(&mut self, birth: u64, started: &duramen_proto::ExecutionStartedEvent, judge: &mut Judge<'_>) {
        let instance = &self.instances[&birth];
        let id = instance.head.id.clone();
        let mark = started.input.as_deref().and_then(Input::parse).map(|input| input.mark).unwrap_or_default();
        let asker = started.parent_instance.as_ref();
        if let Some(asker) = asker {
            // The execution of the parent is in the event; its run in the head, unless nobody waits.
            let execution =
                asker.orchestration_instance.as_ref().and_then(|at| at.execution_id.clone()).unwrap_or_default();
            let run = instance.head.parent.as_ref().map(|parent| parent.run);
            judge.cover.count(if run.is_some() {
                "model: child made"
            } else {
                "model: child made that nobody waits for"
            });
            let Some(run) = run else { return };
            let left = self.children.entry((run, asker.task_scheduled_id)).or_default();
            *left -= 1;
            ensure!(
                *left >= 0 || self.rewound.contains(&run) || judge.causes.garbled.contains(&run),
                "a child is made once",
                "{id} for action {} of run {run:#x} (execution {execution})",
                asker.task_scheduled_id
            );
        } else if judge.causes.starts.get(&mark) == Some(&id) {
            judge.cover.count("model: started");
            let once = self.arrived.insert(format!("start {mark}"), birth).is_none();
            ensure!(once || judge.causes.restarts.contains_key(&id), "a start makes one instance", "{id} with {mark}");
        } else {
            judge.cover.count("model: restarted");
            ensure!(
                judge.causes.restarts.contains_key(&id),
                "an instance begins because somebody asked",
                "{id} with {:?}",
                started.input
            );
        }
    }

    fn tail(&mut self, tail: &Tail, promises: &mut Promises, judge: Option<&mut Judge<'_>>) {
        promises.touched.insert(tail.birth);
        let rewound = self.rewound.clone();
        let instance = self.of_birth(tail.birth, "Tail");
        let before = std::mem::replace(&mut instance.tail, tail.clone());
        if let Some(judge) = judge {
            let (head, run) = (&instance.head, &instance.run);
            ensure!(
                tail.history_events == run.history.len() as u64,
                "the tail counts the history",
                "{} says {} and has {}",
                head.id,
                tail.history_events,
                run.history.len()
            );
            ensure!(
                tail.next_arrival == instance.next_arrival
                    && tail.next_task == instance.next_task
                    && tail.next_timer == instance.next_timer,
                "the tail counts what was numbered",
                "{}: {tail:?}, and counted {} {} {}",
                head.id,
                instance.next_arrival,
                instance.next_task,
                instance.next_timer
            );
            ensure!(
                tail.episodes == run.episodes,
                "the tail counts the episodes",
                "{} says {} and had {}",
                head.id,
                tail.episodes,
                run.episodes
            );
            let last = run.history.last().map(kind);
            let ended = matches!(last, Some(EventType::ExecutionCompleted(_)));
            ensure!(
                ended == tail.completed.is_some(),
                "what has ended says so",
                "{}: {tail:?}, and the last event is {last:?}",
                head.id
            );
            if let Some(EventType::ExecutionCompleted(completed)) = last {
                ensure!(
                    completed.orchestration_status == tail.status,
                    "the status is that of the history",
                    "{}: {} and {completed:?}",
                    head.id,
                    tail.status
                );
                ensure!(
                    run.inbox.is_empty() && run.timers.is_empty(),
                    "nothing waits for what has ended",
                    "{}: {:?} {:?}",
                    head.id,
                    run.inbox.keys(),
                    run.timers.keys()
                );
                let terminated = tail.status == TERMINATED;
                ensure!(
                    !terminated || instance.tasks.is_empty(),
                    "a termination closes activities",
                    "{}: {:?}",
                    head.id,
                    instance.tasks.keys()
                );
                if before.completed.is_none() {
                    judge.cover.count(match tail.status {
                        FAILED => "model: failed",
                        TERMINATED => "model: terminated",
                        _ => "model: completed",
                    });
                }
            } else {
                ensure!(
                    before.completed.is_none() || rewound.contains(&head.run),
                    "what has ended stays so",
                    "{} was {} and is {}",
                    head.id,
                    before.status,
                    tail.status
                );
                let expected = if tail.suspended {
                    OrchestrationStatus::Suspended as i32
                } else if tail.begun {
                    RUNNING
                } else {
                    PENDING
                };
                ensure!(
                    tail.status == expected,
                    "the status of a live instance is what it does",
                    "{}: {tail:?}",
                    head.id
                );
                if tail.suspended {
                    judge.cover.count("model: suspended");
                }
            }
            ensure!(!before.begun || tail.begun, "what has begun stays so", "{}", head.id);
        }
        let id = instance.head.id.clone();
        if tail.begun {
            self.ever.begun.insert(tail.birth);
        }
        let facet = self.facet(&id);
        self.note(&id, facet);
    }

    fn arrive(&mut self, arrived: &Arrived, promises: &mut Promises, judge: Option<&mut Judge<'_>>) {
        let what = kind(&arrived.event);
        let instance = self.of_run(arrived.run, "Arrived");
        ensure!(
            arrived.sequence == instance.next_arrival,
            "arrivals are numbered in order",
            "{} after {} in {}",
            arrived.sequence,
            instance.next_arrival,
            instance.head.id
        );
        instance.next_arrival += 1;
        let over =
            instance.run.history.last().is_some_and(|last| matches!(kind(last), EventType::ExecutionCompleted(_)));
        instance.run.inbox.insert(arrived.sequence, arrived.event.clone());
        let (birth, id) = (instance.head.birth, instance.head.id.clone());
        if moves_on(&what) {
            promises.moved.entry(birth).or_default().push(arrived.event.clone());
        }
        if let Some(text) = text_of(&what) {
            self.ever.texts.insert(text);
        }
        if let EventType::ExecutionTerminated(terminated) = &what {
            self.ever.texts.extend(terminated.input.clone());
        }
        if let EventType::ExecutionStarted(started) = &what {
            self.ever.births.entry(birth).and_modify(|(_, input)| {
                if input.is_none() {
                    input.clone_from(&started.input);
                }
            });
        }
        match &what {
            EventType::ExecutionSuspended(_) => {
                let facet = Facet { suspended: true, ..self.facet(&id) };
                self.note(&id, facet);
            }
            EventType::ExecutionResumed(_) => {
                let facet = Facet { suspended: false, ..self.facet(&id) };
                self.note(&id, facet);
            }
            _ => {}
        }
        let Some(judge) = judge else {
            self.consume(&what, arrived.run);
            return;
        };
        ensure!(!over, "nothing arrives at what has ended", "{what:?} at {id}");
        self.explain(&what, arrived, (birth, &id), promises, judge);
        self.consume(&what, arrived.run);
    }

    fn consume(&mut self, what: &EventType, run: u64) {
        if let Some(text) = text_of(what) {
            self.arrived.insert(text, run);
        }
    }

    fn explain(
        &mut self,
        what: &EventType,
        arrived: &Arrived,
        (birth, id): (u64, &str),
        promises: &mut Promises,
        judge: &mut Judge<'_>,
    ) {
        let run = arrived.run;
        let text = text_of(what);
        // What was there before goes on in a new run, once.
        if let Some(text) = &text
            && let Some(before) = self.arrived.get(text)
        {
            let moved = *before != run && promises.moving.contains_key(&birth);
            ensure!(
                moved && moves_on(what),
                "what happens once arrives once",
                "{what:?} at {id} in run {run:#x}, and before in run {before:#x}"
            );
            judge.cover.count("model: moved to the next run");
            return;
        }
        match what {
            EventType::ExecutionStarted(started) => {
                if run == birth {
                    self.explain_birth(birth, started, judge);
                }
            }
            EventType::EventRaised(_) => {
                let text = text.unwrap_or_default();
                if let Some(rest) = text.strip_prefix("s-") {
                    judge.cover.count("model: sent event arrived");
                    let (execution, action) = rest.rsplit_once('-').unwrap_or((rest, "0"));
                    let action: i32 = action.parse().unwrap_or(0);
                    let last = self.order.entry((execution.to_owned(), birth)).or_insert(-1);
                    ensure!(
                        *last < action,
                        "messages of a sender arrive in order",
                        "action {action} of {execution} after {last} at {id}"
                    );
                    *last = action;
                } else {
                    judge.cover.count("model: raised event arrived");
                    ensure!(
                        judge.causes.texts.get(&text).is_some_and(|to| to == id),
                        "an event is somebody's",
                        "{what:?} at {id}"
                    );
                }
            }
            EventType::ExecutionSuspended(_) | EventType::ExecutionResumed(_) => {
                let text = text.unwrap_or_default();
                ensure!(
                    judge.causes.texts.get(&text).is_some_and(|to| to == id),
                    "a suspension is somebody's",
                    "{what:?} at {id}"
                );
            }
            EventType::ExecutionTerminated(_) => judge.cover.count("model: termination arrived"),
            EventType::TaskCompleted(_) | EventType::TaskFailed(_) => {
                judge.cover.count("model: activity's result arrived");
                let asked = match what {
                    EventType::TaskCompleted(done) => done.task_scheduled_id,
                    EventType::TaskFailed(failed) => failed.task_scheduled_id,
                    _ => unreachable!("it is one of these"),
                };
                let text = text.unwrap_or_default();
                ensure!(
                    judge.causes.results.contains(&text),
                    "a result is the answer to a token that was current",
                    "{what:?} at {id}"
                );
                let of = promises.tasks_closed.iter().find(|(_, task)| {
                    task.run == run
                        && matches!(place(task.event.as_ref()), Place::Here(event) if decode(event).event_id == asked)
                });
                let of = of.map(|(key, _)| *key);
                ensure!(of.is_some(), "a result closes its task", "{what:?} at {id}");
                of.and_then(|key| promises.tasks_closed.remove(&key));
            }
            EventType::TimerFired(fired) => {
                judge.cover.count("model: timer fired");
                let timer = promises.timers_closed.remove(&(run, fired.timer_id));
                ensure!(
                    timer.as_ref().is_some_and(|timer| timer.due == fired.fire_at),
                    "a timer fires as it was made",
                    "{fired:?} of {timer:?} at {id}"
                );
                let due = Time::from(fired.fire_at.unwrap_or_default());
                ensure!(
                    due <= judge.causes.latest,
                    "timers are never early",
                    "{due:?} at {:?} in {id}",
                    judge.causes.latest
                );
            }
            EventType::SubOrchestrationInstanceCompleted(_) | EventType::SubOrchestrationInstanceFailed(_) => {
                judge.cover.count("model: child's result arrived");
            }
            EventType::ExecutionRewound(_) => {}
            other => fail("workers see what they know", format!("{other:?} at {id}")),
        }
    }

    fn resolve(&mut self, run: u64, part: Option<&Part>) -> Bytes {
        let instance = self.of_run(run, "a part");
        let found = match place(part) {
            Place::Here(event) => Some(event.clone()),
            Place::Inbox(sequence) => instance.run.inbox.get(sequence).cloned(),
            Place::History(index) => instance.run.history.get(*index as usize).cloned(),
        };
        found.unwrap_or_else(|| fail("parts point to what is there", format!("{part:?} of run {run:#x}")))
    }

    fn history(&mut self, parts: &HistoryParts, promises: &mut Promises, judge: Option<&mut Judge<'_>>) {
        let mut events = Vec::with_capacity(parts.parts.len());
        for part in &parts.parts {
            if let Place::Inbox(sequence) = place(Some(part)) {
                promises.into_history.insert((parts.run, *sequence));
            }
            events.push(self.resolve(parts.run, Some(part)));
        }
        if parts.replace {
            self.of_run(parts.run, "History").run.history = events;
            return;
        }
        let (birth, id, execution) = {
            let instance = self.of_run(parts.run, "History");
            (instance.head.birth, instance.head.id.clone(), instance.head.execution_id.clone())
        };
        let mut first = true;
        let mut by_hub = false;
        for event in &events {
            let decoded = decode(event);
            match &decoded.event_type {
                Some(EventType::OrchestratorStarted(_)) => {
                    ensure!(first, "one OrchestratorStarted an episode", "{id}");
                    let at = Time::from(decoded.timestamp.unwrap_or_default());
                    let instance = self.of_run(parts.run, "History");
                    ensure!(
                        instance.last_started.is_none_or(|last| last < at),
                        "episode time rises",
                        "{id}: {at:?} after {:?}",
                        instance.last_started
                    );
                    instance.last_started = Some(at);
                    if let Some(judge) = judge.as_deref() {
                        let lead = at.since(judge.causes.latest_ever);
                        ensure!(
                            lead <= std::time::Duration::from_secs(60),
                            "episode time is near the clock",
                            "{id}: {at:?} at {:?}",
                            judge.causes.latest
                        );
                    }
                }
                Some(EventType::SubOrchestrationInstanceCreated(_)) => {
                    *self.children.entry((parts.run, decoded.event_id)).or_default() += 1;
                }
                Some(EventType::ExecutionCompleted(completed)) => {
                    by_hub = decoded.event_id == -1 && completed.orchestration_status == TERMINATED;
                    self.ever.outcomes.insert((
                        execution.clone(),
                        completed.orchestration_status,
                        completed.result.clone(),
                    ));
                    self.ever.texts.extend(completed.result.clone());
                    let facet = Facet {
                        exists: true,
                        ended: true,
                        suspended: false,
                        status: completed.orchestration_status,
                        birth,
                    };
                    self.note(&id, facet);
                }
                Some(EventType::ExecutionTerminated(terminated)) => self.ever.texts.extend(terminated.input.clone()),
                _ => {}
            }
            first = false;
        }
        let opens = events.first().map(kind);
        ensure!(
            matches!(opens, Some(EventType::OrchestratorStarted(_))),
            "an episode begins with OrchestratorStarted",
            "{id}: {opens:?}"
        );
        let instance = self.of_run(parts.run, "History");
        let over =
            instance.run.history.last().is_some_and(|last| matches!(kind(last), EventType::ExecutionCompleted(_)));
        ensure!(!over, "nothing follows ExecutionCompleted", "{id}");
        instance.run.history.extend(events);
        let episode = instance.run.episodes;
        if by_hub {
            judge.into_iter().for_each(|judge| judge.cover.count("model: ended by the hub"));
        } else {
            instance.run.episodes += 1;
            self.ever.begun.insert(birth);
            if let Some(judge) = judge {
                judge.cover.count("model: episode");
                ensure!(
                    judge.causes.episodes.contains(&(judge.epoch, parts.run, episode)),
                    "an episode is the answer to a token that was current",
                    "episode {episode} of {id}, run {:#x}",
                    parts.run
                );
            }
        }
        if by_hub {
            self.ever.begun.insert(birth);
        }
    }

    fn task(&mut self, task: &Task, judge: Option<&mut Judge<'_>>) {
        let key = task.key.unwrap_or_default();
        let event = self.resolve(task.run, task.event.as_ref());
        let instance = self.of_birth(key.birth, "Task");
        if task.again {
            let known = instance
                .tasks
                .insert(key.number, Task { event: Some(Place::Here(event).into()), again: false, ..task.clone() });
            ensure!(known.is_some(), "only an open task is written again", "task {}", key.number);
            return;
        }
        ensure!(
            key.number == instance.next_task,
            "tasks are numbered in order",
            "task {} after {}",
            key.number,
            instance.next_task
        );
        instance.next_task += 1;
        self.ever.tasks.insert((task.execution_id.clone(), event.clone()));
        let instance = self.of_birth(key.birth, "Task");
        instance.tasks.insert(key.number, Task { event: Some(Place::Here(event).into()), ..task.clone() });
        judge.into_iter().for_each(|judge| judge.cover.count("model: task opened"));
    }

    fn sent(&mut self, sent: &Sent, judge: Option<&mut Judge<'_>>) {
        let mark = sent.mark.unwrap_or_default();
        let last = self.sent.entry((mark.source, mark.target)).or_default();
        ensure!(
            mark.sequence == *last + 1,
            "messages of a pair of slots are numbered without a gap",
            "{mark:?} after {last}"
        );
        *last += 1;
        self.outbox.insert((mark.source, mark.target, mark.sequence), sent.message.clone());
        self.ever.messages.insert((mark.source, mark.target, mark.sequence), sent.message.clone());
        judge.into_iter().for_each(|judge| judge.cover.count("model: message between slots"));
    }

    fn receive(&mut self, mark: &PairMark, judge: Option<&mut Judge<'_>>) {
        let last = self.received.entry((mark.source, mark.target)).or_default();
        ensure!(
            mark.sequence == *last + 1,
            "messages of a pair of slots are taken once and in order",
            "{mark:?} after {last}"
        );
        *last += 1;
        if let Some(judge) = judge {
            let key = (mark.source, mark.target, mark.sequence);
            judge.cover.count("model: message taken");
            ensure!(
                judge.messages.contains_key(&key) || self.outbox.contains_key(&key),
                "a message that is taken was sent",
                "{mark:?}"
            );
        }
    }

    fn keep_promises(&mut self, promises: Promises, judge: Option<&mut Judge<'_>>) {
        if judge.is_none() {
            return;
        }
        for (run, sequence, event) in promises.taken {
            let recorded = promises.into_history.contains(&(run, sequence));
            let what = kind(&event);
            let gone = self.runs.get(&run).and_then(|birth| self.instances.get(birth)).is_none_or(|instance| {
                instance.head.run != run
                    || instance
                        .run
                        .history
                        .last()
                        .is_some_and(|last| matches!(kind(last), EventType::ExecutionCompleted(_)))
            });
            ensure!(
                recorded || gone || matches!(what, EventType::ExecutionRewound(_)) || self.rewound.contains(&run),
                "no accepted event is lost",
                "{what:?} of run {run:#x} left the inbox for nothing"
            );
        }
        for (birth, moving) in &promises.moving {
            let Some(instance) = self.instances.get(birth) else { continue };
            let moved = promises.moved.get(birth).map(Vec::as_slice).unwrap_or_default();
            // All of them, in their order, at the end of what the new run begins with.
            let mut rest = moved.iter();
            let kept = moving.iter().all(|event| rest.any(|other| other == event));
            ensure!(
                kept,
                "events go on to the next run in order",
                "{}: {:?} became {:?}",
                instance.head.id,
                moving.iter().map(kind).collect::<Vec<_>>(),
                moved.iter().map(kind).collect::<Vec<_>>()
            );
        }
    }

    /// What the backend has to give for an instance.
    pub(crate) fn image(&self, id: &str) -> Option<Image> {
        let instance = self.instance(id)?;
        let run = instance.head.run;
        Some(Image {
            head: instance.head.clone(),
            tail: instance.tail.clone(),
            custom_status: instance.custom.clone(),
            history: instance.run.history.clone(),
            inbox: instance
                .run
                .inbox
                .iter()
                .map(|(sequence, event)| Arrived {
                    birth: instance.head.birth,
                    run,
                    sequence: *sequence,
                    event: event.clone(),
                })
                .collect(),
            tasks: instance.tasks.values().cloned().collect(),
            timers: instance.run.timers.values().cloned().collect(),
        })
    }

    /// What the backend has to give to an owner of these slots.
    pub(crate) fn outstanding(&self, mine: impl Fn(u32) -> bool) -> Outstanding {
        let mut outstanding = Outstanding::default();
        for (birth, instance) in &self.instances {
            let id = &instance.head.id;
            if !mine(u32::from(duramen_core::ids::InstanceId::new(id.as_str()).slot().0)) {
                continue;
            }
            if !instance.run.inbox.is_empty() {
                outstanding.ready.push(Ready {
                    birth: *birth,
                    run: instance.head.run,
                    id: id.clone(),
                    name: instance.head.name.clone(),
                    version: instance.head.version.clone(),
                    terminating: instance
                        .run
                        .inbox
                        .values()
                        .any(|event| matches!(kind(event), EventType::ExecutionTerminated(_))),
                });
            }
            outstanding.tasks.extend(instance.tasks.values().map(|task| Queued {
                key: task.key.unwrap_or_default(),
                id: id.clone(),
                name: task.name.clone(),
                runs_as: task.runs_as.clone(),
                action: task.action,
            }));
        }
        let mark = |source: u32, target: u32, sequence: u64| PairMark { source, target, sequence };
        for ((source, target, sequence), message) in &self.outbox {
            if mine(*source) {
                outstanding
                    .outbox
                    .push(Sent { mark: Some(mark(*source, *target, *sequence)), message: message.clone() });
            }
        }
        for ((source, target), sequence) in &self.received {
            if mine(*target) {
                outstanding.received.push(mark(*source, *target, *sequence));
            }
        }
        for ((source, target), sequence) in &self.sent {
            if mine(*source) {
                outstanding.sent.push(mark(*source, *target, *sequence));
            }
        }
        outstanding
    }

    /// The timers that the backend has to give for a stretch in these slots.
    pub(crate) fn timers(&self, mine: impl Fn(u32) -> bool, window: TimerWindow) -> Vec<(String, Timer)> {
        let place = |timer: &Timer| (Time::from(timer.due.unwrap_or_default()), timer.key.unwrap_or_default());
        let mut timers = Vec::new();
        for instance in self.instances.values() {
            let id = &instance.head.id;
            if mine(u32::from(duramen_core::ids::InstanceId::new(id.as_str()).slot().0)) {
                timers.extend(instance.run.timers.values().map(|timer| (id.clone(), timer.clone())));
            }
        }
        let after = window.after.map(|after| (after.due, after.key));
        timers.retain(|(_, timer)| place(timer).0 < window.before && after.is_none_or(|after| place(timer) > after));
        timers.sort_by_key(|(_, timer)| place(timer));
        timers
    }
}
