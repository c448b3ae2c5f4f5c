//! What an operator sees of a hub, and decides.

mod support;

use duramen_backend::{Backend, Memory};
use duramen_core::dispatch::Unroutable;
use duramen_core::ids::InstanceId;
use duramen_core::limits::Settings;
use duramen_core::partition::{HeldItem, HeldKey, Verdict};
use duramen_core::request::{Refusal, Request};
use duramen_core::work::WorkKind;
use duramen_hub::{Hub, Options};
use duramen_proto::ActivityResponse;
use std::sync::Arc;
use std::time::Duration;
use support::{Script, Worker, call, complete, in_time, output, started, state};

/// Calls one activity and returns its result.
fn caller() -> Script {
    Script::new(|episode| {
        Some(match episode.result() {
            Some(result) => vec![complete(&result)],
            None if episode.is_first() => vec![call(0, "Work")],
            None => Vec::new(),
        })
    })
}

/// The same, but the activity is kept.
fn keeper() -> Script {
    Script { activity: Box::new(|_| None), ..caller() }
}

/// Two dispatches that count are too many.
fn strict(partitions: u32) -> Options {
    Options { settings: Settings { hold_after: 2, ..Settings::default() }, partitions, ..Options::default() }
}

/// Waits until something is held.
async fn held(hub: &Hub) -> HeldItem {
    in_time(async {
        loop {
            if let Some(item) = hub.held().await.expect("it is shown").pop() {
                return item;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
}

#[tokio::test]
async fn what_is_held_outlives_the_hub_and_is_decided_about() {
    let store = Arc::new(Memory::new());
    let hub = Hub::run(Arc::clone(&store) as Arc<dyn Backend>, strict(3)).await.unwrap();
    started(&hub, "a", "Caller").await;
    for _ in 0..2 {
        let worker = Worker::attach(&hub, 1, false, keeper());
        worker.kept();
        // Its connection is lost.
        drop(worker);
    }
    let item = held(&hub).await;
    assert_eq!((item.instance.as_str(), &*item.name, item.losses.all.len()), ("a", "Work", 2));
    assert!(matches!(item.key, HeldKey::Task(..)));
    hub.shutdown(Duration::ZERO).await.unwrap();
    assert!(matches!(hub.held().await, Err(Refusal::Stopped(_))));

    let hub = Hub::run(support::reopened(&store), strict(2)).await.unwrap();
    let _worker = Worker::attach(&hub, 1, false, caller());
    assert_eq!(held(&hub).await, item);
    hub.decide(item.instance.clone(), item.key, Verdict::Retry).await.unwrap();
    assert_eq!(output(&hub, "a").await.as_deref(), Some("\"done\""));
    assert!(hub.held().await.unwrap().is_empty());
    let again = hub.decide(item.instance, item.key, Verdict::Fail).await;
    assert!(matches!(again, Err(Refusal::WrongStatus { .. })), "{again:?}");
    let nobody = hub.decide(InstanceId::new("nobody"), item.key, Verdict::Fail).await;
    assert!(matches!(nobody, Err(Refusal::NotFound(_))), "{nobody:?}");
}

#[tokio::test]
async fn a_worker_that_is_drained_answers_what_it_has_and_is_let_go() {
    let hub = Hub::run(Arc::new(Memory::new()), strict(1)).await.unwrap();
    let worker = Worker::attach(&hub, 1, false, keeper());
    started(&hub, "a", "Caller").await;
    let item = worker.kept();
    let rows = hub.workers().await.unwrap();
    assert_eq!((rows.len(), rows[0].in_flight.len(), rows[0].worker), (1, 1, worker.attachment.worker()));
    assert_eq!(rows[0].in_flight[0].instance.as_str(), "a");
    // It asks for that itself.
    worker.attachment.drain();
    assert!(hub.workers().await.unwrap()[0].draining);
    started(&hub, "b", "Caller").await;
    let response = ActivityResponse { result: Some("1".into()), ..Default::default() };
    worker.attachment.answer(vec![duramen_core::work::Answer::Activity(item.token, response)]);
    assert_eq!(worker.closed(), "drained");
    assert!(hub.workers().await.unwrap().is_empty());
    assert!(!hub.drain(rows[0].worker).await.unwrap(), "it has gone");
    let queues = hub.queues().await.unwrap();
    assert_eq!(queues.iter().map(|row| (row.kind, row.waiting)).collect::<Vec<_>>(), [(WorkKind::Orchestrator, 2)]);
    assert_eq!(hub.unroutable().await.unwrap()[0].reason, Unroutable::NoWorker);
    let _next = Worker::attach(&hub, 1, false, caller());
    assert_eq!(output(&hub, "a").await.as_deref(), Some("1"));
    assert_eq!(output(&hub, "b").await.as_deref(), Some("\"done\""));
}

#[tokio::test]
async fn a_worker_of_this_process_that_is_dropped_counts_against_nothing() {
    let hub = Hub::run(Arc::new(Memory::new()), strict(1)).await.unwrap();
    started(&hub, "a", "Caller").await;
    for _ in 0..4 {
        Worker::attach(&hub, 1, true, keeper()).kept();
    }
    let _worker = Worker::attach(&hub, 1, true, caller());
    assert_eq!(output(&hub, "a").await.as_deref(), Some("\"done\""));
    let reply = in_time(hub.request(Request::Get("a".into()))).await;
    assert!(state(reply).failure_details.is_none());
}
