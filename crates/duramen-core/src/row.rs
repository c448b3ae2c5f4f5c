//! What a list shows of an instance, as the protocol has it.

use crate::checkpoint::Row;
use alloc::string::String;
use bytes::Bytes;
use duramen_proto::history_event::EventType;
use duramen_proto::{HistoryEvent, OrchestrationState, TaskFailureDetails};
use prost::Message as _;

impl Row {
    /// The protocol's state, with input, output, custom status and failure.
    pub fn into_state(self) -> OrchestrationState {
        let failure_details = self.last_event.and_then(failure);
        let (head, tail) = (self.head, self.tail);
        OrchestrationState {
            instance_id: head.id,
            name: head.name,
            version: head.version,
            orchestration_status: tail.status,
            scheduled_start_timestamp: head.scheduled,
            created_timestamp: head.created,
            last_updated_timestamp: tail.updated,
            input: self.input.map(text),
            output: self.output.map(text),
            custom_status: self.custom_status.and_then(|status| status.value),
            failure_details,
            execution_id: Some(head.execution_id),
            completed_timestamp: tail.completed,
            parent_instance_id: head.parent.map(|parent| parent.id),
            tags: head.tags,
        }
    }
}

/// What an instance failed of, from its last history event.
fn failure(last_event: Bytes) -> Option<TaskFailureDetails> {
    match HistoryEvent::decode(last_event).ok()?.event_type? {
        EventType::ExecutionCompleted(completed) => completed.failure_details,
        _ => None,
    }
}

fn text(bytes: Bytes) -> String {
    // It was text when it was stored.
    String::from_utf8_lossy(&bytes).into_owned()
}
