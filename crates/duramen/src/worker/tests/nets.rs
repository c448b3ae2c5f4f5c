//! The four nets under code that is not deterministic, and what there is instead.

use super::harness::{Hub, Instance, event};
use crate::prelude::*;
use duramen_proto::history_event::EventType;
use duramen_proto::*;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

#[orchestrator]
async fn sleep_outside(_: OrchestrationContext, _: ()) -> Result<()> {
    tokio::time::sleep(secs(1)).await;
    Ok(())
}

#[orchestrator]
async fn spawn_outside(_: OrchestrationContext, _: ()) -> Result<()> {
    tokio::spawn(async {}).await?;
    Ok(())
}

#[orchestrator]
async fn connect_outside(_: OrchestrationContext, _: ()) -> Result<()> {
    tokio::io::AsyncWriteExt::flush(&mut tokio::net::UnixStream::pair()?.0).await?;
    Ok(())
}

#[orchestrator]
async fn wait_for_nothing(ctx: OrchestrationContext, _: ()) -> Result<()> {
    ctx.create_timer(secs(1)).await;
    std::future::pending().await
}

/// Something outside that wakes whoever polled it.
static OUTSIDE: Mutex<Option<Waker>> = Mutex::new(None);

fn outside() -> impl Future<Output = ()> {
    poll_fn(|context| {
        *OUTSIDE.lock().unwrap() = Some(context.waker().clone());
        Poll::Pending
    })
}

#[orchestrator]
async fn be_woken_from_outside(ctx: OrchestrationContext, _: ()) -> Result<()> {
    ctx.any([futures::FutureExt::boxed_local(outside()), futures::FutureExt::boxed_local(ctx.create_timer(secs(9)))])
        .await;
    Ok(())
}

#[orchestrator]
async fn wake_itself(_: OrchestrationContext, _: ()) -> Result<u32> {
    let mut left = 3;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    Ok(left)
}

#[orchestrator]
async fn charge(ctx: OrchestrationContext, _: ()) -> Result<()> {
    ctx.create_timer(secs(1)).await;
    Ok(())
}

type Seen = (String, String, u64, u64, std::time::SystemTime);

#[orchestrator]
async fn draw(ctx: OrchestrationContext, _: ()) -> Result<(Seen, bool)> {
    let seen =
        || (ctx.new_guid().to_string(), ctx.new_guid().to_string(), ctx.random(), ctx.random(), ctx.current_time());
    let first = seen();
    ctx.create_timer(secs(1)).await;
    let second = seen();
    Ok((second.clone(), first.0 != second.0 && first.2 != second.2 && first.0 != first.1 && first.2 != first.3))
}

fn app() -> App {
    App::new()
        .orchestrator(SleepOutside)
        .orchestrator(SpawnOutside)
        .orchestrator(ConnectOutside)
        .orchestrator(WaitForNothing)
        .orchestrator(BeWokenFromOutside)
        .orchestrator(WakeItself)
        .orchestrator(Charge)
        .orchestrator(Draw)
}

#[test]
fn a_runtimes_sleep_tasks_and_sockets_fail_and_name_what_to_use() {
    for name in ["SleepOutside", "SpawnOutside", "ConnectOutside"] {
        let failed = Hub::new(app()).run(name, "null");
        let message = &failed.failure().error_message;
        assert!(message.contains("use ctx.create_timer instead of a sleep, and an activity"), "{name}: {message}");
        assert!(message.contains(".rs:"), "{name}: {message}");
    }
}

#[test]
fn waiting_for_nothing_durable_fails_and_names_the_place() {
    let failed = Hub::new(app()).run("WaitForNothing", "null");
    assert_eq!(failed.failure().error_type, "NotDurable");
    let message = &failed.failure().error_message;
    assert!(message.contains("awaited something that is not durable"), "{message}");
    assert!(message.contains("create_timer at") && message.contains("nets.rs:"), "{message}");
}

#[test]
fn a_waker_from_outside_fails_the_next_episode() {
    let mut hub = Hub::new(app());
    let mut instance = Instance::new("BeWokenFromOutside", Some("null"));
    hub.episode(&mut instance);
    OUTSIDE.lock().unwrap().take().expect("it was polled").wake();
    instance.fire_next_timer();
    hub.episode(&mut instance);
    assert_eq!(instance.failure().error_type, "NotDurable");
    assert!(instance.failure().error_message.contains("woken by something other than its history"));
}

#[test]
fn code_may_wake_itself() {
    assert_eq!(Hub::new(app()).run("WakeItself", "null").output(), "0");
}

#[test]
fn code_that_differs_from_its_history_fails_with_both_sides() {
    let mut instance = Instance::new("Charge", Some("null"));
    let first = instance.item();
    instance.history = duramen_core::history::History::decode(&first.new).unwrap().events;
    let charged = TaskScheduledEvent { name: "ChargeCard".into(), ..Default::default() };
    instance.history.push(event(0, 1_000, EventType::TaskScheduled(charged)));
    instance.session.episodes = 1;
    instance.warm = false;
    instance.raise("x", "1");
    Hub::new(app()).episode(&mut instance);
    let failure = instance.failure();
    assert_eq!(failure.error_type, "NonDeterministicOrchestration");
    assert!(failure.error_message.starts_with("history #0 TaskScheduled(ChargeCard), code asked for CreateTimer"));
}

#[test]
fn ids_random_numbers_and_time_are_the_same_in_a_replay() {
    let mut cold = Instance::new("Draw", Some("null"));
    cold.warm = false;
    let mut hub = Hub::new(app());
    hub.drive(&mut cold);
    let warm = hub.run("Draw", "null");
    assert_eq!(warm.output(), cold.output());
    assert!(warm.output().ends_with(",true]"), "{}", warm.output());
}

#[test]
fn logging_is_silent_while_the_past_is_replayed() {
    #[orchestrator]
    async fn log(ctx: OrchestrationContext, _: ()) -> Result<()> {
        tracing::info!("first");
        ctx.create_timer(secs(1)).await;
        tracing::info!("second");
        Ok(())
    }

    let lines = Arc::new(Mutex::new(Vec::new()));
    let app = Arc::new(App::new().orchestrator(Log));
    let mut instance = Instance::new("Log", Some("null"));
    let first = instance.item();
    let run = |past: &[bytes::Bytes], new: &[bytes::Bytes]| {
        let subscriber = Lines(Arc::clone(&lines));
        tracing::subscriber::with_default(subscriber, || {
            crate::worker::author::Execution::new(&app, "i", None).episode(past, new).unwrap()
        })
    };
    let end = run(&[], &first.new);
    let response = OrchestratorResponse { actions: end.actions, ..Default::default() };
    instance.apply(&first, response);
    assert_eq!(*lines.lock().unwrap(), ["first"]);
    instance.fire_next_timer();
    let second = instance.item();
    run(&instance.past(), &second.new);
    assert_eq!(*lines.lock().unwrap(), ["first", "second"]);
}

/// Keeps the messages of events.
struct Lines(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().contains("nets")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Message(String);
        impl tracing::field::Visit for Message {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 = format!("{value:?}");
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.lock().unwrap().push(message.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
