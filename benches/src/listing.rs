//! Pages of a long list.

use crate::bench::{Bench, Place, for_each, id, scramble};
use crate::latencies::Latencies;
use crate::settled::{self, Settled};
use crate::workloads::Quick;
use duramen::Client;
use duramen::prelude::*;
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

const AT_A_TIME: usize = 1000;
/// One in so many fails.
const FAILS: u64 = 10;
/// Pages of each kind that are asked for.
const PAGES: u64 = 300;
/// Rows of a page.
const PAGE: usize = 100;

/// What is measured, of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub(crate) struct List {
    /// How many instances there are
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    instances: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    workload: String,
    instances: u64,
    start_per_s: f64,
    /// Of a status and under a prefix that a sixteenth of all have.
    list_p50_ms: f64,
    list_p99_ms: f64,
    by_status_p50_ms: f64,
    by_status_p99_ms: f64,
    by_prefix_p50_ms: f64,
    by_prefix_p99_ms: f64,
    rss_mb: f64,
    #[serde(flatten)]
    settled: Settled,
}

impl List {
    pub(crate) async fn run(self, folder: &Path, place: Place) -> Result<Report> {
        let bench = Bench::open(folder, place, 0).await?;
        let client = bench.client().clone();
        let took = for_each("making", self.instances, AT_A_TIME, move |number| {
            let start = client.start(Quick, number.is_multiple_of(FAILS)).id(id(number));
            async move {
                start.await?.ended().await?;
                Ok(())
            }
        })
        .await?;
        let settled = settled::wait(bench.store()).await?;
        let failed = || Filter::new().status(OrchestrationStatus::Failed);
        let prefix = |page| format!("i-{:x}", scramble(page) % 16);
        let mut both = pages(bench.client(), |page| failed().prefix(prefix(page))).await?;
        let mut by_status = pages(bench.client(), |_| failed()).await?;
        let mut by_prefix = pages(bench.client(), |page| Filter::new().prefix(prefix(page))).await?;
        let rss_mb = bench.store().figures()?.peak_rss_mb;
        bench.close().await?;
        Ok(Report {
            workload: format!("list {}", self.instances),
            instances: self.instances,
            start_per_s: self.instances as f64 / took.as_secs_f64(),
            list_p50_ms: both.ms(500),
            list_p99_ms: both.ms(990),
            by_status_p50_ms: by_status.ms(500),
            by_status_p99_ms: by_status.ms(990),
            by_prefix_p50_ms: by_prefix.ms(500),
            by_prefix_p99_ms: by_prefix.ms(990),
            rss_mb,
            settled,
        })
    }
}

/// Asks for pages of lists, going on in each for as long as there is more.
async fn pages(client: &Client, filter: impl Fn(u64) -> Filter) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    let (mut asked, mut list, mut seen) = (0, 0, 0);
    while asked < PAGES {
        let mut after = None;
        while asked < PAGES {
            let page = client.list(filter(list)).page_size(PAGE);
            let page = match after {
                Some(cursor) => page.after(cursor),
                None => page,
            };
            let begun = Instant::now();
            let page = page.await?;
            latencies.push(begun.elapsed());
            asked += 1;
            seen += page.instances.len();
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        list += 1;
    }
    if seen == 0 {
        return Err(Error::msg("the lists are empty; take more --instances"));
    }
    Ok(latencies)
}
