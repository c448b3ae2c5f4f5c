//! Instances that are idle leave memory, and a hub with nothing to do does nothing.

mod support;

use duramen_backend::Backend;
use duramen_core::ids::InstanceId;
use duramen_core::request::{Reply, Request};
use duramen_hub::{Clock, Hub, Options, VirtualClock};
use std::sync::Arc;
use std::time::Duration;
use support::counting::Counting;
use support::{Script, Worker, complete, in_time, output, started, timer, wait};

/// Waits for an event.
fn waiter() -> Script {
    Script::new(|episode| Some(if episode.raised() > 0 { vec![complete("\"heard\"")] } else { Vec::new() }))
}

async fn open(store: &Arc<Counting>, options: Options) -> Hub {
    Hub::run(Arc::clone(store) as Arc<dyn Backend>, options).await.unwrap()
}

async fn raise(hub: &Hub, id: &str) {
    let request = Request::Raise { id: id.into(), name: "go".into(), input: None };
    let reply = in_time(hub.request(request)).await;
    assert!(matches!(reply, Reply::Done), "{reply:?}");
}

#[tokio::test]
async fn a_parked_instance_leaves_memory_and_an_event_brings_it_back() {
    let store = Arc::new(Counting::default());
    let mut options = Options::default();
    options.settings.idle_after = Duration::from_millis(20);
    let hub = open(&store, options).await;
    let worker = Worker::attach(&hub, 1, true, waiter());
    started(&hub, "parked", "Waiter").await;
    worker.session_ended();
    let loads = store.loads();
    raise(&hub, "parked").await;
    assert_eq!(output(&hub, "parked").await.as_deref(), Some("\"heard\""));
    assert!(store.loads() > loads, "it was not in memory");
}

/// Time does not pass for that: a client that waits for an event's result waits for the event.
#[tokio::test]
async fn a_virtual_clock_does_not_move_for_what_leaves_memory() {
    let store = Arc::new(Counting::default());
    let clock = VirtualClock::default();
    let hub = open(&store, Options { clock: Clock::Virtual(clock.clone()), ..Options::default() }).await;
    let _worker = Worker::attach(&hub, 1, true, waiter());
    let before = clock.now();
    started(&hub, "parked", "Waiter").await;
    let waiting = tokio::spawn({
        let hub = hub.clone();
        async move { hub.request(wait("parked")).await }
    });
    for _ in 0..10 {
        tokio::task::yield_now().await;
        in_time(hub.request(Request::Get(InstanceId::new("parked")))).await;
    }
    raise(&hub, "parked").await;
    assert!(matches!(in_time(waiting).await, Ok(Reply::State(Some(_)))));
    in_time(hub.shutdown(Duration::from_secs(600))).await.unwrap();
    assert_eq!(clock.now(), before);
}

#[tokio::test]
async fn a_timer_years_ahead_costs_one_read() {
    let store = Arc::new(Counting::default());
    let clock = VirtualClock::default();
    let hub = open(&store, Options { clock: Clock::Virtual(clock.clone()), ..Options::default() }).await;
    let due = clock.now().plus(Duration::from_secs(30 * 365 * 86_400));
    let _worker = Worker::attach(
        &hub,
        1,
        true,
        Script::new(move |episode| {
            Some(match episode.fired() {
                true => vec![complete("\"awake\"")],
                false if episode.is_first() => vec![timer(1, due.into())],
                false => Vec::new(),
            })
        }),
    );
    started(&hub, "sleeper", "Sleeper").await;
    assert_eq!(output(&hub, "sleeper").await.as_deref(), Some("\"awake\""));
    assert_eq!((clock.now(), store.stretches()), (due, 2), "one at the beginning, and one for the timer");
}
