//! The server, and its store, which outlives it.

use crate::rng::Rng;
use crate::run::{Finding, found};
use duramen_backend::disk::Disk;
use duramen_backend::{Backend, Memory, MemoryOptions};
use duramen_core::limits::Settings;
use duramen_embedded::{Embedded, Settling};
use duramen_hub::{Hub, Options};
use duramen_server::{GrpcOptions, GrpcServer, Hubs, HubsOptions, OpenHub};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

/// What a seed says of the store and the hub.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    store: Store,
    options: Options,
}

#[derive(Clone, Debug)]
enum Store {
    Memory(Disk),
    Folder(PathBuf),
}

impl Ground {
    pub(crate) fn new(rng: &mut Rng, folder: PathBuf) -> Self {
        let settings = Settings {
            unknown_wait: Duration::from_millis(30),
            resident: *rng.pick(&[0, 3, 10_000]),
            history_chunk: *rng.pick(&[1, 256]),
            ..Settings::default()
        };
        let store = if rng.percent(25) { Store::Folder(folder) } else { Store::Memory(Disk::new()) };
        let options = Options { settings, partitions: *rng.pick(&[1, 1, 3]), ..Options::default() };
        Self { store, options }
    }

    async fn open(self) -> Result<OpenHub, String> {
        let backend: Arc<dyn Backend> = match self.store {
            Store::Memory(disk) => {
                Arc::new(Memory::open(disk, MemoryOptions::default()).map_err(|error| error.to_string())?)
            }
            Store::Folder(folder) => {
                // Small, so that what is under way is settled and comes back from tables.
                let settling = Settling { bytes: 1 << 12, age: Duration::from_millis(20), ..Settling::default() };
                let options = duramen_embedded::Options { settling, ..Default::default() };
                Arc::new(Embedded::open(folder, options).map_err(|error| error.to_string())?)
            }
        };
        Hub::run(backend, self.options).await.map(OpenHub::from).map_err(|error| error.to_string())
    }
}

/// A server over that ground.
pub(crate) struct House {
    address: SocketAddr,
    hubs: Hubs,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl House {
    pub(crate) async fn open(ground: &Ground) -> Self {
        let ground = ground.clone();
        let hubs = Hubs::new(HubsOptions::default(), move |_| Box::pin(ground.clone().open()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let grpc = GrpcServer::new(hubs.clone(), GrpcOptions::default());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            grpc.serve(listener, async move {
                let _ = stopped.await;
            })
            .await
        });
        Self { address, hubs, stop, served }
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).expect("it is a URL");
        endpoint.connect().await.expect("it listens")
    }

    /// Whoever still has a connection must have let go of it.
    pub(crate) async fn close(self) -> Result<(), Finding> {
        let errors = self.hubs.shutdown(Duration::ZERO).await;
        if let Some((name, error)) = errors.into_iter().next() {
            return found(format!("hub {name} did not close well: {error}"));
        }
        let _ = self.stop.send(());
        match tokio::time::timeout(Duration::from_secs(20), self.served).await {
            Ok(Ok(Ok(()))) => Ok(()),
            other => found(format!("the server did not end well: {other:?}")),
        }
    }
}
