//! A task hub in a folder: what was under way goes on when it is opened again.

use duramen::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Activities that run when the test lets them.
struct Gate {
    passes: Arc<Semaphore>,
}

#[activities]
impl Gate {
    async fn pass(&self, _ctx: ActivityContext, step: u64) -> Result<u64> {
        self.passes.acquire().await?.forget();
        Ok(step + 1)
    }
}

#[orchestrator]
async fn three_steps(ctx: OrchestrationContext, _: ()) -> Result<u64> {
    let mut step = 0;
    while step < 3 {
        step = ctx.call_activity("Pass", step).await?;
    }
    Ok(step)
}

fn app(passes: &Arc<Semaphore>) -> App {
    App::new().orchestrator(ThreeSteps).activities(Gate { passes: Arc::clone(passes) })
}

#[tokio::test]
async fn what_was_under_way_goes_on_after_each_reopening() {
    let folder = tempfile::tempdir().unwrap();
    for run in 0..3 {
        // Of its own: an activity of a worker before may still wait for a pass.
        let passes = Arc::new(Semaphore::new(0));
        let hub = TaskHub::open(folder.path()).await.unwrap();
        let worker = hub.run_worker(app(&passes)).await.unwrap();
        let client = hub.client();
        let handle = client.start(ThreeSteps, ()).id("a").on_existing(OnExisting::Attach).await.unwrap();
        assert_eq!(handle.was_attached(), run > 0);
        passes.add_permits(1);
        if run == 2 {
            assert_eq!(handle.wait().await.unwrap(), 3);
            let steps = client.history("a").await.unwrap().to_text();
            assert_eq!(steps.matches("TaskCompleted").count(), 3, "{steps}");
        } else {
            // Until the step's result is in the history; the next one is with the worker then.
            while client.history("a").await.unwrap().to_text().matches("TaskScheduled").count() < run + 2 {
                tokio::task::yield_now().await;
            }
        }
        drop(worker);
        hub.shutdown_within(Duration::ZERO).await.unwrap();
    }
}

#[tokio::test]
async fn a_folder_has_one_hub_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let hub = TaskHub::open(folder.path()).await.unwrap();
    let error = TaskHub::open(folder.path()).await.unwrap_err().to_string();
    assert!(error.contains(&folder.path().display().to_string()), "{error}");
    hub.shutdown().await.unwrap();
    TaskHub::open(folder.path()).await.unwrap().shutdown().await.unwrap();
}

#[tokio::test]
async fn after_a_shutdown_calls_are_refused_with_the_reason() {
    let hub = TaskHub::in_memory().await.unwrap();
    let client = hub.client();
    hub.shutdown().await.unwrap();
    let error = client.start(ThreeSteps, ()).await.unwrap_err();
    assert_eq!(error.to_string(), "the hub has stopped: it was shut down");
    assert!(client.list(Filter::new()).await.is_err());
}

#[tokio::test]
async fn what_a_folder_acknowledged_was_synced() {
    let folder = tempfile::tempdir().unwrap();
    let hub = TaskHub::open(folder.path()).await.unwrap();
    let before = hub.counters();
    assert!(before.durable);
    hub.client().start("Nobody", ()).await.map(|_: Handle<()>| ()).unwrap();
    assert!(hub.counters().syncs > before.syncs);
}

#[tokio::test]
async fn an_operator_sees_what_a_worker_has_and_drains_it() {
    let hub = TaskHub::in_memory().await.unwrap();
    let operator = hub.operator().expect("it is in this process");
    let passes = Arc::new(Semaphore::new(0));
    let worker = hub.run_worker(app(&passes)).await.unwrap();
    let handle = hub.client().start(ThreeSteps, ()).id("a").await.unwrap();
    let (id, item) = loop {
        let workers = operator.workers().await.unwrap();
        assert!(workers[0].announced.name.starts_with("duramen-rust/"), "{workers:?}");
        if let Some(item) = workers[0].in_flight.iter().find(|item| item.key.to_string().starts_with("activity-")) {
            break (workers[0].worker, item.clone());
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(item.instance.as_str(), "a");
    assert!(operator.drain(id).await.unwrap());
    passes.add_permits(3);
    while !operator.workers().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(worker);
    let _next = hub.run_worker(app(&passes)).await.unwrap();
    assert_eq!(handle.wait().await.unwrap(), 3);
    assert!(operator.held().await.unwrap().is_empty());
}
