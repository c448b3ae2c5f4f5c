//! Starting an instance.

use super::{Client, ClientError, Handle, out_of_place};
use crate::OrchestratorCallee;
use duramen_core::request::{OnExisting, Reply, Start};
use duramen_core::time::Time;
use duramen_proto::{CreateInstanceRequest, Timestamp};
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// When an instance is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartTime {
    /// At this time.
    At(Time),
    /// This long after the start is asked for.
    In(Duration),
}

impl From<Time> for StartTime {
    fn from(time: Time) -> Self {
        Self::At(time)
    }
}

impl From<SystemTime> for StartTime {
    fn from(time: SystemTime) -> Self {
        Self::At(Time::EPOCH.plus(time.duration_since(UNIX_EPOCH).unwrap_or_default()))
    }
}

impl From<Duration> for StartTime {
    fn from(pause: Duration) -> Self {
        Self::In(pause)
    }
}

/// A start that has not been asked for yet. Awaiting it gives the [`Handle`], once the start is on disk.
#[must_use = "nothing is started before it is awaited"]
pub struct StartOrchestration<O> {
    client: Client,
    request: CreateInstanceRequest,
    input: Result<Option<String>, ClientError>,
    at: Option<StartTime>,
    on_existing: OnExisting,
    output: PhantomData<fn() -> O>,
}

impl Client {
    /// Starts an orchestrator: by its token, which knows its types, or by its name, with whatever input
    /// and output the caller says. Its id is random unless one is given.
    pub fn start<C, I, O>(&self, orchestrator: C, input: I) -> StartOrchestration<O>
    where
        C: OrchestratorCallee<I, O>,
    {
        let request =
            CreateInstanceRequest { name: orchestrator.name().to_owned(), ..CreateInstanceRequest::default() };
        StartOrchestration {
            client: self.clone(),
            request,
            input: orchestrator.encode(input).map(Some).map_err(|reason| ClientError::Input { what: "input", reason }),
            at: None,
            on_existing: OnExisting::Reject,
            output: PhantomData,
        }
    }
}

impl<O> StartOrchestration<O> {
    /// Under this id instead of a random one.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.request.instance_id = id.into();
        self
    }

    /// With this version.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.request.version = Some(version.into());
        self
    }

    /// With this tag, besides others.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.tags.insert(key.into(), value.into());
        self
    }

    /// Not before this time (a `SystemTime`, or a [`Time`] of the hub's clock), or not before this long
    /// from now (a `Duration`). Until then it is pending.
    pub fn at(mut self, when: impl Into<StartTime>) -> Self {
        self.at = Some(when.into());
        self
    }

    /// What to do when the id exists. Unless told otherwise, a start is refused when the instance is
    /// live, and replaces it when it has ended.
    pub fn on_existing(mut self, policy: OnExisting) -> Self {
        self.on_existing = policy;
        self
    }

    async fn begin(mut self) -> Result<Handle<O>, ClientError> {
        self.request.input = self.input?;
        let delay = match self.at {
            Some(StartTime::At(time)) => {
                self.request.scheduled_start_timestamp = Some(Timestamp::from(time));
                None
            }
            Some(StartTime::In(pause)) => Some(pause),
            None => None,
        };
        self.request.request_time = Some(self.client.now().into());
        let fresh = self.request.instance_id.is_empty();
        if fresh {
            self.request.instance_id = random_id();
        }
        let start = Start { request: self.request, fresh, on_existing: self.on_existing };
        match self.client.start_after(start, delay).await? {
            Reply::Started { id, birth, attached } => Ok(Handle::new(self.client, id, birth, attached)),
            other => out_of_place(&other),
        }
    }
}

impl<O: 'static> IntoFuture for StartOrchestration<O> {
    type Output = Result<Handle<O>, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.begin())
    }
}

/// An id that no instance has. It begins with the time, so that the store writes what is made together to places that
/// are together: ids without order cost an index a page each.
pub(super) fn random_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}
