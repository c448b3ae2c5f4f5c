//! What instances say to each other. A message to another slot waits in an outbox as it is encoded
//! here.

use crate::checkpoint::Parent;
use alloc::string::String;
use bytes::Bytes;

/// A message to an instance.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Message {
    /// The target's instance id.
    #[prost(string, tag = "1")]
    pub(crate) to: String,
    /// What is said; always set.
    #[prost(oneof = "Body", tags = "2, 3, 4, 5, 6, 7")]
    pub(crate) body: Option<Body>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Body {
    /// Begin, as a child.
    #[prost(message, tag = "2")]
    StartChild(StartChild),
    /// The result of what a run asked for.
    #[prost(message, tag = "3")]
    Result(RunResult),
    /// The encoded EventRaised.
    #[prost(bytes = "bytes", tag = "4")]
    Raised(Bytes),
    /// Terminate, through the worker.
    #[prost(message, tag = "5")]
    Terminate(Terminate),
    /// End at once, without the worker: the parent was replaced.
    #[prost(message, tag = "6")]
    End(End),
    /// The parent was rewound and has no result of this child.
    #[prost(message, tag = "7")]
    RewindChild(RewindChild),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StartChild {
    /// The encoded ExecutionStarted, without an execution id: the target's partition makes it.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) started: Bytes,
    /// Who waits; absent for fire and forget.
    #[prost(message, optional, tag = "2")]
    pub(crate) parent: Option<Parent>,
    /// Whether the hub made the id, so that no instance can have it.
    #[prost(bool, tag = "3")]
    pub(crate) fresh: bool,
    /// Generations of parents above the child.
    #[prost(uint32, tag = "4")]
    pub(crate) depth: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RunResult {
    /// The run that asked.
    #[prost(uint64, tag = "1")]
    pub(crate) run: u64,
    /// The encoded result.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) event: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Terminate {
    /// Becomes the output.
    #[prost(string, optional, tag = "1")]
    pub(crate) output: Option<String>,
    /// Whether the children of the target go too.
    #[prost(bool, tag = "2")]
    pub(crate) recurse: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct End {
    /// Becomes the output.
    #[prost(string, optional, tag = "1")]
    pub(crate) output: Option<String>,
    /// The parent's run: a child of another parent under the same id is left alone.
    #[prost(uint64, tag = "2")]
    pub(crate) parent_run: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RewindChild {
    /// What is needed to make the child again if it is gone.
    #[prost(message, optional, tag = "1")]
    pub(crate) again: Option<StartChild>,
    /// Why the parent was rewound.
    #[prost(string, optional, tag = "2")]
    pub(crate) reason: Option<String>,
}
