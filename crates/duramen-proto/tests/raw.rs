//! The messages with raw events have the bytes of the protocol's own, and back.

use bytes::Bytes;
use duramen_proto::history_event::EventType;
use duramen_proto::{self as proto, HistoryEvent, Timestamp, raw};
use proptest::collection::{btree_map, vec};
use proptest::option::of as maybe;
use proptest::prelude::*;
use prost::Message;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-zß]{1,200}"]
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    (any::<i64>(), 0..1_000_000_000).prop_map(|(seconds, nanos)| Timestamp { seconds, nanos })
}

fn kind() -> impl Strategy<Value = EventType> {
    let scheduled = (text(), maybe(text()), maybe(text()), btree_map(text(), text(), 0..3)).prop_map(
        |(name, version, input, tags)| {
            EventType::TaskScheduled(proto::TaskScheduledEvent { name, version, input, tags, ..Default::default() })
        },
    );
    let raised = (text(), maybe(text()))
        .prop_map(|(name, input)| EventType::EventRaised(proto::EventRaisedEvent { name, input }));
    let fired = (maybe(timestamp()), any::<i32>())
        .prop_map(|(fire_at, timer_id)| EventType::TimerFired(proto::TimerFiredEvent { fire_at, timer_id }));
    let started = Just(EventType::OrchestratorStarted(proto::OrchestratorStartedEvent {}));
    prop_oneof![scheduled, raised, fired, started]
}

fn events() -> impl Strategy<Value = Vec<HistoryEvent>> {
    let event = (any::<i32>(), maybe(timestamp()), maybe(kind()))
        .prop_map(|(event_id, timestamp, event_type)| HistoryEvent { event_id, timestamp, event_type });
    vec(event, 0..6)
}

fn value() -> impl Strategy<Value = proto::Value> {
    text().prop_map(|text| proto::Value { kind: Some(prost_types::value::Kind::StringValue(text)) })
}

fn orchestrator_request() -> impl Strategy<Value = proto::OrchestratorRequest> {
    let trace = (maybe(text()), maybe(timestamp()))
        .prop_map(|(span_id, span_start_time)| proto::OrchestrationTraceContext { span_id, span_start_time });
    let window = (any::<i64>(), any::<i32>()).prop_map(|(seconds, nanos)| proto::OrchestratorEntityParameters {
        entity_message_reorder_window: Some(proto::Duration { seconds, nanos }),
    });
    let ids = (text(), maybe(text()));
    let rest = (maybe(window), any::<bool>(), btree_map(text(), value(), 0..3), maybe(trace));
    (ids, events(), events(), rest).prop_map(|((instance_id, execution_id), past_events, new_events, rest)| {
        let (entity_parameters, requires_history_streaming, properties, orchestration_trace_context) = rest;
        proto::OrchestratorRequest {
            instance_id,
            execution_id,
            past_events,
            new_events,
            entity_parameters,
            requires_history_streaming,
            properties,
            orchestration_trace_context,
        }
    })
}

fn work_item() -> impl Strategy<Value = proto::WorkItem> {
    use proto::work_item::Request;
    let activity = (text(), maybe(text()), any::<i32>()).prop_map(|(name, input, task_id)| {
        Request::ActivityRequest(proto::ActivityRequest { name, input, task_id, ..Default::default() })
    });
    let entity = (text(), events()).prop_map(|(instance_id, operation_requests)| {
        Request::EntityRequestV2(proto::EntityRequest { instance_id, operation_requests, ..Default::default() })
    });
    let legacy = text().prop_map(|instance_id| {
        Request::EntityRequest(proto::EntityBatchRequest { instance_id, ..Default::default() })
    });
    let request = prop_oneof![
        4 => orchestrator_request().prop_map(Request::OrchestratorRequest),
        1 => activity,
        1 => entity,
        1 => legacy,
        1 => Just(Request::HealthPing(proto::HealthPing {})),
    ];
    (maybe(request), text()).prop_map(|(request, completion_token)| proto::WorkItem { request, completion_token })
}

fn bytes_of(events: &[HistoryEvent]) -> Vec<Bytes> {
    events.iter().map(|event| event.encode_to_vec().into()).collect()
}

fn raw_of(item: &proto::WorkItem) -> raw::WorkItem {
    use proto::work_item::Request;
    let request = item.request.clone().map(|request| match request {
        Request::OrchestratorRequest(request) => raw::WorkRequest::OrchestratorRequest(raw::OrchestratorRequest {
            past_events: bytes_of(&request.past_events),
            new_events: bytes_of(&request.new_events),
            orchestration_trace_context: request.orchestration_trace_context.map(|trace| trace.encode_to_vec().into()),
            instance_id: request.instance_id,
            execution_id: request.execution_id,
            entity_parameters: request.entity_parameters,
            requires_history_streaming: request.requires_history_streaming,
            properties: request.properties,
        }),
        Request::ActivityRequest(request) => raw::WorkRequest::ActivityRequest(request),
        Request::EntityRequest(request) => raw::WorkRequest::EntityRequest(request),
        Request::HealthPing(ping) => raw::WorkRequest::HealthPing(ping),
        Request::EntityRequestV2(request) => raw::WorkRequest::EntityRequestV2(request),
    });
    raw::WorkItem { request, completion_token: item.completion_token.clone() }
}

proptest! {
    #[test]
    fn a_work_item_with_raw_events_is_the_protocols(item in work_item()) {
        let (raw, encoded) = (raw_of(&item), item.encode_to_vec());
        prop_assert_eq!(raw.encode_to_vec(), encoded.clone());
        prop_assert_eq!(raw.encoded_len(), encoded.len());
        prop_assert_eq!(raw::WorkItem::decode(&encoded[..]).unwrap(), raw);
    }

    #[test]
    fn a_piece_of_history_with_raw_events_is_the_protocols(events in events()) {
        let raw = raw::HistoryChunk { events: bytes_of(&events) };
        let encoded = proto::HistoryChunk { events }.encode_to_vec();
        prop_assert_eq!(raw.encode_to_vec(), encoded.clone());
        prop_assert_eq!(raw::HistoryChunk::decode(&encoded[..]).unwrap(), raw);
    }
}

/// A field that the protocol gets and the raw message has not would be lost without a word.
#[test]
fn the_raw_messages_have_all_fields() {
    let table = include_str!("wire-table.txt");
    let fields = |message: &str| {
        let lines = table.lines().skip_while(|line| *line != format!("message {message}")).skip(1);
        lines.take_while(|line| line.starts_with("  ")).count()
    };
    assert_eq!((fields("WorkItem"), fields("OrchestratorRequest"), fields("HistoryChunk")), (6, 8, 1));
}
