//! A task hub: an isolated set of instances, its store, and what runs them.

use crate::client::Client;
#[cfg(feature = "remote")]
use crate::remote::{ConnectError, ConnectOptions, Remote};
use crate::worker::{Worker, WorkerOptions};
use crate::{App, Error};
#[cfg(feature = "hub")]
use duramen_backend::Memory;
#[cfg(feature = "embedded")]
use duramen_embedded::Embedded;
#[cfg(feature = "hub")]
use duramen_hub::Hub;
use std::fmt;
#[cfg(feature = "hub")]
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// How long a hub that is shut down waits for what is with workers, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running task hub. Clones are handles of the same one; when the last one is dropped, its clients and
/// workers included, the hub stops at once. [`TaskHub::shutdown`] is the graceful way.
#[derive(Clone)]
pub struct TaskHub {
    home: Home,
}

/// Where the hub is.
#[derive(Clone)]
enum Home {
    /// In this process.
    #[cfg(feature = "hub")]
    Local { hub: Hub, store: Store },
    /// On a server.
    #[cfg(feature = "remote")]
    Remote(Remote),
}

/// What a hub in this process keeps its instances in.
#[cfg(feature = "hub")]
#[derive(Clone)]
enum Store {
    /// In one that tells us nothing.
    Other,
    #[cfg(feature = "embedded")]
    Embedded(Arc<Embedded>),
}

/// What the owner of a task hub may choose.
#[cfg(feature = "hub")]
#[derive(Clone, Debug, Default)]
pub struct TaskHubOptions {
    /// How the hub runs; also how long it keeps what has ended ([`Retention`](crate::Retention)).
    pub hub: duramen_hub::Options,
    /// How the store is opened.
    #[cfg(feature = "embedded")]
    pub store: duramen_embedded::Options,
}

/// What a store has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls that sync a file or a folder.
    pub syncs: u64,
    /// Bytes written, the zeros of new journal segments among them.
    pub written_bytes: u64,
    /// Whether what was acknowledged had been synced to disk first.
    pub durable: bool,
}

impl TaskHub {
    /// Opens the task hub in a folder of its own, or makes a new one there. What was under way when it was
    /// last left goes on as soon as a worker runs.
    #[cfg(feature = "embedded")]
    pub async fn open(path: impl AsRef<std::path::Path>) -> Result<Self, Error> {
        Self::open_with(path, TaskHubOptions::default()).await
    }

    /// The same, with options.
    #[cfg(feature = "embedded")]
    pub async fn open_with(path: impl AsRef<std::path::Path>, options: TaskHubOptions) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        let open = move || Embedded::open(path, options.store);
        // Opening reads the whole journal, which is no work for the thread of an async runtime.
        let store = match Handle::try_current() {
            Ok(runtime) => runtime.spawn_blocking(open).await?,
            Err(_) => open(),
        }?;
        let store = Arc::new(store);
        let hub = Hub::run(Arc::clone(&store) as Arc<dyn duramen_backend::Backend>, options.hub).await?;
        Ok(Self { home: Home::Local { hub, store: Store::Embedded(store) } })
    }

    /// Connects to a task hub on a server: by its URL, or by the connection string that `duramen dev` prints. It is
    /// an error when nobody is there; a connection that breaks later is made again by itself.
    ///
    /// The connection lives on the tokio runtime of the caller.
    #[cfg(feature = "remote")]
    pub async fn connect(address: &str) -> Result<Self, ConnectError> {
        Self::connect_with(address, ConnectOptions::default()).await
    }

    /// The same, with options.
    #[cfg(feature = "remote")]
    pub async fn connect_with(address: &str, options: ConnectOptions) -> Result<Self, ConnectError> {
        Ok(Self { home: Home::Remote(Remote::connect(address, options).await?) })
    }

    /// A task hub that keeps nothing beyond the process.
    #[cfg(feature = "hub")]
    pub async fn in_memory() -> Result<Self, Error> {
        Self::in_memory_with(duramen_hub::Options::default()).await
    }

    /// The same, with options.
    #[cfg(feature = "hub")]
    pub async fn in_memory_with(options: duramen_hub::Options) -> Result<Self, Error> {
        Ok(Self::from(Hub::run(Arc::new(Memory::new()), options).await?))
    }

    /// Starts and manages instances.
    pub fn client(&self) -> Client {
        match &self.home {
            #[cfg(feature = "hub")]
            Home::Local { hub, .. } => Client::local(hub.clone()),
            #[cfg(feature = "remote")]
            Home::Remote(remote) => Client::remote(remote.clone()),
        }
    }

    /// Runs the functions of a program, on threads of this process; activities run on the tokio runtime of
    /// the caller. The hub knows the worker when this returns. Where a server could not be told, the log says why, and the
    /// worker goes on trying.
    pub async fn run_worker(&self, app: App) -> Result<RunningWorker, Error> {
        self.run_worker_with(app, WorkerOptions::default()).await
    }

    /// The same, with options.
    pub async fn run_worker_with(&self, app: App, options: WorkerOptions) -> Result<RunningWorker, Error> {
        let worker = Worker::start(app, options, Handle::try_current()?);
        match &self.home {
            #[cfg(feature = "hub")]
            Home::Local { hub, .. } => worker.attach_to(hub),
            #[cfg(feature = "remote")]
            Home::Remote(remote) => worker.connect_to(remote).await,
        }
        Ok(RunningWorker { worker, _hub: self.clone() })
    }

    /// The hub itself, for whoever operates it: its workers, its queues, what is held ([`operator`](crate::operator)).
    /// `None` for a hub on a server, whose HTTP door has the same.
    #[cfg(feature = "hub")]
    pub fn operator(&self) -> Option<&Hub> {
        match &self.home {
            Home::Local { hub, .. } => Some(hub),
            #[cfg(feature = "remote")]
            Home::Remote(_) => None,
        }
    }

    /// What its store has done since it was opened; of a folder, see [`TaskHub::open`]. Nothing is known of the
    /// store of a server.
    pub fn counters(&self) -> Counters {
        match &self.home {
            #[cfg(feature = "hub")]
            Home::Local { store: Store::Other, .. } => Counters::default(),
            #[cfg(feature = "remote")]
            Home::Remote(_) => Counters::default(),
            #[cfg(feature = "embedded")]
            Home::Local { store: Store::Embedded(store), .. } => {
                let counters = store.counters();
                Counters { syncs: counters.syncs, written_bytes: counters.written_bytes, durable: true }
            }
        }
    }

    /// Stops: no request is taken and no work given out any more; what is with workers may be answered for
    /// half a minute; then the store is closed. A server's hub goes on for others: shut the worker down instead.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.shutdown_within(PATIENCE).await
    }

    /// The same, with a patience of the caller's.
    #[cfg_attr(not(feature = "hub"), expect(unused_variables, reason = "a server's hub goes on"))]
    pub async fn shutdown_within(&self, patience: Duration) -> Result<(), Error> {
        match &self.home {
            #[cfg(feature = "hub")]
            Home::Local { hub, .. } => Ok(hub.shutdown(patience).await?),
            #[cfg(feature = "remote")]
            Home::Remote(_) => Ok(()),
        }
    }
}

#[cfg(feature = "hub")]
impl From<Hub> for TaskHub {
    /// A task hub over a hub with whatever backend.
    fn from(hub: Hub) -> Self {
        Self { home: Home::Local { hub, store: Store::Other } }
    }
}

impl fmt::Debug for TaskHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.home {
            #[cfg(feature = "hub")]
            Home::Local { hub, .. } => f.debug_tuple("TaskHub").field(hub).finish(),
            #[cfg(feature = "remote")]
            Home::Remote(remote) => f.debug_tuple("TaskHub").field(remote).finish(),
        }
    }
}

/// A worker of a task hub. It keeps the hub running. Dropping it stops it, without waiting for what it has
/// in hand.
#[derive(Debug)]
pub struct RunningWorker {
    worker: Worker,
    _hub: TaskHub,
}

impl RunningWorker {
    /// Takes no more work, waits for what is in hand, at most [`WorkerOptions::drain`], and stops.
    pub async fn shutdown(self) -> Result<(), Error> {
        self.worker.shutdown().await
    }
}
