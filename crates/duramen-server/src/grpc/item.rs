//! A work item as the protocol sends it.

use bytes::Bytes;
use duramen_core::work::{ActivityWork, OrchestratorWork, Work, WorkItem};
use duramen_proto::history_event::EventType;
use duramen_proto::raw::{self, WorkRequest};
use duramen_proto::{ActivityRequest, Duration, HistoryEvent, OrchestrationInstance, OrchestratorEntityParameters};
use prost::Message as _;

/// Bytes of past events above which a worker that streams histories fetches them.
const STREAMED_BYTES: usize = 1 << 20;

/// An item ready to be sent.
pub(super) struct Parcel {
    pub(super) message: raw::WorkItem,
    /// The past events, if the worker is to fetch them.
    pub(super) past: Option<Vec<Bytes>>,
}

/// Builds the message for a worker that streams histories or does not.
pub(super) fn parcel(item: WorkItem, streams: bool) -> Parcel {
    let completion_token = item.token.to_string();
    let (request, past) = match item.work {
        Work::Orchestrator(work) => orchestrator(work, streams),
        Work::Activity(work) => (WorkRequest::ActivityRequest(activity(work)), None),
    };
    Parcel { message: raw::WorkItem { request: Some(request), completion_token }, past }
}

fn orchestrator(work: OrchestratorWork, streams: bool) -> (WorkRequest, Option<Vec<Bytes>>) {
    // Only workers in the hub's process hold sessions, so the past is always with the item.
    let mut past_events = work.past.unwrap_or_default();
    let streamed = streams && past_events.iter().map(Bytes::len).sum::<usize>() > STREAMED_BYTES;
    let past = streamed.then(|| std::mem::take(&mut past_events));
    let request = raw::OrchestratorRequest {
        instance_id: work.instance.to_string(),
        execution_id: Some(work.execution_id.to_string()),
        past_events,
        new_events: work.new,
        // Without them .NET switches entities off. Messages keep their order, so there is no window.
        entity_parameters: Some(OrchestratorEntityParameters {
            entity_message_reorder_window: Some(Duration::default()),
        }),
        requires_history_streaming: streamed,
        orchestration_trace_context: Some(work.trace).filter(|trace| !trace.is_empty()),
        ..raw::OrchestratorRequest::default()
    };
    (WorkRequest::OrchestratorRequest(request), past)
}

fn activity(work: ActivityWork) -> ActivityRequest {
    // What the store holds was encoded here, and its checksums have been looked at.
    let event = HistoryEvent::decode(work.scheduled).expect("a stored history event parses");
    let Some(EventType::TaskScheduled(scheduled)) = event.event_type else {
        unreachable!("a task holds a TaskScheduled")
    };
    ActivityRequest {
        name: scheduled.name,
        version: scheduled.version,
        input: scheduled.input,
        orchestration_instance: Some(OrchestrationInstance {
            instance_id: work.instance.to_string(),
            execution_id: Some(work.execution_id.to_string()),
        }),
        task_id: event.event_id,
        parent_trace_context: scheduled.parent_trace_context,
        tags: scheduled.tags,
    }
}
