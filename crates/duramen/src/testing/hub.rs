//! A hub for tests.

use crate::app::ActivityFn;
use crate::worker::{Worker, WorkerOptions};
use crate::{
    Activities, Activity, ActivityCallee, App, Client, DurableError, Error, Orchestrator, OrchestratorCallee, Output,
    Result, RunningWorker, TaskHub, json,
};
use duramen_backend::Memory;
use duramen_hub::{Clock, Hub, Options, VirtualClock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;

/// The real hub, in memory, on a virtual clock, with a worker. It starts when it is first used, on the tokio
/// runtime of the test; what is set after that has no effect.
///
/// Time moves only while somebody waits for an instance, and nothing else is left to do.
pub struct TestHub {
    app: App,
    options: Options,
    worker: WorkerOptions,
    clock: VirtualClock,
    /// Whether the worker is elsewhere.
    works_elsewhere: bool,
    running: OnceLock<Running>,
}

struct Running {
    hub: Hub,
    _worker: Option<Worker>,
}

impl Default for TestHub {
    fn default() -> Self {
        Self::new()
    }
}

impl TestHub {
    /// A hub whose worker can run nothing yet.
    pub fn new() -> Self {
        let clock = VirtualClock::default();
        Self {
            app: App::new(),
            options: Options { clock: Clock::Virtual(clock.clone()), ..Options::default() },
            // A test that stands in a debugger is not stuck.
            worker: WorkerOptions { stuck_after: Duration::ZERO, ..WorkerOptions::default() },
            clock,
            works_elsewhere: false,
            running: OnceLock::new(),
        }
    }

    /// Runs these functions, besides those that are added.
    #[must_use]
    pub fn app(mut self, app: App) -> Self {
        self.app = app;
        self
    }

    /// Adds an orchestrator.
    #[must_use]
    pub fn orchestrator<F: Orchestrator>(mut self, token: F) -> Self {
        self.app = self.app.orchestrator(token);
        self
    }

    /// Adds an activity.
    #[must_use]
    pub fn activity<F: Activity>(mut self, token: F) -> Self {
        self.app = self.app.activity(token);
        self
    }

    /// Adds the activities of an `impl` under `#[activities]`.
    #[must_use]
    pub fn activities(mut self, value: impl Activities) -> Self {
        self.app = self.app.activities(value);
        self
    }

    /// Makes errors of this type travel whole.
    #[must_use]
    pub fn error<E: DurableError>(mut self) -> Self {
        self.app = self.app.error::<E>();
        self
    }

    /// Puts a closure in the place of an activity, given by its token or its name.
    #[must_use]
    pub fn mock<A, I, O, F>(mut self, activity: A, with: F) -> Self
    where
        A: ActivityCallee<I, O>,
        I: DeserializeOwned,
        O: Serialize,
        F: Fn(I) -> Result<O> + Send + Sync + 'static,
    {
        let name = activity.name().to_owned();
        let with = Arc::new(with);
        let run: ActivityFn = {
            let name = name.clone();
            Arc::new(move |_, input| {
                let (with, name) = (Arc::clone(&with), name.clone());
                Box::pin(async move { call("mocked activity", &name, &*with, input) })
            })
        };
        self.app.replace_activity(&name, run);
        self
    }

    /// Puts a closure in the place of an orchestrator, given by its token or its name.
    #[must_use]
    pub fn mock_orchestrator<A, I, O, F>(mut self, orchestrator: A, with: F) -> Self
    where
        A: OrchestratorCallee<I, O>,
        I: DeserializeOwned,
        O: Serialize,
        F: Fn(I) -> Result<O> + Send + Sync + 'static,
    {
        let name = orchestrator.name().to_owned();
        let with = Arc::new(with);
        let run = {
            let name = name.clone();
            move |_, input| {
                let (with, name) = (Arc::clone(&with), name.clone());
                Box::pin(async move { call("mocked orchestrator", &name, &*with, input) }) as _
            }
        };
        self.app.replace_orchestrator(&name, Arc::new(run));
        self
    }

    /// Has instances leave memory whenever they may, so that they are loaded and replayed as often as possible.
    #[must_use]
    pub fn evict_at_once(mut self) -> Self {
        self.options.settings.resident = 0;
        self
    }

    /// Runs every episode of every orchestrator twice. One that does something else the second time, because it
    /// looks at the clock, at random numbers or at anything outside, fails with both shown.
    #[must_use]
    pub fn run_twice(mut self) -> Self {
        self.worker.run_twice = true;
        self
    }

    /// Changes how the hub runs.
    #[must_use]
    pub fn options(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// Changes how the worker runs.
    #[must_use]
    pub fn worker_options(mut self, change: impl FnOnce(&mut WorkerOptions)) -> Self {
        change(&mut self.worker);
        self
    }

    /// Has no worker of its own: [`work_through`](Self::work_through) starts one.
    #[must_use]
    pub fn without_worker(mut self) -> Self {
        self.works_elsewhere = true;
        self
    }

    /// Starts a worker with its functions that takes work through a task hub: one that leads to the same hub over a
    /// server, say.
    pub async fn work_through(&self, hub: &TaskHub) -> Result<RunningWorker> {
        hub.run_worker_with(self.app.clone(), self.worker.clone()).await
    }

    /// Starts an orchestrator and waits for its output.
    pub async fn run<C, I, O>(&self, orchestrator: C, input: I) -> Result<O>
    where
        C: OrchestratorCallee<I, O>,
        O: Output,
    {
        Ok(self.client().start(orchestrator, input).await?.wait().await?)
    }

    /// Starts and manages instances.
    pub fn client(&self) -> Client {
        Client::local(self.running().hub.clone())
    }

    /// The hub itself, for what takes one: a server, say.
    pub fn hub(&self) -> Hub {
        self.running().hub.clone()
    }

    /// The hub's clock. [`VirtualClock::advance`] moves it by hand.
    pub fn clock(&self) -> &VirtualClock {
        &self.clock
    }

    fn running(&self) -> &Running {
        self.running.get_or_init(|| {
            let runtime = Handle::try_current().expect("a TestHub is used within a tokio runtime (#[tokio::test])");
            let hub = Hub::start(Arc::new(Memory::new()), self.options.clone()).expect("the options are in range");
            let worker = (!self.works_elsewhere).then(|| {
                let worker = Worker::start(self.app.clone(), self.worker.clone(), runtime);
                worker.attach_to(&hub);
                worker
            });
            Running { hub, _worker: worker }
        })
    }
}

impl std::fmt::Debug for TestHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestHub").field("app", &self.app).field("clock", &self.clock).finish_non_exhaustive()
    }
}

fn call<I, O>(what: &str, name: &str, with: &dyn Fn(I) -> Result<O>, input: Option<String>) -> Result<String, Error>
where
    I: DeserializeOwned,
    O: Serialize,
{
    let input = json::from_text(input.as_deref()).map_err(|error| Error::bad_input(what, name, &error))?;
    Ok(json::to_text(&with(input)?)?)
}
