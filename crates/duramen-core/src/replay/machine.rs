//! What a history says and what the code has asked for.

use super::drive::End;
use super::inbox::{Inbox, WaitId};
use super::mismatch;
use super::pending::Pending;
use super::retry::Retry;
use super::tasks::{Ended, Kind, Tasks};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::mem;
use core::task::{Poll, Waker};
use duramen_proto::history_event::EventType;
use duramen_proto::orchestrator_action::OrchestratorActionType;
use duramen_proto::{
    CompleteOrchestrationAction, CreateTimerAction, ExecutionStartedEvent, HistoryEvent, OrchestrationStatus,
    OrchestratorAction, TaskFailureDetails,
};

/// How a task ended: its result as JSON text, or why it failed.
pub type Outcome = Result<Option<String>, Box<TaskFailureDetails>>;

/// How author code ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Completion {
    /// It returned, with this JSON text.
    Completed(Option<String>),
    /// It failed.
    Failed(Box<TaskFailureDetails>),
    /// It wants to begin anew with this input.
    ContinuedAsNew {
        /// The input of the next generation, as JSON text.
        input: Option<String>,
        /// Its version, when it changes.
        new_version: Option<String>,
    },
}

/// What [`Replay::apply`] asks the driver to do.
pub(super) enum Applied {
    Nothing,
    Started(Box<ExecutionStartedEvent>),
    Wake(Waker),
    Resumed(Vec<HistoryEvent>),
}

/// One execution, as far as it has been fed.
#[derive(Debug, Default)]
pub struct Replay {
    now: Time,
    started_at: Time,
    started: bool,
    replaying: bool,
    episode: u64,
    next_id: i32,
    pending: Pending,
    tasks: Tasks,
    inbox: Inbox,
    suspended: bool,
    held: Vec<HistoryEvent>,
    custom_status: Option<String>,
    completion: Option<Completion>,
    terminated: Option<Option<String>>,
    fault: Option<Box<TaskFailureDetails>>,
}

impl Replay {
    /// An execution of which nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time that the code sees: that of the episode's OrchestratorStarted.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The time of the execution's first episode.
    pub fn started_at(&self) -> Time {
        self.started_at
    }

    /// Whether the code is being run over events of earlier episodes.
    pub fn is_replaying(&self) -> bool {
        self.replaying
    }

    /// Counts OrchestratorStarted events.
    pub fn episode(&self) -> u64 {
        self.episode
    }

    /// Whether nothing that the code does can have an effect any more.
    pub fn is_over(&self) -> bool {
        self.completion.is_some() || self.terminated.is_some() || self.fault.is_some()
    }

    /// Whether the code waits although nothing durable could ever wake it.
    pub fn is_stranded(&self) -> bool {
        self.started && !self.is_over() && !self.suspended && !self.tasks.are_open() && !self.inbox.has_waits()
    }

    /// Fails the execution for a reason that lies outside of what the code returned.
    pub fn fail(&mut self, failure: TaskFailureDetails) {
        self.fault.get_or_insert(Box::new(failure));
    }

    /// Asks for an activity, a child or a timer that the code can wait for. Gives its action id.
    pub fn ask(&mut self, action: OrchestratorActionType) -> i32 {
        let kind = match &action {
            OrchestratorActionType::ScheduleTask(_) => Kind::Activity,
            OrchestratorActionType::CreateSubOrchestration(_) => Kind::Child,
            _ => Kind::Timer,
        };
        let id = self.push(action);
        self.tasks.add(id, kind);
        id
    }

    /// Asks for something that has no result.
    pub fn tell(&mut self, action: OrchestratorActionType) {
        self.push(action);
    }

    fn push(&mut self, action: OrchestratorActionType) -> i32 {
        let id = self.next_id;
        self.next_id += 1;
        self.pending.push(id, action);
        id
    }

    /// The action, as long as it can be changed: in the episode that asked for it.
    pub fn amend(&mut self, id: i32, asked_in: u64) -> Option<&mut OrchestratorActionType> {
        if asked_in != self.episode {
            return None;
        }
        self.pending.get_mut(id)
    }

    /// Has a task tried again when it fails. Like every option, only in the episode that asked.
    pub fn retry(&mut self, id: i32, asked_in: u64, retry: Retry) -> bool {
        if self.amend(id, asked_in).is_none() {
            return false;
        }
        let first_at = self.now;
        self.tasks.retry(id, retry, first_at)
    }

    /// The outcome of a task, once. Afterwards the task is unknown.
    pub fn poll_task(&mut self, id: i32, waker: &Waker) -> Poll<Outcome> {
        self.tasks.poll(id, waker)
    }

    /// The future of a task was dropped.
    pub fn forget_task(&mut self, id: i32) {
        self.tasks.forget(id);
    }

    /// Begins to wait for an external event.
    pub fn wait(&mut self, name: &str) -> WaitId {
        self.inbox.wait(name)
    }

    /// Whether an event for the wait is there.
    pub fn is_wait_ready(&self, id: WaitId) -> bool {
        self.inbox.is_ready(id)
    }

    /// The payload of an awaited event, once.
    pub fn poll_wait(&mut self, id: WaitId, waker: &Waker) -> Poll<Option<String>> {
        self.inbox.poll(id, waker)
    }

    /// The future of a wait was dropped. Gives whom to wake, since an unread event goes to the next.
    pub fn forget_wait(&mut self, id: WaitId) -> Option<Waker> {
        self.inbox.forget(id)
    }

    /// Replaces the custom status.
    pub fn set_custom_status(&mut self, status: Option<String>) {
        self.custom_status = status;
    }

    pub(super) fn complete(&mut self, completion: Completion) {
        if !self.is_over() {
            self.completion = Some(completion);
        }
    }

    pub(super) fn apply(&mut self, mut event: HistoryEvent, replaying: bool) -> Applied {
        self.replaying = replaying;
        let Some(kind) = event.event_type.take() else { return Applied::Nothing };
        if let Some(recorded) = mismatch::recorded(&kind) {
            self.meet(event.event_id, recorded);
            return Applied::Nothing;
        }
        match kind {
            EventType::OrchestratorStarted(_) => {
                self.now = event.timestamp.map_or(self.now, Time::from);
                if self.episode == 0 {
                    self.started_at = self.now;
                }
                self.episode += 1;
            }
            EventType::ExecutionStarted(started) if !self.started => {
                self.started = true;
                return Applied::Started(Box::new(started));
            }
            // A second start of an execution that has begun is dropped, as DTFx does.
            EventType::ExecutionStarted(_) => {}
            EventType::ExecutionSuspended(_) => self.suspended = true,
            EventType::ExecutionResumed(_) => {
                self.suspended = false;
                return Applied::Resumed(mem::take(&mut self.held));
            }
            EventType::ExecutionTerminated(terminated) => self.terminate(terminated.input),
            kind if self.suspended => {
                self.held.push(HistoryEvent { event_type: Some(kind), ..event });
            }
            kind => return self.arrive(HistoryEvent { event_type: Some(kind), ..event }),
        }
        Applied::Nothing
    }

    fn arrive(&mut self, event: HistoryEvent) -> Applied {
        let waker = match event.event_type {
            Some(EventType::EventRaised(_)) => self.inbox.raise(event),
            Some(EventType::TaskCompleted(done)) => self.end(done.task_scheduled_id, Kind::Activity, Ok(done.result)),
            Some(EventType::TaskFailed(failed)) => {
                let failure = failed.failure_details.unwrap_or_default();
                self.end(failed.task_scheduled_id, Kind::Activity, Err(Box::new(failure)))
            }
            Some(EventType::SubOrchestrationInstanceCompleted(done)) => {
                self.end(done.task_scheduled_id, Kind::Child, Ok(done.result))
            }
            Some(EventType::SubOrchestrationInstanceFailed(failed)) => {
                let failure = failed.failure_details.unwrap_or_default();
                self.end(failed.task_scheduled_id, Kind::Child, Err(Box::new(failure)))
            }
            Some(EventType::TimerFired(fired)) => self.end(fired.timer_id, Kind::Timer, Ok(None)),
            _ => None,
        };
        waker.map_or(Applied::Nothing, Applied::Wake)
    }

    /// An event that records an action meets the action of its id.
    fn meet(&mut self, id: i32, recorded: (&str, &str)) {
        if self.terminated.is_some() {
            return;
        }
        if let Some(problem) = mismatch::compare(id, recorded, self.pending.get(id), self.completion.is_some()) {
            self.fail(TaskFailureDetails {
                error_type: "NonDeterministicOrchestration".to_string(),
                error_message: format!(
                    "{problem}; the code must ask for the same things in the same order each time it runs over a history"
                ),
                is_non_retriable: true,
                ..TaskFailureDetails::default()
            });
            return;
        }
        let action = self.pending.take(id);
        self.tasks.recorded(id, action);
    }

    /// A task, child or timer ended. Gives whom to wake.
    fn end(&mut self, id: i32, kind: Kind, outcome: Outcome) -> Option<Waker> {
        match self.tasks.end(id, kind, outcome, self.now) {
            Ended::Silent => {}
            Ended::Wake(waker) => return Some(waker),
            Ended::Pause(pause, link) => {
                let fire_at = Some(self.now.plus(pause).into());
                let timer = self.push(OrchestratorActionType::CreateTimer(CreateTimerAction { fire_at }));
                self.tasks.link(timer, link);
            }
            Ended::Again(action, link) => {
                let attempt = self.push(*action);
                self.tasks.link(attempt, link);
            }
        }
        None
    }

    /// The first end wins, but for a termination that follows ContinueAsNew (DTFx).
    fn terminate(&mut self, output: Option<String>) {
        let goes_on = !matches!(self.completion, Some(Completion::Completed(_) | Completion::Failed(_)));
        // While suspended, the completion has not been said yet.
        if (goes_on || self.suspended) && self.terminated.is_none() {
            self.terminated = Some(output);
        }
    }

    pub(super) fn finish(&mut self) -> End {
        let custom_status = self.custom_status.clone();
        if let Some(failure) = self.fault.take() {
            // The protocol's mark of a failure that is not the code's own decision.
            let completion = completed(OrchestrationStatus::Failed, None, Some(*failure));
            return End { actions: vec![numbered(-1, completion)], custom_status, ended: true };
        }
        if let Some(output) = self.terminated.take() {
            self.pending.clear();
            let completion = completed(OrchestrationStatus::Terminated, output, None);
            return End { actions: vec![numbered(self.next_id, completion)], custom_status, ended: true };
        }
        if self.suspended {
            return End { actions: Vec::new(), custom_status, ended: false };
        }
        let mut actions = self.pending.drain(1);
        self.tasks.leaving(&actions);
        let ended = self.completion.is_some();
        if let Some(completion) = self.completion.take() {
            let action = match completion {
                Completion::Completed(output) => completed(OrchestrationStatus::Completed, output, None),
                Completion::Failed(failure) => completed(OrchestrationStatus::Failed, None, Some(*failure)),
                Completion::ContinuedAsNew { input, new_version } => CompleteOrchestrationAction {
                    new_version,
                    carryover_events: self.inbox.take_unread(),
                    ..completed(OrchestrationStatus::ContinuedAsNew, input, None)
                },
            };
            actions.push(numbered(self.next_id, action));
        }
        End { actions, custom_status, ended }
    }
}

fn completed(
    status: OrchestrationStatus,
    result: Option<String>,
    failure_details: Option<TaskFailureDetails>,
) -> CompleteOrchestrationAction {
    CompleteOrchestrationAction { orchestration_status: status.into(), result, failure_details, ..Default::default() }
}

fn numbered(id: i32, action: CompleteOrchestrationAction) -> OrchestratorAction {
    OrchestratorAction { id, orchestrator_action_type: Some(OrchestratorActionType::CompleteOrchestration(action)) }
}
