//! A Rust worker and its clients beside a server that dies again and again: the worker gets episodes before what caused
//! them is on disk, and nothing may go on from one that did not get there.
#![cfg(unix)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod support;

use duramen::prelude::*;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::{Server, duramen};
use tempfile::tempdir;

const KILLS: u64 = 8;
const CLIENTS: u64 = 30;

#[activity]
async fn add(_: ActivityContext, number: u64) -> Result<u64> {
    Ok(number + 1)
}

#[orchestrator]
async fn chain(ctx: OrchestrationContext, mut number: u64) -> Result<u64> {
    for _ in 0..5 {
        number = ctx.call_activity(Add, number).await?;
    }
    Ok(number)
}

fn serve(folder: &Path, port: &str) -> Server {
    Server::start(duramen(folder, &["serve", "--data", "data", "--grpc", port, "--http", "0"]))
}

/// One chain after the other; gives their number.
async fn chains(client: Client, first: u64, stop: Arc<AtomicBool>) -> u64 {
    let mut number = first;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let start = client.start(Chain, number).id(format!("chain-{number}")).on_existing(OnExisting::AttachAny);
        let chain = start.await.expect("breaks are bridged");
        let output = chain.wait().await.expect("breaks are bridged");
        assert_eq!(output, number + 5);
    }
    number - first
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_of_a_rust_worker_come_out_right_while_the_server_is_killed() {
    let folder = tempdir().expect("a folder");
    let mut server = serve(folder.path(), "0");
    let address = server.place("gRPC").split(' ').next().expect("an address").to_owned();
    let port = address.rsplit(':').next().expect("a port");
    let hub = TaskHub::connect(&format!("http://{address}")).await.expect("it listens");
    let worker = hub.run_worker(App::new().orchestrator(Chain).activity(Add)).await.expect("it connects");
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> =
        (0..CLIENTS).map(|n| tokio::spawn(chains(hub.client(), n * 1_000_000, Arc::clone(&stop)))).collect();
    for kill in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(300 + kill * 97 % 400)).await;
        server.signal("KILL");
        server.ended();
        server = serve(folder.path(), port);
    }
    // Each still has a chain under way, which comes to its end over the last server.
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        let done = tokio::time::timeout(Duration::from_secs(60), client).await.expect("they end");
        assert!(done.expect("they are right") > 0);
    }
    worker.shutdown().await.expect("nothing is left");
}
