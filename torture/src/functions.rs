//! The orchestrators and activities that run under the kills. What each must come to follows from its
//! input alone, so a wrong result is seen without trusting anything that was stored.

use crate::witness::{Line, Ran, Witness};
use duramen::prelude::*;
use serde::{Deserialize, Serialize};
use stages::{Flaky, Gate, Step};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The event for which `Events` and `Eternal` wait.
pub(crate) const GO: &str = "go";

/// The input of every orchestrator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Names the start that made it; no two starts have the same.
    pub(crate) key: String,
    pub(crate) size: u32,
    /// Makes records larger.
    pub(crate) pad: String,
    /// What the generations before have got.
    #[serde(default)]
    pub(crate) got: Vec<String>,
}

impl Job {
    /// The data of the events that the job needs.
    pub(crate) fn events(&self) -> impl Iterator<Item = String> {
        (0..self.size).map(|number| format!("{}/e{number}", self.key))
    }

    /// The key of a child.
    fn child(&self, number: u32, size: u32) -> Self {
        Self { key: format!("{}/c{number}", self.key), size, ..Self::default() }
    }
}

/// The input of an activity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stage {
    pub(crate) key: String,
    pub(crate) index: u32,
    pub(crate) value: u64,
    pub(crate) pad: String,
}

impl Stage {
    fn of(job: &Job, index: u32, value: u64) -> Self {
        Self { key: job.key.clone(), index, value, pad: job.pad.clone() }
    }

    /// What the activity gives for it.
    pub(crate) fn result(&self) -> u64 {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let numbers = self.index.to_le_bytes().into_iter().chain(self.value.to_le_bytes());
        for byte in self.key.bytes().chain(numbers) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        hash
    }
}

/// The activities, with the witness of their runs.
pub(crate) struct Stages {
    pub(crate) witness: Arc<Witness>,
    /// Where a file opens the gate of its name.
    pub(crate) gates: PathBuf,
}

#[activities]
impl Stages {
    async fn step(&self, ctx: ActivityContext, stage: Stage) -> Result<u64> {
        // Some take a while, so that kills find them running.
        if stage.result().is_multiple_of(16) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.ran(&ctx, &stage);
        Ok(stage.result())
    }

    /// Fails as often as the index of its input says. A retry is the second action after the attempt
    /// before it: between them is the timer of the pause.
    async fn flaky(&self, ctx: ActivityContext, stage: Stage) -> Result<u64> {
        self.ran(&ctx, &stage);
        if ctx.task_id() / 2 < i32::try_from(stage.index).unwrap_or(i32::MAX) {
            return Err(Error::msg("not yet"));
        }
        Ok(stage.result())
    }

    /// Fails until somebody has opened the gate.
    async fn gate(&self, ctx: ActivityContext, stage: Stage) -> Result<u64> {
        self.ran(&ctx, &stage);
        if !self.gates.join(gate_file(&stage.key)).exists() {
            return Err(Error::non_retriable(Error::msg("the gate is closed")));
        }
        Ok(stage.result())
    }
}

impl Stages {
    fn ran(&self, ctx: &ActivityContext, stage: &Stage) {
        let key = ctx.idempotency_key();
        let (execution, _) = key.split_once(':').expect("a key is an execution and an action");
        self.witness.note(&Line::Ran(Ran {
            instance: ctx.instance_id().to_owned(),
            execution: execution.to_owned(),
            action: ctx.task_id(),
            name: ctx.name().to_owned(),
            input: serde_json::to_string(stage).expect("an input is plain data"),
        }));
    }
}

/// The name of the file that opens a gate.
pub(crate) fn gate_file(key: &str) -> String {
    key.replace('/', "_")
}

#[orchestrator]
async fn chain(ctx: OrchestrationContext, job: Job) -> Result<u64> {
    let mut value = 0;
    for index in 0..job.size {
        value = ctx.call_activity(Step, Stage::of(&job, index, value)).await?;
    }
    Ok(value)
}

#[orchestrator]
async fn fan_out(ctx: OrchestrationContext, job: Job) -> Result<u64> {
    let all = ctx.all((0..job.size).map(|index| ctx.call_activity(Step, Stage::of(&job, index, 0)))).await?;
    Ok(all.into_iter().fold(0, |sum, value| sum ^ value))
}

#[orchestrator]
async fn timers(ctx: OrchestrationContext, job: Job) -> Result<u64> {
    let mut value = 0;
    for index in 0..job.size {
        let pause = Duration::from_millis(u64::from(index) * 15 + 1);
        let (first, ()) = ctx.any([ctx.create_timer(Duration::from_secs(3_600)), ctx.create_timer(pause)]).await;
        value = ctx.call_activity(Step, Stage::of(&job, index, value ^ first as u64)).await?;
    }
    Ok(value)
}

#[orchestrator]
async fn status(ctx: OrchestrationContext, job: Job) -> Result<u64> {
    let mut value = 0;
    for index in 0..job.size {
        ctx.set_custom_status(&(index + 1))?;
        value = ctx.call_activity(Step, Stage::of(&job, index, value)).await?;
    }
    Ok(value)
}

#[orchestrator]
async fn retry(ctx: OrchestrationContext, job: Job) -> Result<u64> {
    let policy = RetryPolicy::fixed(job.size + 1, Duration::from_millis(10));
    Ok(ctx.call_activity(Flaky, Stage::of(&job, job.size, 0)).retry(policy).await?)
}

/// Fails at its gate, and goes through when it is rewound after the gate was opened.
#[orchestrator]
async fn doomed(ctx: OrchestrationContext, job: Job) -> Result<u64> {
    let beside = ctx.call_activity(Step, Stage::of(&job, 0, 0));
    let value = ctx.call_activity(Gate, Stage::of(&job, 1, 0)).await?;
    Ok(beside.await? ^ value)
}

#[orchestrator]
async fn parent(ctx: OrchestrationContext, job: Job) -> Result<u64> {
    let children = (0..job.size).map(|number| {
        let child = ctx.call_sub_orchestrator(Chain, job.child(number, 2));
        if number % 2 == 0 { child.instance_id(format!("{}.c{number}", ctx.instance_id())) } else { child }
    });
    let all = ctx.all(children.collect::<Vec<_>>()).await?;
    Ok(all.into_iter().fold(0, |sum, value| sum ^ value))
}

/// Gives what it got, in order.
#[orchestrator]
async fn events(ctx: OrchestrationContext, job: Job) -> Result<Vec<String>> {
    let mut got: Vec<String> = Vec::new();
    while distinct(&got) < job.size {
        got.push(ctx.wait_for_event(GO).await?);
    }
    Ok(got)
}

/// The same, with a generation for each event.
#[orchestrator]
async fn eternal(ctx: OrchestrationContext, mut job: Job) -> Result<Vec<String>> {
    let generation = u32::try_from(job.got.len()).unwrap_or(u32::MAX);
    ctx.set_custom_status(&generation)?;
    ctx.call_activity(Step, Stage::of(&job, generation, 0)).await?;
    job.got.push(ctx.wait_for_event(GO).await?);
    if distinct(&job.got) == job.size {
        return Ok(job.got);
    }
    Err(ctx.continue_as_new(job))?
}

/// Waits for what never comes.
#[orchestrator]
async fn long(ctx: OrchestrationContext, _job: Job) -> Result<()> {
    Ok(ctx.wait_for_event("never").await?)
}

/// The same, with children that do so too.
#[orchestrator]
async fn family(ctx: OrchestrationContext, job: Job) -> Result<()> {
    let members = (0..job.size).map(|number| {
        let id = format!("{}.f{number}", ctx.instance_id());
        ctx.call_sub_orchestrator(Long, job.child(number, 0)).instance_id(id)
    });
    ctx.all(members.collect::<Vec<_>>()).await?;
    Ok(())
}

fn distinct(events: &[String]) -> u32 {
    u32::try_from(events.iter().collect::<BTreeSet<_>>().len()).unwrap_or(u32::MAX)
}

/// All of them.
pub(crate) fn app(stages: Stages) -> App {
    App::new()
        .activities(stages)
        .orchestrator(Chain)
        .orchestrator(FanOut)
        .orchestrator(Timers)
        .orchestrator(Status)
        .orchestrator(Retry)
        .orchestrator(Doomed)
        .orchestrator(Parent)
        .orchestrator(Events)
        .orchestrator(Eternal)
        .orchestrator(Long)
        .orchestrator(Family)
}

/// What a job must come to when it is not terminated.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// This number.
    Value(u64),
    /// What it got: each event of the job.
    Events,
    /// It does not end by itself.
    Never,
}

/// What an orchestrator must come to, by its name and input; `None` for an unknown one.
pub(crate) fn outcome(orchestrator: &str, job: &Job) -> Option<Outcome> {
    let chain =
        |job: &Job, change: u64| (0..job.size).fold(0, |value, index| Stage::of(job, index, value ^ change).result());
    let value = match orchestrator {
        "Chain" | "Status" => chain(job, 0),
        // The timer that fires is the second of two.
        "Timers" => chain(job, 1),
        "FanOut" => (0..job.size).fold(0, |sum, index| sum ^ Stage::of(job, index, 0).result()),
        "Retry" => Stage::of(job, job.size, 0).result(),
        "Doomed" => Stage::of(job, 0, 0).result() ^ Stage::of(job, 1, 0).result(),
        "Parent" => (0..job.size).fold(0, |sum, number| sum ^ chain(&job.child(number, 2), 0)),
        "Events" | "Eternal" => return Some(Outcome::Events),
        "Long" | "Family" => return Some(Outcome::Never),
        _ => return None,
    };
    Some(Outcome::Value(value))
}
