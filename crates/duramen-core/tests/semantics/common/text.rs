//! Histories as text: one line an event, `#id` first where the event is an action's.

use bytes::Bytes;
use duramen_core::time::Time;
use duramen_proto::history_event::EventType;
use duramen_proto::{HistoryEvent, OrchestrationStatus, TaskFailureDetails};
use prost::Message as _;

/// Reads stored events.
pub fn decode(events: &[Bytes]) -> Vec<HistoryEvent> {
    events.iter().map(|event| HistoryEvent::decode(event.clone()).expect("stored events parse")).collect()
}

/// A history, a line an event.
pub fn lines(events: &[Bytes]) -> Vec<String> {
    decode(events).iter().map(line).collect()
}

fn text(payload: &Option<String>) -> String {
    payload.as_ref().map_or_else(String::new, |text| format!(" {text:?}"))
}

fn failure(details: &Option<TaskFailureDetails>) -> String {
    details.as_ref().map_or_else(String::new, |failure| format!(" {}({:?})", failure.error_type, failure.error_message))
}

/// Seconds of a time, with its fraction if it has one.
pub fn seconds(at: Option<duramen_proto::Timestamp>) -> String {
    let at = Time::from(at.unwrap_or_default());
    match at.nanos() {
        0 => format!("{}s", at.seconds()),
        nanos => format!("{}.{nanos:09}s", at.seconds()),
    }
}

/// One event. An id that breaks the protocol's rule stands in front with an exclamation mark.
pub fn line(event: &HistoryEvent) -> String {
    assert!(event.timestamp.is_some(), "every event has a time: {event:?}");
    let id = event.event_id;
    let (is_action, body) = body(event.event_type.as_ref().expect("an event says what happened"));
    let started = matches!(event.event_type, Some(EventType::ExecutionStarted(_)));
    match id {
        _ if is_action => format!("#{id} {body}"),
        0 if started => body,
        -1 if !started => body,
        _ => format!("!{id} {body}"),
    }
}

fn body(event: &EventType) -> (bool, String) {
    let version = |version: &Option<String>| version.as_ref().map_or_else(String::new, |text| format!("@{text}"));
    match event {
        EventType::OrchestratorStarted(_) => (false, "OrchestratorStarted".into()),
        EventType::ExecutionStarted(e) => {
            (false, format!("ExecutionStarted {}{}{}", e.name, version(&e.version), text(&e.input)))
        }
        EventType::ExecutionCompleted(e) => {
            let status = OrchestrationStatus::try_from(e.orchestration_status).expect("a known status");
            let status = status.as_str_name().trim_start_matches("ORCHESTRATION_STATUS_");
            (true, format!("ExecutionCompleted {status}{}{}", text(&e.result), failure(&e.failure_details)))
        }
        EventType::ExecutionTerminated(e) => {
            (false, format!("ExecutionTerminated{}{}", text(&e.input), if e.recurse { " recurse" } else { "" }))
        }
        EventType::TaskScheduled(e) => {
            (true, format!("TaskScheduled {}{}{}", e.name, version(&e.version), text(&e.input)))
        }
        EventType::TaskCompleted(e) => (false, format!("TaskCompleted #{}{}", e.task_scheduled_id, text(&e.result))),
        EventType::TaskFailed(e) => {
            (false, format!("TaskFailed #{}{}", e.task_scheduled_id, failure(&e.failure_details)))
        }
        EventType::SubOrchestrationInstanceCreated(e) => {
            (true, format!("ChildCreated {} {}{}{}", e.instance_id, e.name, version(&e.version), text(&e.input)))
        }
        EventType::SubOrchestrationInstanceCompleted(e) => {
            (false, format!("ChildCompleted #{}{}", e.task_scheduled_id, text(&e.result)))
        }
        EventType::SubOrchestrationInstanceFailed(e) => {
            (false, format!("ChildFailed #{}{}", e.task_scheduled_id, failure(&e.failure_details)))
        }
        EventType::TimerCreated(e) => (true, format!("TimerCreated {}", seconds(e.fire_at))),
        EventType::TimerFired(e) => (false, format!("TimerFired #{} {}", e.timer_id, seconds(e.fire_at))),
        EventType::EventSent(e) => (true, format!("EventSent {} {}{}", e.instance_id, e.name, text(&e.input))),
        EventType::EventRaised(e) => (false, format!("EventRaised {}{}", e.name, text(&e.input))),
        EventType::ExecutionSuspended(e) => (false, format!("ExecutionSuspended{}", text(&e.input))),
        EventType::ExecutionRewound(e) => (false, format!("ExecutionRewound{}", text(&e.reason))),
        EventType::ExecutionResumed(e) => (false, format!("ExecutionResumed{}", text(&e.input))),
        other => panic!("no worker may see this: {other:?}"),
    }
}
