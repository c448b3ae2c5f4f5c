//! Thousands of calls that wait, and workers without work, beside a chain that does something.

use crate::bench::{Bench, Place, for_each, id};
use crate::latencies::Latencies;
use crate::settled::{self, Settled};
use crate::workloads::{Collect, Workload};
use crate::{hello, workloads};
use duramen::prelude::*;
use duramen::worker::WorkerOptions;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections that the calls are spread over.
const CONNECTIONS: usize = 100;
/// Streams of workers that are given nothing to do.
const WORKERS: usize = 200;
/// Instances that are started at a time.
const AT_A_TIME: usize = 100;

/// How many there are.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Waiters {
    /// How many calls
    #[arg(value_name = "N", default_value_t = 10_000)]
    n: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    workload: String,
    mode: &'static str,
    waiters: u64,
    connections: usize,
    workers: usize,
    /// Of the server, before there was any of them.
    server_rss_before_mb: f64,
    /// The most, with all of them there.
    server_rss_mb: f64,
    server_cpu_s: f64,
    latency_p50_ms: f64,
    latency_p99_ms: f64,
    call_p50_us: f64,
    /// From the first event that ended a wait until all had their results.
    answered_s: f64,
    #[serde(flatten)]
    settled: Settled,
}

impl Waiters {
    /// `seconds`: how long the chain is run beside them.
    pub(crate) async fn run(self, folder: &Path, seconds: u64) -> Result<Report> {
        let bench = Bench::open(folder, Place::There, 0).await?;
        let address = bench.address().ok_or_else(|| Error::msg("there is no server"))?;
        let before = bench.store().figures()?;
        let mut hubs = Vec::new();
        for _ in 0..CONNECTIONS {
            hubs.push(TaskHub::connect(address).await?);
        }
        let mut workers = Vec::new();
        for worker in 0..WORKERS {
            workers.push(hubs[worker % CONNECTIONS].run_worker_with(workloads::nothing(), small()).await?);
        }
        let client = bench.client().clone();
        for_each("starting", self.n, AT_A_TIME, move |number| {
            let start = client.start(Collect, 1).id(id(number));
            async move {
                start.await?.started().await?;
                Ok(())
            }
        })
        .await?;
        let hubs = Arc::new(hubs);
        let (waiting, n) = (Arc::clone(&hubs), self.n);
        let waits = tokio::spawn(for_each("waiting", n, n as usize, move |number| {
            let wait = waiting[number as usize % CONNECTIONS].client().wait_for_completion(id(number));
            async move {
                let sum: u64 = wait.await?.output()?;
                if sum == number { Ok(()) } else { Err(Error::msg(format!("wrong result: {sum} of {number}"))) }
            }
        }));

        eprintln!("measuring latency for {seconds} s");
        let begun = Instant::now();
        let mut latencies = Latencies::default();
        while begun.elapsed() < Duration::from_secs(seconds) || latencies.len() == 0 {
            let begun = Instant::now();
            Workload::Latency.once(bench.client()).await?;
            latencies.push(begun.elapsed());
        }
        let mut calls = hello::measure(address).await?;
        let after = bench.store().figures()?;
        if waits.is_finished() {
            return Err(waits.await?.err().unwrap_or_else(|| Error::msg("the calls did not wait")));
        }

        let begun = Instant::now();
        let client = bench.client().clone();
        for_each("raising", n, AT_A_TIME, move |number| {
            let client = client.clone();
            async move { Ok(client.raise_event(&id(number), "number", number).await?) }
        })
        .await?;
        waits.await??;
        let answered_s = begun.elapsed().as_secs_f64();
        let settled = settled::wait(bench.store()).await?;
        for worker in workers {
            worker.shutdown().await?;
        }
        bench.close().await?;
        Ok(Report {
            workload: format!("waiters {n}"),
            mode: Place::There.mode(),
            waiters: n,
            connections: CONNECTIONS,
            workers: WORKERS,
            server_rss_before_mb: before.rss_mb,
            server_rss_mb: after.peak_rss_mb,
            server_cpu_s: (after.cpu - before.cpu).as_secs_f64(),
            latency_p50_ms: latencies.ms(500),
            latency_p99_ms: latencies.ms(990),
            call_p50_us: calls.per_mille(500).as_secs_f64() * 1e6,
            answered_s,
            settled,
        })
    }
}

/// Few threads for a worker that has nothing to do.
fn small() -> WorkerOptions {
    let mut options = WorkerOptions::default();
    options.threads = 1;
    options.stuck_after = Duration::ZERO;
    options
}
