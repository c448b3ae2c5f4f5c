//! How a hub ends, fails and begins again.

mod support;

use duramen_backend::Backend;
use duramen_backend::Memory;
use duramen_core::ids::{InstanceId, Token};
use duramen_core::request::{Refusal, Reply, Request};
use duramen_core::work::Answer;
use duramen_hub::{Clock, Hub, HubError, Options, VirtualClock};
use duramen_proto::{ActivityResponse, OrchestrationStatus};
use std::sync::Arc;
use std::time::Duration;
use support::slow::SlowDisk;
use support::{Script, Worker, call, complete, in_time, output, started, state, timer, wait};

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

fn result(token: Token, result: &str) -> Answer {
    let response = ActivityResponse { result: Some(result.to_owned()), ..Default::default() };
    Answer::Activity(token, response)
}

#[tokio::test]
async fn shutdown_waits_for_what_is_with_a_worker() {
    let store = Arc::new(Memory::new());
    let hub = Hub::run(Arc::clone(&store) as Arc<dyn Backend>, Options::default()).await.unwrap();
    let worker = Worker::attach(&hub, 1, true, keeper());
    started(&hub, "a", "Caller").await;
    let item = worker.kept();

    let stopping = tokio::spawn({
        let hub = hub.clone();
        async move { hub.shutdown(Duration::from_secs(600)).await }
    });
    tokio::task::yield_now().await;
    let reply = in_time(hub.request(Request::Get(InstanceId::new("a")))).await;
    assert!(matches!(reply, Reply::Refused(Refusal::Stopped(_))), "{reply:?}");
    assert!(!stopping.is_finished(), "the activity is under way");
    worker.attachment.answer(vec![result(item.token, "\"kept\"")]);
    in_time(stopping).await.unwrap().unwrap();
    assert_eq!(worker.closed(), "the hub has stopped: it was shut down");

    // The answer that came while it stopped was taken.
    let hub = Hub::run(support::reopened(&store), Options::default()).await.unwrap();
    let _worker = Worker::attach(&hub, 1, true, keeper());
    assert_eq!(output(&hub, "a").await.as_deref(), Some("\"kept\""));
}

#[tokio::test]
async fn shutdown_gives_up_when_patience_ends_and_tells_who_waits() {
    let hub = Hub::run(Arc::new(Memory::new()), Options::default()).await.unwrap();
    let worker = Worker::attach(&hub, 1, true, keeper());
    started(&hub, "a", "Caller").await;
    worker.kept();
    let waiting = tokio::spawn({
        let hub = hub.clone();
        async move { hub.request(wait("a")).await }
    });
    tokio::task::yield_now().await;
    hub.shutdown(Duration::from_millis(10)).await.unwrap();
    let reply = in_time(waiting).await.unwrap();
    assert!(matches!(reply, Reply::Refused(Refusal::Stopped(_))), "{reply:?}");
    hub.shutdown(Duration::ZERO).await.expect("a second shutdown finds it stopped");
}

#[tokio::test]
async fn a_failed_store_stops_the_hub_and_says_that_the_outcome_is_unknown() {
    let disk = SlowDisk::new(Duration::from_secs(600));
    let hub = Hub::run(Arc::clone(&disk) as Arc<dyn Backend>, Options::default()).await.unwrap();
    let worker = Worker::attach(&hub, 1, true, caller());
    let starting = tokio::spawn({
        let hub = hub.clone();
        async move { hub.request(support::start("a", "Caller")).await }
    });
    tokio::task::yield_now().await;
    disk.wait_for_append();
    disk.fail();
    let reply = in_time(starting).await.unwrap();
    assert!(matches!(reply, Reply::Refused(Refusal::OutcomeUnknown(_))), "{reply:?}");
    assert!(worker.closed().contains("no space left on device"));
    let reply = in_time(hub.request(wait("a"))).await;
    assert!(matches!(reply, Reply::Refused(Refusal::Stopped(_))), "{reply:?}");
    assert!(matches!(hub.shutdown(Duration::ZERO).await, Err(HubError::Store(_))));
}

#[tokio::test]
async fn without_space_nothing_new_is_taken_and_no_work_is_given_out() {
    let disk = SlowDisk::new(Duration::ZERO);
    let hub = Hub::run(Arc::clone(&disk) as Arc<dyn Backend>, Options::default()).await.unwrap();
    let short = |short| disk.space(short);
    let refused = |reply: &Reply| matches!(reply, Reply::Refused(Refusal::NoSpace));
    let ok = async |request| {
        let reply = in_time(hub.request(request)).await;
        assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
    };
    ok(support::start("a", "Caller")).await;
    ok(support::start("b", "Caller")).await;
    short(true);
    let reply = in_time(hub.request(support::start("c", "Caller"))).await;
    assert!(refused(&reply), "{reply:?}");
    let raise = Request::Raise { id: "a".into(), name: "go".into(), input: None };
    assert!(refused(&in_time(hub.request(raise.clone())).await));

    // A worker comes and is given nothing; ending and removing go on without one.
    let _worker = Worker::attach(&hub, 1, true, caller());
    ok(Request::End { id: "b".into(), output: None }).await;
    ok(Request::Purge("b".into())).await;
    let waiting = tokio::spawn({
        let hub = hub.clone();
        async move { hub.request(wait("a")).await }
    });
    let pending = state(in_time(hub.request(Request::Get("a".into()))).await);
    assert_eq!(pending.orchestration_status(), OrchestrationStatus::Pending);
    assert!(!waiting.is_finished());

    short(false);
    let reply = in_time(waiting).await.unwrap();
    assert!(matches!(reply, Reply::State(_)), "{reply:?}");
    ok(support::start("c", "Caller")).await;
}

#[tokio::test]
async fn stale_answers_change_nothing() {
    let store = Arc::new(Memory::new());
    let hub = Hub::run(Arc::clone(&store) as Arc<dyn Backend>, Options::default()).await.unwrap();
    let worker = Worker::attach(&hub, 2, true, keeper());
    started(&hub, "a", "Caller").await;
    let first = worker.kept();
    hub.shutdown(Duration::ZERO).await.unwrap();

    let hub = Hub::run(support::reopened(&store), Options::default()).await.unwrap();
    let worker = Worker::attach(&hub, 2, true, keeper());
    let second = worker.kept();
    assert_ne!(first.token, second.token);
    worker.attachment.answer(vec![
        result(first.token, "\"of an earlier lease\""),
        result(Token(second.token.0 + 1_000), "\"never given\""),
        result(second.token, "\"right\""),
        result(second.token, "\"twice\""),
    ]);
    assert_eq!(output(&hub, "a").await.as_deref(), Some("\"right\""));
}

#[tokio::test]
async fn what_a_worker_had_goes_to_another_when_it_leaves() {
    let hub = Hub::run(Arc::new(Memory::new()), Options::default()).await.unwrap();
    let worker = Worker::attach(&hub, 1, false, keeper());
    started(&hub, "a", "Caller").await;
    worker.kept();
    drop(worker);
    let _other = Worker::attach(&hub, 1, false, caller());
    assert_eq!(output(&hub, "a").await.as_deref(), Some("\"done\""));
}

#[tokio::test]
async fn an_orchestrator_that_never_returns_is_ended_by_the_hub_and_holds_nobody_up() {
    let clock = VirtualClock::default();
    let options = Options { clock: Clock::Virtual(clock.clone()), ..Options::default() };
    let hub = Hub::run(Arc::new(Memory::new()), options).await.unwrap();
    let script = Script::new(|episode| (episode.name != "Stuck").then(|| vec![complete("\"done\"")]));
    let worker = Worker::attach(&hub, 2, true, script);
    started(&hub, "stuck", "Stuck").await;
    worker.kept();
    started(&hub, "other", "Other").await;
    assert_eq!(output(&hub, "other").await.as_deref(), Some("\"done\""));

    let terminate = Request::Terminate { id: "stuck".into(), output: Some("\"enough\"".into()), recurse: false };
    let reply = in_time(hub.request(terminate)).await;
    assert!(matches!(reply, Reply::Done), "{reply:?}");
    clock.advance(duramen_core::limits::TERMINATE_PATIENCE);
    let state = state(in_time(hub.request(wait("stuck"))).await);
    assert_eq!(state.orchestration_status(), OrchestrationStatus::Terminated);
    assert_eq!(state.output.as_deref(), Some("\"enough\""));
}

#[tokio::test]
async fn a_timer_of_thirty_days_costs_no_time_on_a_virtual_clock() {
    let clock = VirtualClock::default();
    let begun = clock.now();
    let options = Options { clock: Clock::Virtual(clock.clone()), ..Options::default() };
    let hub = Hub::run(Arc::new(Memory::new()), options).await.unwrap();
    const DAYS: u64 = 30 * 86_400;
    let script = Script::new(|episode| {
        Some(match episode.fired() {
            true => vec![complete("\"woken\"")],
            false => {
                vec![timer(0, duramen_proto::Timestamp { seconds: episode.now().seconds + DAYS as i64, nanos: 0 })]
            }
        })
    });
    let _worker = Worker::attach(&hub, 1, true, script);
    started(&hub, "a", "Sleeper").await;
    assert!(clock.now().since(begun) < Duration::from_secs(1), "nobody waits, so time stands still");
    assert_eq!(output(&hub, "a").await.as_deref(), Some("\"woken\""));
    let slept = clock.now().since(begun);
    assert!(slept >= Duration::from_secs(DAYS) && slept < Duration::from_secs(DAYS + 60), "{slept:?}");
}

#[tokio::test]
async fn a_handle_that_is_dropped_stops_the_hub() {
    let store = Arc::new(Memory::new());
    let hub = Hub::run(Arc::clone(&store) as Arc<dyn Backend>, Options::default()).await.unwrap();
    let worker = Worker::attach(&hub, 1, true, caller());
    drop(hub);
    assert_eq!(worker.closed(), "the hub has stopped: it was shut down");
}

#[tokio::test]
async fn who_wants_to_know_hears_that_a_hub_has_stopped_and_why() {
    let store = SlowDisk::new(Duration::ZERO);
    let hub = Hub::run(Arc::clone(&store) as Arc<dyn Backend>, Options::default()).await.unwrap();
    let told = tokio::spawn({
        let hub = hub.clone();
        async move { hub.stopped().await }
    });
    tokio::task::yield_now().await;
    assert!(!told.is_finished(), "it runs");
    store.fail();
    let reason = in_time(told).await.unwrap();
    assert!(matches!(reason, HubError::Store(_)), "{reason}");

    let hub = Hub::run(Arc::new(Memory::new()), Options::default()).await.unwrap();
    hub.shutdown(Duration::ZERO).await.unwrap();
    assert!(matches!(in_time(hub.stopped()).await, HubError::Stopped(_)), "later too");
}
