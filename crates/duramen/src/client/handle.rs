//! An instance that was started.

use super::{CheckStatus, Client, ClientError, Instance, WaitForInstance, check_status_payload};
use crate::Output;
use duramen_core::ids::{Birth, InstanceId};
use duramen_core::request::Until;
use serde::Serialize;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// An instance that a start has made or found, and the type of its output. It is bound to that very
/// instance: if another one takes over the id, waiting for it fails instead of giving that one's result.
pub struct Handle<O> {
    client: Client,
    id: InstanceId,
    birth: Birth,
    attached: bool,
    output: PhantomData<fn() -> O>,
}

impl<O> Handle<O> {
    pub(super) fn new(client: Client, id: InstanceId, birth: Birth, attached: bool) -> Self {
        Self { client, id, birth, attached, output: PhantomData }
    }

    /// The instance id.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// Whether the instance had been there before, so that nothing was started.
    pub fn was_attached(&self) -> bool {
        self.attached
    }

    /// Raises an event for it; see [`Client::raise_event`]. Events go by id, to whatever runs under it.
    pub async fn raise_event<T: Serialize>(&self, name: &str, data: T) -> Result<(), ClientError> {
        self.client.raise_event(self.id(), name, data).await
    }

    /// What an HTTP trigger answers with; see [`check_status_payload`].
    pub fn check_status_payload(&self, base: &str) -> CheckStatus {
        check_status_payload(base, self.id())
    }

    /// Waits until it has begun.
    pub fn started(&self) -> WaitForInstance {
        self.client.wait_until(Until::Started, self.id.clone(), Some(self.birth))
    }

    /// Waits until it has ended, in whatever way; its state says how.
    pub fn ended(&self) -> WaitForInstance {
        self.client.wait_until(Until::Completed, self.id.clone(), Some(self.birth))
    }
}

impl<O: Output> Handle<O> {
    /// Waits for the output. An orchestration that failed or was terminated is an error that says so.
    pub async fn wait(&self) -> Result<O, ClientError> {
        self.ended().await.and_then(Instance::outcome)
    }

    /// The same, no longer than `timeout` by the hub's clock.
    pub async fn wait_timeout(&self, timeout: Duration) -> Result<O, ClientError> {
        self.ended().timeout(timeout).await.and_then(Instance::outcome)
    }
}

impl<O> Clone for Handle<O> {
    fn clone(&self) -> Self {
        Self::new(self.client.clone(), self.id.clone(), self.birth, self.attached)
    }
}

impl<O> fmt::Debug for Handle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("id", &self.id).field("birth", &self.birth).finish_non_exhaustive()
    }
}
