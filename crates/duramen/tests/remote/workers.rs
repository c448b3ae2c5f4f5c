//! A worker of a server: what it keeps, and what becomes of its work when the connection, the server or itself goes.

use crate::relay::Relay;
use crate::support::Server;
use duramen::prelude::*;
use duramen::worker::WorkerOptions;
use duramen::{Handle, RunningWorker};
use duramen_backend::Memory;
use duramen_embedded::Embedded;
use duramen_hub::{Hub, Options};
use duramen_server::GrpcOptions;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// What the activities of a test share with it.
#[derive(Default)]
struct Shared {
    ran: AtomicUsize,
    /// One for each gated activity that has begun.
    begun: Permits,
    /// One lets one of them end.
    gate: Permits,
}

/// What somebody gives and somebody waits for.
struct Permits(Semaphore);

impl Default for Permits {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Permits {
    fn give(&self, permits: usize) {
        self.0.add_permits(permits);
    }

    async fn take(&self) {
        let waited = tokio::time::timeout(PATIENCE, self.0.acquire()).await;
        waited.expect("it should have happened by now").expect("nobody closes it").forget();
    }
}

/// Longer than anything here takes, and short enough to wait for when something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

struct Work(Arc<Shared>);

#[activities]
impl Work {
    async fn step(&self, _ctx: ActivityContext, n: u64) -> Result<u64> {
        self.0.ran.fetch_add(1, Ordering::Relaxed);
        Ok(n + 1)
    }

    async fn gated(&self, _ctx: ActivityContext, n: u64) -> Result<u64> {
        self.0.begun.give(1);
        self.0.gate.take().await;
        Ok(n)
    }

    async fn text(&self, _ctx: ActivityContext, bytes: usize) -> Result<String> {
        Ok("x".repeat(bytes))
    }

    async fn length(&self, _ctx: ActivityContext, text: String) -> Result<usize> {
        Ok(text.len())
    }
}

#[orchestrator]
async fn steps(ctx: OrchestrationContext, n: u64) -> Result<u64> {
    let mut done = 0;
    while done < n {
        done = ctx.call_activity("Step", done).await?;
    }
    Ok(done)
}

#[orchestrator]
async fn passes_the_gate(ctx: OrchestrationContext, n: u64) -> Result<u64> {
    Ok(ctx.call_activity("Gated", n).await?)
}

/// Many large inputs in one answer.
#[orchestrator]
async fn sends_much(ctx: OrchestrationContext, (calls, bytes): (usize, usize)) -> Result<usize> {
    let lengths: Vec<usize> = ctx.all((0..calls).map(|_| ctx.call_activity("Length", "x".repeat(bytes)))).await?;
    Ok(lengths.into_iter().sum())
}

/// Has a long history when it waits for `go`.
#[orchestrator]
async fn remembers_much(ctx: OrchestrationContext, (calls, bytes): (usize, usize)) -> Result<usize> {
    let mut sum = 0;
    for _ in 0..calls {
        let text: String = ctx.call_activity("Text", bytes).await?;
        sum += text.len();
    }
    let more: usize = ctx.wait_for_event("go").await?;
    Ok(sum + more)
}

fn app(shared: &Arc<Shared>) -> App {
    App::new()
        .orchestrator(Steps)
        .orchestrator(PassesTheGate)
        .orchestrator(SendsMuch)
        .orchestrator(RemembersMuch)
        .activities(Work(Arc::clone(shared)))
}

async fn in_memory() -> Hub {
    Hub::run(Arc::new(Memory::new()), Options::default()).await.expect("it runs")
}

async fn in_folder(folder: &Path) -> Hub {
    let store = Embedded::open(folder, duramen_embedded::Options::default()).expect("it opens");
    Hub::run(Arc::new(store), Options::default()).await.expect("it runs")
}

/// A task hub on a server, and a worker of it.
async fn connected(url: &str, shared: &Arc<Shared>) -> (TaskHub, RunningWorker) {
    let hub = TaskHub::connect(url).await.expect("it is there");
    let worker = hub.run_worker(app(shared)).await.expect("it starts");
    (hub, worker)
}

async fn output<O: duramen::Output>(handle: &Handle<O>) -> O {
    let waited = tokio::time::timeout(PATIENCE, handle.wait()).await;
    waited.expect("it should have ended by now").expect("it completes")
}

#[tokio::test]
async fn the_same_code_runs_through_a_server() {
    let shared = Arc::<Shared>::default();
    let server = Server::of(in_memory().await).await;
    let (hub, worker) = connected(&server.url(), &shared).await;
    let handle = hub.client().start(Steps, 5).await.unwrap();
    assert_eq!((output(&handle).await, shared.ran.load(Ordering::Relaxed)), (5, 5));
    worker.shutdown().await.unwrap();
}

/// Every connection breaks again and again in mid-run: the worker comes back by itself, every orchestration ends with
/// the right result, and no step is in a history twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_lose_and_double_nothing() {
    let shared = Arc::<Shared>::default();
    let server = Server::of(in_memory().await).await;
    let relay = Relay::to(server.address).await;
    let direct = TaskHub::connect(&server.url()).await.unwrap();
    let (_hub, worker) = connected(&relay.url(), &shared).await;
    let mut handles = Vec::new();
    for _ in 0..20 {
        handles.push(direct.client().start(Steps, 30).await.unwrap());
    }
    let mut cuts = 0;
    while shared.ran.load(Ordering::Relaxed) < 20 * 30 && cuts < 3 {
        let before = shared.ran.load(Ordering::Relaxed);
        while shared.ran.load(Ordering::Relaxed) < before + 50 {
            tokio::task::yield_now().await;
        }
        relay.cut();
        cuts += 1;
    }
    for handle in &handles {
        assert_eq!(output(handle).await, 30);
        let history = direct.client().history(handle.id()).await.unwrap().to_text();
        assert_eq!(history.matches("TaskCompleted").count(), 30, "{history}");
    }
    assert_eq!(cuts, 3);
    worker.shutdown().await.unwrap();
}

/// The server's process is replaced over the same store, with work in hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_started_again_has_its_worker_back() {
    let shared = Arc::<Shared>::default();
    let folder = tempfile::tempdir().unwrap();
    let first = in_folder(folder.path()).await;
    let server = Server::of(first.clone()).await;
    let address = server.address.to_string();
    let (hub, worker) = connected(&server.url(), &shared).await;
    let mut handles = Vec::new();
    for _ in 0..10 {
        handles.push(hub.client().start(Steps, 20).await.unwrap());
    }
    let waits = hub.client().start(PassesTheGate, 7).await.unwrap();
    shared.begun.take().await;
    while shared.ran.load(Ordering::Relaxed) < 50 {
        tokio::task::yield_now().await;
    }
    server.kill().await;
    first.shutdown(Duration::ZERO).await.unwrap();
    drop(first);

    let _server = Server::at(&address, in_folder(folder.path()).await).await;
    // The activity that is still in hand is handed out again, since its first answer is about an old lease.
    shared.begun.take().await;
    shared.gate.give(2);
    assert_eq!(output(&waits).await, 7);
    for handle in &handles {
        assert_eq!(output(handle).await, 20);
        let history = hub.client().history(handle.id()).await.unwrap().to_text();
        assert_eq!(history.matches("TaskCompleted").count(), 20, "{history}");
    }
    worker.shutdown().await.unwrap();
}

/// What was in hand when the stream broke is answered over the next connection.
#[tokio::test]
async fn an_item_of_a_broken_stream_is_answered_over_the_next() {
    let shared = Arc::<Shared>::default();
    let server = Server::of(in_memory().await).await;
    let relay = Relay::to(server.address).await;
    let (_hub, _worker) = connected(&relay.url(), &shared).await;
    let direct = TaskHub::connect(&server.url()).await.unwrap();
    let handle = direct.client().start(PassesTheGate, 3).await.unwrap();
    shared.begun.take().await;
    relay.cut();
    // One of the client's and one of the worker's; then the worker comes again.
    while relay.made() < 3 {
        tokio::task::yield_now().await;
    }
    shared.gate.give(2);
    assert_eq!(output(&handle).await, 3);
}

#[tokio::test]
async fn a_shutdown_waits_for_what_is_in_hand_and_its_answer() {
    let shared = Arc::<Shared>::default();
    let server = Server::of(in_memory().await).await;
    let (hub, worker) = connected(&server.url(), &shared).await;
    let handle = hub.client().start(PassesTheGate, 4).await.unwrap();
    shared.begun.take().await;
    let stopped = tokio::spawn(worker.shutdown());
    shared.gate.give(1);
    stopped.await.unwrap().unwrap();
    let history = hub.client().history(handle.id()).await.unwrap().to_text();
    assert!(!history.contains("TaskCompleted"), "no worker has run the next episode: {history}");
    let _next = hub.run_worker(app(&shared)).await.unwrap();
    assert_eq!(output(&handle).await, 4);
    assert_eq!(shared.begun.0.available_permits(), 0, "it was not done again");
}

#[tokio::test]
async fn what_a_shutdown_cannot_wait_for_goes_to_another_worker() {
    let shared = Arc::<Shared>::default();
    let server = Server::of(in_memory().await).await;
    let hub = TaskHub::connect(&server.url()).await.unwrap();
    let mut options = WorkerOptions::default();
    options.drain = Duration::from_millis(10);
    let worker = hub.run_worker_with(app(&shared), options).await.unwrap();
    let handle = hub.client().start(PassesTheGate, 5).await.unwrap();
    shared.begun.take().await;
    let error = worker.shutdown().await.unwrap_err().to_string();
    assert!(error.contains("1 items in hand"), "{error}");
    let _next = hub.run_worker(app(&shared)).await.unwrap();
    shared.begun.take().await;
    shared.gate.give(2);
    assert_eq!(output(&handle).await, 5);
}

/// Its answer does not get through, and what it gives back neither.
#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_server_that_says_nothing() {
    let shared = Arc::<Shared>::default();
    let server = Server::of(in_memory().await).await;
    let relay = Relay::to(server.address).await;
    let hub = TaskHub::connect(&relay.url()).await.unwrap();
    let mut options = WorkerOptions::default();
    options.drain = Duration::from_millis(10);
    let worker = hub.run_worker_with(app(&shared), options).await.unwrap();
    hub.client().start(PassesTheGate, 5).await.unwrap();
    shared.begun.take().await;
    relay.freeze(false);
    let stopped = tokio::time::timeout(PATIENCE, worker.shutdown()).await;
    stopped.expect("it stops").unwrap_err();
}

/// An answer of ten megabytes, and items with inputs over what other SDKs receive.
#[tokio::test]
async fn large_answers_and_items_go_through() {
    let shared = Arc::<Shared>::default();
    let server = Server::of(in_memory().await).await;
    let (hub, _worker) = connected(&server.url(), &shared).await;
    let many = hub.client().start(SendsMuch, (100, 100_000)).await.unwrap();
    let one = hub.client().start(SendsMuch, (1, 9_000_000)).await.unwrap();
    assert_eq!((output(&many).await, output(&one).await), (10_000_000, 9_000_000));
}

/// Steps after which a worker that had no sessions would have been sent a hundred times the history.
#[tokio::test]
async fn a_long_orchestration_is_not_replayed_at_each_step() {
    let server = Server::of(in_memory().await).await;
    let hub = TaskHub::connect(&server.url()).await.unwrap();
    let shared = Arc::<Shared>::default();
    let _worker = hub.run_worker(app(&shared).orchestrator(CountsItsBeginnings)).await.unwrap();
    let handle = hub.client().start(CountsItsBeginnings, 200).await.unwrap();
    assert_eq!(output(&handle).await, 200);
    assert_eq!(BEGINNINGS.load(Ordering::Relaxed), 1);
}

static BEGINNINGS: AtomicUsize = AtomicUsize::new(0);

#[orchestrator]
async fn counts_its_beginnings(ctx: OrchestrationContext, n: u64) -> Result<u64> {
    BEGINNINGS.fetch_add(1, Ordering::Relaxed);
    let mut done = 0;
    while done < n {
        done = ctx.call_activity("Step", done).await?;
    }
    Ok(done)
}

/// A worker that has not seen a history of three megabytes fetches it.
#[tokio::test]
async fn a_long_history_is_fetched() {
    let shared = Arc::<Shared>::default();
    let server = Server::of(in_memory().await).await;
    let (hub, worker) = connected(&server.url(), &shared).await;
    let handle = hub.client().start(RemembersMuch, (30, 100_000)).await.unwrap();
    while hub.client().history(handle.id()).await.unwrap().to_text().matches("TaskCompleted").count() < 30 {
        tokio::task::yield_now().await;
    }
    worker.shutdown().await.unwrap();
    let _next = hub.run_worker(app(&shared)).await.unwrap();
    handle.raise_event("go", 1).await.unwrap();
    assert_eq!(output(&handle).await, 3_000_001);
}

/// The message names what was too large, and nobody tries for ever.
#[tokio::test]
async fn what_the_server_does_not_take_fails_with_the_reason() {
    let shared = Arc::<Shared>::default();
    let options = GrpcOptions { receive_bytes: 2 << 20, ..GrpcOptions::default() };
    let server = Server::with("127.0.0.1:0", in_memory().await, options).await;
    let (hub, _worker) = connected(&server.url(), &shared).await;
    let result = hub.client().start(RemembersMuch, (1, 3_000_000)).await.unwrap();
    let failed = failure(tokio::time::timeout(PATIENCE, result.wait()).await.unwrap().unwrap_err());
    assert!(failed.to_string().contains("3000"), "{failed}");
    assert!(failed.to_string().contains("more than the server takes"), "{failed}");
    let action = hub.client().start(SendsMuch, (1, 3_000_000)).await.unwrap();
    let failed = failure(tokio::time::timeout(PATIENCE, action.wait()).await.unwrap().unwrap_err());
    assert_eq!(failed.error_type(), "EpisodeTooLarge");
}

fn failure(error: ClientError) -> TaskFailed {
    match error {
        ClientError::Failed { failure, .. } => failure,
        other => panic!("it should have failed, but: {other}"),
    }
}

/// Each worker gets what it has, and a worker with room for one kind alone gets that.
#[tokio::test]
async fn workers_get_what_they_announce() {
    let shared = Arc::<Shared>::default();
    let server = Server::of(in_memory().await).await;
    let hub = TaskHub::connect(&server.url()).await.unwrap();
    let _orchestrators = hub.run_worker(App::new().orchestrator(Steps).only_registered()).await.unwrap();
    let mut options = WorkerOptions::default();
    options.orchestrators = 0;
    let activities = App::new().activities(Work(Arc::clone(&shared)));
    let _activities = hub.run_worker_with(activities, options).await.unwrap();
    let handle = hub.client().start(Steps, 20).await.unwrap();
    assert_eq!(output(&handle).await, 20);
    assert_eq!(shared.ran.load(Ordering::Relaxed), 20);
}

static BLOCKED: AtomicUsize = AtomicUsize::new(0);

/// Blocks its thread for ever, the first time.
#[orchestrator]
async fn blocks_once(_ctx: OrchestrationContext, _: ()) -> Result<usize> {
    let before = BLOCKED.fetch_add(1, Ordering::Relaxed);
    if before == 0 {
        loop {
            std::thread::park();
        }
    }
    Ok(before)
}

/// The worker in which it did not come back leaves it to others.
#[tokio::test]
async fn an_orchestrator_that_does_not_come_back_goes_to_another_worker() {
    let mut options = Options::default();
    options.settings.episode_limit = Duration::from_millis(300);
    let hub = Hub::run(Arc::new(Memory::new()), options).await.unwrap();
    let server = Server::of(hub).await;
    let hub = TaskHub::connect(&server.url()).await.unwrap();
    let mut options = WorkerOptions::default();
    options.stuck_after = Duration::from_millis(50);
    options.threads = 1;
    let shared = Arc::<Shared>::default();
    let _first = hub.run_worker_with(app(&shared).orchestrator(BlocksOnce), options).await.unwrap();
    let handle = hub.client().start(BlocksOnce, ()).await.unwrap();
    // Its thread was replaced: others go on.
    while BLOCKED.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(output(&hub.client().start(Steps, 3).await.unwrap()).await, 3);
    let _second = hub.run_worker(app(&shared).orchestrator(BlocksOnce)).await.unwrap();
    assert_eq!(output(&handle).await, 1);
}
