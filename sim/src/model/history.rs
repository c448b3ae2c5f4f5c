//! What episodes put into the history, and the tasks that come of it.

use super::facets::Facet;
use super::losses::is_poisoned;
use super::promises::Promises;
use super::{Judge, State, TERMINATED, decode, kind, place};
use crate::check::{ensure, fail};
use bytes::Bytes;
use duramen_core::checkpoint::{HistoryParts, Part, Place, Task};
use duramen_core::ids::Run;
use duramen_core::partition::HeldKey;
use duramen_core::time::Time;
use duramen_proto::history_event::EventType;

impl State {
    pub(super) fn resolve(&mut self, run: u64, part: Option<&Part>) -> Bytes {
        let instance = self.of_run(run, "a part");
        let found = match place(part) {
            Place::Here(event) => Some(event.clone()),
            Place::Inbox(sequence) => instance.run.inbox.get(sequence).cloned(),
            Place::History(index) => instance.run.history.get(*index as usize).cloned(),
        };
        found.unwrap_or_else(|| fail("parts point to what is there", format!("{part:?} of run {run:#x}")))
    }

    pub(super) fn history(&mut self, parts: &HistoryParts, promises: &mut Promises, judge: Option<&mut Judge<'_>>) {
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
        let (mut by_hub, mut poisoned) = (false, false);
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
                    poisoned = completed.failure_details.as_ref().is_some_and(is_poisoned);
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
                let failed = poisoned && judge.causes.decided.contains(&(id.clone(), HeldKey::Episode(Run(parts.run))));
                ensure!(
                    failed || judge.causes.episodes.contains(&(judge.epoch, parts.run, episode)),
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

    /// One that is open: its event stays what it is if it is not given.
    fn task_again(&mut self, task: &Task, judge: Option<&mut Judge<'_>>) {
        let key = task.key.unwrap_or_default();
        let given = task.event.as_ref().map(|part| self.resolve(task.run, Some(part)));
        let instance = self.of_birth(key.birth, "Task");
        let Some(known) = instance.tasks.get(&key.number) else {
            fail("only an open task is written again", format!("task {}", key.number))
        };
        let event = given.map_or_else(|| known.event.clone(), |event| Some(Place::Here(event).into()));
        if let Some(judge) = judge {
            let item = (instance.head.id.clone(), HeldKey::Task(Run(key.birth), key.number));
            let cleared = judge.causes.decided.contains(&item);
            judge.losses(&item, (known.losses.as_ref(), task.losses.as_ref()), cleared);
        }
        instance.tasks.insert(key.number, Task { event, again: false, ..task.clone() });
    }

    pub(super) fn task(&mut self, task: &Task, judge: Option<&mut Judge<'_>>) {
        let key = task.key.unwrap_or_default();
        if task.again {
            return self.task_again(task, judge);
        }
        let event = self.resolve(task.run, task.event.as_ref());
        let instance = self.of_birth(key.birth, "Task");
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
}
