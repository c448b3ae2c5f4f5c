//! Many timers due within one second, among later ones.

use crate::bench::{Bench, Place, for_each, id};
use crate::latencies::Latencies;
use crate::settled::{self, Settled};
use crate::workloads::WakesAt;
use duramen::prelude::*;
use serde::Serialize;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How many are started, and waited for, at a time.
const AT_A_TIME: usize = 1000;

/// What is measured, of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub(crate) struct Timers {
    /// How many are due within one second
    #[arg(value_name = "N", default_value_t = 10_000)]
    n: u64,
    /// How many others are due an hour later
    #[arg(long, value_name = "M", default_value_t = 0)]
    later: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    workload: String,
    timers: u64,
    later: u64,
    start_per_s: f64,
    /// From the first that was due to the last result.
    all_fired_s: f64,
    late_p50_ms: f64,
    late_p99_ms: f64,
    rss_mb: f64,
    #[serde(flatten)]
    settled: Settled,
}

impl Timers {
    pub(crate) async fn run(self, folder: &Path, place: Place) -> Result<Report> {
        let bench = Bench::open(folder, place, 0).await?;
        let client = bench.client().clone();
        let far = millis(SystemTime::now() + Duration::from_secs(3600));
        for_each("later timers", self.later, AT_A_TIME, move |number| {
            let start = client.start(WakesAt, far + number % 3_600_000).id(format!("later-{}", id(number)));
            async move {
                start.await?.started().await?;
                Ok(())
            }
        })
        .await?;
        settled::wait(bench.store()).await?;

        // The first is due when all have been started: a thousand a second is slow.
        let lead = Duration::from_secs(3 + self.n / 1000);
        let (first, first_due) = (Instant::now() + lead, millis(SystemTime::now() + lead));
        let (client, n) = (bench.client().clone(), self.n);
        let took = for_each("timers", n, AT_A_TIME, move |number| {
            let start = client.start(WakesAt, due(first_due, number, n)).id(id(number));
            async move {
                start.await?.started().await?;
                Ok(())
            }
        })
        .await?;
        if Instant::now() >= first {
            return Err(Error::msg(format!(
                "the starts took {:.1} s, longer than the first timer",
                took.as_secs_f64()
            )));
        }

        let late = Arc::new(Mutex::new(Latencies::default()));
        let (client, all_late) = (bench.client().clone(), Arc::clone(&late));
        // All at once: a wait that has not begun would count as late.
        for_each("fired", n, self.n as usize, move |number| {
            let (wait, late) = (client.wait_for_completion(id(number)), Arc::clone(&all_late));
            async move {
                wait.await?.output::<()>()?;
                let due = UNIX_EPOCH + Duration::from_millis(due(first_due, number, n));
                let by = SystemTime::now().duration_since(due).map_err(|_| Error::msg("a timer was early"))?;
                late.lock().unwrap_or_else(PoisonError::into_inner).push(by);
                Ok(())
            }
        })
        .await?;
        let all_fired_s = first.elapsed().as_secs_f64();
        let settled = settled::wait(bench.store()).await?;
        let rss_mb = bench.store().figures()?.peak_rss_mb;
        bench.close().await?;
        let mut late = late.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Report {
            workload: format!("timers {}", self.n),
            timers: self.n,
            later: self.later,
            start_per_s: self.n as f64 / took.as_secs_f64(),
            all_fired_s,
            late_p50_ms: late.ms(500),
            late_p99_ms: late.ms(990),
            rss_mb,
            settled,
        })
    }
}

/// Milliseconds since 1970.
fn millis(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Spread over one second.
fn due(first: u64, number: u64, n: u64) -> u64 {
    first + number * 1000 / n.max(1)
}
