//! An instance that was started.

use super::{Client, ClientError, Instance, WaitForInstance};
use crate::Output;
use duramen_core::ids::{Birth, InstanceId};
use duramen_core::request::Until;
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
