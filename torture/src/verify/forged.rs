//! Histories made by hand, for tests of what looks at histories.

use super::images::Record;
use crate::functions::{Job, Stage};
use duramen_core::checkpoint::{Head, Image, Tail};
use duramen_proto::history_event::EventType;
use duramen_proto::{
    ExecutionCompletedEvent, ExecutionStartedEvent, HistoryEvent, OrchestrationInstance, OrchestrationStatus,
    OrchestratorStartedEvent, TaskCompletedEvent, TaskScheduledEvent, Timestamp,
};
use prost::Message;

const EXECUTION: &str = "execution";

fn job() -> Job {
    Job { key: "k".into(), size: 1, ..Job::default() }
}

/// The one step of the job.
fn stage() -> Stage {
    Stage { key: "k".into(), index: 0, value: 0, pad: String::new() }
}

fn event(event_id: i32, second: i64, event_type: EventType) -> HistoryEvent {
    let timestamp = Some(Timestamp { seconds: second, nanos: 0 });
    HistoryEvent { event_id, timestamp, event_type: Some(event_type) }
}

/// The beginning of a chain of one step.
pub(super) fn started(second: i64) -> Vec<HistoryEvent> {
    let instance = OrchestrationInstance { instance_id: "i".into(), execution_id: Some(EXECUTION.into()) };
    let started = ExecutionStartedEvent {
        name: "Chain".into(),
        input: Some(serde_json::to_string(&job()).expect("plain data")),
        orchestration_instance: Some(instance),
        ..ExecutionStartedEvent::default()
    };
    vec![
        event(-1, second, EventType::OrchestratorStarted(OrchestratorStartedEvent {})),
        event(0, second, EventType::ExecutionStarted(started)),
    ]
}

pub(super) fn scheduled(id: i32) -> HistoryEvent {
    let input = Some(serde_json::to_string(&stage()).expect("plain data"));
    let task = TaskScheduledEvent { name: "Step".into(), input, ..TaskScheduledEvent::default() };
    event(id, 9, EventType::TaskScheduled(task))
}

pub(super) fn completed(id: i32) -> HistoryEvent {
    let done = TaskCompletedEvent { task_scheduled_id: id, result: Some(stage().result().to_string()) };
    event(-1, 9, EventType::TaskCompleted(done))
}

/// The end of the chain, with the right result.
pub(super) fn ended() -> HistoryEvent {
    let end = ExecutionCompletedEvent {
        orchestration_status: OrchestrationStatus::Completed.into(),
        result: Some(stage().result().to_string()),
        failure_details: None,
    };
    event(1, 9, EventType::ExecutionCompleted(end))
}

pub(super) fn history(parts: impl IntoIterator<Item = Vec<HistoryEvent>>) -> Vec<HistoryEvent> {
    parts.into_iter().flatten().collect()
}

/// An instance that has completed with this history.
pub(super) fn record(history: Vec<HistoryEvent>) -> Record {
    let head = Head {
        id: "i".into(),
        name: "Chain".into(),
        execution_id: EXECUTION.into(),
        run: 1,
        birth: 1,
        ..Head::default()
    };
    let tail =
        Tail { status: OrchestrationStatus::Completed.into(), history_events: history.len() as u64, ..Tail::default() };
    let history = history.iter().map(|event| event.encode_to_vec().into()).collect();
    let image =
        Image { head, tail, custom_status: None, history, inbox: Vec::new(), tasks: Vec::new(), timers: Vec::new() };
    Record::of(image).expect("it was encoded just now")
}
