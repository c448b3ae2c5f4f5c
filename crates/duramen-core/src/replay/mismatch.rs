//! The comparison of a history with what the code asks for.
//!
//! It goes from history to code: every event that records an action must meet the action of its id,
//! in kind and name. Inputs and versions are not compared, as in the SDKs of the protocol.

use alloc::format;
use alloc::string::{String, ToString};
use duramen_proto::history_event::EventType;
use duramen_proto::orchestrator_action::OrchestratorActionType;

/// The kind of the event that records a timer.
pub(super) const TIMER_CREATED: &str = "TimerCreated";

/// What an event records, if it records an action: the kind and the name.
pub(super) fn recorded(event: &EventType) -> Option<(&'static str, &str)> {
    Some(match event {
        EventType::TaskScheduled(task) => ("TaskScheduled", &task.name),
        EventType::SubOrchestrationInstanceCreated(child) => ("SubOrchestrationInstanceCreated", &child.name),
        EventType::TimerCreated(_) => (TIMER_CREATED, ""),
        EventType::EventSent(sent) => ("EventSent", &sent.name),
        EventType::EntityOperationSignaled(signal) => ("EntityOperationSignaled", &signal.operation),
        EventType::EntityOperationCalled(call) => ("EntityOperationCalled", &call.operation),
        EventType::EntityLockRequested(_) => ("EntityLockRequested", ""),
        EventType::EntityUnlockSent(_) => ("EntityUnlockSent", ""),
        EventType::ExecutionStarted(_)
        | EventType::ExecutionCompleted(_)
        | EventType::ExecutionTerminated(_)
        | EventType::TaskCompleted(_)
        | EventType::TaskFailed(_)
        | EventType::SubOrchestrationInstanceCompleted(_)
        | EventType::SubOrchestrationInstanceFailed(_)
        | EventType::TimerFired(_)
        | EventType::OrchestratorStarted(_)
        | EventType::OrchestratorCompleted(_)
        | EventType::EventRaised(_)
        | EventType::GenericEvent(_)
        | EventType::HistoryState(_)
        | EventType::ContinueAsNew(_)
        | EventType::ExecutionSuspended(_)
        | EventType::ExecutionResumed(_)
        | EventType::EntityOperationCompleted(_)
        | EventType::EntityOperationFailed(_)
        | EventType::EntityLockGranted(_)
        | EventType::ExecutionRewound(_) => return None,
    })
}

/// The kind of an action, the kind of the event that records it, and its name.
fn asked(action: &OrchestratorActionType) -> (&'static str, &'static str, &str) {
    match action {
        OrchestratorActionType::ScheduleTask(task) => ("ScheduleTask", "TaskScheduled", &task.name),
        OrchestratorActionType::CreateSubOrchestration(child) => {
            ("CreateSubOrchestration", "SubOrchestrationInstanceCreated", &child.name)
        }
        OrchestratorActionType::CreateTimer(_) => ("CreateTimer", TIMER_CREATED, ""),
        OrchestratorActionType::SendEvent(sent) => ("SendEvent", "EventSent", &sent.name),
        OrchestratorActionType::CompleteOrchestration(_) => ("CompleteOrchestration", "ExecutionCompleted", ""),
        OrchestratorActionType::TerminateOrchestration(_) => ("TerminateOrchestration", "", ""),
        OrchestratorActionType::SendEntityMessage(_) => ("SendEntityMessage", "", ""),
        OrchestratorActionType::RewindOrchestration(_) => ("RewindOrchestration", "", ""),
    }
}

/// The kind of an action with its name, as messages show it: `ScheduleTask(ChargeCard)`.
pub fn kind_of_action(action: &OrchestratorActionType) -> String {
    let (kind, _, name) = asked(action);
    labelled(kind, name)
}

fn labelled(kind: &str, name: &str) -> String {
    if name.is_empty() { kind.to_string() } else { format!("{kind}({name})") }
}

/// Whether two names of functions or events are the same.
fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || (!(a.is_ascii() && b.is_ascii()) && a.to_lowercase() == b.to_lowercase())
}

/// Says what is wrong when `event` does not record `action`.
pub(super) fn compare(
    id: i32,
    event: (&str, &str),
    action: Option<&OrchestratorActionType>,
    ended: bool,
) -> Option<String> {
    let (kind, name) = event;
    let asked_for = match action {
        Some(action) => {
            let (_, records_as, action_name) = asked(action);
            if records_as == kind && same_name(action_name, name) {
                return None;
            }
            kind_of_action(action)
        }
        None if ended => "nothing: it had already returned".to_string(),
        None => "nothing".to_string(),
    };
    Some(format!("history #{id} {}, code asked for {asked_for}", labelled(kind, name)))
}
