//! What keeps an answer from being applied. Either all of it is, or nothing but a failure that says
//! why not.

use crate::event;
use crate::limits::{ANSWER_ACTIONS, ANSWER_BYTES};
use alloc::format;
use alloc::string::String;
use duramen_proto::orchestrator_action::OrchestratorActionType as Action;
use duramen_proto::{OrchestrationStatus, OrchestratorAction, OrchestratorResponse, TaskFailureDetails};
use prost::Message as _;

/// The failure of an instance whose worker gave an answer that may not be applied.
pub(super) fn objection(orchestrator: &str, response: &OrchestratorResponse) -> Option<TaskFailureDetails> {
    let failure = too_large(response).map(|problem| event::failure("EpisodeTooLarge", problem));
    failure.or_else(|| response.actions.iter().find_map(|action| objection_to(orchestrator, action)))
}

fn objection_to(orchestrator: &str, action: &OrchestratorAction) -> Option<TaskFailureDetails> {
    match action.orchestrator_action_type.as_ref()? {
        Action::CompleteOrchestration(completion) => match completion.orchestration_status() {
            OrchestrationStatus::Completed
            | OrchestrationStatus::ContinuedAsNew
            | OrchestrationStatus::Failed
            | OrchestrationStatus::Canceled
            | OrchestrationStatus::Terminated => None,
            OrchestrationStatus::Running | OrchestrationStatus::Pending | OrchestrationStatus::Suspended => {
                let number = completion.orchestration_status;
                let message =
                    format!("the worker completed the orchestration with the status {number}, which is no end");
                Some(event::failure("InvalidAnswer", message))
            }
        },
        Action::SendEntityMessage(_) => {
            let message =
                format!("orchestrator {orchestrator:?} used an entity, which this version of Duramen does not have");
            Some(event::failure("EntitiesNotSupported", message))
        }
        Action::ScheduleTask(_)
        | Action::CreateSubOrchestration(_)
        | Action::CreateTimer(_)
        | Action::SendEvent(_)
        | Action::TerminateOrchestration(_)
        | Action::RewindOrchestration(_) => None,
    }
}

/// Why an answer is too large, if it is.
fn too_large(response: &OrchestratorResponse) -> Option<String> {
    let bytes = response.encoded_len();
    let actions = response.actions.len();
    if bytes <= ANSWER_BYTES && actions <= ANSWER_ACTIONS {
        return None;
    }
    let largest = response.actions.iter().max_by_key(|action| action.encoded_len())?;
    let what = describe(largest);
    Some(format!(
        "the episode answered with {actions} actions in {bytes} bytes; {ANSWER_ACTIONS} actions and {ANSWER_BYTES} bytes \
         are allowed. The largest action is {what} with {} bytes. Pass large data by reference, and start fewer things \
         before awaiting some of them.",
        largest.encoded_len()
    ))
}

/// An action, for a person.
fn describe(action: &OrchestratorAction) -> String {
    let id = action.id;
    match &action.orchestrator_action_type {
        Some(Action::ScheduleTask(task)) => format!("#{id}, a call of the activity {:?},", task.name),
        Some(Action::CreateSubOrchestration(child)) => format!("#{id}, a call of the orchestrator {:?},", child.name),
        Some(Action::CreateTimer(_)) => format!("#{id}, a timer,"),
        Some(Action::SendEvent(event)) => format!("#{id}, the event {:?} for another instance,", event.name),
        Some(Action::CompleteOrchestration(_)) => format!("#{id}, the result of the orchestrator,"),
        Some(Action::TerminateOrchestration(_)) => format!("#{id}, a termination,"),
        Some(Action::SendEntityMessage(_)) => format!("#{id}, a message to an entity,"),
        Some(Action::RewindOrchestration(_)) => format!("#{id}, a rewind,"),
        None => format!("#{id}, which is empty,"),
    }
}
