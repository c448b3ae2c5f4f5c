//! What an activity knows.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The first argument of an activity.
///
/// An activity runs at least once: when the process dies between its end and the moment at which
/// its result is on disk, it runs again. [`idempotency_key`](Self::idempotency_key) is the same for
/// each of these runs.
#[derive(Clone, Debug)]
pub struct ActivityContext(Arc<Facts>);

#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) instance_id: String,
    pub(crate) execution_id: String,
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    pub(crate) task_id: i32,
    pub(crate) tags: BTreeMap<String, String>,
}

impl ActivityContext {
    pub(crate) fn new(facts: Facts) -> Self {
        Self(Arc::new(facts))
    }

    /// A context for unit tests that call an activity as the function it is.
    pub fn for_test(instance_id: &str) -> Self {
        Self::new(Facts { instance_id: instance_id.to_string(), ..Facts::default() })
    }

    /// The instance that called.
    pub fn instance_id(&self) -> &str {
        &self.0.instance_id
    }

    /// The activity's name, as it was called.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The version that was asked for, or that of the orchestrator that called.
    pub fn version(&self) -> Option<&str> {
        self.0.version.as_deref()
    }

    /// The id of the action within the execution that called.
    pub fn task_id(&self) -> i32 {
        self.0.task_id
    }

    /// The tags of the call.
    pub fn tags(&self) -> &BTreeMap<String, String> {
        &self.0.tags
    }

    /// Names this call, and no other: the same each time the call is run again.
    pub fn idempotency_key(&self) -> String {
        format!("{}:{}", self.0.execution_id, self.0.task_id)
    }
}
