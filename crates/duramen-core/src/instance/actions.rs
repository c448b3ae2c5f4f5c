//! What an answer asks for: one history event an action, and what each leads to.
//!
//! Every action is carried out whatever stands before or after the one that completes the
//! orchestration: SDKs leave signals, tasks and timers beside it, in any order.

use super::birth::NextGeneration;
use super::ending::Ending;
use super::{Instance, offer_of};
use crate::checkpoint::{Change, Parent, Part, Place, Task, TaskKey};
use crate::event::{self, Kind};
use crate::ids::{InstanceId, child_id};
use crate::limits::{self, BadInput, CHILD_DEPTH};
use crate::message::{Body, StartChild, Terminate};
use crate::partition::Ledger;
use crate::planted::{self, Bug};
use crate::time::Time;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use duramen_proto::history_event::EventType;
use duramen_proto::orchestrator_action::OrchestratorActionType as Action;
use duramen_proto::{
    CompleteOrchestrationAction, CreateSubOrchestrationAction, EventSentEvent, ExecutionStartedEvent,
    OrchestrationStatus, OrchestratorAction, ParentInstanceInfo, ScheduleTaskAction, SendEventAction,
    SubOrchestrationInstanceCreatedEvent, TaskFailureDetails, TaskScheduledEvent, TimerCreatedEvent,
};

/// The tag with which an orchestrator says that nobody waits for the child (DTFx).
pub(super) const FIRE_AND_FORGET: &str = "FireAndForget";

/// What the actions of an answer came to.
#[derive(Default)]
pub(super) struct Applied {
    /// The actions' history events, in order; already in the history in memory.
    pub(super) events: Vec<Bytes>,
    /// Tasks, and where in the history their events stand.
    tasks: Vec<(Task, u64)>,
    timers: Vec<(Time, i32)>,
    /// Events for the instance itself, encoded.
    to_itself: Vec<Bytes>,
    /// Actions that made children to which the hub gave the ids.
    named: BTreeSet<i32>,
    /// Failures of children that could not be made, encoded.
    refused: Vec<Bytes>,
    completion: Option<(i32, CompleteOrchestrationAction)>,
}

impl Applied {
    /// An answer of which nothing is applied but that the instance has failed.
    pub(super) fn failed(failure: TaskFailureDetails) -> Self {
        let completion = CompleteOrchestrationAction {
            orchestration_status: OrchestrationStatus::Failed.into(),
            failure_details: Some(failure),
            ..CompleteOrchestrationAction::default()
        };
        Self { completion: Some((-1, completion)), ..Self::default() }
    }

    /// Adds ExecutionCompleted, behind every other event, when the instance ends.
    pub(super) fn complete(&mut self, instance: &mut Instance, now: Time) {
        let Some((id, completion)) = &mut self.completion else { return };
        let status = completion.orchestration_status();
        if status == OrchestrationStatus::ContinuedAsNew {
            return;
        }
        if let Some(failure) = &mut completion.failure_details {
            event::bound_failure(failure);
        }
        let failure = completion.failure_details.clone().filter(|_| status == OrchestrationStatus::Failed);
        let event = event::execution_completed(*id, now, status, completion.result.clone(), failure);
        instance.history.push(event.clone());
        self.events.push(event);
    }
}

impl Instance {
    /// Turns actions into history events and messages. What has to be written behind the history is
    /// kept for [`Instance::settle_actions`].
    pub(super) fn apply_actions(&mut self, actions: Vec<OrchestratorAction>, ledger: &mut Ledger) -> Applied {
        let mut applied = Applied::default();
        for action in actions {
            let Some(what) = action.orchestrator_action_type else { continue };
            let id = action.id;
            match what {
                Action::ScheduleTask(task) => self.schedule_task(id, task, &mut applied, ledger),
                Action::CreateSubOrchestration(child) => self.create_child(id, child, &mut applied, ledger),
                Action::CreateTimer(timer) => {
                    let due = timer.fire_at.unwrap_or_default();
                    applied.timers.push((due.into(), id));
                    let created = EventType::TimerCreated(TimerCreatedEvent { fire_at: Some(due) });
                    self.record(id, created, &mut applied, ledger);
                }
                Action::SendEvent(sent) => self.send_event(id, sent, &mut applied, ledger),
                Action::TerminateOrchestration(target) => {
                    let body = Terminate { output: target.reason, recurse: target.recurse };
                    ledger.send(self.slot(), InstanceId::new(target.instance_id), Body::Terminate(body));
                }
                Action::CompleteOrchestration(completion) => {
                    // Of several the first counts (DTFx).
                    applied.completion.get_or_insert((id, completion));
                }
                // An answer with the first is not accepted; the hub rewinds by itself, and no item asks
                // a worker for the second.
                Action::SendEntityMessage(_) | Action::RewindOrchestration(_) => {}
            }
        }
        self.largest_action = applied.events.iter().map(event::id_of).fold(self.largest_action, i32::max);
        applied
    }

    /// Appends an action's event to the history in memory.
    fn record(&mut self, id: i32, event: EventType, applied: &mut Applied, ledger: &Ledger) -> Bytes {
        let event = event::encode(id, ledger.now, event);
        self.history.push(event.clone());
        applied.events.push(event.clone());
        event
    }

    fn schedule_task(&mut self, id: i32, task: ScheduleTaskAction, applied: &mut Applied, ledger: &Ledger) {
        let ScheduleTaskAction { name, version, input, tags, parent_trace_context } = task;
        let scheduled = TaskScheduledEvent { name, version, input, parent_trace_context, tags };
        let task = self.new_task(id, &scheduled);
        let event = self.record(id, EventType::TaskScheduled(scheduled), applied, ledger);
        let index = self.history.len() as u64 - 1;
        applied.tasks.push((Task { event: Some(Place::Here(event).into()), ..task }, index));
    }

    /// A task for a TaskScheduled, still without that event; it is not written yet.
    pub(super) fn new_task(&mut self, action: i32, scheduled: &TaskScheduledEvent) -> Task {
        let number = self.tail.next_task;
        self.tail.next_task += 1;
        Task {
            key: Some(TaskKey { birth: self.head.birth, number }),
            run: self.head.run,
            execution_id: self.head.execution_id.clone(),
            event: None,
            losses: None,
            version: self.head.version.clone(),
            name: scheduled.name.clone(),
            runs_as: scheduled.version.clone().or_else(|| self.head.version.clone()),
            again: false,
            action,
        }
    }

    fn create_child(
        &mut self,
        id: i32,
        child: CreateSubOrchestrationAction,
        applied: &mut Applied,
        ledger: &mut Ledger,
    ) {
        let by_hub = child.instance_id.is_empty();
        let child_id = if by_hub { child_id(&self.execution_id, id) } else { InstanceId::new(child.instance_id) };
        // A broken worker may use an action's id twice; the id of the child is not new then.
        let used = id <= self.largest_action || !applied.named.insert(id);
        let fresh =
            by_hub && ledger.numbers.is_execution(&self.execution_id) && (!used || planted::has(Bug::ChildTakenForNew));
        let created = SubOrchestrationInstanceCreatedEvent {
            instance_id: child_id.to_string(),
            name: child.name,
            version: child.version,
            input: child.input,
            parent_trace_context: child.parent_trace_context,
            tags: child.tags,
        };
        let start = self.start_child(id, &created, fresh, ledger.now);
        self.record(id, EventType::SubOrchestrationInstanceCreated(created), applied, ledger);
        match self.refusal_of_child(&child_id, id, start.depth, ledger) {
            Some(failure) => applied.refused.push(event::child_failed(ledger.now, id, Some(failure))),
            None => ledger.send(self.slot(), child_id, Body::StartChild(start)),
        }
    }

    /// What makes the child that a SubOrchestrationInstanceCreated of the current run names.
    pub(super) fn start_child(
        &self,
        action: i32,
        created: &SubOrchestrationInstanceCreatedEvent,
        fresh: bool,
        now: Time,
    ) -> StartChild {
        let forget = created.tags.get(FIRE_AND_FORGET).is_some_and(|value| !value.eq_ignore_ascii_case("false"));
        let mut tags: BTreeMap<String, String> = self.head.tags.clone();
        tags.remove(FIRE_AND_FORGET);
        tags.extend(created.tags.clone());
        let started = ExecutionStartedEvent {
            name: created.name.clone(),
            version: created.version.clone(),
            input: created.input.clone(),
            parent_instance: Some(ParentInstanceInfo {
                task_scheduled_id: action,
                name: Some(self.head.name.clone()),
                version: self.head.version.clone(),
                orchestration_instance: Some(event::instance_of(&self.id, &self.execution_id)),
            }),
            parent_trace_context: created.parent_trace_context.clone(),
            tags,
            ..ExecutionStartedEvent::default()
        };
        let parent = Parent { id: self.head.id.clone(), run: self.head.run, task_scheduled_id: action };
        StartChild {
            started: event::execution_started(now, started),
            parent: (!forget).then_some(parent),
            fresh,
            depth: self.head.depth + 1,
        }
    }

    /// Why a child may not be made, if it may not.
    pub(super) fn refusal_of_child(
        &self,
        id: &InstanceId,
        action: i32,
        depth: u32,
        ledger: &Ledger,
    ) -> Option<TaskFailureDetails> {
        let bad = match (limits::check_instance_id(id.as_str()), ledger.numbers.named_child(id)) {
            (Err(bad), _) => bad,
            // JavaScript makes such ids itself: that of the action, or of an earlier one that it tries again.
            (Ok(()), Some((execution, of)))
                if !self.has_executed_as(execution) || (of != action && of > self.largest_action) =>
            {
                BadInput::Reserved { what: "instance id".into(), id: id.to_string() }
            }
            (Ok(()), _) => return too_deep(id, depth),
        };
        Some(event::failure("InvalidInstanceId", bad.to_string()))
    }

    /// Whether an execution id is or was that of this run.
    fn has_executed_as(&self, execution: &str) -> bool {
        self.head.execution_id == execution || self.head.rewinds.iter().any(|rewind| rewind.before == execution)
    }

    fn send_event(&mut self, id: i32, sent: SendEventAction, applied: &mut Applied, ledger: &mut Ledger) {
        let target = sent.instance.map(|instance| instance.instance_id).unwrap_or_default();
        let raised = event::raised(ledger.now, sent.name.clone(), sent.data.clone());
        let event = EventSentEvent { instance_id: target.clone(), name: sent.name, input: sent.data };
        self.record(id, EventType::EventSent(event), applied, ledger);
        if target == self.id.as_str() {
            applied.to_itself.push(raised);
        } else {
            ledger.send(self.slot(), InstanceId::new(target), Body::Raised(raised));
        }
    }

    /// Writes what the actions opened, and carries out how the episode ended.
    pub(super) fn settle_actions(&mut self, applied: Applied, ledger: &mut Ledger) {
        for (task, index) in applied.tasks {
            self.open_task(task, Place::History(index).into(), ledger);
        }
        for (due, id) in applied.timers {
            self.open_timer(due, Some(id), ledger);
        }
        match applied.completion {
            None => {
                applied.to_itself.into_iter().for_each(|event| self.put(Kind::Raised, event, ledger));
                applied.refused.into_iter().for_each(|event| self.put(Kind::Result, event, ledger));
            }
            Some((_, completion)) if completion.orchestration_status() == OrchestrationStatus::ContinuedAsNew => {
                // Only raised events are carried over; what else a worker lists is not for the new run.
                let carried = completion.carryover_events.into_iter().filter_map(|event| match event.event_type {
                    Some(raised @ EventType::EventRaised(_)) => Some(event::inbound(ledger.now, raised)),
                    _ => None,
                });
                let carried = carried.chain(applied.to_itself).collect();
                let next = NextGeneration { input: completion.result, version: completion.new_version, carried };
                self.continue_as_new(next, ledger);
            }
            Some((_, completion)) => {
                let status = completion.orchestration_status();
                self.end(Ending { status, failure: completion.failure_details, by_hub: false }, ledger);
            }
        }
    }

    /// Writes a task, and offers it once that is durable.
    pub(super) fn open_task(&mut self, task: Task, stored: Part, ledger: &mut Ledger) {
        ledger.write(Change::Task(Task { event: Some(stored), ..task.clone() }));
        let offer = offer_of(self.id.clone(), &task, ledger.number);
        ledger.offer_when_durable(offer);
        self.tasks.insert(task.key.unwrap_or_default().number, task);
    }
}

fn too_deep(id: &InstanceId, depth: u32) -> Option<TaskFailureDetails> {
    (depth > CHILD_DEPTH).then(|| {
        let message = format!(
            "{id:?} would stand {CHILD_DEPTH} generations below its first ancestor; this looks like a recursion without end. Give it an end, or use continue_as_new for what repeats"
        );
        event::failure("RecursionTooDeep", message)
    })
}
