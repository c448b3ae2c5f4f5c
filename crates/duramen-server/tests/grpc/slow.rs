//! Workers that are slow, stopped, or behind a dead wire: what they hold up, and for how long.

use crate::proxy::Proxy;
use crate::support::*;
use duramen_hub::Options;
use duramen_proto::*;
use duramen_server::{GrpcOptions, HubsOptions};
use std::time::{Duration, Instant};
use tonic::transport::Endpoint;

fn activities_only(most: i32) -> GetWorkItemsRequest {
    GetWorkItemsRequest {
        max_concurrent_activity_work_items: most,
        work_item_filters: Some(WorkItemFilters {
            activities: vec![ActivityFilter { name: "A".into(), versions: vec![] }],
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Whatever number it announced: what it does not read goes to others, and memory holds a few items for it.
#[tokio::test]
async fn what_a_worker_does_not_read_goes_to_another() {
    for announced in [0, 1_000, i32::MAX] {
        let grpc = GrpcOptions { unread: Duration::from_millis(200), ..GrpcOptions::default() };
        let server = Server::with(grpc, HubsOptions::default(), Options::default()).await;
        let (mut client, mut worker) = (server.connect().await, server.worker().await);
        start(&mut client, "i", "O").await;
        // A connection with the smallest window that HTTP/2 begins with, and a stream that is never read.
        let endpoint = Endpoint::from_shared(format!("http://{}", server.address())).unwrap();
        let stuck = endpoint.initial_stream_window_size(65_535).connect().await.unwrap();
        let stuck = Worker::join(Client::new(stuck), activities_only(announced)).await;
        worker.run((0..200).map(|id| task_with(id, "A", "x".repeat(20_000))).collect()).await;
        drop(worker);
        let mut good = Worker::join(server.connect().await, activities_only(0)).await;
        let mut seen = std::collections::BTreeSet::new();
        // All but the three or four that fit into the window and what is on the way to it.
        while seen.len() < 190 {
            let (activity, token) = good.activity().await;
            good.result(&activity, &token, "1").await;
            seen.insert(activity.task_id);
        }
        // What it had in its window it may be busy with, until it is gone.
        drop(stuck);
        while seen.len() < 200 {
            let (activity, token) = good.activity().await;
            good.result(&activity, &token, "1").await;
            seen.insert(activity.task_id);
        }
    }
}

/// The stuck worker reads again, and is served again.
#[tokio::test]
async fn a_worker_that_reads_again_gets_more() {
    let grpc = GrpcOptions { unread: Duration::from_millis(100), ..GrpcOptions::default() };
    let server = Server::with(grpc, HubsOptions::default(), Options::default()).await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address())).unwrap();
    let slow = endpoint.initial_stream_window_size(65_535).connect().await.unwrap();
    let mut slow = Worker::join(Client::new(slow), activities_only(0)).await;
    worker.run((0..200).map(|id| task_with(id, "A", "x".repeat(20_000))).collect()).await;
    drop(worker);
    // Long enough for what it does not read to be taken back a few times: it is the only one there is.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 200 {
        let (activity, token) = slow.activity().await;
        slow.result(&activity, &token, "1").await;
        seen.insert(activity.task_id);
    }
}

/// A slow worker has five and answers none; two equal ones share the rest. Each does twenty things at a time.
async fn shared_by_equals(announced: i32) {
    const ITEMS: i32 = 10_000;
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    let _slow = Worker::join(server.connect().await, activities_only(5)).await;
    let equal = [
        Worker::join(server.connect().await, activities_only(announced)).await,
        Worker::join(server.connect().await, activities_only(announced)).await,
    ];
    let (done, mut counted) = tokio::sync::mpsc::unbounded_channel();
    for (number, mut worker) in equal.into_iter().enumerate() {
        let done = done.clone();
        tokio::spawn(async move {
            let hands = std::sync::Arc::new(tokio::sync::Semaphore::new(20));
            loop {
                let hand = hands.clone().acquire_owned().await.unwrap();
                let (activity, token) = worker.activity().await;
                let (mut client, done) = (worker.client.clone(), done.clone());
                tokio::spawn(async move {
                    client.complete_activity_task(activity_response(&activity, &token, "1")).await.unwrap();
                    let _ = done.send(number);
                    drop(hand);
                });
            }
        });
    }
    drop(worker.run((0..ITEMS).map(|id| task(id, "A")).collect()).await);
    drop(worker);
    let mut by = [0, 0];
    for _ in 0..ITEMS - 5 {
        by[soon("a result", counted.recv()).await.unwrap()] += 1;
    }
    assert!(by.iter().all(|by| *by >= ITEMS * 2 / 5), "{by:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_equal_workers_that_say_how_much_they_take_each_gets_two_fifths_of_ten_thousand() {
    shared_by_equals(50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_equal_workers_that_take_any_number_each_gets_two_fifths_of_ten_thousand() {
    shared_by_equals(0).await;
}

/// A process that was stopped and a wire whose packets are dropped look the same: nobody answers.
#[tokio::test]
async fn what_a_worker_behind_a_dead_wire_has_goes_to_another() {
    let grpc = GrpcOptions { keep_alive: Duration::from_millis(300), ..GrpcOptions::default() };
    let server = Server::with(grpc, HubsOptions::default(), Options::default()).await;
    let mut client = server.connect().await;
    let proxy = Proxy::to(server.address()).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", proxy.address)).unwrap();
    let mut cut_off =
        Worker::join(Client::new(endpoint.connect().await.unwrap()), GetWorkItemsRequest::default()).await;
    start(&mut client, "i", "O").await;
    cut_off.run(vec![task(0, "A")]).await;
    let (lost, _) = cut_off.activity().await;
    start(&mut client, "j", "O").await;
    cut_off.episode().await;
    proxy.freeze();
    let begun = Instant::now();
    let mut next = server.worker().await;
    let mut got = Vec::new();
    while got.len() < 2 {
        match next.next().await.0 {
            work_item::Request::ActivityRequest(activity) => got.push(activity.name),
            work_item::Request::OrchestratorRequest(request) => got.push(request.instance_id),
            other => panic!("unexpected: {other:?}"),
        }
    }
    got.sort();
    assert_eq!(got, [lost.name.as_str(), "j"]);
    assert!(begun.elapsed() > Duration::from_millis(300), "it was there until it did not answer");
}

/// The same with what is so by default: the second that a sleep of the hub may last included.
#[test]
fn by_default_that_takes_less_than_two_minutes() {
    let grpc = GrpcOptions::default();
    let lost_connection = grpc.keep_alive * 2;
    let first_redelivery = Duration::from_secs(1) + duramen_core::limits::UNSHOWN_PAUSE;
    assert!(lost_connection + first_redelivery < Duration::from_secs(120));
    assert!(grpc.unread * 3 / 2 + first_redelivery < Duration::from_secs(120));
    assert!(grpc.ping_every < Duration::from_secs(60), "Python gives a silent stream up after two minutes");
}
