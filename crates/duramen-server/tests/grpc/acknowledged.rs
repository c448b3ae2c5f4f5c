//! What a worker was told is done is on disk.

use crate::support::*;
use duramen_backend::disk::Disk;
use duramen_backend::{Backend, Memory, MemoryOptions};
use duramen_hub::{Hub, Options};
use duramen_proto::*;
use duramen_server::{GrpcOptions, HubsOptions, OpenHub};
use std::sync::Arc;
use std::time::Duration;

/// A store that writes when it is told to.
fn in_steps() -> Arc<Memory> {
    let options = MemoryOptions { in_steps: true, ..MemoryOptions::default() };
    Arc::new(Memory::open(Disk::new(), options).expect("an empty disk opens"))
}

/// Lets a store write while something is under way.
async fn writing<T>(store: &Memory, what: impl Future<Output = T>) -> T {
    let mut what = std::pin::pin!(what);
    let done = async {
        loop {
            match tokio::time::timeout(Duration::from_millis(2), &mut what).await {
                Ok(done) => return done,
                Err(_) => while store.step() {},
            }
        }
    };
    soon("what waits for the disk", done).await
}

#[tokio::test]
async fn a_completion_is_answered_once_it_is_on_disk() {
    let store = in_steps();
    let backend = Arc::clone(&store);
    let server = Server::opening(GrpcOptions::default(), HubsOptions::default(), move |_| {
        let hub = Hub::run(Arc::clone(&backend) as Arc<dyn Backend>, Options::default());
        Box::pin(async move { hub.await.map(OpenHub::from).map_err(|error| error.to_string()) })
    })
    .await;
    let mut client = server.connect().await;
    writing(&store, client.hello(())).await.unwrap();
    let mut worker = server.worker().await;
    writing(&store, client.start_instance(create("i", "O"))).await.unwrap();
    let (request, token) = writing(&store, worker.episode()).await;
    let response = OrchestratorResponse {
        instance_id: request.instance_id,
        completion_token: token,
        actions: vec![task(0, "A")],
        ..Default::default()
    };
    unanswered(client.complete_orchestrator_task(response.clone())).await;
    // One that repeats itself, as .NET does, is not told sooner.
    unanswered(client.complete_orchestrator_task(response.clone())).await;
    writing(&store, client.complete_orchestrator_task(response)).await.unwrap();

    let (activity, token) = writing(&store, worker.activity()).await;
    let result = activity_response(&activity, &token, "1");
    unanswered(client.complete_activity_task(result.clone())).await;
    writing(&store, client.complete_activity_task(result)).await.unwrap();
    // What changes nothing waits for nothing.
    let stale = ActivityResponse { completion_token: token, ..Default::default() };
    client.complete_activity_task(stale).await.unwrap();
}

async fn unanswered<T: std::fmt::Debug>(call: impl Future<Output = T>) {
    let answered = tokio::time::timeout(Duration::from_millis(150), call).await;
    assert!(answered.is_err(), "nothing is on disk yet, and it was answered {answered:?}");
}
