//! What a worker does about a server that says nothing. The rest is in `tests/remote`, through the door.

#[path = "../../../tests/remote/relay.rs"]
mod relay;

use super::line::Patience;
use crate::prelude::*;
use crate::remote::{ConnectOptions, Remote};
use crate::{Worker, WorkerOptions};
use duramen_backend::Memory;
use duramen_hub::{Hub, Options};
use duramen_server::{GrpcOptions, GrpcServer, Hubs, HubsOptions, OpenHub};
use relay::Relay;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Handle;

const SILENCE: Duration = Duration::from_millis(500);

#[orchestrator]
async fn echo(_ctx: OrchestrationContext, text: String) -> Result<String> {
    Ok(text)
}

async fn serve(hub: Hub) -> SocketAddr {
    let hubs = Hubs::new(HubsOptions::default(), move |_| {
        let hub = OpenHub::from(hub.clone());
        Box::pin(async move { Ok(hub) })
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // The server looks for signs of life too: what it sent into the silence goes to the next connection.
    let options = GrpcOptions { ping_every: SILENCE / 10, keep_alive: SILENCE, ..GrpcOptions::default() };
    let server = GrpcServer::new(hubs, options);
    tokio::spawn(async move { server.serve(listener, std::future::pending()).await });
    address
}

/// Pings keep a stream without work open; when they stay out, the worker connects anew.
#[tokio::test]
async fn a_server_that_falls_silent_is_connected_to_anew() {
    let hub = Hub::run(Arc::new(Memory::new()), Options::default()).await.unwrap();
    let relay = Relay::to(serve(hub.clone()).await).await;
    let remote = Remote::connect(&relay.url(), ConnectOptions::default()).await.unwrap();
    let worker = Worker::start(App::new().orchestrator(Echo), WorkerOptions::default(), Handle::current());
    let pauses = (Duration::from_millis(1), Duration::from_millis(10));
    worker.connect_with(&remote, Patience { opening: SILENCE * 10, silence: SILENCE, pauses });

    let client = TaskHub::from(hub).client();
    assert_eq!(client.start(Echo, "there").await.unwrap().wait().await.unwrap(), "there");
    // The pings come: nothing is done about a stream that is merely idle.
    tokio::time::sleep(SILENCE * 2).await;
    assert_eq!(relay.made(), 2, "one of the client, one of the worker");

    relay.freeze(false);
    assert_eq!(client.start(Echo, "again").await.unwrap().wait().await.unwrap(), "again");
    assert!(relay.made() >= 3);
    relay.cut();
    assert_eq!(client.start(Echo, "and again").await.unwrap().wait().await.unwrap(), "and again");
    worker.shutdown().await.unwrap();
}
