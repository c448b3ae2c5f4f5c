//! What is known of an instance.

use super::ClientError;
use crate::json::{self, JsonError};
use crate::{Output, TaskFailed};
use duramen_core::checkpoint::Row;
use duramen_core::time::Time;
use duramen_proto::history_event::EventType;
use duramen_proto::{HistoryEvent, OrchestrationState, OrchestrationStatus, TaskFailureDetails};
use prost::Message;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The state of an instance at one moment: the protocol's `OrchestrationState`, and ways to read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance(OrchestrationState);

impl Instance {
    /// The state as the protocol has it.
    pub fn new(state: OrchestrationState) -> Self {
        Self(state)
    }

    /// The state as the protocol has it.
    pub fn state(&self) -> &OrchestrationState {
        &self.0
    }

    /// The instance id.
    pub fn id(&self) -> &str {
        &self.0.instance_id
    }

    /// The id of its current execution.
    pub fn execution_id(&self) -> Option<&str> {
        self.0.execution_id.as_deref()
    }

    /// The orchestrator's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The version it was started with.
    pub fn version(&self) -> Option<&str> {
        self.0.version.as_deref()
    }

    /// Its status.
    pub fn status(&self) -> OrchestrationStatus {
        self.0.orchestration_status()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        match self.status() {
            OrchestrationStatus::Completed
            | OrchestrationStatus::Failed
            | OrchestrationStatus::Canceled
            | OrchestrationStatus::Terminated => true,
            OrchestrationStatus::Running
            | OrchestrationStatus::ContinuedAsNew
            | OrchestrationStatus::Pending
            | OrchestrationStatus::Suspended => false,
        }
    }

    /// When it was created.
    pub fn created(&self) -> Option<Time> {
        self.0.created_timestamp.map(Time::from)
    }

    /// When something last happened to it.
    pub fn updated(&self) -> Option<Time> {
        self.0.last_updated_timestamp.map(Time::from)
    }

    /// When it ended.
    pub fn completed(&self) -> Option<Time> {
        self.0.completed_timestamp.map(Time::from)
    }

    /// When it is to begin, if that was said.
    pub fn scheduled(&self) -> Option<Time> {
        self.0.scheduled_start_timestamp.map(Time::from)
    }

    /// The instance that called it.
    pub fn parent(&self) -> Option<&str> {
        self.0.parent_instance_id.as_deref()
    }

    /// Its tags.
    pub fn tags(&self) -> &BTreeMap<String, String> {
        &self.0.tags
    }

    /// The input of its current execution.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        self.read("input", self.0.input.as_deref())
    }

    /// Its output, once it has completed. An instance that failed has none; see [`Instance::failure`].
    pub fn output<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        self.read("output", self.0.output.as_deref())
    }

    /// What the orchestrator last set as its custom status.
    pub fn custom_status<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        self.read("custom status", self.0.custom_status.as_deref())
    }

    /// What it failed of.
    pub fn failure(&self) -> Option<&TaskFailureDetails> {
        self.0.failure_details.as_ref()
    }

    /// The output of an instance that has completed, or how it ended instead.
    pub(super) fn outcome<T: Output>(self) -> Result<T, ClientError> {
        let state = self.0;
        match state.orchestration_status() {
            OrchestrationStatus::Failed => Err(ClientError::Failed {
                id: state.instance_id,
                failure: TaskFailed::new(state.name, state.failure_details.unwrap_or_default()),
            }),
            OrchestrationStatus::Terminated => Err(ClientError::Terminated { id: state.instance_id, output: state.output }),
            OrchestrationStatus::Canceled => Err(ClientError::Canceled { id: state.instance_id }),
            OrchestrationStatus::Completed
            | OrchestrationStatus::Running
            | OrchestrationStatus::ContinuedAsNew
            | OrchestrationStatus::Pending
            | OrchestrationStatus::Suspended => {
                T::from_result(state.output.as_deref()).map_err(|reason| unfit(&state.instance_id, "output", reason))
            }
        }
    }

    fn read<T: DeserializeOwned>(&self, what: &'static str, text: Option<&str>) -> Result<T, ClientError> {
        json::from_text(text).map_err(|reason| unfit(&self.0.instance_id, what, reason))
    }

    /// An instance as a list shows it.
    pub(super) fn from_row(row: Row) -> Self {
        let failure_details = row.last_event.as_ref().and_then(|event| failure(event));
        let (head, tail) = (row.head, row.tail);
        Self(OrchestrationState {
            instance_id: head.id,
            name: head.name,
            version: head.version,
            orchestration_status: tail.status,
            scheduled_start_timestamp: head.scheduled,
            created_timestamp: head.created,
            last_updated_timestamp: tail.updated,
            input: row.input.map(text),
            output: row.output.map(text),
            custom_status: row.custom_status.and_then(|status| status.value),
            failure_details,
            execution_id: Some(head.execution_id),
            completed_timestamp: tail.completed,
            parent_instance_id: head.parent.map(|parent| parent.id),
            tags: head.tags,
        })
    }
}

fn unfit(id: &str, what: &'static str, reason: JsonError) -> ClientError {
    ClientError::Output { id: id.to_owned(), what, reason }
}

/// What an instance failed of, from its last history event.
fn failure(last_event: &[u8]) -> Option<TaskFailureDetails> {
    match HistoryEvent::decode(last_event).ok()?.event_type? {
        EventType::ExecutionCompleted(completed) => completed.failure_details,
        _ => None,
    }
}

fn text(bytes: bytes::Bytes) -> String {
    // It was text when it was stored.
    String::from_utf8_lossy(&bytes).into_owned()
}
