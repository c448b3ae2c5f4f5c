//! What is run, and what its result must be.

use crate::marks;
use duramen::Client;
use duramen::prelude::*;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

/// A workload with its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Subcommand)]
pub(crate) enum Workload {
    /// A chain of 5 activities
    HelloCities,
    /// The same, one at a time
    Latency,
    /// One orchestration that calls N activities at once and adds up what they give
    FanOut {
        /// How many
        #[arg(value_name = "N", default_value_t = 1000)]
        n: u64,
    },
    /// One orchestration that calls N activities, each fed by the one before; shows how its first and its last
    /// thousand go
    Long {
        /// How many
        #[arg(value_name = "N", default_value_t = 10_000)]
        n: u64,
    },
    /// A parent with 10 children of one activity each; only parents are counted as orchestrations
    Sub,
    /// An orchestration that waits for 10 events, which the client raises; all of them at once
    Events,
}

const CITIES: [&str; 5] = ["Tokyo", "Seattle", "London", "Paris", "Oslo"];
const CHILDREN: u64 = 10;
const EVENTS: u64 = 10;

impl Workload {
    /// How many are run at a time unless told otherwise.
    pub(crate) fn usual_concurrency(self) -> usize {
        match self {
            Self::HelloCities | Self::Events => 100,
            Self::Sub => 10,
            Self::Latency | Self::FanOut { .. } | Self::Long { .. } => 1,
        }
    }

    /// How long new ones are started unless told otherwise; 0 runs as many as are run at a time, once.
    pub(crate) fn usual_seconds(self) -> u64 {
        match self {
            Self::FanOut { .. } | Self::Long { .. } => 0,
            Self::HelloCities | Self::Latency | Self::Sub | Self::Events => 20,
        }
    }

    /// Activities of one orchestration.
    pub(crate) fn activities(self) -> u64 {
        match self {
            Self::HelloCities | Self::Latency => CITIES.len() as u64,
            Self::FanOut { n } | Self::Long { n } => n,
            Self::Sub => CHILDREN,
            Self::Events => 0,
        }
    }

    /// Syncs without which no result can be there: what must be on disk one after the other. One less, since one
    /// that was under way when the orchestration was started may be counted already.
    pub(crate) fn least_syncs(self) -> u64 {
        match self {
            Self::HelloCities | Self::Latency => CITIES.len() as u64,
            Self::Long { n } => n,
            Self::FanOut { .. } | Self::Sub | Self::Events => 1,
        }
    }

    /// The same workload, small enough for a run that only warms up.
    pub(crate) fn small(self) -> Self {
        match self {
            Self::FanOut { n } => Self::FanOut { n: n.min(100) },
            Self::Long { n } => Self::Long { n: n.min(100) },
            other => other,
        }
    }

    /// Starts one, waits for its result and checks it.
    pub(crate) async fn once(self, client: &Client) -> Result<()> {
        match self {
            Self::HelloCities | Self::Latency => {
                let greetings = client.start(HelloCities, ()).await?.wait().await?;
                check(greetings == CITIES.map(|city| format!("Hello {city}!")), &greetings)
            }
            Self::FanOut { n } => {
                let sum = client.start(FanOut, n).await?.wait().await?;
                check(sum == n * n.saturating_sub(1), &sum)
            }
            Self::Long { n } => {
                let steps = client.start(Long, n).await?.wait().await?;
                check(steps == n, &steps)
            }
            Self::Sub => {
                let sum = client.start(Parent, CHILDREN).await?.wait().await?;
                check(sum == CHILDREN * (CHILDREN - 1), &sum)
            }
            Self::Events => {
                let handle = client.start(Collect, EVENTS).await?;
                for event in 0..EVENTS {
                    handle.raise_event("number", event).await?;
                }
                let sum = handle.wait().await?;
                check(sum == EVENTS * (EVENTS - 1) / 2, &sum)
            }
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HelloCities => f.write_str("hello-cities"),
            Self::Latency => f.write_str("latency"),
            Self::FanOut { n } => write!(f, "fan-out {n}"),
            Self::Long { n } => write!(f, "long {n}"),
            Self::Sub => f.write_str("sub"),
            Self::Events => f.write_str("events"),
        }
    }
}

fn check(right: bool, result: &dyn fmt::Debug) -> Result<()> {
    if right { Ok(()) } else { Err(Error::msg(format!("wrong result: {result:?}"))) }
}

/// Everything that the workloads call.
pub(crate) fn app() -> App {
    App::new()
        .orchestrator(HelloCities)
        .orchestrator(FanOut)
        .orchestrator(Long)
        .orchestrator(Parent)
        .orchestrator(Child)
        .orchestrator(Collect)
        .orchestrator(WakesAt)
        .orchestrator(Quick)
        .activity(SayHello)
        .activity(Double)
        .activity(Step)
}

/// A worker that takes nothing of it.
pub(crate) fn nothing() -> App {
    App::new().activity(Unused).only_registered()
}

#[activity]
async fn unused(_ctx: ActivityContext, _: ()) -> Result<()> {
    Ok(())
}

#[activity]
async fn say_hello(_ctx: ActivityContext, city: String) -> Result<String> {
    Ok(format!("Hello {city}!"))
}

#[orchestrator]
async fn hello_cities(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
    let mut greetings = Vec::new();
    for city in CITIES {
        greetings.push(ctx.call_activity(SayHello, city).await?);
    }
    Ok(greetings)
}

#[activity]
async fn double(_ctx: ActivityContext, number: u64) -> Result<u64> {
    Ok(number * 2)
}

#[orchestrator]
async fn fan_out(ctx: OrchestrationContext, n: u64) -> Result<u64> {
    let doubled = ctx.all((0..n).map(|number| ctx.call_activity(Double, number))).await?;
    Ok(doubled.into_iter().sum())
}

#[activity]
async fn step(_ctx: ActivityContext, (step, of): (u64, u64)) -> Result<u64> {
    marks::pass(step, of);
    Ok(step + 1)
}

#[orchestrator]
async fn long(ctx: OrchestrationContext, n: u64) -> Result<u64> {
    let mut steps = 0;
    while steps < n {
        steps = ctx.call_activity(Step, (steps, n)).await?;
    }
    Ok(steps)
}

#[orchestrator]
async fn child(ctx: OrchestrationContext, number: u64) -> Result<u64> {
    Ok(ctx.call_activity(Double, number).await?)
}

#[orchestrator]
async fn parent(ctx: OrchestrationContext, children: u64) -> Result<u64> {
    let doubled = ctx.all((0..children).map(|number| ctx.call_sub_orchestrator(Child, number))).await?;
    Ok(doubled.into_iter().sum())
}

#[orchestrator]
pub(crate) async fn collect(ctx: OrchestrationContext, events: u64) -> Result<u64> {
    let mut sum = 0;
    for _ in 0..events {
        sum += ctx.wait_for_event::<u64>("number").await?;
    }
    Ok(sum)
}

/// Ends at a time, in milliseconds since 1970.
#[orchestrator]
pub(crate) async fn wakes_at(ctx: OrchestrationContext, millis: u64) -> Result<()> {
    ctx.create_timer(UNIX_EPOCH + Duration::from_millis(millis)).await;
    Ok(())
}

/// Ends at once, one way or the other.
#[orchestrator]
pub(crate) async fn quick(_ctx: OrchestrationContext, fails: bool) -> Result<String> {
    if fails { Err(Error::msg("it was told to")) } else { Ok("done".repeat(10)) }
}
