//! Instances that wait, through a restart: what they cost, and how fast they come back.

use crate::bench::{Bench, Place, for_each, id, scramble};
use crate::latencies::Latencies;
use crate::workloads::Collect;
use crate::{process, settled};
use duramen::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How many are started at a time.
const AT_A_TIME: usize = 1000;

/// What is measured, of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub(crate) struct Parked {
    /// How many instances
    #[arg(value_name = "N", default_value_t = 100_000)]
    pub(crate) n: u64,
    /// How long nothing is done, after the restart
    #[arg(long, value_name = "S", default_value_t = 60)]
    pub(crate) idle_seconds: u64,
    /// How many are woken, one after the other
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) raises: u64,
    /// Do one half in this process: what the bench starts itself with
    #[arg(long, hide = true)]
    pub(crate) phase: Option<Phase>,
}

/// One half of the run, in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Phase {
    /// Start them and wait until all is settled.
    Start,
    /// Open the store again, do nothing for a while, wake some.
    Reopen,
}

/// Of the process that has started them.
#[derive(Debug, Serialize, Deserialize)]
struct Started {
    start_per_s: f64,
    settled_s: f64,
    unsettled_bytes_max: u64,
    rss_peak_mb: f64,
    rss_settled_mb: f64,
}

/// Of the process after it.
#[derive(Debug, Serialize, Deserialize)]
struct Reopened {
    reopen_s: f64,
    rss_reopened_mb: f64,
    idle_s: u64,
    idle_cpu_s: f64,
    idle_written_bytes: u64,
    raise_p50_ms: f64,
    raise_p99_ms: f64,
}

/// The figures of both.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    workload: String,
    instances: u64,
    #[serde(flatten)]
    started: Started,
    #[serde(flatten)]
    reopened: Reopened,
    store_mb: f64,
}

impl Parked {
    /// Both halves, each in a fresh process.
    pub(crate) fn run(self, folder: &Path) -> Result<Report> {
        let started = self.child(Phase::Start, folder)?;
        let reopened = self.child(Phase::Reopen, folder)?;
        let store_mb = process::bytes_of(folder)? as f64 / f64::from(1 << 20);
        Ok(Report {
            workload: format!("parked {}", self.n),
            instances: self.n,
            started: serde_json::from_str(&started)?,
            reopened: serde_json::from_str(&reopened)?,
            store_mb,
        })
    }

    fn child(self, phase: Phase, folder: &Path) -> Result<String> {
        let name = match phase {
            Phase::Start => "start",
            Phase::Reopen => "reopen",
        };
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("parked").arg(self.n.to_string()).args(["--phase", name]);
        command.args(["--raises", &self.raises.to_string(), "--idle-seconds", &self.idle_seconds.to_string()]);
        command.env(FOLDER, folder).stderr(Stdio::inherit());
        let output = command.output()?;
        if !output.status.success() {
            return Err(Error::msg(format!("the process that should {name} ended with {}", output.status)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// One half, in this process: one line of JSON.
    pub(crate) async fn phase(self, phase: Phase) -> Result<String> {
        let folder = std::env::var_os(FOLDER).ok_or_else(|| Error::msg(format!("{FOLDER} is not set")))?;
        match phase {
            Phase::Start => Ok(serde_json::to_string(&self.start(Path::new(&folder)).await?)?),
            Phase::Reopen => Ok(serde_json::to_string(&self.reopen(Path::new(&folder)).await?)?),
        }
    }

    async fn start(self, folder: &Path) -> Result<Started> {
        let bench = Bench::open(folder, Place::Here, 0).await?;
        let client = bench.client().clone();
        let took = for_each("parking", self.n, AT_A_TIME, move |number| {
            let start = client.start(Collect, 1).id(id(number));
            async move {
                start.await?.started().await?;
                Ok(())
            }
        })
        .await?;
        let settled = settled::wait(bench.store()).await?;
        eprintln!("settled after {:.1} s", settled.settled_s);
        // An instance stays in memory for ten seconds, for those who come back to it.
        tokio::time::sleep(IDLE_AFTER).await;
        let (rss_settled_mb, rss_peak_mb) = (process::rss_mb(), process::peak_rss_mb());
        bench.close().await?;
        Ok(Started {
            start_per_s: self.n as f64 / took.as_secs_f64(),
            settled_s: settled.settled_s,
            unsettled_bytes_max: settled.unsettled_bytes_max,
            rss_peak_mb,
            rss_settled_mb,
        })
    }

    async fn reopen(self, folder: &Path) -> Result<Reopened> {
        let begun = Instant::now();
        let bench = Bench::open(folder, Place::Here, 0).await?;
        let one = bench.client().get(&id(0)).await?;
        let reopen_s = begun.elapsed().as_secs_f64();
        if one.is_none_or(|instance| instance.status() != OrchestrationStatus::Running) {
            return Err(Error::msg("an instance that was parked is not there after the restart"));
        }
        eprintln!("reopened after {reopen_s:.2} s");

        // Whatever a store does once it is open (a clean mark in the journal, say) is not part of being idle.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (cpu, written) = (process::cpu(), process::written_bytes());
        tokio::time::sleep(Duration::from_secs(self.idle_seconds)).await;
        let (idle_cpu, idle_written_bytes) = (process::cpu() - cpu, process::written_bytes() - written);
        let rss_reopened_mb = process::rss_mb();
        eprintln!("idle for {} s", self.idle_seconds);

        let mut latencies = Latencies::default();
        for raise in 0..self.raises.min(self.n) {
            let id = id(self.chosen(raise));
            let begun = Instant::now();
            bench.client().raise_event(&id, "number", 7).await?;
            let ended = bench.client().wait_for_completion(&*id).await?;
            latencies.push(begun.elapsed());
            if ended.output::<u64>()? != 7 {
                return Err(Error::msg(format!("wrong result: {ended:?}")));
            }
        }
        bench.close().await?;
        Ok(Reopened {
            reopen_s,
            rss_reopened_mb,
            idle_s: self.idle_seconds,
            idle_cpu_s: idle_cpu.as_secs_f64(),
            idle_written_bytes,
            raise_p50_ms: latencies.ms(500),
            raise_p99_ms: latencies.ms(990),
        })
    }

    /// The number of an instance that looks chosen at random: one out of each of as many stretches as are raised.
    fn chosen(self, raise: u64) -> u64 {
        let stretch = self.n / self.raises.min(self.n);
        raise * stretch + scramble(raise) % stretch
    }
}

/// How long after the last change everything that is idle has left memory.
const IDLE_AFTER: Duration = Duration::from_secs(15);
/// Tells a half where the store is.
const FOLDER: &str = "DURAMEN_BENCH_STORE";
