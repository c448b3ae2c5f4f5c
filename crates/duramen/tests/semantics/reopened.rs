//! The same in a folder that is left in mid-run and opened again: what 1.1 to 1.6 promise survives the process.

use crate::support::*;
use duramen::prelude::*;
use duramen::testing::{Clock, VirtualClock};
use duramen::{RunningWorker, TaskHubOptions, WorkerOptions};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use uuid::Uuid;

/// A folder, and the clock by which the hubs in it live, one after the other.
struct Place {
    folder: tempfile::TempDir,
    lives: AtomicU32,
    clock: VirtualClock,
    evict: bool,
}

/// A hub in the folder, with a worker.
struct Life {
    hub: TaskHub,
    worker: RunningWorker,
}

impl Place {
    fn new(evict: bool) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            lives: AtomicU32::new(0),
            clock: VirtualClock::default(),
            evict,
        }
    }

    async fn open(&self, app: App) -> Life {
        let mut options = TaskHubOptions::default();
        options.hub.clock = Clock::Virtual(self.clock.clone());
        if self.evict {
            options.hub.settings.resident = 0;
        }
        // The number of partitions may change from life to life.
        options.hub.partitions = 1 + self.lives.fetch_add(1, Ordering::Relaxed) % 3;
        // A hub that was dropped lets go of its folder a moment later, when its thread has closed the store.
        let hub = loop {
            match TaskHub::open_with(self.folder.path(), options.clone()).await {
                Ok(hub) => break hub,
                Err(error) if error.to_string().contains("in use") => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
        let mut options = WorkerOptions::default();
        options.stuck_after = Duration::ZERO;
        let worker = hub.run_worker_with(app, options).await.expect("a worker");
        Life { hub, worker }
    }
}

impl Life {
    fn client(&self) -> Client {
        self.hub.client()
    }

    /// Returns when everything has been done that needs neither time nor a client.
    async fn idle(&self) {
        let wait = self.client().wait_for_completion("nobody-has-this-id").timeout(Duration::from_nanos(1));
        wait.await.expect_err("there is no such instance");
    }

    /// Leaves as a process does that stops in good order.
    async fn shut_down(self) {
        self.worker.shutdown().await.expect("the worker stops");
        self.hub.shutdown().await.expect("the hub stops");
    }
}

/// Runs a scenario with sessions in memory, and with instances that leave it whenever they may.
async fn check(scenario: impl AsyncFn(&Place)) {
    for evict in [false, true] {
        eprintln!("evict at once: {evict}");
        scenario(&Place::new(evict)).await;
    }
}

fn plain() -> App {
    App::new().orchestrator(WaitForGo).orchestrator(Echo).orchestrator(Fail)
}

/// What the steps of a chain do: note that they begin, and wait at the one at which the hub is to be left.
static STEPS: Mutex<Vec<u32>> = Mutex::new(Vec::new());
static LEAVE_AT: AtomicUsize = AtomicUsize::new(0);
static REACHED: Notify = Notify::const_new();

#[activity]
async fn step(_ctx: ActivityContext, number: u32) -> Result<u32> {
    STEPS.lock().unwrap().push(number);
    if LEAVE_AT.load(Ordering::Relaxed) == number as usize {
        REACHED.notify_one();
        std::future::pending::<()>().await;
    }
    Ok(number + 1)
}

#[orchestrator]
async fn chain(ctx: OrchestrationContext, length: u32) -> Result<(u32, Vec<Uuid>)> {
    let mut guids = vec![ctx.new_guid()];
    let mut number = 0;
    while number < length {
        number = ctx.call_activity(Step, number).await?;
        guids.push(ctx.new_guid());
    }
    Ok((number, guids))
}

#[tokio::test]
async fn a_chain_that_is_left_at_each_step_goes_on_there() {
    const LENGTH: u32 = 5;
    let app = || App::new().orchestrator(Chain).activity(Step);
    for leave_at in 0..LENGTH {
        let place = &Place::new(leave_at % 2 == 1);
        STEPS.lock().unwrap().clear();
        LEAVE_AT.store(leave_at as usize, Ordering::Relaxed);
        let life = place.open(app()).await;
        life.client().start(Chain, LENGTH).id("c").await.unwrap();
        REACHED.notified().await;
        let before = life.client().history("c").await.unwrap();
        drop(life);

        LEAVE_AT.store(usize::MAX, Ordering::Relaxed);
        let life = place.open(app()).await;
        // What a program does that is killed and run again.
        let handle = life.client().start(Chain, LENGTH).id("c").on_existing(OnExisting::AttachAny).await.unwrap();
        assert!(handle.was_attached());
        let (number, guids) = handle.wait().await.unwrap();
        assert_eq!(number, LENGTH);
        let mut once = guids.clone();
        once.dedup();
        assert_eq!(once, guids);
        // The step that was under way ran again, and no other.
        let expected: Vec<u32> = (0..=leave_at).chain(leave_at..LENGTH).collect();
        assert_eq!(*STEPS.lock().unwrap(), expected);
        let after = life.client().history("c").await.unwrap();
        assert!(after.events.starts_with(&before.events), "what was durable is a beginning of what came of it");
        duramen::testing::replay_check(Chain, &after.to_text()).unwrap();
        life.shut_down().await;
    }
}

/// Everything that can be open: a timer, a wait with a time, a child, a retry that pauses.
#[orchestrator]
async fn waits_for_all(ctx: OrchestrationContext, _: ()) -> Result<(u64, u64, String)> {
    ctx.set_custom_status("waiting")?;
    let timer = ctx.create_timer(days(30));
    let event = ctx.wait_for_event::<u64>("number").timeout(days(60));
    let child = ctx.call_sub_orchestrator(WaitForGo, ()).instance_id("child").tag("kind", "child");
    let flaky = ctx.call_activity(Flaky, ()).retry(RetryPolicy::fixed(10, days(1)));
    let (event, child, flaky) = futures::join!(event, child, flaky);
    timer.await;
    Ok((event?, child?, flaky?))
}

static ATTEMPTS: AtomicUsize = AtomicUsize::new(0);

#[activity]
async fn flaky(_ctx: ActivityContext, _: ()) -> Result<String> {
    if ATTEMPTS.fetch_add(1, Ordering::Relaxed) < 3 { Err(Error::msg("not yet")) } else { Ok("at last".into()) }
}

#[tokio::test]
async fn everything_that_is_open_is_open_again() {
    check(async |place| {
        ATTEMPTS.store(0, Ordering::Relaxed);
        let app = || plain().orchestrator(WaitsForAll).activity(Flaky);
        let begun = place.clock.now();
        let life = place.open(app()).await;
        let start = life.client().start(WaitsForAll, ()).id("w").version("2").tag("a", "b");
        start.await.unwrap().started().await.unwrap();
        life.client().wait_for_start("child").await.unwrap();
        life.idle().await;
        let state = life.client().get("w").await.unwrap();
        drop(life);

        let life = place.open(app()).await;
        assert_eq!(life.client().get("w").await.unwrap(), state);
        let state = state.unwrap();
        assert_eq!(state.custom_status::<String>().unwrap(), "waiting");
        assert_eq!((state.version(), state.tags().len()), (Some("2"), 1));
        life.client().raise_event("w", "number", 7).await.unwrap();
        life.client().raise_event("child", "go", 8).await.unwrap();
        life.idle().await;
        drop(life);

        let life = place.open(app()).await;
        let ended = life.client().wait_for_completion("w").await.unwrap();
        assert_eq!(ended.output::<(u64, u64, String)>().unwrap(), (7, 8, "at last".into()));
        assert_eq!(ended.completed().unwrap().since(begun), days(30), "to the nanosecond");
        assert_eq!(ATTEMPTS.load(Ordering::Relaxed), 4);
        let children = life.client().list(Filter::new().parent("w").tag("kind", "child")).all().await.unwrap();
        assert_eq!(children.len(), 1);
        life.shut_down().await;
    })
    .await;
}

/// One in each status.
#[tokio::test]
async fn statuses_events_and_ends_are_kept() {
    check(async |place| {
        let life = place.open(plain()).await;
        let client = life.client();
        client.start(WaitForGo, ()).id("pending").at(days(1)).await.unwrap();
        client.raise_event("pending", "go", 1).await.unwrap();
        client.start(WaitForGo, ()).id("suspended").await.unwrap().started().await.unwrap();
        client.suspend("suspended", None).await.unwrap();
        client.raise_event("suspended", "go", 2).await.unwrap();
        client.start(Echo, "x").id("completed").await.unwrap().wait().await.unwrap();
        client.start(Fail, "sad").id("failed").await.unwrap().wait().await.unwrap_err();
        client.start(WaitForGo, ()).id("terminated").await.unwrap();
        client.terminate("terminated").output("enough").await.unwrap();
        client.wait_for_completion("terminated").await.unwrap();
        client.start(Echo, "x").id("purged").await.unwrap().wait().await.unwrap();
        assert_eq!(client.purge("purged").await.unwrap().deleted, 1);
        let before = client.list(Filter::new()).all().await.unwrap();
        let history = client.history("failed").await.unwrap();
        drop((client, life));

        let life = place.open(plain()).await;
        let client = life.client();
        assert_eq!(client.list(Filter::new()).all().await.unwrap(), before);
        assert_eq!(client.history("failed").await.unwrap(), history);
        assert_eq!(client.get("purged").await.unwrap(), None);
        assert_eq!(client.get("suspended").await.unwrap().unwrap().status(), OrchestrationStatus::Suspended);
        client.resume("suspended", None).await.unwrap();
        for (id, output) in [("pending", 1), ("suspended", 2)] {
            assert_eq!(client.wait_for_completion(id).await.unwrap().output::<u64>().unwrap(), output);
        }
        let again = client.start(Echo, "y").id("completed").await.unwrap();
        assert_eq!(again.wait().await.unwrap(), "y");
        let error = client.start(Echo, "y").id("failed").on_existing(OnExisting::Replace(vec![])).await.unwrap_err();
        assert!(matches!(refusal(error), Refusal::AlreadyExists { .. }));
        life.shut_down().await;
    })
    .await;
}

#[orchestrator]
async fn collects(ctx: OrchestrationContext, mut seen: Vec<u64>) -> Result<Vec<u64>> {
    let number: u64 = ctx.wait_for_event("number").await?;
    if number == 0 {
        return Ok(seen);
    }
    seen.push(number);
    Err(ctx.continue_as_new(seen))?
}

#[tokio::test]
async fn generations_lose_no_event_over_many_lives() {
    check(async |place| {
        let app = || App::new().orchestrator(Collects);
        let life = place.open(app()).await;
        life.client().start(Collects, vec![]).id("c").await.unwrap();
        drop(life);
        for number in 1..=20 {
            let life = place.open(app()).await;
            for number in [number * 2 - 1, number * 2] {
                life.client().raise_event("c", "number", number).await.unwrap();
            }
            drop(life);
        }
        let life = place.open(app()).await;
        life.client().raise_event("c", "number", 0).await.unwrap();
        let ended = life.client().wait_for_completion("c").await.unwrap();
        assert_eq!(ended.output::<Vec<u64>>().unwrap(), (1..=40).collect::<Vec<_>>());
        life.shut_down().await;
    })
    .await;
}

#[tokio::test]
async fn a_deploy_that_changes_what_has_happened_is_found_and_named() {
    let place = Place::new(false);
    let life = place.open(App::new().orchestrator(ChainOfEvents)).await;
    life.client().start(ChainOfEvents, ()).id("c").await.unwrap();
    life.idle().await;
    life.shut_down().await;

    let life = place.open(App::new().orchestrator(changed::OtherChainOfEvents)).await;
    life.client().raise_event("c", "go", 1).await.unwrap();
    let ended = life.client().wait_for_completion("c").await.unwrap();
    let failure = ended.failure().expect("it failed");
    assert_eq!(failure.error_type, "NonDeterministicOrchestration");
    let expected = "history #0 TimerCreated, code asked for ScheduleTask(Charge)";
    assert!(failure.error_message.contains(expected), "{}", failure.error_message);

    // The code is put right, and the instance goes on from where it was.
    life.shut_down().await;
    let life = place.open(App::new().orchestrator(ChainOfEvents)).await;
    life.client().rewind("c", "deployed the right code").await.unwrap();
    let ended = life.client().wait_for_completion("c").await.unwrap();
    assert_eq!(ended.output::<u64>().unwrap(), 1);
    life.shut_down().await;
}

#[orchestrator]
async fn chain_of_events(ctx: OrchestrationContext, _: ()) -> Result<u64> {
    let timer = ctx.create_timer(days(1));
    let number = ctx.wait_for_event("go").await?;
    timer.await;
    Ok(number)
}

mod changed {
    use duramen::prelude::*;

    #[orchestrator(name = "ChainOfEvents")]
    pub(super) async fn other_chain_of_events(ctx: OrchestrationContext, _: ()) -> Result<u64> {
        let _: () = ctx.call_activity("Charge", ()).await?;
        Ok(ctx.wait_for_event("go").await?)
    }
}

#[tokio::test]
async fn work_without_a_worker_waits_for_one_that_can_do_it() {
    check(async |place| {
        // The worker that is there leaves alone what it does not know.
        let life = place.open(App::new().orchestrator(Echo).only_registered()).await;
        let handle: Handle<u64> = life.client().start("WaitForGo", ()).id("w").await.unwrap();
        handle.raise_event("go", 5).await.unwrap();
        life.idle().await;
        assert_eq!(life.client().get("w").await.unwrap().unwrap().status(), OrchestrationStatus::Pending);
        drop((handle, life));
        let life = place.open(plain()).await;
        assert_eq!(life.client().wait_for_completion("w").await.unwrap().output::<u64>().unwrap(), 5);
        life.shut_down().await;
    })
    .await;
}

#[tokio::test]
async fn a_hub_that_was_shut_down_says_so_to_whoever_asks() {
    let place = Place::new(false);
    let life = place.open(plain()).await;
    let client = life.client();
    let handle = client.start(WaitForGo, ()).id("w").await.unwrap();
    handle.started().await.unwrap();
    let waits = handle.wait();
    let (waited, ()) = futures::join!(waits, life.shut_down());
    for error in
        [waited.unwrap_err(), client.get("w").await.unwrap_err(), handle.raise_event("go", 1).await.unwrap_err()]
    {
        assert_eq!(error.to_string(), "the hub has stopped: it was shut down");
    }
}
