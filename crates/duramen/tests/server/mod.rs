//! A server of a hub of this process, on a port of its own.

use duramen_hub::Hub;
use duramen_server::{GrpcOptions, GrpcServer, Hubs, HubsOptions, OpenHub};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// A server. When it is dropped, its connections break.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// All that it runs is on a runtime of its own, and goes with it.
    pub(crate) runtime: Option<Runtime>,
}

impl Server {
    pub(crate) async fn of(hub: Hub) -> Self {
        Self::with("127.0.0.1:0", hub, GrpcOptions::default()).await
    }

    pub(crate) async fn with(address: &str, hub: Hub, options: GrpcOptions) -> Self {
        let hubs = Hubs::new(HubsOptions::default(), move |_| {
            let hub = OpenHub::from(hub.clone());
            Box::pin(async move { Ok(hub) })
        });
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("it has a thread");
        let address = address.to_owned();
        let listener = runtime.spawn(async move { TcpListener::bind(address).await.expect("the port is free") });
        let listener = listener.await.expect("it listens");
        let address = listener.local_addr().expect("it is bound");
        let server = GrpcServer::new(hubs, options);
        runtime.spawn(async move { server.serve(listener, std::future::pending()).await });
        Self { address, runtime: Some(runtime) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
