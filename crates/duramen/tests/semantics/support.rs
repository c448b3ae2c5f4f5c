//! What the scenarios have in common.

use crate::server::Server;
use duramen::prelude::*;
use duramen::testing::TestHub;
use duramen::{Client, OrchestratorCallee, Output, RunningWorker};
use duramen_core::time::Time;
use std::ops::Deref;
use std::time::Duration;

/// A hub, with its client and worker in this process or beyond a server.
pub(crate) struct Stage {
    hub: TestHub,
    beyond: Option<Beyond>,
}

struct Beyond {
    client: Client,
    _worker: RunningWorker,
    _server: Server,
}

impl Stage {
    /// The hub behind a server, and client and worker connected to that.
    async fn behind_server(hub: TestHub) -> Self {
        let hub = hub.without_worker();
        let server = Server::of(hub.hub()).await;
        let there = TaskHub::connect(&server.url()).await.expect("it listens");
        let worker = hub.work_through(&there).await.expect("it starts");
        // Nothing is with a worker before it is there, and the clock would move: it is, once it has refused something.
        let client = there.client();
        let unknown = client.start::<_, _, ()>("NobodyKnowsThis", ()).id("probe").await.expect("it is taken");
        unknown.wait().await.expect_err("nobody knows it");
        client.purge("probe").await.expect("it goes");
        Self { hub, beyond: Some(Beyond { client, _worker: worker, _server: server }) }
    }

    pub(crate) fn client(&self) -> Client {
        self.beyond.as_ref().map_or_else(|| self.hub.client(), |beyond| beyond.client.clone())
    }

    pub(crate) async fn run<C, I, O>(&self, orchestrator: C, input: I) -> Result<O>
    where
        C: OrchestratorCallee<I, O>,
        O: Output,
    {
        Ok(self.client().start(orchestrator, input).await?.wait().await?)
    }
}

impl From<TestHub> for Stage {
    fn from(hub: TestHub) -> Self {
        Self { hub, beyond: None }
    }
}

impl Deref for Stage {
    type Target = TestHub;

    fn deref(&self) -> &TestHub {
        &self.hub
    }
}

/// Runs a scenario as [`check_here`] does, and with client and worker connected to a server.
pub(crate) async fn check(hub: impl Fn() -> TestHub, scenario: impl AsyncFn(&Stage)) {
    check_here(&hub, &scenario).await;
    eprintln!("through a server");
    scenario(&Stage::behind_server(hub()).await).await;
}

/// Runs a scenario with sessions in memory; with instances that leave it whenever they may, so that every episode
/// begins with a load and a replay; and with several partitions, between which instances send messages, and every
/// episode run twice.
pub(crate) async fn check_here(hub: impl Fn() -> TestHub, scenario: impl AsyncFn(&Stage)) {
    // Shown when the scenario fails.
    eprintln!("with sessions in memory");
    scenario(&hub().into()).await;
    eprintln!("with instances that leave memory whenever they may");
    scenario(&hub().evict_at_once().into()).await;
    eprintln!("with three partitions");
    scenario(&hub().options(|options| options.partitions = 3).run_twice().into()).await;
}

/// Returns when everything has been done that needs neither time nor a client.
pub(crate) async fn idle(t: &Stage) {
    let wait = t.client().wait_for_completion("nobody-has-this-id").timeout(Duration::from_nanos(1));
    wait.await.expect_err("there is no such instance");
}

/// The state of an instance that exists.
pub(crate) async fn state(t: &Stage, id: &str) -> Instance {
    t.client().get(id).await.expect("the hub answers").unwrap_or_else(|| panic!("there is no instance {id}"))
}

/// The history of an instance, a line an event: its id, and its kind with what it is about.
pub(crate) async fn history(t: &Stage, id: &str) -> Vec<String> {
    lines(&t.client().history(id).await.expect("it has a history").to_text())
}

/// The same of a history's text.
pub(crate) fn lines(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let mut words = line.split(' ');
        let (id, _time, kind) = (words.next()?, words.next()?, words.next()?);
        Some(format!("{id} {kind}"))
    };
    text.lines().filter_map(line).collect()
}

/// Why an instance failed.
pub(crate) fn failure(error: ClientError) -> TaskFailed {
    match error {
        ClientError::Failed { failure, .. } => failure,
        other => panic!("it should have failed, but: {other}"),
    }
}

pub(crate) fn refusal(error: ClientError) -> Refusal {
    match error {
        ClientError::Refused(refusal) => refusal,
        other => panic!("it should have been refused, but: {other}"),
    }
}

/// Whole milliseconds since a time. Episodes at one time of the clock are a microsecond apart.
pub(crate) fn millis_since(t: &Stage, begun: Time) -> u128 {
    t.clock().now().since(begun).as_millis()
}

pub(crate) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(crate) const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

/// Ends with the number that is raised as "go".
#[orchestrator]
pub(crate) async fn wait_for_go(ctx: OrchestrationContext, _: ()) -> Result<u64> {
    Ok(ctx.wait_for_event("go").await?)
}

/// Gives back what it was given.
#[orchestrator]
pub(crate) async fn echo(_ctx: OrchestrationContext, text: String) -> Result<String> {
    Ok(text)
}

/// Fails with what it was given.
#[orchestrator]
pub(crate) async fn fail(_ctx: OrchestrationContext, text: String) -> Result<()> {
    Err(Error::msg(text))
}

/// A hub with the functions above.
pub(crate) fn hub() -> TestHub {
    TestHub::new().orchestrator(WaitForGo).orchestrator(Echo).orchestrator(Fail)
}
