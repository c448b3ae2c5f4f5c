//! A hub to serve, and what runs in it.

use duramen::TaskHub;
use duramen::prelude::*;
use duramen_backend::Memory;
use duramen_hub::{Hub, Options};
use duramen_server::GrpcOptions;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use crate::server::Server;

impl Server {
    pub(crate) async fn at(address: &str, hub: Hub) -> Self {
        Self::with(address, hub, GrpcOptions::default()).await
    }

    /// Breaks its connections, and returns when its port is free.
    pub(crate) async fn kill(mut self) {
        let runtime = self.runtime.take().expect("it runs");
        let ended = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(10)));
        ended.await.expect("it ends");
    }
}

/// A hub in memory with a worker in this process.
pub(crate) async fn hub() -> (Hub, duramen::RunningWorker) {
    let hub = Hub::run(Arc::new(Memory::new()), Options::default()).await.expect("it runs");
    let app = App::new().orchestrator(Echo).orchestrator(WaitForGo);
    let worker = TaskHub::from(hub.clone()).run_worker(app).await.expect("it starts");
    (hub, worker)
}

/// Fails the test when something does not happen.
pub(crate) async fn soon<T>(future: impl IntoFuture<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future.into_future()).await.expect("it takes no half a minute")
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
