//! History events: making them, encoding them, and finding a payload within one.

use crate::ids::InstanceId;
use crate::time::Time;
use alloc::format;
use alloc::string::{String, ToString};
use bytes::Bytes;
use duramen_proto::history_event::EventType;
use duramen_proto::{
    EventRaisedEvent, ExecutionCompletedEvent, ExecutionResumedEvent, ExecutionRewoundEvent, ExecutionStartedEvent,
    ExecutionSuspendedEvent, ExecutionTerminatedEvent, HistoryEvent, OrchestrationInstance, OrchestrationStatus,
    OrchestratorStartedEvent, SubOrchestrationInstanceFailedEvent, TaskFailedEvent, TaskFailureDetails,
    TimerFiredEvent, Value, value,
};
use prost::Message as _;

/// The event id of everything that is no action's event.
const NO_ACTION: i32 = -1;

/// An event as it is stored.
pub(crate) fn encode(event_id: i32, at: Time, event_type: EventType) -> Bytes {
    let event = HistoryEvent { event_id, timestamp: Some(at.into()), event_type: Some(event_type) };
    event.encode_to_vec().into()
}

/// Reads a stored event. What the store holds was encoded here, and the journal's checksums have
/// been checked, so a failure is a defect of this program or data of a newer one.
pub(crate) fn decode(event: &Bytes) -> HistoryEvent {
    HistoryEvent::decode(event.clone()).unwrap_or_else(|error| panic!("a stored history event does not parse: {error}"))
}

/// Reads what happened in a stored event.
pub(crate) fn decode_type(event: &Bytes) -> EventType {
    decode(event).event_type.expect("a stored history event says what happened")
}

pub(crate) fn orchestrator_started(at: Time) -> Bytes {
    encode(NO_ACTION, at, EventType::OrchestratorStarted(OrchestratorStartedEvent {}))
}

/// ExecutionStarted alone among inbound events has the id 0.
pub(crate) fn execution_started(at: Time, started: ExecutionStartedEvent) -> Bytes {
    encode(0, at, EventType::ExecutionStarted(started))
}

pub(crate) fn execution_completed(
    event_id: i32,
    at: Time,
    status: OrchestrationStatus,
    result: Option<String>,
    failure_details: Option<TaskFailureDetails>,
) -> Bytes {
    let completed = ExecutionCompletedEvent { orchestration_status: status.into(), result, failure_details };
    encode(event_id, at, EventType::ExecutionCompleted(completed))
}

pub(crate) fn raised(at: Time, name: String, input: Option<String>) -> Bytes {
    encode(NO_ACTION, at, EventType::EventRaised(EventRaisedEvent { name, input }))
}

pub(crate) fn suspended(at: Time, input: Option<String>) -> Bytes {
    encode(NO_ACTION, at, EventType::ExecutionSuspended(ExecutionSuspendedEvent { input }))
}

pub(crate) fn resumed(at: Time, input: Option<String>) -> Bytes {
    encode(NO_ACTION, at, EventType::ExecutionResumed(ExecutionResumedEvent { input }))
}

pub(crate) fn terminated(at: Time, input: Option<String>, recurse: bool) -> Bytes {
    encode(NO_ACTION, at, EventType::ExecutionTerminated(ExecutionTerminatedEvent { input, recurse }))
}

pub(crate) fn rewound(at: Time, reason: Option<String>) -> Bytes {
    let rewound = ExecutionRewoundEvent { reason, ..ExecutionRewoundEvent::default() };
    encode(NO_ACTION, at, EventType::ExecutionRewound(rewound))
}

pub(crate) fn timer_fired(at: Time, timer_id: i32, fire_at: duramen_proto::Timestamp) -> Bytes {
    encode(NO_ACTION, at, EventType::TimerFired(TimerFiredEvent { fire_at: Some(fire_at), timer_id }))
}

pub(crate) fn task_failed(at: Time, task_scheduled_id: i32, failure: TaskFailureDetails) -> Bytes {
    let failed = TaskFailedEvent { task_scheduled_id, failure_details: Some(failure) };
    encode(NO_ACTION, at, EventType::TaskFailed(failed))
}

pub(crate) fn child_failed(at: Time, task_scheduled_id: i32, failure: Option<TaskFailureDetails>) -> Bytes {
    let failed = SubOrchestrationInstanceFailedEvent { task_scheduled_id, failure_details: failure };
    encode(NO_ACTION, at, EventType::SubOrchestrationInstanceFailed(failed))
}

pub(crate) fn inbound(at: Time, event_type: EventType) -> Bytes {
    encode(NO_ACTION, at, event_type)
}

/// The protocol's pair of instance and execution.
pub(crate) fn instance_of(id: &InstanceId, execution_id: &str) -> OrchestrationInstance {
    OrchestrationInstance { instance_id: id.to_string(), execution_id: Some(execution_id.to_string()) }
}

/// Failure details that the hub itself writes.
pub(crate) fn failure(error_type: &str, message: String) -> TaskFailureDetails {
    TaskFailureDetails {
        error_type: error_type.to_string(),
        error_message: message,
        is_non_retriable: true,
        ..TaskFailureDetails::default()
    }
}

/// Cuts a chain of inner failures that is deeper than readers can take, and says so in its place.
pub(crate) fn bound_failure(failure: &mut TaskFailureDetails) {
    let mut level = failure;
    for _ in 1..crate::limits::FAILURE_DEPTH {
        level.properties.values_mut().for_each(|value| bound_value(value, 1));
        match &mut level.inner_failure {
            Some(inner) => level = inner,
            None => return,
        }
    }
    level.properties.values_mut().for_each(|value| bound_value(value, 1));
    if level.inner_failure.take().is_some() {
        let note = format!(" (inner failures beyond the {}th were cut)", crate::limits::FAILURE_DEPTH);
        level.error_message.push_str(&note);
    }
}

/// Cuts what lies deeper in a value than is kept.
fn bound_value(value: &mut Value, depth: usize) {
    let inner: &mut dyn Iterator<Item = &mut Value> = match &mut value.kind {
        Some(value::Kind::ListValue(list)) => &mut list.values.iter_mut(),
        Some(value::Kind::StructValue(fields)) => &mut fields.fields.values_mut(),
        Some(
            value::Kind::NullValue(_)
            | value::Kind::NumberValue(_)
            | value::Kind::StringValue(_)
            | value::Kind::BoolValue(_),
        )
        | None => return,
    };
    if depth < crate::limits::PROPERTY_DEPTH {
        inner.for_each(|value| bound_value(value, depth + 1));
        return;
    }
    let note = format!("(what lies deeper than {} levels was cut)", crate::limits::PROPERTY_DEPTH);
    value.kind = Some(value::Kind::StringValue(note));
}

/// What an inbox needs to know of an event, read from its first field of the oneof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Started,
    Suspended,
    Resumed,
    Terminated,
    Raised,
    /// A mark that a rewound instance is due an episode; no worker sees it.
    Rewound,
    /// A timer of the current run is due.
    Fired,
    /// The result of something else that the current run asked for.
    Result,
}

impl Kind {
    /// The kind of an encoded event.
    pub(crate) fn of(event: &Bytes) -> Self {
        match decode_type(event) {
            EventType::ExecutionStarted(_) => Self::Started,
            EventType::ExecutionSuspended(_) => Self::Suspended,
            EventType::ExecutionResumed(_) => Self::Resumed,
            EventType::ExecutionTerminated(_) => Self::Terminated,
            EventType::EventRaised(_) => Self::Raised,
            EventType::ExecutionRewound(_) => Self::Rewound,
            EventType::TimerFired(_) => Self::Fired,
            _ => Self::Result,
        }
    }
}

/// Where the payload stands in an encoded event: the field numbers on the way to it.
pub(crate) enum Payload {
    /// `ExecutionStartedEvent.input`.
    Input,
    /// `ExecutionCompletedEvent.result`.
    Output,
}

/// Finds the text of a payload: its first byte within the encoded event and its length.
pub(crate) fn locate(event: &Bytes, payload: Payload) -> Option<(u32, u32)> {
    let path: [u32; 3] = match payload {
        Payload::Input => [3, 3, 1],
        Payload::Output => [4, 2, 1],
    };
    let (mut start, mut end) = (0, event.len());
    for (depth, wanted) in path.into_iter().enumerate() {
        match field(&event[start..end], wanted) {
            Some((from, to)) => (start, end) = (start + from, start + to),
            // An empty StringValue has no field 1: the text is there, and empty.
            None if depth == 2 => return Some((start as u32, 0)),
            None => return None,
        }
    }
    Some((start as u32, (end - start) as u32))
}

/// The id of an encoded event, without decoding the rest: it is field 1, and first if it is there.
pub(crate) fn id_of(event: &Bytes) -> i32 {
    use prost::encoding::{WireType, decode_key, decode_varint};
    let mut rest = &event[..];
    match decode_key(&mut rest) {
        Ok((1, WireType::Varint)) => decode_varint(&mut rest).map_or(0, |id| id as i32),
        _ => 0,
    }
}

/// The bytes of the length-delimited field `wanted` of an encoded message.
fn field(message: &[u8], wanted: u32) -> Option<(usize, usize)> {
    use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
    let mut rest = message;
    while !rest.is_empty() {
        let (number, wire) = decode_key(&mut rest).ok()?;
        if number == wanted && wire == WireType::LengthDelimited {
            let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
            let start = message.len() - rest.len();
            return Some((start, start + length));
        }
        skip_field(wire, number, &mut rest, DecodeContext::default()).ok()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_found_where_it_stands() {
        for input in ["", "\"Tokyo\"", "x"] {
            let started = ExecutionStartedEvent {
                name: "Hello".into(),
                input: Some(input.into()),
                tags: [("a".to_string(), "b".to_string())].into(),
                ..ExecutionStartedEvent::default()
            };
            let event = execution_started(Time::new(1, 2), started);
            let (start, length) = locate(&event, Payload::Input).expect("there is an input");
            assert_eq!(&event[start as usize..(start + length) as usize], input.as_bytes());
        }
        let none = execution_started(Time::EPOCH, ExecutionStartedEvent::default());
        assert_eq!(locate(&none, Payload::Input), None);
    }

    #[test]
    fn an_id_is_read_without_the_rest() {
        for id in [-1, 0, 1, 127, 128, i32::MAX, i32::MIN] {
            assert_eq!(
                id_of(&encode(id, Time::new(5, 6), EventType::OrchestratorStarted(OrchestratorStartedEvent {}))),
                id
            );
        }
    }

    #[test]
    fn a_chain_of_failures_is_cut_with_a_note() {
        let mut chain = failure("T", "0".into());
        for n in 1..200 {
            let inner = core::mem::replace(&mut chain, failure("T", n.to_string()));
            chain.inner_failure = Some(alloc::boxed::Box::new(inner));
        }
        bound_failure(&mut chain);
        let mut depth = 1;
        let mut level = &chain;
        while let Some(inner) = &level.inner_failure {
            depth += 1;
            level = inner;
        }
        assert_eq!(depth, crate::limits::FAILURE_DEPTH);
        assert!(level.error_message.contains("were cut"), "{}", level.error_message);
    }
}
