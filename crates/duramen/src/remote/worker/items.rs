//! From a message of the stream to a work item.

use super::held::{Held, Item};
use bytes::Bytes;
use duramen_core::extension;
use duramen_core::ids::{InstanceId, Token};
use duramen_core::work::{ActivityWork, OrchestratorWork, Session, Work, WorkItem, WorkKind};
use duramen_proto::history_event::EventType;
use duramen_proto::raw::{self, WorkRequest};
use duramen_proto::value::Kind;
use duramen_proto::{ActivityRequest, HistoryEvent, TaskScheduledEvent};
use prost::Message as _;
use std::sync::Arc;

/// What a message of the stream says.
pub(super) enum Received {
    /// Something to do.
    Item(WorkItem),
    /// The same, once its past has been fetched.
    WithoutPast(WorkItem),
    /// It cannot be done here, for this reason, and goes back.
    Refused(Token, String),
    /// The server is there.
    Ping,
}

/// Takes a message in hand.
pub(super) fn receive(message: raw::WorkItem, held: &Held) -> Received {
    let raw::WorkItem { request, completion_token } = message;
    match request {
        Some(WorkRequest::OrchestratorRequest(request)) => episode(request, completion_token, held),
        Some(WorkRequest::ActivityRequest(request)) => activity(request, completion_token, held),
        Some(WorkRequest::HealthPing(_)) => Received::Ping,
        // No worker that announces no entities is sent one; it would come back to whoever sent it.
        Some(WorkRequest::EntityRequest(_) | WorkRequest::EntityRequestV2(_)) | None => {
            tracing::warn!("a work item of a kind that this version does not know is passed over");
            Received::Ping
        }
    }
}

fn episode(request: raw::OrchestratorRequest, completion_token: String, held: &Held) -> Received {
    let execution_id: Arc<str> = request.execution_id.as_deref().unwrap_or_default().into();
    let instance = InstanceId::from(request.instance_id.clone());
    let item = Item {
        completion_token,
        instance: instance.clone(),
        execution_id: Arc::clone(&execution_id),
        kind: WorkKind::Orchestrator,
    };
    let Some(Named { session, name, includes_past }) = named(&request) else {
        return Received::Refused(held.take(item), "the server does not say which session it goes on with".into());
    };
    if held.is_stuck(&execution_id) {
        return Received::Refused(held.take(item), "its code did not come back in this worker before".into());
    }
    let work = OrchestratorWork {
        instance,
        execution_id,
        name,
        version: None,
        session,
        past: includes_past.then_some(request.past_events),
        new: request.new_events,
        trace: request.orchestration_trace_context.unwrap_or_default(),
    };
    let item = WorkItem { token: held.take(item), work: Work::Orchestrator(work) };
    if request.requires_history_streaming { Received::WithoutPast(item) } else { Received::Item(item) }
}

/// What the properties of an episode say.
struct Named {
    session: Session,
    name: Arc<str>,
    includes_past: bool,
}

fn named(request: &raw::OrchestratorRequest) -> Option<Named> {
    let kind = |name: &str| request.properties.get(name).and_then(|value| value.kind.as_ref());
    let text = |name| match kind(name) {
        Some(Kind::StringValue(text)) => Some(text.as_str()),
        _ => None,
    };
    let session = Session::from_text(text(extension::SESSION)?)?;
    let name = text(extension::ORCHESTRATOR)?.into();
    Some(Named {
        session,
        name,
        includes_past: !matches!(kind(extension::INCLUDE_STATE), Some(Kind::BoolValue(false))),
    })
}

fn activity(request: ActivityRequest, completion_token: String, held: &Held) -> Received {
    let of = request.orchestration_instance.unwrap_or_default();
    let instance = InstanceId::from(of.instance_id);
    let execution_id: Arc<str> = of.execution_id.unwrap_or_default().into();
    let scheduled = TaskScheduledEvent {
        name: request.name,
        version: request.version,
        input: request.input,
        parent_trace_context: request.parent_trace_context,
        tags: request.tags,
    };
    let event = HistoryEvent {
        event_id: request.task_id,
        timestamp: None,
        event_type: Some(EventType::TaskScheduled(scheduled)),
    };
    let work = ActivityWork {
        instance: instance.clone(),
        execution_id: Arc::clone(&execution_id),
        orchestration_version: None,
        scheduled: Bytes::from(event.encode_to_vec()),
    };
    let token = held.take(Item { completion_token, instance, execution_id, kind: WorkKind::Activity });
    Received::Item(WorkItem { token, work: Work::Activity(work) })
}
