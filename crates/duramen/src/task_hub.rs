//! A task hub: an isolated set of instances, its store, and what runs them.

use crate::client::Client;
use crate::worker::{Worker, WorkerOptions};
use crate::{App, Error};
use duramen_backend::Memory;
use duramen_hub::{Hub, Options};
use std::sync::Arc;
use std::time::Duration;

/// How long a hub or a worker that is shut down waits for what is under way, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running task hub. Clones are handles of the same one; when the last one is dropped, with its clients
/// and workers, the hub stops at once. [`TaskHub::shutdown`] is the graceful way.
#[derive(Clone, Debug)]
pub struct TaskHub {
    home: Home,
}

/// Where the hub is.
#[derive(Clone, Debug)]
enum Home {
    /// In this process.
    Local(Hub),
}

impl TaskHub {
    /// Opens the task hub in a folder of its own, or makes a new one there. Work that was under way when
    /// it was last left goes on as soon as a worker runs.
    #[cfg(feature = "embedded")]
    pub async fn open(path: impl AsRef<std::path::Path>) -> Result<Self, Error> {
        Self::open_with(path, Options::default()).await
    }

    /// The same, with options.
    #[cfg(feature = "embedded")]
    pub async fn open_with(path: impl AsRef<std::path::Path>, options: Options) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        // Opening reads the journal; that is no work for an async runtime's thread.
        let opening = tokio::task::spawn_blocking(move || duramen_embedded::Embedded::open(path, Default::default()));
        let store = opening.await??;
        Ok(Self::from(Hub::run(Arc::new(store), options).await?))
    }

    /// A task hub that lives as long as the process and keeps nothing.
    pub async fn in_memory() -> Result<Self, Error> {
        Ok(Self::from(Hub::run(Arc::new(Memory::new()), Options::default()).await?))
    }

    /// Starts and manages instances.
    pub fn client(&self) -> Client {
        match &self.home {
            Home::Local(hub) => Client::local(hub.clone()),
        }
    }

    /// Runs the functions of an app in this process, activities on the calling async runtime.
    pub async fn run_worker(&self, app: App) -> Result<Worker, Error> {
        self.run_worker_with(app, WorkerOptions::default()).await
    }

    /// The same, with options.
    pub async fn run_worker_with(&self, app: App, options: WorkerOptions) -> Result<Worker, Error> {
        let worker = Worker::start(app, options, tokio::runtime::Handle::current());
        match &self.home {
            Home::Local(hub) => worker.attach_to(hub),
        }
        Ok(worker)
    }

    /// Stops: what is with workers may be answered for up to half a minute, then the store is closed.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.shutdown_within(PATIENCE).await
    }

    /// The same, with a patience of one's own.
    pub async fn shutdown_within(&self, patience: Duration) -> Result<(), Error> {
        match &self.home {
            Home::Local(hub) => Ok(hub.shutdown(patience).await?),
        }
    }
}

impl From<Hub> for TaskHub {
    fn from(hub: Hub) -> Self {
        Self { home: Home::Local(hub) }
    }
}
