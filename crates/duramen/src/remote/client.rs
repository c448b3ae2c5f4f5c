//! What a client asks of a hub about one instance, as calls of the protocol.

use super::repeat::Broken;
use super::{Calls, Remote};
use crate::client::{ClientError, OnExisting, Refusal};
use duramen_core::extension::{ATTACH, ATTACH_ANY, ATTACHED, BIRTH, DELAY, ON_EXISTING, TIMEOUT};
use duramen_core::ids::{Birth, InstanceId, Run};
use duramen_core::request::{Reply, Request, Start, Until, Wait};
use duramen_proto as proto;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tonic::Response;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};

/// What a call with a time limit has beyond it, so that the hub is who says that the time is over.
const GRACE: Duration = Duration::from_secs(5);

/// A call that copies its message for each try.
macro_rules! call {
    ($method:ident, $message:expr) => {{
        let message = $message;
        move |mut calls: Calls| {
            let message = message.clone();
            async move { calls.$method(message).await.map(Response::into_inner) }
        }
    }};
}

impl Remote {
    /// Asks as one asks a hub in this process. What only reads is repeated when the connection breaks; what changes
    /// something is not, but for starts that may be repeated.
    pub(crate) async fn request(&self, request: Request) -> Result<Reply, ClientError> {
        match request {
            Request::Start(start) => self.start(*start, None).await,
            Request::Get(id) => self.get(id).await,
            Request::Wait(wait) => self.wait(wait).await,
            Request::History(id) => self.history(id).await,
            Request::Restart { id, new_id } => self.restart(id, new_id.is_some()).await,
            Request::Raise { id, name, input } => {
                let what = format!("event {name:?} for instance {:?}", id.as_str());
                let message = proto::RaiseEventRequest { instance_id: id.to_string(), name, input };
                self.repeat(Broken::Tell(&what), call!(raise_event, message)).await.map(|_| Reply::Done)
            }
            Request::Suspend { id, reason } => {
                let message = proto::SuspendRequest { instance_id: id.to_string(), reason };
                let call = call!(suspend_instance, message);
                self.repeat(Broken::Tell(&of("suspension", &id)), call).await.map(|_| Reply::Done)
            }
            Request::Resume { id, reason } => {
                let message = proto::ResumeRequest { instance_id: id.to_string(), reason };
                let call = call!(resume_instance, message);
                self.repeat(Broken::Tell(&of("resumption", &id)), call).await.map(|_| Reply::Done)
            }
            Request::Terminate { id, output, recurse } => {
                let message = proto::TerminateRequest { instance_id: id.to_string(), output, recursive: recurse };
                let call = call!(terminate_instance, message);
                self.repeat(Broken::Tell(&of("termination", &id)), call).await.map(|_| Reply::Done)
            }
            Request::Rewind { id, reason } => {
                let message = proto::RewindInstanceRequest { instance_id: id.to_string(), reason };
                let call = call!(rewind_instance, message);
                self.repeat(Broken::Tell(&of("rewind", &id)), call).await.map(|_| Reply::Done)
            }
            Request::End { .. } | Request::Purge(_) | Request::Decide { .. } | Request::Landed(_) => {
                unreachable!("a client has no method that asks for this")
            }
        }
    }

    /// Starts an instance; `delay` says how long after the server's now it is to begin.
    pub(crate) async fn start(&self, start: Start, delay: Option<Duration>) -> Result<Reply, ClientError> {
        let Start { mut request, fresh, on_existing } = start;
        // A start under an id of our own may be repeated: whoever has the id by then is who we have started.
        let said = if fresh { Some(ATTACH_ANY) } else { beside_policy(&on_existing) };
        request.orchestration_id_reuse_policy = policy(on_existing);
        let what = format!("start of {:?} as instance {:?}", request.name, request.instance_id);
        let broken = if said == Some(ATTACH_ANY) { Broken::Again } else { Broken::Tell(&what) };
        let call = |mut calls: Calls| {
            let mut message = tonic::Request::new(request.clone());
            if let Some(said) = said {
                message.metadata_mut().insert(ON_EXISTING, AsciiMetadataValue::from_static(said));
            }
            if let Some(delay) = delay {
                message.metadata_mut().insert(DELAY, number(delay.as_nanos()));
            }
            async move { calls.start_instance(message).await }
        };
        let reply = self.repeat(broken, call).await?;
        let attached = !fresh && reply.metadata().contains_key(ATTACHED);
        let birth = birth(reply.metadata())?;
        Ok(Reply::Started { id: InstanceId::new(reply.into_inner().instance_id), birth, attached })
    }

    /// The server draws the id of a copy.
    async fn restart(&self, id: InstanceId, copy: bool) -> Result<Reply, ClientError> {
        let message = proto::RestartInstanceRequest { instance_id: id.to_string(), restart_with_new_instance_id: copy };
        let call = |mut calls: Calls| {
            let message = message.clone();
            async move { calls.restart_instance(message).await }
        };
        let reply = self.repeat(Broken::Tell(&of("restart", &id)), call).await?;
        let birth = birth(reply.metadata())?;
        Ok(Reply::Started { id: InstanceId::new(reply.into_inner().instance_id), birth, attached: false })
    }

    async fn get(&self, id: InstanceId) -> Result<Reply, ClientError> {
        let message = proto::GetInstanceRequest { instance_id: id.to_string(), get_inputs_and_outputs: true };
        self.repeat(Broken::Again, call!(get_instance, message)).await.map(state)
    }

    /// A wait that breaks off is begun again, for what is left of its time. The hub says when the time is over; the
    /// call has a little more, for the case that nobody says anything.
    async fn wait(&self, wait: Wait) -> Result<Reply, ClientError> {
        let Wait { id, birth, until, timeout } = wait;
        let ends = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let message = proto::GetInstanceRequest { instance_id: id.to_string(), get_inputs_and_outputs: true };
        let mut first = timeout;
        let call = |mut calls: Calls| {
            let mut message = tonic::Request::new(message.clone());
            if let Some(birth) = birth {
                message.metadata_mut().insert(BIRTH, birth.0.into());
            }
            if let Some(ends) = ends {
                // To the nanosecond, as long as nothing was in the way.
                let left = first.take().unwrap_or_else(|| ends.saturating_duration_since(Instant::now()));
                message.metadata_mut().insert(TIMEOUT, number(left.as_nanos()));
                message.set_timeout(left.saturating_add(GRACE));
            }
            async move {
                match until {
                    Until::Started => calls.wait_for_instance_start(message).await,
                    Until::Completed => calls.wait_for_instance_completion(message).await,
                }
            }
        };
        match self.repeat(Broken::WaitOn(ends), call).await {
            Ok(reply) => Ok(state(reply.into_inner())),
            Err(ClientError::Unreachable { .. }) if ends.is_some_and(|ends| ends <= Instant::now()) => {
                Err(Refusal::TimedOut(id.to_string()).into())
            }
            Err(error) => Err(error),
        }
    }

    async fn history(&self, id: InstanceId) -> Result<Reply, ClientError> {
        let message = proto::StreamInstanceHistoryRequest { instance_id: id.to_string(), ..Default::default() };
        let call = |mut calls: Calls| {
            let message = message.clone();
            async move {
                let mut chunks = calls.stream_instance_history(message).await?.into_inner();
                let mut events = Vec::new();
                while let Some(chunk) = chunks.message().await? {
                    events.extend(chunk.events);
                }
                Ok(events)
            }
        };
        self.repeat(Broken::Again, call).await.map(Reply::History)
    }
}

fn of(what: &str, id: &InstanceId) -> String {
    format!("{what} of instance {:?}", id.as_str())
}

fn state(reply: proto::GetInstanceResponse) -> Reply {
    Reply::State(reply.orchestration_state.filter(|_| reply.exists).map(Arc::new))
}

/// What the protocol says of an id that exists.
fn policy(on_existing: OnExisting) -> Option<proto::OrchestrationIdReusePolicy> {
    let (listed, action) = match on_existing {
        OnExisting::Reject | OnExisting::Attach | OnExisting::AttachAny => return None,
        OnExisting::Replace(listed) => (listed, 0),
        OnExisting::AttachListed(listed) => (listed, 1),
        OnExisting::ReplaceAny(listed) => (listed, 2),
    };
    let replaceable_status = listed.into_iter().map(i32::from).collect();
    Some(proto::OrchestrationIdReusePolicy { replaceable_status, action })
}

/// What it does not say.
fn beside_policy(on_existing: &OnExisting) -> Option<&'static str> {
    match on_existing {
        OnExisting::Attach => Some(ATTACH),
        OnExisting::AttachAny => Some(ATTACH_ANY),
        OnExisting::Reject | OnExisting::Replace(_) | OnExisting::AttachListed(_) | OnExisting::ReplaceAny(_) => None,
    }
}

fn birth(metadata: &MetadataMap) -> Result<Birth, ClientError> {
    let birth = metadata.get(BIRTH).and_then(|birth| birth.to_str().ok()?.parse().ok());
    birth.map(Run).ok_or_else(|| ClientError::Server {
        code: "Ok".into(),
        message: format!("it was started, but the reply has no {BIRTH}; something on the way takes it out"),
    })
}

/// A number as a value of metadata.
fn number(number: impl ToString) -> AsciiMetadataValue {
    number.to_string().parse().expect("digits are ASCII")
}
