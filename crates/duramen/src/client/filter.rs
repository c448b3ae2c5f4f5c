//! Which instances a list or a purge is about.

use duramen_backend::Query;
use duramen_core::time::Time;
use duramen_proto::OrchestrationStatus;

/// Narrows down instances; an empty filter lets everything through. What is given more than once is the
/// last that counts, but for statuses, of which any may match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter(Query);

impl Filter {
    /// Everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// In this status, or in another one that was given.
    #[must_use]
    pub fn status(mut self, status: OrchestrationStatus) -> Self {
        self.0.statuses.push(status);
        self
    }

    /// Created at this time or later.
    #[must_use]
    pub fn created_from(mut self, time: Time) -> Self {
        self.0.created_from = Some(time);
        self
    }

    /// Created before this time.
    #[must_use]
    pub fn created_to(mut self, time: Time) -> Self {
        self.0.created_to = Some(time);
        self
    }

    /// Ended at this time or later.
    #[must_use]
    pub fn completed_from(mut self, time: Time) -> Self {
        self.0.completed_from = Some(time);
        self
    }

    /// Ended before this time.
    #[must_use]
    pub fn completed_to(mut self, time: Time) -> Self {
        self.0.completed_to = Some(time);
        self
    }

    /// With an instance id that begins like this.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.0.prefix = Some(prefix.into());
        self
    }

    /// Of the orchestrator of this name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.0.name = Some(name.into());
        self
    }

    /// With this tag of this value.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.tag = Some((key.into(), value.into()));
        self
    }

    /// Children of this instance.
    #[must_use]
    pub fn parent(mut self, id: impl Into<String>) -> Self {
        self.0.parent = Some(id.into());
        self
    }

    pub(crate) fn into_query(self) -> Query {
        self.0
    }
}
