//! What goes over the wire in other portions than in process: much at once, and many at once.

use crate::support::{Echo, Server, hub, soon};
use duramen::prelude::*;
use duramen::{Client, RunningWorker, TaskHub};
use std::sync::{Arc, Mutex};

/// A client in this process, and one through a server.
async fn both() -> (Client, Client, (Server, RunningWorker)) {
    let (hub, worker) = hub().await;
    let server = Server::of(hub.clone()).await;
    let there = TaskHub::connect(&server.url()).await.expect("it listens").client();
    (TaskHub::from(hub).client(), there, (server, worker))
}

async fn run(client: &Client, ids: impl Iterator<Item = String>) {
    let handles: Vec<_> = ids.map(|id| async { client.start(Echo, "x").id(id).await.unwrap() }).collect();
    for handle in futures::future::join_all(handles).await {
        soon(handle.wait()).await.unwrap();
    }
}

#[tokio::test]
async fn payloads_beyond_what_grpc_takes_by_default_pass() {
    let (_, there, _server) = both().await;
    let large = "x".repeat(5 << 20);
    let handle = there.start(Echo, large.clone()).await.unwrap();
    assert!(soon(handle.wait()).await.unwrap() == large);
    let history = soon(there.history(handle.id())).await.unwrap();
    assert!(history.to_text().len() > 2 * large.len(), "the input and the output stand in it");
    let list = soon(async { there.list(Filter::new()).await }).await.unwrap();
    assert_eq!(list.instances[0].output::<String>().unwrap().len(), large.len());
}

#[tokio::test]
async fn a_purge_of_many_ids_goes_in_batches_and_says_how_far_it_is() {
    let (here, there, _server) = both().await;
    let ids: Vec<_> = (0..1_200).map(|n| format!("i{n:04}")).collect();
    run(&here, ids.iter().filter(|id| id.ends_with('7')).cloned()).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let tells = Arc::clone(&told);
    let purge = there.purge(ids).progress(move |deleted| tells.lock().unwrap().push(deleted));
    let purged = soon(purge).await.unwrap();
    assert_eq!((purged.deleted, purged.complete), (120, true));
    assert_eq!(*told.lock().unwrap(), [50, 100, 120], "500 ids at a time");
}

#[tokio::test]
async fn a_purge_by_filter_takes_what_the_filter_says_and_no_more() {
    let (here, there, _server) = both().await;
    run(&here, ["a1", "a2", "b1"].map(String::from).into_iter()).await;
    let told = Arc::new(Mutex::new(0));
    let tells = Arc::clone(&told);
    let filter = Filter::new().prefix("a").name("Echo").status(OrchestrationStatus::Completed);
    let purge = there.purge(filter).progress(move |deleted| *tells.lock().unwrap() = deleted);
    assert_eq!(soon(purge).await.unwrap().deleted, 2);
    assert_eq!(*told.lock().unwrap(), 2);
    let left = here.list(Filter::new()).all().await.unwrap();
    assert_eq!(left.iter().map(Instance::id).collect::<Vec<_>>(), ["b1"]);
}

#[tokio::test]
async fn an_export_over_the_wire_is_the_same_as_in_process() {
    let (here, there, _server) = both().await;
    run(&here, (0..3).map(|n| format!("e{n}"))).await;
    let export = async |client: &Client| {
        let mut lines = Vec::new();
        let exported = soon(client.export(Filter::new().prefix("e")).json_lines(&mut lines)).await.unwrap();
        assert_eq!(exported.instances, 3);
        String::from_utf8(lines).unwrap()
    };
    assert_eq!(export(&there).await, export(&here).await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("e.sqlite");
    let exported = soon(there.export(["e1", "nobody"]).sqlite(&file)).await.unwrap();
    assert_eq!(exported.instances, 1);
    let rows = rusqlite::Connection::open(&file).unwrap();
    let input: String = rows.query_row("select input from instances where id = 'e1'", [], |row| row.get(0)).unwrap();
    assert_eq!(input, "\"x\"");
}

#[tokio::test]
async fn a_client_may_be_used_from_another_runtime() {
    let (_, there, _server) = both().await;
    let elsewhere = tokio::task::spawn_blocking(move || {
        // Without a clock of its own, which pauses between tries would need.
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(there.get("x"))
    });
    assert_eq!(elsewhere.await.unwrap().unwrap(), None);
}
