//! Messages whose history events are bytes: what is stored goes to a worker without being decoded.
//!
//! On the wire an embedded message is its bytes under its field's number, so these are the messages
//! of the protocol of the same names; `tests/raw.rs` holds them against those. A field that the
//! protocol gets has to be added here too.

use crate::{ActivityRequest, EntityBatchRequest, EntityRequest, HealthPing, OrchestratorEntityParameters};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use prost_types::Value;

/// A unit of work on its way to a worker.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WorkItem {
    #[prost(oneof = "WorkRequest", tags = "1, 2, 3, 4, 5")]
    pub request: Option<WorkRequest>,
    #[prost(string, tag = "10")]
    pub completion_token: String,
}

/// What a worker is to do.
#[derive(Clone, PartialEq, prost::Oneof)]
#[expect(clippy::large_enum_variant, reason = "each is made once, encoded, and dropped")]
pub enum WorkRequest {
    #[prost(message, tag = "1")]
    OrchestratorRequest(OrchestratorRequest),
    #[prost(message, tag = "2")]
    ActivityRequest(ActivityRequest),
    #[prost(message, tag = "3")]
    EntityRequest(EntityBatchRequest),
    #[prost(message, tag = "4")]
    HealthPing(HealthPing),
    #[prost(message, tag = "5")]
    EntityRequestV2(EntityRequest),
}

/// An episode of an orchestrator.
#[derive(Clone, PartialEq, prost::Message)]
pub struct OrchestratorRequest {
    #[prost(string, tag = "1")]
    pub instance_id: String,
    #[prost(message, optional, tag = "2")]
    pub execution_id: Option<String>,
    /// Encoded `HistoryEvent`s.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub past_events: Vec<Bytes>,
    /// Encoded `HistoryEvent`s.
    #[prost(bytes = "bytes", repeated, tag = "4")]
    pub new_events: Vec<Bytes>,
    #[prost(message, optional, tag = "5")]
    pub entity_parameters: Option<OrchestratorEntityParameters>,
    #[prost(bool, tag = "6")]
    pub requires_history_streaming: bool,
    #[prost(btree_map = "string, message", tag = "7")]
    pub properties: BTreeMap<String, Value>,
    /// An encoded `OrchestrationTraceContext`.
    #[prost(bytes = "bytes", optional, tag = "8")]
    pub orchestration_trace_context: Option<Bytes>,
}

/// A piece of a history.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HistoryChunk {
    /// Encoded `HistoryEvent`s.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub events: Vec<Bytes>,
}
