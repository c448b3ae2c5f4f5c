//! The connection to a server, and what goes with every call over it.

use super::address::Address;
use super::{Backoff, ConnectError, ConnectOptions};
use duramen_core::extension::VERSION;
use duramen_proto::services::task_hub_sidecar_service_client::TaskHubSidecarServiceClient;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Sleep;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// Who we are.
const AGENT: &str = concat!("duramen-rust/", env!("CARGO_PKG_VERSION"));
/// Room for what comes over one stream, and over all of a connection, before the other side must pause: pages and
/// work items of some megabytes pass in one go.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// A connection that is silent this long is asked for a sign of life, for which it has as long again.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// The protocol's calls.
pub(crate) type Calls = TaskHubSidecarServiceClient<InterceptedService<Channel, Names>>;

/// A task hub on a server. Clones share the connection, which is made again when it breaks.
#[derive(Clone)]
pub(crate) struct Remote {
    shared: Arc<Shared>,
}

struct Shared {
    calls: Calls,
    endpoint: Endpoint,
    names: Names,
    options: ConnectOptions,
    /// The connection lives on it, whatever runtime calls come from.
    runtime: Handle,
}

impl Remote {
    /// Connects, and says what is wrong when that does not work at once.
    pub(crate) async fn connect(address: &str, options: ConnectOptions) -> Result<Self, ConnectError> {
        let address = Address::parse(address)?;
        let runtime = Handle::try_current().map_err(|_| ConnectError::NoRuntime)?;
        let names = Names::new(options.task_hub.clone().or(address.task_hub))?;
        let endpoint = Endpoint::from(address.server)
            .connect_timeout(options.connect_timeout)
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        let greeted = tokio::time::timeout(options.connect_timeout, greet(&endpoint, &names, &options));
        let calls = greeted.await.unwrap_or_else(|_| {
            let reason = format!("no answer within {:?}", options.connect_timeout);
            Err(ConnectError::Unreachable { address: shown(&endpoint), reason })
        })?;
        Ok(Self { shared: Arc::new(Shared { calls, endpoint, names, options, runtime }) })
    }

    /// The calls, over the connection that all clients share.
    pub(crate) fn calls(&self) -> Calls {
        self.shared.calls.clone()
    }

    /// The calls of a worker of this name, over a connection of its own, which is made when it is first used.
    pub(crate) fn worker_calls(&self, worker: &str) -> Calls {
        let _runtime = self.shared.runtime.enter();
        // A name that cannot be said is left out: it only helps people to tell workers apart.
        let names = Names { worker: worker.parse().ok(), ..self.shared.names.clone() };
        calls(self.shared.endpoint.connect_lazy(), names, &self.shared.options)
    }

    /// Where the server is.
    pub(crate) fn address(&self) -> String {
        shown(&self.shared.endpoint)
    }

    pub(crate) fn options(&self) -> &ConnectOptions {
        &self.shared.options
    }

    /// The pauses between tries to reach it.
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new()
    }

    /// Where the connection lives.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.shared.runtime
    }

    /// A pause. It may be awaited on any runtime.
    pub(crate) fn sleep(&self, pause: Duration) -> Sleep {
        let _runtime = self.shared.runtime.enter();
        tokio::time::sleep(pause)
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("address", &self.address()).field("names", &self.shared.names).finish()
    }
}

/// What a call says beside its message.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    task_hub: Option<AsciiMetadataValue>,
    worker: Option<AsciiMetadataValue>,
}

impl Names {
    fn new(task_hub: Option<String>) -> Result<Self, ConnectError> {
        let task_hub = task_hub.filter(|name| !name.is_empty()).map(|name| match name.parse() {
            Ok(value) => Ok(value),
            Err(_) => Err(ConnectError::TaskHub { name }),
        });
        Ok(Self { task_hub: task_hub.transpose()?, worker: None })
    }
}

impl Interceptor for Names {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert("x-user-agent", AsciiMetadataValue::from_static(AGENT));
        if let Some(task_hub) = &self.task_hub {
            metadata.insert("taskhub", task_hub.clone());
        }
        if let Some(worker) = &self.worker {
            metadata.insert("workerid", worker.clone());
        }
        Ok(request)
    }
}

fn calls(channel: Channel, names: Names, options: &ConnectOptions) -> Calls {
    // What is too large to send is for the server to refuse, which knows its limit.
    TaskHubSidecarServiceClient::with_interceptor(channel, names)
        .max_decoding_message_size(options.receive_bytes)
        .max_encoding_message_size(usize::MAX)
}

/// Connects, and asks who is there.
async fn greet(endpoint: &Endpoint, names: &Names, options: &ConnectOptions) -> Result<Calls, ConnectError> {
    let unreachable = |reason| ConnectError::Unreachable { address: shown(endpoint), reason };
    let channel = endpoint.connect().await.map_err(|error| unreachable(root(&error)))?;
    let mut calls = calls(channel, names.clone(), options);
    let foreign = |reason| ConnectError::Foreign { address: shown(endpoint), reason };
    match calls.hello(()).await {
        Ok(reply) if reply.metadata().contains_key(VERSION) => Ok(calls),
        // Without what Duramen adds to the protocol some calls would mean something else.
        Ok(_) => Err(foreign("it speaks the protocol, but is another server".into())),
        Err(status) if status.source().is_some() => Err(foreign(root(&status))),
        Err(status) => Err(ConnectError::Refused { address: shown(endpoint), reason: status.message().to_owned() }),
    }
}

fn shown(endpoint: &Endpoint) -> String {
    endpoint.uri().to_string().trim_end_matches('/').to_owned()
}

/// The innermost cause: those above it say "transport error" and the like.
pub(crate) fn root(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |cause| (*cause).source());
    causes.last().map_or_else(String::new, ToString::to_string)
}
