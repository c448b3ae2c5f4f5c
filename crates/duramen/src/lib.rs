//! Durable functions: plain `async fn`s that survive the death of the process, the machine and the
//! deploy.
//!
//! An *orchestrator* is code that calls *activities* and other orchestrators, waits for events and
//! timers, and may take months. What it has seen is kept as its *history*; after a crash the code
//! runs again over the history and goes on where it was. An *activity* is where the world is touched.
//! Activities run at least once; an orchestrator's decisions change exactly once.
//!
//! ```
//! use duramen::prelude::*;
//!
//! #[activity]
//! async fn say_hello(_ctx: ActivityContext, name: String) -> Result<String> {
//!     Ok(format!("Hello {name}!"))
//! }
//!
//! #[orchestrator]
//! async fn hello_cities(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
//!     let tokyo = ctx.call_activity(SayHello, "Tokyo").await?;
//!     let rest = ctx.all(["Paris", "Oslo"].map(|city| ctx.call_activity(SayHello, city))).await?;
//!     Ok([vec![tokyo], rest].concat())
//! }
//! ```
//!
//! Where the instances are kept is one line of a program: `TaskHub::open("./data")` keeps them in a folder, and
//! `TaskHub::connect("http://localhost:8080")`, behind the feature `remote`, on a server. The rest of the program is
//! the same.
//!
//! # Features
//!
//! - `embedded`, on by default: a hub in this process, with its store in a folder.
//! - `remote`: a hub on a server. Alone (`default-features = false`) it brings neither hub nor store.
//! - `testing`: a hub in memory, with mocks.
//!
//! # Layout
//!
//! - [`prelude`]: what a program names.
//! - [`OrchestrationContext`] with [`Call`], [`Timer`], [`EventWait`]: what an orchestrator can do.
//! - [`ActivityContext`], [`App`]: activities, and what a worker can run.
//! - [`Error`], [`TaskFailed`], [`DurableError`], [`RetryPolicy`]: when something fails.
//! - [`TaskHub`] and [`Client`]: a store with its instances, and how they are started and managed.
//! - `testing`, behind a feature: a hub with mocks and a clock that does not make you wait.
//! - [`worker`]: what runs the functions. It takes work items and gives answers, and knows of the hub
//!   only that.

// The attributes name this crate by its name, here as everywhere.
extern crate self as duramen;

mod activity;
mod app;
mod callee;
mod context;
mod error;
mod failure;
mod json;
pub mod prelude;
#[cfg(feature = "remote")]
mod remote;
mod retry;
pub mod worker;

pub use activity::ActivityContext;
pub use app::{Activities, App};
pub use callee::{
    Activity, ActivityCallee, ActivityName, Orchestrator, OrchestratorCallee, OrchestratorName, Output, Token,
};
pub use context::{All, Any, Call, ContinuedAsNew, EventWait, FireAt, OrchestrationContext, Timer, secs};
pub use duramen_macros::{activities, activity, orchestrator};
pub use error::{Error, Result};
pub use failure::{DurableError, TaskFailed};
pub use json::JsonError;
pub use retry::{RetryContext, RetryPolicy};
pub use worker::{Worker, WorkerOptions};

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "client")]
mod task_hub;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "client")]
pub use client::{
    CheckStatus, Client, ClientError, Filter, Handle, Instance, OnExisting, Refusal, check_status_payload,
};
pub use duramen_core::history::History;
#[cfg(feature = "hub")]
pub use duramen_hub::Retention;
pub use duramen_proto::OrchestrationStatus;
#[cfg(feature = "remote")]
pub use remote::{ConnectError, ConnectOptions};
#[cfg(feature = "hub")]
pub use task_hub::TaskHubOptions;
#[cfg(feature = "client")]
pub use task_hub::{Counters, RunningWorker, TaskHub};

/// What [`TaskHub::operator`] shows and decides: [`Hub::workers`](operator::Hub::workers),
/// [`queues`](operator::Hub::queues), [`unroutable`](operator::Hub::unroutable), [`held`](operator::Hub::held),
/// [`decide`](operator::Hub::decide) and [`drain`](operator::Hub::drain).
#[cfg(feature = "hub")]
pub mod operator {
    pub use duramen_core::checkpoint::{Loss, LossCause, Losses};
    pub use duramen_core::dispatch::{QueueRow, Unroutable, UnroutableRow};
    pub use duramen_core::partition::{HeldItem, HeldKey, Verdict};
    pub use duramen_core::work::{Announcement, WorkerId};
    pub use duramen_hub::{ConnectedWorker, Hub, InFlight};
}

#[doc(hidden)]
pub mod __private;
