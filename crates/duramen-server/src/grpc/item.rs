//! A work item as the protocol sends it.

use bytes::Bytes;
use duramen_core::extension;
use duramen_core::work::{ActivityWork, OrchestratorWork, Work, WorkItem};
use duramen_proto::Value;
use duramen_proto::history_event::EventType;
use duramen_proto::raw::{self, WorkRequest};
use duramen_proto::value::Kind;
use duramen_proto::{ActivityRequest, Duration, HistoryEvent, OrchestrationInstance, OrchestratorEntityParameters};
use prost::Message as _;
use std::collections::BTreeMap;

/// Bytes of events above which a worker that streams histories fetches the past ones.
pub(super) const STREAMED_BYTES: usize = 1 << 20;

/// An item ready to be sent.
pub(super) struct Parcel {
    pub(super) message: raw::WorkItem,
    /// The past events, if the worker is to fetch them.
    pub(super) past: Option<Vec<Bytes>>,
}

/// What a worker can do with an item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Abilities {
    /// It fetches histories, if an item has more bytes than this.
    pub(super) streams_above: Option<usize>,
    /// It is one of Duramen's: it keeps sessions, and receives messages of any size.
    pub(super) sessions: bool,
}

/// Builds the message for a worker.
pub(super) fn parcel(item: WorkItem, can: Abilities) -> Parcel {
    let completion_token = item.token.to_string();
    let (request, past) = match item.work {
        Work::Orchestrator(work) => orchestrator(work, can),
        Work::Activity(work) => (WorkRequest::ActivityRequest(activity(work, can)), None),
    };
    Parcel { message: raw::WorkItem { request: Some(request), completion_token }, past }
}

fn orchestrator(work: OrchestratorWork, can: Abilities) -> (WorkRequest, Option<Vec<Bytes>>) {
    let properties = if can.sessions { properties(&work) } else { BTreeMap::new() };
    let mut past_events = work.past.unwrap_or_default();
    let bytes = past_events.iter().chain(&work.new).map(Bytes::len).sum::<usize>();
    let streamed = !past_events.is_empty() && can.streams_above.is_some_and(|most| bytes > most);
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
        properties,
        orchestration_trace_context: Some(work.trace).filter(|trace| !trace.is_empty()),
    };
    (WorkRequest::OrchestratorRequest(request), past)
}

/// What only Duramen's own workers look at.
fn properties(work: &OrchestratorWork) -> BTreeMap<String, Value> {
    let entry = |name: &str, kind| (name.to_owned(), Value { kind: Some(kind) });
    let session = entry(extension::SESSION, Kind::StringValue(work.session.to_text()));
    let name = entry(extension::ORCHESTRATOR, Kind::StringValue(work.name.to_string()));
    let without_past = work.past.is_none().then(|| entry(extension::INCLUDE_STATE, Kind::BoolValue(false)));
    [session, name].into_iter().chain(without_past).collect()
}

fn activity(work: ActivityWork, can: Abilities) -> ActivityRequest {
    // What the store holds was encoded here, and its checksums have been looked at.
    let event = HistoryEvent::decode(work.scheduled).expect("a stored history event parses");
    let Some(EventType::TaskScheduled(scheduled)) = event.event_type else {
        unreachable!("a task holds a TaskScheduled")
    };
    ActivityRequest {
        name: scheduled.name,
        // SDKs take an absent version for absent; Duramen's worker shows its authors what it stands for.
        version: scheduled.version.or(work.orchestration_version.filter(|_| can.sessions).map(|of| of.to_string())),
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
