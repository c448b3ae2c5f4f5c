//! What may arrive at an instance, and why.

use super::facets::Facet;
use super::losses::is_poisoned;
use super::promises::Promises;
use super::{Judge, State, decode, kind, place};
use crate::check::{ensure, fail};
use duramen_core::checkpoint::{Arrived, Place, Task};
use duramen_core::ids::Run;
use duramen_core::partition::HeldKey;
use duramen_core::time::Time;
use duramen_proto::history_event::EventType;

/// The text that makes an inbound event unlike every other.
fn text_of(kind: &EventType) -> Option<String> {
    match kind {
        EventType::EventRaised(raised) => raised.input.clone(),
        EventType::ExecutionSuspended(suspended) => suspended.input.clone(),
        EventType::ExecutionResumed(resumed) => resumed.input.clone(),
        EventType::TaskCompleted(done) => done.result.clone(),
        EventType::TaskFailed(failed) if failed.failure_details.as_ref().is_some_and(is_poisoned) => None,
        EventType::TaskFailed(failed) => failed.failure_details.as_ref().map(|failure| failure.error_message.clone()),
        _ => None,
    }
}

/// Whether an event is for the instance and not for a run.
pub(super) fn moves_on(kind: &EventType) -> bool {
    matches!(
        kind,
        EventType::EventRaised(_)
            | EventType::ExecutionSuspended(_)
            | EventType::ExecutionResumed(_)
            | EventType::ExecutionTerminated(_)
    )
}

impl State {
    pub(super) fn arrive(&mut self, arrived: &Arrived, promises: &mut Promises, judge: Option<&mut Judge<'_>>) {
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

    pub(super) fn consume(&mut self, what: &EventType, run: u64) {
        if let Some(text) = text_of(what) {
            self.arrived.insert(text, run);
        }
    }

    pub(super) fn explain(
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
                    let parent =
                        started.parent_instance.as_ref().and_then(|parent| parent.orchestration_instance.as_ref());
                    if let Some(parent) = parent.filter(|_| !self.rewound.contains(&run)) {
                        promises.note_way(&parent.instance_id, id);
                    }
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
                    let sender = self.ever.executions.get(execution).and_then(|birth| self.ever.births.get(birth));
                    if let Some((sender, _)) = sender {
                        promises.note_way(sender, id);
                    }
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
                let of_action = |task: &Task| matches!(place(task.event.as_ref()), Place::Here(event) if decode(event).event_id == asked);
                if let EventType::TaskFailed(failed) = what
                    && failed.failure_details.as_ref().is_some_and(is_poisoned)
                {
                    let decided = |key: &(u64, u64)| {
                        judge.causes.decided.contains(&(id.to_owned(), HeldKey::Task(Run(key.0), key.1)))
                    };
                    let closed = promises.tasks_closed.iter();
                    let mut of = closed.filter(|(key, task)| task.run == run && of_action(task) && decided(key));
                    let key = of.next().map(|(key, _)| *key);
                    ensure!(key.is_some(), "an operator has failed what fails as poisoned", "{what:?} at {id}");
                    key.and_then(|key| promises.tasks_closed.remove(&key));
                    judge.cover.count("model: a held activity is failed");
                    return;
                }
                let text = text.unwrap_or_default();
                let Some((execution, action)) = judge.causes.results.get(&text) else {
                    fail("a result is the answer to a token that was current", format!("{what:?} at {id}"))
                };
                let of_run = |task: &Task| task.run == run;
                ensure!(
                    *action == asked
                        && promises.tasks_closed.values().any(|task| of_run(task) && task.execution_id == *execution),
                    "a result goes to the execution that asked for it",
                    "{what:?} at {id}, and it was asked for by {execution}"
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
}
