//! Waiting for an instance by its id.

use super::{Client, ClientError, Instance, out_of_place};
use duramen_core::ids::{Birth, InstanceId};
use duramen_core::request::{Reply, Request, Until, Wait};
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A wait that has not begun. It goes on with whatever runs under the id; dropping it ends it.
#[must_use = "nothing is waited for before it is awaited"]
pub struct WaitForInstance {
    client: Client,
    wait: Wait,
}

impl Client {
    /// Waits until an instance has begun: it is no longer pending.
    pub fn wait_for_start(&self, id: impl Into<String>) -> WaitForInstance {
        self.wait_until(Until::Started, InstanceId::new(id.into()), None)
    }

    /// Waits until an instance has ended, in whatever way; its state says how.
    pub fn wait_for_completion(&self, id: impl Into<String>) -> WaitForInstance {
        self.wait_until(Until::Completed, InstanceId::new(id.into()), None)
    }

    pub(super) fn wait_until(&self, until: Until, id: InstanceId, birth: Option<Birth>) -> WaitForInstance {
        WaitForInstance { client: self.clone(), wait: Wait { id, birth, until, timeout: None } }
    }
}

impl WaitForInstance {
    /// Waits no longer than this, by the hub's clock, and then fails with
    /// [`Refusal::TimedOut`](crate::Refusal::TimedOut); the instance goes on.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.wait.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for WaitForInstance {
    type Output = Result<Instance, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let id = self.wait.id.clone();
            match self.client.request(Request::Wait(self.wait)).await? {
                Reply::State(Some(state)) => Ok(Instance::new(Arc::unwrap_or_clone(state))),
                Reply::State(None) => Err(ClientError::NotFound(id.as_str().to_owned())),
                other => out_of_place(&other),
            }
        })
    }
}
