//! What can be done to an instance by its id.

use super::{Client, ClientError, Handle, Instance, out_of_place};
use crate::json;
use duramen_core::history::History;
use duramen_core::ids::InstanceId;
use duramen_core::request::{Reply, Request};
use serde::Serialize;
use serde_json::Value;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

impl Client {
    /// The state of an instance, or `None` when there is no such instance.
    pub async fn get(&self, id: &str) -> Result<Option<Instance>, ClientError> {
        match self.request(Request::Get(InstanceId::new(id))).await? {
            Reply::State(state) => Ok(state.map(|state| Instance::new(Arc::unwrap_or_clone(state)))),
            other => out_of_place(&other),
        }
    }

    /// The history of the current execution of an instance.
    pub async fn history(&self, id: &str) -> Result<History, ClientError> {
        match self.request(Request::History(InstanceId::new(id))).await? {
            Reply::History(events) => History::decode(&events)
                .map_err(|error| ClientError::Damaged { id: id.to_owned(), reason: error.to_string() }),
            other => out_of_place(&other),
        }
    }

    /// Raises an event. The orchestration gets it when it waits for that name, now or later; names are
    /// compared without case. Returns when the event is on disk. One for an instance that has ended is
    /// dropped.
    pub async fn raise_event<T: Serialize>(&self, id: &str, name: &str, data: T) -> Result<(), ClientError> {
        let input = encoded("event's data", &data)?;
        self.done(Request::Raise { id: InstanceId::new(id), name: name.to_owned(), input }).await
    }

    /// Suspends an instance: what happens to it waits until it is resumed.
    pub async fn suspend(&self, id: &str, reason: impl Into<Option<&str>>) -> Result<(), ClientError> {
        self.done(Request::Suspend { id: InstanceId::new(id), reason: reason.into().map(str::to_owned) }).await
    }

    /// Resumes a suspended instance.
    pub async fn resume(&self, id: &str, reason: impl Into<Option<&str>>) -> Result<(), ClientError> {
        self.done(Request::Resume { id: InstanceId::new(id), reason: reason.into().map(str::to_owned) }).await
    }

    /// Terminates an instance. Returns when the request is on disk; wait for its completion to see it end.
    pub fn terminate(&self, id: &str) -> Terminate {
        Terminate { client: self.clone(), id: InstanceId::new(id), output: Ok(None), recurse: false }
    }

    /// Rewinds a failed instance: what failed is tried again, what succeeded is kept.
    pub async fn rewind(&self, id: &str, reason: impl Into<Option<&str>>) -> Result<(), ClientError> {
        self.done(Request::Rewind { id: InstanceId::new(id), reason: reason.into().map(str::to_owned) }).await
    }

    /// Starts the same orchestrator with the same input under a new, random id.
    pub async fn restart(&self, id: &str) -> Result<Handle<Value>, ClientError> {
        self.start_again(id, Some(InstanceId::new(super::start::random_id()))).await
    }

    /// Starts the same orchestrator with the same input in the place of the instance, which must have
    /// ended.
    pub async fn restart_in_place(&self, id: &str) -> Result<Handle<Value>, ClientError> {
        self.start_again(id, None).await
    }

    async fn start_again(&self, id: &str, new_id: Option<InstanceId>) -> Result<Handle<Value>, ClientError> {
        match self.request(Request::Restart { id: InstanceId::new(id), new_id }).await? {
            Reply::Started { id, birth, attached } => Ok(Handle::new(self.clone(), id, birth, attached)),
            other => out_of_place(&other),
        }
    }

    async fn done(&self, request: Request) -> Result<(), ClientError> {
        match self.request(request).await? {
            Reply::Done => Ok(()),
            other => out_of_place(&other),
        }
    }
}

/// A termination that has not been asked for yet.
#[must_use = "nothing is terminated before it is awaited"]
pub struct Terminate {
    client: Client,
    id: InstanceId,
    output: Result<Option<String>, ClientError>,
    recurse: bool,
}

impl Terminate {
    /// Becomes the output of the instance.
    pub fn output<T: Serialize>(mut self, output: T) -> Self {
        self.output = encoded("output", &output);
        self
    }

    /// Terminates its children too, and theirs.
    pub fn recurse(mut self) -> Self {
        self.recurse = true;
        self
    }
}

impl IntoFuture for Terminate {
    type Output = Result<(), ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let request = Request::Terminate { id: self.id, output: self.output?, recurse: self.recurse };
            self.client.done(request).await
        })
    }
}

fn encoded<T: Serialize>(what: &'static str, value: &T) -> Result<Option<String>, ClientError> {
    json::to_text(value).map(Some).map_err(|reason| ClientError::Input { what, reason })
}
