//! Scripted author code: orchestrators that look at the whole visible history and say what they want,
//! the way every SDK's replay comes out.

use super::text::decode;
use bytes::Bytes;
use duramen_core::time::Time;
use duramen_core::work::{ActivityWork, OrchestratorWork};
use duramen_proto::history_event::EventType;
use duramen_proto::orchestrator_action::OrchestratorActionType as Action;
use duramen_proto::*;
use std::collections::BTreeMap;
use std::rc::Rc;

/// An orchestrator; `None` while it waits for something.
pub type Orchestrator = Rc<dyn Fn(&mut Context) -> Option<String>>;
/// A worker that answers an episode in its own way.
pub type Raw = Rc<dyn Fn(&OrchestratorWork) -> OrchestratorResponse>;
/// An activity.
pub type Activity = Rc<dyn Fn(&ActivityWork) -> Result<Option<String>, TaskFailureDetails>>;

/// The functions that workers have.
#[derive(Clone, Default)]
pub struct Script {
    pub orchestrators: BTreeMap<String, Orchestrator>,
    pub raw: BTreeMap<String, Raw>,
    pub activities: BTreeMap<String, Activity>,
    /// Orchestrators whose code does not react to a termination.
    pub deaf: Vec<String>,
}

/// What an orchestrator sees and what it asks for.
pub struct Context {
    pub instance: String,
    pub execution_id: String,
    events: Vec<HistoryEvent>,
    pub actions: Vec<OrchestratorAction>,
    pub custom_status: Option<String>,
    pub completion: Option<CompleteOrchestrationAction>,
}

/// A failure as an SDK reports it.
pub fn failure(error_type: &str, message: &str) -> TaskFailureDetails {
    TaskFailureDetails { error_type: error_type.into(), error_message: message.into(), ..TaskFailureDetails::default() }
}

pub fn action(id: i32, what: Action) -> OrchestratorAction {
    OrchestratorAction { id, orchestrator_action_type: Some(what) }
}

pub fn complete(id: i32, status: OrchestrationStatus, result: Option<&str>) -> OrchestratorAction {
    let completion = CompleteOrchestrationAction {
        orchestration_status: status.into(),
        result: result.map(Into::into),
        ..CompleteOrchestrationAction::default()
    };
    action(id, Action::CompleteOrchestration(completion))
}

pub fn schedule(id: i32, name: &str, input: Option<&str>) -> OrchestratorAction {
    let task = ScheduleTaskAction { name: name.into(), input: input.map(Into::into), ..ScheduleTaskAction::default() };
    action(id, Action::ScheduleTask(task))
}

pub fn create_child(id: i32, instance: &str, name: &str, input: Option<&str>) -> OrchestratorAction {
    let child = CreateSubOrchestrationAction {
        instance_id: instance.into(),
        name: name.into(),
        input: input.map(Into::into),
        ..CreateSubOrchestrationAction::default()
    };
    action(id, Action::CreateSubOrchestration(child))
}

pub fn send(id: i32, target: &str, name: &str, data: Option<&str>) -> OrchestratorAction {
    let sent = SendEventAction {
        instance: Some(OrchestrationInstance { instance_id: target.into(), execution_id: None }),
        name: name.into(),
        data: data.map(Into::into),
    };
    action(id, Action::SendEvent(sent))
}

pub fn create_timer(id: i32, at: Time) -> OrchestratorAction {
    action(id, Action::CreateTimer(CreateTimerAction { fire_at: Some(at.into()) }))
}

pub fn raised(name: &str, input: Option<&str>) -> HistoryEvent {
    let raised = EventRaisedEvent { name: name.into(), input: input.map(Into::into) };
    HistoryEvent { event_id: -1, timestamp: Some(Time::EPOCH.into()), event_type: Some(EventType::EventRaised(raised)) }
}

impl Context {
    fn new(work: &OrchestratorWork, events: Vec<HistoryEvent>) -> Self {
        Self {
            instance: work.instance.to_string(),
            execution_id: work.execution_id.to_string(),
            events,
            actions: Vec::new(),
            custom_status: None,
            completion: None,
        }
    }

    pub fn started(&self) -> &ExecutionStartedEvent {
        let started = self.events.iter().find_map(|event| match &event.event_type {
            Some(EventType::ExecutionStarted(started)) => Some(started),
            _ => None,
        });
        started.expect("a history has ExecutionStarted")
    }

    pub fn input(&self) -> Option<String> {
        self.started().input.clone()
    }

    /// The time that the current episode shows.
    pub fn now(&self) -> Time {
        let started =
            self.events.iter().rev().find(|event| matches!(event.event_type, Some(EventType::OrchestratorStarted(_))));
        started.and_then(|event| event.timestamp).map(Time::from).expect("an episode has a time")
    }

    /// The time that the first episode showed.
    pub fn began(&self) -> Time {
        let mut started =
            self.events.iter().filter(|event| matches!(event.event_type, Some(EventType::OrchestratorStarted(_))));
        started.next().and_then(|event| event.timestamp).map(Time::from).expect("an episode has a time")
    }

    /// How often the history has an action with this id.
    fn asked(&self, id: i32) -> usize {
        self.events.iter().filter(|event| event.event_id == id && is_action(event)).count()
    }

    pub fn act(&mut self, action: OrchestratorAction) {
        if self.asked(action.id) == 0 {
            self.actions.push(action);
        }
    }

    fn results<T>(&self, find: impl Fn(&EventType) -> Option<T>) -> Vec<T> {
        self.events.iter().filter_map(|event| event.event_type.as_ref().and_then(&find)).collect()
    }

    /// The results of an activity's id so far: Python uses an id again for a retry.
    pub fn attempts(&self, id: i32) -> Vec<Result<Option<String>, TaskFailureDetails>> {
        self.results(|event| match event {
            EventType::TaskCompleted(done) if done.task_scheduled_id == id => Some(Ok(done.result.clone())),
            EventType::TaskFailed(failed) if failed.task_scheduled_id == id => {
                Some(Err(failed.failure_details.clone().expect("a failure has details")))
            }
            _ => None,
        })
    }

    pub fn try_call(
        &mut self,
        id: i32,
        name: &str,
        input: Option<&str>,
    ) -> Option<Result<Option<String>, TaskFailureDetails>> {
        self.act(schedule(id, name, input));
        self.attempts(id).into_iter().next()
    }

    /// Calls an activity, and fails with it.
    pub fn call(&mut self, id: i32, name: &str, input: Option<&str>) -> Option<String> {
        match self.try_call(id, name, input)? {
            Ok(result) => Some(result.unwrap_or_default()),
            Err(failure) => {
                self.fail(failure);
                None
            }
        }
    }

    pub fn try_child(
        &mut self,
        id: i32,
        instance: &str,
        name: &str,
        input: Option<&str>,
    ) -> Option<Result<Option<String>, TaskFailureDetails>> {
        self.act(create_child(id, instance, name, input));
        self.child_results(id).into_iter().next()
    }

    pub fn child_results(&self, id: i32) -> Vec<Result<Option<String>, TaskFailureDetails>> {
        self.results(|event| match event {
            EventType::SubOrchestrationInstanceCompleted(done) if done.task_scheduled_id == id => {
                Some(Ok(done.result.clone()))
            }
            EventType::SubOrchestrationInstanceFailed(failed) if failed.task_scheduled_id == id => {
                Some(Err(failed.failure_details.clone().expect("a failure has details")))
            }
            _ => None,
        })
    }

    /// Calls a child, and fails with it.
    pub fn child(&mut self, id: i32, instance: &str, name: &str, input: Option<&str>) -> Option<String> {
        match self.try_child(id, instance, name, input)? {
            Ok(result) => Some(result.unwrap_or_default()),
            Err(failure) => {
                self.fail(failure);
                None
            }
        }
    }

    pub fn timer(&mut self, id: i32, at: Time) -> Option<()> {
        self.act(create_timer(id, at));
        let fired = self.results(|event| match event {
            EventType::TimerFired(fired) if fired.timer_id == id => Some(()),
            _ => None,
        });
        fired.into_iter().next()
    }

    /// A timer that began `seconds` after the start of the episode in which it was made.
    pub fn sleep(&mut self, id: i32, seconds: u64) -> Option<()> {
        self.timer(id, self.now().plus(std::time::Duration::from_secs(seconds)))
    }

    /// The inputs of every event of this name so far.
    pub fn raised(&self, name: &str) -> Vec<Option<String>> {
        self.results(|event| match event {
            EventType::EventRaised(raised) if raised.name.eq_ignore_ascii_case(name) => Some(raised.input.clone()),
            _ => None,
        })
    }

    /// Waits for the n-th event of a name, from 0.
    pub fn event(&mut self, name: &str, n: usize) -> Option<String> {
        self.raised(name).into_iter().nth(n).map(Option::unwrap_or_default)
    }

    pub fn fail(&mut self, failure: TaskFailureDetails) {
        self.completion = Some(CompleteOrchestrationAction {
            orchestration_status: OrchestrationStatus::Failed.into(),
            failure_details: Some(failure),
            ..CompleteOrchestrationAction::default()
        });
    }

    pub fn continue_as_new(&mut self, input: Option<&str>, carryover_events: Vec<HistoryEvent>) {
        self.completion = Some(CompleteOrchestrationAction {
            orchestration_status: OrchestrationStatus::ContinuedAsNew.into(),
            result: input.map(Into::into),
            carryover_events,
            ..CompleteOrchestrationAction::default()
        });
    }

    fn next_id(&self) -> i32 {
        let past = self.events.iter().filter(|event| is_action(event)).map(|event| event.event_id);
        past.chain(self.actions.iter().map(|action| action.id)).max().map_or(1, |id| id + 1)
    }
}

fn is_action(event: &HistoryEvent) -> bool {
    matches!(
        event.event_type,
        Some(
            EventType::TaskScheduled(_)
                | EventType::TimerCreated(_)
                | EventType::SubOrchestrationInstanceCreated(_)
                | EventType::EventSent(_)
        )
    )
}

/// Runs an orchestrator over its history, as an SDK does it.
pub fn episode(script: &Script, work: &OrchestratorWork, past: &[HistoryEvent]) -> OrchestratorResponse {
    let name = work.name.to_string();
    if let Some(raw) = script.raw.get(&name) {
        return raw(work);
    }
    let new = decode(&work.new);
    let events: Vec<HistoryEvent> = past.iter().chain(&new).cloned().collect();
    let Some(code) = script.orchestrators.get(&name) else {
        let mut context = Context::new(work, events);
        context.fail(failure("OrchestratorTaskNotFound", &name));
        return respond(context, None);
    };
    let terminated = events.iter().find_map(|event| match &event.event_type {
        Some(EventType::ExecutionTerminated(terminated)) => Some(terminated.input.clone()),
        _ => None,
    });
    if let (Some(output), false) = (&terminated, script.deaf.contains(&name)) {
        let mut context = Context::new(work, events);
        context.completion = Some(CompleteOrchestrationAction {
            orchestration_status: OrchestrationStatus::Terminated.into(),
            result: output.clone(),
            ..CompleteOrchestrationAction::default()
        });
        return respond(context, None);
    }
    // Behind a suspension without its resume the code does not run.
    let control = events.iter().rposition(|event| {
        matches!(event.event_type, Some(EventType::ExecutionSuspended(_) | EventType::ExecutionResumed(_)))
    });
    let suspended =
        control.filter(|at| matches!(events[*at].event_type, Some(EventType::ExecutionSuspended(_)))).is_some();
    let mut context = Context::new(work, events);
    let result = code(&mut context);
    if suspended {
        context.actions.clear();
        context.completion = None;
        return respond(context, None);
    }
    respond(context, result)
}

fn respond(mut context: Context, result: Option<String>) -> OrchestratorResponse {
    let id = context.next_id();
    let completed = |result| CompleteOrchestrationAction {
        orchestration_status: OrchestrationStatus::Completed.into(),
        result: Some(result),
        ..CompleteOrchestrationAction::default()
    };
    if let Some(completion) = context.completion.take().or_else(|| result.map(completed)) {
        context.actions.push(action(id, Action::CompleteOrchestration(completion)));
    }
    OrchestratorResponse {
        instance_id: context.instance,
        actions: context.actions,
        custom_status: context.custom_status,
        ..OrchestratorResponse::default()
    }
}

/// The history events that the actions of an answer lead to, for a worker that keeps its session.
pub fn remember(history: &mut Vec<HistoryEvent>, new: &[Bytes], response: &OrchestratorResponse) {
    history.extend(decode(new));
    for asked in &response.actions {
        let Some(what) = asked.orchestrator_action_type.clone() else { continue };
        let event_type = match what {
            Action::ScheduleTask(task) => {
                EventType::TaskScheduled(TaskScheduledEvent { name: task.name, ..TaskScheduledEvent::default() })
            }
            Action::CreateTimer(timer) => EventType::TimerCreated(TimerCreatedEvent { fire_at: timer.fire_at }),
            Action::CreateSubOrchestration(child) => {
                EventType::SubOrchestrationInstanceCreated(SubOrchestrationInstanceCreatedEvent {
                    name: child.name,
                    ..SubOrchestrationInstanceCreatedEvent::default()
                })
            }
            Action::SendEvent(sent) => {
                EventType::EventSent(EventSentEvent { name: sent.name, ..EventSentEvent::default() })
            }
            _ => continue,
        };
        let timestamp = Some(Time::EPOCH.into());
        history.push(HistoryEvent { event_id: asked.id, timestamp, event_type: Some(event_type) });
    }
}

/// A response of nothing but actions.
pub fn answer(actions: Vec<OrchestratorAction>) -> OrchestratorResponse {
    OrchestratorResponse { actions, ..OrchestratorResponse::default() }
}
