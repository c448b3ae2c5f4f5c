//! The reference model: what the durable state is, and which changes of it are allowed.
//!
//! It reads checkpoints as they are submitted, one change at a time, and asks of each whether
//! something that happened explains it. It shares no code with the core: rows are rebuilt here, and
//! the rules are written from the design.

mod arrivals;
mod births;
mod facets;
mod history;
mod losses;
mod messages;
mod promises;
mod rows;
mod tail;

pub(crate) use facets::Facet;

use crate::check::{ensure, fail};
use crate::coverage::Coverage;
use arrivals::moves_on;
use bytes::Bytes;
use duramen_core::checkpoint::{Change, Checkpoint, CustomStatus, Head, Part, Place, Tail, Task, Timer};
use duramen_core::partition::HeldKey;
use duramen_core::time::Time;
use duramen_proto::history_event::EventType;
use duramen_proto::{HistoryEvent, OrchestrationStatus};
use facets::NOBODY;
use promises::Promises;
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
    /// Purges that clients sent of whatever has ended under an id, by the id: how many.
    pub(crate) purges: BTreeMap<String, u64>,
    /// Births that a list has shown to have ended, and that clients sent purges of.
    pub(crate) purges_seen: BTreeSet<u64>,
    /// Raises, suspends, resumes, terminations of clients, by their unique text: the id.
    pub(crate) texts: BTreeMap<String, String>,
    /// Results that were answered under the token that was current, by their unique text: of which
    /// execution and which action.
    pub(crate) results: BTreeMap<String, (String, i32)>,
    /// Episodes that were answered under the token that was current: (lease, run, episode).
    pub(crate) episodes: BTreeSet<(u32, u64, u64)>,
    /// Dispatches that count against an item before it is held.
    pub(crate) hold_after: usize,
    /// Workers elsewhere whose connections were lost.
    pub(crate) vanished: BTreeSet<String>,
    /// Workers that wrote an item off.
    pub(crate) wrote_off: BTreeSet<String>,
    /// Held items that an operator has decided about.
    pub(crate) decided: BTreeSet<(String, HeldKey)>,
    /// Runs in which a worker answered garbage, or an episode was failed by an operator.
    pub(crate) garbled: BTreeSet<u64>,
    /// The latest time that the hub was told since the last checkpoint of a partition.
    pub(crate) latest: Time,
    /// The latest time that it was ever told.
    pub(crate) latest_ever: Time,
}

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
    /// The run that the last tail was written in.
    tail_run: u64,
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
    /// Purges of whatever had ended under an id.
    purges: BTreeMap<String, u64>,
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

fn place(part: Option<&Part>) -> &Place {
    part.and_then(|part| part.place.as_ref())
        .unwrap_or_else(|| fail("checkpoint is well-formed", "a part without a place".into()))
}

impl State {
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
                promises.purged.push((instance.head.id.clone(), purged.birth));
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
            Change::Sent(sent) => {
                let mark = sent.mark.unwrap_or_default();
                promises.first_sent.entry((mark.source, mark.target)).or_insert(mark.sequence);
                self.sent(sent, judge);
            }
            Change::Acknowledged(mark) => {
                let sent = self.sent.get(&(mark.source, mark.target)).copied().unwrap_or(0);
                ensure!(mark.sequence <= sent, "acknowledged is what was sent", "{mark:?} and sent {sent}");
                self.outbox.retain(|(source, target, sequence), _| {
                    (*source, *target) != (mark.source, mark.target) || *sequence > mark.sequence
                });
            }
            Change::Received(mark) => {
                promises.received.insert((mark.source, mark.target));
                self.receive(mark, judge);
            }
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
}
