//! What a program with durable functions names: `use duramen::prelude::*;`.

pub use crate::{
    ActivityContext, ActivityName, App, DurableError, Error, OrchestrationContext, OrchestratorName, Result,
    RetryPolicy, TaskFailed, activities, activity, orchestrator, secs,
};

#[cfg(feature = "client")]
pub use crate::{Client, ClientError, Filter, Handle, Instance, OnExisting, OrchestrationStatus, Refusal, TaskHub};
