//! What is known of an instance.

use super::ClientError;
use crate::json::{self, JsonError};
use crate::{Output, TaskFailed};
use duramen_core::time::Time;
use duramen_proto::{OrchestrationState, OrchestrationStatus, TaskFailureDetails, Timestamp};
use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::Value;
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

    /// Whether it has ended, in whatever way (.NET: `IsCompleted`).
    pub fn is_completed(&self) -> bool {
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
            OrchestrationStatus::Terminated => {
                Err(ClientError::Terminated { id: state.instance_id, output: state.output })
            }
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
}

fn unfit(id: &str, what: &'static str, reason: JsonError) -> ClientError {
    ClientError::Output { id: id.to_owned(), what, reason }
}

/// The status payload of Durable Functions' HTTP API: its fields, in its order, with payloads as the JSON that
/// they are.
impl Serialize for Instance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let state = &self.0;
        let mut payload = serializer.serialize_struct("Instance", 8)?;
        payload.serialize_field("name", &state.name)?;
        payload.serialize_field("instanceId", &state.instance_id)?;
        payload.serialize_field("runtimeStatus", runtime_status(self.status()))?;
        payload.serialize_field("input", &token(state.input.as_deref()))?;
        payload.serialize_field("customStatus", &token(state.custom_status.as_deref()))?;
        let failure = state.failure_details.as_ref().map(|failure| failure.error_message.as_str());
        let output = failure.map_or_else(|| token(state.output.as_deref()), Value::from);
        payload.serialize_field("output", &output)?;
        payload.serialize_field("createdTime", &seconds(state.created_timestamp))?;
        payload.serialize_field("lastUpdatedTime", &seconds(state.last_updated_timestamp))?;
        payload.end()
    }
}

/// The name of a status in Durable Functions.
fn runtime_status(status: OrchestrationStatus) -> &'static str {
    match status {
        OrchestrationStatus::Running => "Running",
        OrchestrationStatus::Completed => "Completed",
        OrchestrationStatus::ContinuedAsNew => "ContinuedAsNew",
        OrchestrationStatus::Failed => "Failed",
        OrchestrationStatus::Canceled => "Canceled",
        OrchestrationStatus::Terminated => "Terminated",
        OrchestrationStatus::Pending => "Pending",
        OrchestrationStatus::Suspended => "Suspended",
    }
}

/// A payload as a JSON token. One that is no JSON, as a worker of another language may set it, is a string.
fn token(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)))
}

/// `yyyy-MM-ddTHH:mm:ssZ`.
fn seconds(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| Timestamp { seconds: time.seconds, nanos: 0 }.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_payload_is_that_of_durable_functions() {
        let instance = Instance::new(OrchestrationState {
            instance_id: "order-1".into(),
            name: "ProcessOrder".into(),
            orchestration_status: OrchestrationStatus::Running.into(),
            input: Some(r#"{"item":"tea"}"#.into()),
            custom_status: Some("not JSON".into()),
            created_timestamp: Some(Timestamp { seconds: 1_893_456_000, nanos: 5 }),
            last_updated_timestamp: Some(Timestamp { seconds: 1_893_456_061, nanos: 999_999_999 }),
            ..OrchestrationState::default()
        });
        let expected = r#"{"name":"ProcessOrder","instanceId":"order-1","runtimeStatus":"Running","input":{"item":"tea"},"customStatus":"not JSON","output":null,"createdTime":"2030-01-01T00:00:00Z","lastUpdatedTime":"2030-01-01T00:01:01Z"}"#;
        assert_eq!(serde_json::to_string(&instance).unwrap(), expected);
    }
}
