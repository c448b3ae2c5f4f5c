//! What a history may look like.

use crate::check::ensure;
use crate::model::decode;
use bytes::Bytes;
use duramen_core::time::Time;
use duramen_proto::history_event::EventType;
use std::collections::BTreeMap;

/// Checks a history by itself: per episode OrchestratorStarted, what arrived, one event an action;
/// results after what they are results of; nothing behind the end.
pub(crate) fn check(id: &str, history: &[Bytes], rewound: bool) {
    const CHECK: &str = "history is well-formed";
    let mut last_start: Option<Time> = None;
    let mut started = false;
    let mut completed = false;
    let mut in_actions = false;
    let mut open: BTreeMap<(u8, i32), i32> = BTreeMap::new();
    for (index, bytes) in history.iter().enumerate() {
        let event = decode(bytes);
        let what = event.event_type.as_ref();
        ensure!(event.timestamp.is_some(), CHECK, "{id}: event {index} has no time");
        ensure!(!completed, CHECK, "{id}: event {index} follows the end: {event:?}");
        let action = matches!(
            what,
            Some(
                EventType::TaskScheduled(_)
                    | EventType::SubOrchestrationInstanceCreated(_)
                    | EventType::TimerCreated(_)
                    | EventType::EventSent(_)
                    | EventType::ExecutionCompleted(_)
            )
        );
        match what {
            Some(EventType::OrchestratorStarted(_)) => {
                let at = Time::from(event.timestamp.unwrap_or_default());
                ensure!(last_start.is_none_or(|last| last < at), CHECK, "{id}: episode time goes back at {index}");
                last_start = Some(at);
                in_actions = false;
            }
            _ if action => in_actions = true,
            _ => ensure!(!in_actions, CHECK, "{id}: event {index} arrives among actions: {event:?}"),
        }
        ensure!(index > 0 || last_start.is_some(), CHECK, "{id}: begins with {event:?}");
        let inbound_id = if matches!(what, Some(EventType::ExecutionStarted(_))) { 0 } else { -1 };
        ensure!(action || event.event_id == inbound_id, CHECK, "{id}: event {index} has the id {}", event.event_id);
        let mut opens = |kind: u8| *open.entry((kind, event.event_id)).or_default() += 1;
        match what {
            Some(EventType::ExecutionStarted(execution)) => {
                ensure!(!started, CHECK, "{id}: starts twice, at {index}");
                let named = execution.orchestration_instance.as_ref();
                let length = named.and_then(|named| named.execution_id.as_ref()).map_or(0, String::len);
                ensure!(length == 32, CHECK, "{id}: execution {named:?}");
                started = true;
            }
            Some(EventType::ExecutionCompleted(_)) => completed = true,
            Some(EventType::TaskScheduled(_)) => opens(0),
            Some(EventType::SubOrchestrationInstanceCreated(_)) => opens(1),
            Some(EventType::TimerCreated(_)) => opens(2),
            _ => {}
        }
        let closes = match what {
            Some(EventType::TaskCompleted(done)) => Some((0, done.task_scheduled_id)),
            Some(EventType::TaskFailed(failed)) => Some((0, failed.task_scheduled_id)),
            Some(EventType::SubOrchestrationInstanceCompleted(done)) => Some((1, done.task_scheduled_id)),
            Some(EventType::SubOrchestrationInstanceFailed(failed)) => Some((1, failed.task_scheduled_id)),
            Some(EventType::TimerFired(fired)) => Some((2, fired.timer_id)),
            _ => None,
        };
        if let Some(key) = closes {
            let left = open.entry(key).or_default();
            *left -= 1;
            ensure!(*left >= 0 || rewound, CHECK, "{id}: event {index} is a result of nothing: {event:?}");
        }
        let known = !matches!(
            what,
            None | Some(
                EventType::OrchestratorCompleted(_)
                    | EventType::GenericEvent(_)
                    | EventType::HistoryState(_)
                    | EventType::ContinueAsNew(_)
                    | EventType::ExecutionRewound(_)
            )
        );
        ensure!(known, CHECK, "{id}: event {index} is one that no worker knows: {event:?}");
    }
    ensure!(started || history.is_empty(), CHECK, "{id}: never starts");
}
