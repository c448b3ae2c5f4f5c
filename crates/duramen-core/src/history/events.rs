//! One event as one line.

use super::fields::Fields;
use super::json::{self, Object};
use super::reader::{BadText, Reader};
use super::values::Field;
use alloc::format;
use alloc::string::String;
use duramen_proto::history_event::EventType;
use duramen_proto::*;
use prost::Message;

macro_rules! kinds {
    ($($kind:ident: $message:ident $(($first:literal))?;)*) => {
        fn write_kind(kind: &EventType, out: &mut String) {
            match kind {
                $(EventType::$kind(message) => {
                    out.push_str(stringify!($kind));
                    write_message(message, concat!($($first)?), out);
                })*
                // Nobody has written one for years; kept as the bytes that it is.
                EventType::HistoryState(state) => {
                    out.push_str("HistoryState bytes=");
                    out.push_str(&hex(&state.encode_to_vec()));
                }
            }
        }

        /// The kind of an event, by its name in the protocol.
        pub(super) fn kind(event: &HistoryEvent) -> &'static str {
            match &event.event_type {
                $(Some(EventType::$kind(_)) => stringify!($kind),)*
                Some(EventType::HistoryState(_)) => "HistoryState",
                None => "Unknown",
            }
        }

        fn write_kind_json(kind: &EventType, object: &mut Object<'_>) {
            match kind {
                $(EventType::$kind(message) => object.member(&json::name_of(stringify!($kind)), message),)*
                EventType::HistoryState(state) => object.member("historyState", &hex(&state.encode_to_vec())),
            }
        }

        fn read_kind(kind: &str, reader: &mut Reader<'_>) -> Result<EventType, BadText> {
            Ok(match kind {
                $(stringify!($kind) => EventType::$kind(read_message::<$message>(concat!($($first)?), reader)?),)*
                "HistoryState" => EventType::HistoryState(read_state(reader)?),
                _ => return Err(reader.bad(format!("there is no event of kind {kind:?}"))),
            })
        }
    };
}

kinds! {
    ExecutionStarted: ExecutionStartedEvent ("name");
    ExecutionCompleted: ExecutionCompletedEvent ("status");
    ExecutionTerminated: ExecutionTerminatedEvent;
    TaskScheduled: TaskScheduledEvent ("name");
    TaskCompleted: TaskCompletedEvent ("task");
    TaskFailed: TaskFailedEvent ("task");
    SubOrchestrationInstanceCreated: SubOrchestrationInstanceCreatedEvent ("name");
    SubOrchestrationInstanceCompleted: SubOrchestrationInstanceCompletedEvent ("task");
    SubOrchestrationInstanceFailed: SubOrchestrationInstanceFailedEvent ("task");
    TimerCreated: TimerCreatedEvent;
    TimerFired: TimerFiredEvent ("timer");
    OrchestratorStarted: OrchestratorStartedEvent;
    OrchestratorCompleted: OrchestratorCompletedEvent;
    EventSent: EventSentEvent ("name");
    EventRaised: EventRaisedEvent ("name");
    GenericEvent: GenericEvent;
    ContinueAsNew: ContinueAsNewEvent;
    ExecutionSuspended: ExecutionSuspendedEvent;
    ExecutionResumed: ExecutionResumedEvent;
    EntityOperationSignaled: EntityOperationSignaledEvent ("operation");
    EntityOperationCalled: EntityOperationCalledEvent ("operation");
    EntityOperationCompleted: EntityOperationCompletedEvent;
    EntityOperationFailed: EntityOperationFailedEvent;
    EntityLockRequested: EntityLockRequestedEvent;
    EntityLockGranted: EntityLockGrantedEvent;
    EntityUnlockSent: EntityUnlockSentEvent;
    ExecutionRewound: ExecutionRewoundEvent;
}

fn write_message(message: &impl Fields, first: &str, out: &mut String) {
    if !first.is_empty() {
        let start = out.len();
        out.push('(');
        message.write_field(first, out);
        // An empty name has no parentheses, and is read as what is not there.
        if out.len() == start + 1 {
            out.truncate(start);
        } else {
            out.push(')');
        }
    }
    message.write_fields(first, out);
}

fn read_message<M: Fields>(first: &str, reader: &mut Reader<'_>) -> Result<M, BadText> {
    let mut message = M::default();
    if !first.is_empty() && reader.take("(") {
        message.read_field(first, reader)?;
        reader.expect(")")?;
    }
    message.read_fields(reader)?;
    Ok(message)
}

fn read_state(reader: &mut Reader<'_>) -> Result<HistoryStateEvent, BadText> {
    reader.skip_spaces();
    reader.expect("bytes=")?;
    let digits = reader.word().as_bytes();
    let bytes: Option<alloc::vec::Vec<u8>> =
        digits.chunks(2).map(|pair| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()).collect();
    bytes
        .and_then(|bytes| HistoryStateEvent::decode(&*bytes).ok())
        .ok_or_else(|| reader.bad("these are not the bytes of a HistoryState"))
}

pub(super) fn write(event: &HistoryEvent, out: &mut String) {
    out.push_str(&format!("#{} ", event.event_id));
    match &event.timestamp {
        Some(at) => at.write(out),
        None => out.push('-'),
    }
    out.push(' ');
    match &event.event_type {
        Some(kind) => write_kind(kind, out),
        None => out.push_str("Unknown"),
    }
}

pub(super) fn write_json(event: &HistoryEvent, out: &mut String) {
    let mut object = Object::begin(out);
    object.member("eventId", &event.event_id);
    object.field("timestamp", &event.timestamp);
    if let Some(kind) = &event.event_type {
        write_kind_json(kind, &mut object);
    }
    object.end();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn read(line: &str) -> Result<HistoryEvent, BadText> {
    let mut reader = Reader::new(line);
    reader.expect("#")?;
    let event_id = reader.parse("event id")?;
    reader.skip_spaces();
    let timestamp = if reader.take("- ") { None } else { Some(Field::read(&mut reader)?) };
    reader.skip_spaces();
    let kind = reader.word();
    let event_type = if kind == "Unknown" { None } else { Some(read_kind(kind, &mut reader)?) };
    reader.skip_spaces();
    if !reader.is_at_end() {
        return Err(reader.bad("the line goes on where it should end"));
    }
    Ok(HistoryEvent { event_id, timestamp, event_type })
}
