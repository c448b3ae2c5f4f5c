//! What becomes of calls when the connection breaks.

use crate::relay::Relay;
use crate::support::{Echo, Server, WaitForGo, hub, soon};
use duramen::prelude::*;
use duramen::{Client, ConnectOptions, RunningWorker, TaskHub};
use duramen_hub::Hub;
use std::time::{Duration, Instant};

/// A hub in this process, and a client of it through a relay and a server.
struct Scene {
    here: Client,
    there: Client,
    relay: Relay,
    _server: Server,
    _worker: RunningWorker,
}

impl Scene {
    async fn new() -> Self {
        let (hub, worker) = hub().await;
        let server = Server::of(hub.clone()).await;
        let relay = Relay::to(server.address).await;
        let there = TaskHub::connect(&relay.url()).await.expect("it is there").client();
        Self { here: TaskHub::from(hub).client(), there, relay, _server: server, _worker: worker }
    }

    /// Asks, and loses the answer: the way is broken once `landed` says that the server has done it.
    async fn lose_answer<T>(&self, asked: impl IntoFuture<Output = T>, landed: impl Future<Output = ()>) -> T {
        // There is a connection again after the break before, and it is this one that goes quiet.
        soon(self.there.get("nobody")).await.expect("the server is there");
        self.relay.freeze(true);
        let breaks = async {
            landed.await;
            self.relay.cut();
        };
        soon(async { tokio::join!(asked.into_future(), breaks).0 }).await
    }

    /// Waits until there is an instance that has ended.
    async fn one_ended(&self) {
        while !self.here.list(Filter::new()).all().await.unwrap().iter().any(Instance::is_completed) {
            tokio::task::yield_now().await;
        }
    }
}

#[track_caller]
fn is_unknown<T: std::fmt::Debug>(outcome: Result<T, ClientError>, what: &str) {
    let error = outcome.unwrap_err();
    let text = error.to_string();
    assert!(matches!(&error, ClientError::UnknownOutcome { .. }), "{text}");
    assert!(text.contains(what) && text.contains("look whether it was done"), "{text}");
}

#[tokio::test]
async fn a_start_without_an_id_is_repeated_and_runs_once_though_the_first_try_has_ended() {
    let scene = Scene::new().await;
    let start = async { scene.there.start(Echo, "once").await };
    let handle = scene.lose_answer(start, scene.one_ended()).await.unwrap();
    assert!(!handle.was_attached(), "it is ours");
    assert_eq!(soon(handle.wait()).await.unwrap(), "once");
    assert_eq!(scene.here.list(Filter::new()).all().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_start_with_an_id_says_that_its_outcome_is_unknown_unless_it_may_be_repeated() {
    let scene = Scene::new().await;
    let start = async { scene.there.start(Echo, "x").id("order-1").await };
    is_unknown(scene.lose_answer(start, scene.one_ended()).await, "order-1");
    let again = async { scene.there.start(Echo, "y").id("order-1").on_existing(OnExisting::AttachAny).await };
    let handle = scene.lose_answer(again, async {}).await.unwrap();
    assert!(handle.was_attached());
    assert_eq!(soon(handle.wait()).await.unwrap(), "x", "what ended first has not run again");
}

#[tokio::test]
async fn an_event_is_not_raised_twice() {
    let scene = Scene::new().await;
    let handle = scene.there.start(WaitForGo, ()).await.unwrap();
    soon(handle.started()).await.unwrap();
    let ended = async { drop(scene.here.wait_for_completion(handle.id()).await.unwrap()) };
    let raised = scene.lose_answer(handle.raise_event("go", 7), ended).await;
    is_unknown(raised, "event \"go\" for instance");
    assert_eq!(soon(handle.wait()).await.unwrap(), 7);
    let history = scene.there.history(handle.id()).await.unwrap().to_text();
    assert_eq!(history.matches("EventRaised").count(), 1, "{history}");
}

#[tokio::test]
async fn what_else_changes_something_is_not_repeated_either() {
    let scene = Scene::new().await;
    scene.there.start(WaitForGo, ()).id("w").await.unwrap();
    soon(scene.there.wait_for_start("w")).await.unwrap();
    let is = async |status| {
        while scene.here.get("w").await.unwrap().is_none_or(|instance| instance.status() != status) {
            tokio::task::yield_now().await;
        }
    };
    let suspended = is(OrchestrationStatus::Suspended);
    is_unknown(scene.lose_answer(scene.there.suspend("w", None), suspended).await, "suspension of instance \"w\"");
    let running = is(OrchestrationStatus::Running);
    is_unknown(scene.lose_answer(scene.there.resume("w", None), running).await, "resumption of instance \"w\"");
    let terminate = async { scene.there.terminate("w").await };
    is_unknown(scene.lose_answer(terminate, is(OrchestrationStatus::Terminated)).await, "termination");
    let restarted = is(OrchestrationStatus::Running);
    is_unknown(scene.lose_answer(scene.there.restart_in_place("w"), restarted).await, "restart");
    scene.here.terminate("w").await.unwrap();
    soon(scene.here.wait_for_completion("w")).await.unwrap();
    let gone = async {
        while scene.here.get("w").await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
    };
    is_unknown(scene.lose_answer(async { scene.there.purge("w").await }, gone).await, "purge");
}

#[tokio::test]
async fn what_reads_is_asked_again() {
    let scene = Scene::new().await;
    scene.there.start(Echo, "x").id("e").await.unwrap().wait().await.unwrap();
    let got = scene.lose_answer(scene.there.get("e"), async {}).await.unwrap();
    assert_eq!(got.unwrap().output::<String>().unwrap(), "x");
    let history = scene.lose_answer(scene.there.history("e"), async {}).await.unwrap();
    assert!(history.to_text().contains("ExecutionCompleted"));
    let list = scene.lose_answer(async { scene.there.list(Filter::new()).await }, async {}).await.unwrap();
    assert_eq!(list.instances.len(), 1);
}

#[tokio::test]
async fn a_wait_goes_on_when_the_server_is_back() {
    let (hub, _worker) = hub().await;
    let server = Server::of(hub.clone()).await;
    let address = server.address.to_string();
    let there = TaskHub::connect(&server.url()).await.unwrap().client();
    let handle = there.start(WaitForGo, ()).await.unwrap();
    let (by_handle, by_id) = (handle.clone(), handle.clone());
    let waits =
        tokio::spawn(
            async move { tokio::join!(by_handle.wait(), async { there.wait_for_completion(by_id.id()).await }) },
        );
    soon(handle.started()).await.unwrap();
    server.kill().await;
    let _server = Server::at(&address, hub.clone()).await;
    TaskHub::from(hub).client().raise_event(handle.id(), "go", 3).await.unwrap();
    let (output, instance) = soon(waits).await.unwrap();
    assert_eq!(output.unwrap(), 3);
    assert!(instance.unwrap().is_completed());
}

/// A client whose server has gone.
async fn abandoned(bridge: Duration) -> (Client, Hub, RunningWorker) {
    let (hub, worker) = hub().await;
    let server = Server::of(hub.clone()).await;
    let options = ConnectOptions { bridge, ..ConnectOptions::default() };
    let there = TaskHub::connect_with(&server.url(), options).await.unwrap().client();
    server.kill().await;
    (there, hub, worker)
}

#[tokio::test]
async fn a_server_that_stays_away_is_unreachable_and_nothing_was_done() {
    let (there, hub, _worker) = abandoned(Duration::from_millis(100)).await;
    let error = soon(there.get("x")).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    // The connection is known to be gone by now, so that what changes something has surely not been done.
    let error = soon(async { there.start(Echo, "x").id("x").await }).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    assert!(TaskHub::from(hub).client().get("x").await.unwrap().is_none());
}

#[tokio::test]
async fn a_wait_without_a_server_ends_when_its_time_is_over() {
    let (there, _hub, _worker) = abandoned(Duration::from_secs(600)).await;
    let begun = Instant::now();
    let wait = async { there.wait_for_completion("x").timeout(Duration::from_millis(200)).await };
    let error = soon(wait).await.unwrap_err();
    assert!(matches!(&error, ClientError::Refused(Refusal::TimedOut(id)) if id == "x"), "{error}");
    assert!(begun.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_handle_stays_with_its_instance_over_a_break() {
    let scene = Scene::new().await;
    let first = scene.there.start(WaitForGo, ()).id("w").await.unwrap();
    soon(first.started()).await.unwrap();
    scene.here.terminate("w").await.unwrap();
    soon(scene.here.wait_for_completion("w")).await.unwrap();
    scene.here.start(WaitForGo, ()).id("w").await.unwrap();
    let error = scene.lose_answer(first.wait(), async {}).await.unwrap_err();
    assert!(matches!(&error, ClientError::Refused(Refusal::Replaced(id)) if id == "w"), "{error}");
}
