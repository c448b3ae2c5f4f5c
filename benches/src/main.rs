//! `duramen-bench`: how fast durable functions run, as a user would run them.
//!
//! What keeps it honest:
//!
//! - Only results count that the client has received and checked; the clock stops when it has all of them. A wrong
//!   result ends the run with an error.
//! - The store is on disk, in a folder of `DURAMEN_BENCH_DIR`, with the settings that a user gets by default.
//! - A short run of the same kind goes first, in a store of its own. It tells how large a record is and how much will
//!   be written; the journal's files for that are made and filled with zeros before the measured time. That is the
//!   one thing that a user does not get by default.
//! - `durable` is true when each result came after as many syncs as must have gone before it.
//! - The floor is what the disk takes for one write and `fdatasync` of a record, measured before and after.
//! - Syncs and written bytes are counted where they are called; a test compares them with what `strace` counts.

mod drive;
mod floor;
mod latencies;
mod marks;
mod process;
mod report;
mod workloads;

use clap::Parser;
use drive::Caller;
use duramen::prelude::*;
use duramen::worker::WorkerOptions;
use duramen::{RunningWorker, TaskHub};
use duramen_embedded::{Counters, Embedded, SegmentSizes};
use duramen_hub::Hub;
use latencies::Latencies;
use report::Report;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use workloads::Workload;

/// How fast durable functions run.
///
/// The store is made in a new folder in DURAMEN_BENCH_DIR (or ./bench-data), which is removed at the end.
#[derive(Debug, Parser)]
#[command(name = "duramen-bench")]
struct Arguments {
    #[command(subcommand)]
    workload: Workload,
    /// How many orchestrations run at a time
    #[arg(long, global = true, value_name = "N")]
    concurrency: Option<usize>,
    /// How long new orchestrations are started; 0 starts each of them once
    #[arg(long, global = true, value_name = "S")]
    seconds: Option<u64>,
    /// Treat the worker as if it were in another process: nothing leaves before it is on disk
    #[arg(long, global = true)]
    remote_link: bool,
    /// Print one line of JSON
    #[arg(long, global = true)]
    json: bool,
}

/// Said on standard error around the measured time; a test looks for both among the system calls.
const MEASURING: &str = "measuring";
const MEASURED: &str = "measured";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let home = std::env::var_os("DURAMEN_BENCH_DIR").map_or_else(|| PathBuf::from("bench-data"), PathBuf::from);
    let folder = home.join(format!("bench-{}", std::process::id()));
    let outcome = run(&arguments, &folder).await;
    let removed = std::fs::remove_dir_all(&folder);
    match outcome {
        Ok(report) if arguments.json => println!("{}", report.to_json()),
        Ok(report) => print!("{report}"),
        Err(error) => {
            eprintln!("{} failed: {error}", arguments.workload);
            return ExitCode::FAILURE;
        }
    }
    if let Err(error) = removed {
        eprintln!("failed to remove {}: {error}", folder.display());
    }
    ExitCode::SUCCESS
}

async fn run(arguments: &Arguments, folder: &Path) -> Result<Report> {
    let workload = arguments.workload;
    let concurrency = match workload {
        Workload::Latency => 1,
        _ => arguments.concurrency.unwrap_or_else(|| workload.usual_concurrency()).max(1),
    };
    let limit = Duration::from_secs(arguments.seconds.unwrap_or_else(|| workload.usual_seconds()));
    std::fs::create_dir_all(folder)?;

    let warm = warm_up(arguments, concurrency, limit, &folder.join("warm-up")).await?;
    let mut floor = floor::measure(folder, warm.record)?;

    let bench = Bench::open(arguments, &folder.join("hub"), warm.segments(limit)).await?;
    bench.caller.drive(workload.small(), concurrency, Duration::ZERO).await?;
    eprintln!("{MEASURING} {workload}, {concurrency} at a time");
    let (before, cpu_before) = (bench.counters(), process::cpu());
    let mut seen = bench.caller.drive(workload, concurrency, limit).await?;
    let (after, cpu_after) = (bench.counters(), process::cpu());
    eprintln!("{MEASURED}");
    let ends = marks::take_ends();
    let rss_mb = process::peak_rss_mb();
    bench.close().await?;

    let (written_bytes, syncs) = (after.written_bytes - before.written_bytes, after.syncs - before.syncs);
    floor.append(floor::measure(folder, written_bytes / syncs.max(1))?);

    let seconds = seen.elapsed.as_secs_f64();
    let count = seen.latencies.len() as f64;
    Ok(Report {
        workload: workload.to_string(),
        mode: if arguments.remote_link { "embedded, remote link" } else { "embedded" },
        concurrency,
        seconds,
        orchestrations_per_s: count / seconds,
        activities_per_s: count * workload.activities() as f64 / seconds,
        p50_ms: ms(&mut seen.latencies, 500),
        p99_ms: ms(&mut seen.latencies, 990),
        p999_ms: ms(&mut seen.latencies, 999),
        cpu_s: (cpu_after - cpu_before).as_secs_f64(),
        rss_mb,
        written_bytes,
        syncs,
        floor_p50_us: floor.per_mille(500).as_secs_f64() * 1e6,
        durable: seen.is_durable(workload),
        syncs_p50: (concurrency == 1).then(|| seen.median_syncs()),
        ends,
    })
}

/// A hub with a worker, and its store.
struct Bench {
    hub: TaskHub,
    worker: RunningWorker,
    caller: Caller,
}

impl Bench {
    /// Opens a store with so many segments made ahead.
    async fn open(arguments: &Arguments, folder: &Path, prepare: usize) -> Result<Self> {
        let options = duramen_embedded::Options { prepare, ..Default::default() };
        let store = Arc::new(Embedded::open(folder, options)?);
        let hub = TaskHub::from(Hub::run(store.clone(), duramen_hub::Options::default()).await?);
        let mut options = WorkerOptions::default();
        options.in_process = !arguments.remote_link;
        let worker = hub.run_worker_with(workloads::app(), options).await?;
        let caller = Caller { client: hub.client(), store };
        Ok(Self { hub, worker, caller })
    }

    fn counters(&self) -> Counters {
        self.caller.store.counters()
    }

    async fn close(self) -> Result<()> {
        self.worker.shutdown().await?;
        self.hub.shutdown().await
    }
}

/// What the run before the measured one has told.
struct Warm {
    /// The mean size of what was written with one sync.
    record: u64,
    bytes_per_s: f64,
}

impl Warm {
    /// Segments to make ahead, so that filling new files with zeros stays out of the measured time: half as many
    /// again as the rate of the warm-up asks for.
    fn segments(&self, limit: Duration) -> usize {
        let bytes = self.bytes_per_s * (limit.as_secs_f64() + 1.0) * 1.5;
        (bytes / SegmentSizes::default().next as f64).ceil() as usize
    }
}

/// Runs the workload for a moment, in a store of its own.
async fn warm_up(arguments: &Arguments, concurrency: usize, limit: Duration, folder: &Path) -> Result<Warm> {
    let bench = Bench::open(arguments, folder, 0).await?;
    let before = bench.counters();
    let limit = (limit / 10).min(Duration::from_secs(1));
    let seen = bench.caller.drive(arguments.workload.small(), concurrency, limit).await?;
    let after = bench.counters();
    bench.close().await?;
    std::fs::remove_dir_all(folder)?;
    let (bytes, syncs) = (after.written_bytes - before.written_bytes, after.syncs - before.syncs);
    Ok(Warm { record: bytes / syncs.max(1), bytes_per_s: bytes as f64 / seen.elapsed.as_secs_f64() })
}

fn ms(latencies: &mut Latencies, parts: usize) -> f64 {
    latencies.per_mille(parts).as_secs_f64() * 1000.0
}
