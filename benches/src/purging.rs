//! A large purge beside work that must not notice it.

use crate::bench::{Bench, Place, for_each, id};
use crate::latencies::Latencies;
use crate::process;
use crate::settled::{self, Settled};
use crate::workloads::{Quick, Workload};
use duramen::Client;
use duramen::prelude::*;
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};

const AT_A_TIME: usize = 1000;
/// How long space may take to come back once the purge is settled.
const SPACE: Duration = Duration::from_secs(60);

/// What is measured, of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub(crate) struct Purge {
    /// How many instances that have ended
    #[arg(value_name = "N", default_value_t = 100_000)]
    n: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    workload: String,
    instances: u64,
    start_per_s: f64,
    purge_s: f64,
    purged_per_s: f64,
    latency_idle_p50_ms: f64,
    latency_idle_p99_ms: f64,
    latency_during_p50_ms: f64,
    latency_during_p99_ms: f64,
    tables_mb_before: f64,
    tables_mb_after: f64,
    store_mb_before: f64,
    store_mb_after: f64,
    rss_mb: f64,
    #[serde(flatten)]
    settled: Settled,
}

impl Purge {
    /// `seconds`: how long the latency without a purge is measured.
    pub(crate) async fn run(self, folder: &Path, place: Place, seconds: u64) -> Result<Report> {
        let bench = Bench::open(folder, place, 0).await?;
        let client = bench.client().clone();
        let took = for_each("making", self.n, AT_A_TIME, move |number| {
            let start = client.start(Quick, false).id(id(number));
            async move {
                start.await?.ended().await?;
                Ok(())
            }
        })
        .await?;
        settled::wait(bench.store()).await?;
        let (tables_mb_before, store_mb_before) = (tables_mb(folder)?, megabytes(folder)?);

        let begun = Instant::now();
        let mut idle = latencies(bench.client(), || begun.elapsed() >= Duration::from_secs(seconds)).await?;

        eprintln!("purging");
        let begun = Instant::now();
        let mut told = 0;
        let purge = bench.client().purge(Filter::new().name("Quick")).progress(move |deleted| {
            if deleted / 100_000 > told {
                told = deleted / 100_000;
                eprintln!("{deleted} purged after {:.1} s", begun.elapsed().as_secs_f64());
            }
        });
        let purge = tokio::spawn(async move { (purge.await, begun.elapsed()) });
        let mut during = latencies(bench.client(), || purge.is_finished()).await?;
        let (purged, purge_s) = purge.await?;
        let (purged, purge_s) = (purged?, purge_s.as_secs_f64());
        if purged.deleted != self.n || !purged.complete {
            return Err(Error::msg(format!("{} should have been purged, but: {purged:?}", self.n)));
        }
        let settled = settled::wait(bench.store()).await?;
        let tables_mb_after = tables_once_smallest(folder).await?;
        let store_mb_after = megabytes(folder)?;
        let rss_mb = bench.store().figures()?.peak_rss_mb;
        bench.close().await?;
        Ok(Report {
            workload: format!("purge {}", self.n),
            instances: self.n,
            start_per_s: self.n as f64 / took.as_secs_f64(),
            purge_s,
            purged_per_s: self.n as f64 / purge_s,
            latency_idle_p50_ms: idle.ms(500),
            latency_idle_p99_ms: idle.ms(990),
            latency_during_p50_ms: during.ms(500),
            latency_during_p99_ms: during.ms(990),
            tables_mb_before,
            tables_mb_after,
            store_mb_before,
            store_mb_after,
            rss_mb,
            settled,
        })
    }
}

/// One chain of activities after the other, until it is enough.
async fn latencies(client: &Client, enough: impl Fn() -> bool) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    while !enough() || latencies.len() == 0 {
        let begun = Instant::now();
        Workload::Latency.once(client).await?;
        latencies.push(begun.elapsed());
    }
    Ok(latencies)
}

fn megabytes(folder: &Path) -> Result<f64> {
    Ok(process::bytes_of(folder)? as f64 / f64::from(1 << 20))
}

/// The tables, without their log.
fn tables_mb(folder: &Path) -> Result<f64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == "tables.db" {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes as f64 / f64::from(1 << 20))
}

/// Space comes back a little at a time: waits until it has not for two seconds.
async fn tables_once_smallest(folder: &Path) -> Result<f64> {
    let begun = Instant::now();
    let (mut smallest, mut since) = (tables_mb(folder)?, Instant::now());
    while since.elapsed() < Duration::from_secs(2) && begun.elapsed() < SPACE {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = tables_mb(folder)?;
        if now < smallest {
            (smallest, since) = (now, Instant::now());
        }
    }
    Ok(smallest)
}
