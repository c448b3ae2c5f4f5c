//! What a program with durable functions names: `use duramen::prelude::*;`.

#[cfg(any(feature = "embedded", feature = "testing"))]
pub use crate::TaskHub;
pub use crate::{
    ActivityContext, ActivityName, App, DurableError, Error, OrchestrationContext, OrchestratorName, Result,
    RetryPolicy, TaskFailed, activities, activity, orchestrator, secs,
};
#[cfg(any(feature = "embedded", feature = "testing"))]
pub use duramen_core::request::OnExisting;
