//! A server of a hub of this process, on a port of its own.

use duramen::TaskHub;
use duramen::prelude::*;
use duramen_backend::Memory;
use duramen_hub::{Hub, Options};
use duramen_server::{GrpcOptions, GrpcServer, Hubs, HubsOptions, OpenHub};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server; when it is dropped, its connections break.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn of(hub: Hub) -> Self {
        Self::at("127.0.0.1:0", hub).await
    }

    pub(crate) async fn at(address: &str, hub: Hub) -> Self {
        Self::with(address, hub, GrpcOptions::default()).await
    }

    pub(crate) async fn with(address: &str, hub: Hub, options: GrpcOptions) -> Self {
        let hubs = Hubs::new(HubsOptions::default(), move |_| {
            let hub = OpenHub::from(hub.clone());
            Box::pin(async move { Ok(hub) })
        });
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let address = listener.local_addr().expect("it is bound");
        let server = GrpcServer::new(hubs, options);
        let serving = tokio::spawn(async move {
            server.serve(listener, std::future::pending()).await.expect("it serves");
        });
        Self { address, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A hub in memory with a worker in this process.
pub(crate) async fn hub() -> (Hub, duramen::RunningWorker) {
    let hub = Hub::run(Arc::new(Memory::new()), Options::default()).await.expect("it runs");
    let app = App::new().orchestrator(Echo).orchestrator(WaitForGo);
    let worker = TaskHub::from(hub.clone()).run_worker(app).await.expect("it starts");
    (hub, worker)
}

/// Gives back what it was given.
#[orchestrator]
pub(crate) async fn echo(_ctx: OrchestrationContext, text: String) -> Result<String> {
    Ok(text)
}

/// Ends with the number that is raised as "go".
#[orchestrator]
pub(crate) async fn wait_for_go(ctx: OrchestrationContext, _: ()) -> Result<u64> {
    Ok(ctx.wait_for_event("go").await?)
}
