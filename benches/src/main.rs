//! `duramen-bench`: how fast durable functions run, as a user would run them.
//!
//! What keeps it honest:
//!
//! - Only results count that the client has received and checked; the clock stops when it has all of them. A wrong
//!   result ends the run with an error.
//! - The store is on disk, in a folder of `DURAMEN_BENCH_DIR`, with the settings that a user gets by default.
//! - A short run of the same kind goes first. It warms up, tells the size of a record, and prepares the journal's
//!   files; nothing of it is counted.
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
use duramen::prelude::*;
use latencies::Latencies;
use report::Report;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
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

    let hub = TaskHub::open(folder.join("hub")).await?;
    let worker = hub.run_worker(workloads::app()).await?;
    let client = hub.client();

    let cold = hub.counters();
    drive::drive(&client, workload.small(), concurrency, (limit / 10).min(Duration::from_secs(1))).await?;
    let warm = hub.counters();
    let mut floor = floor::measure(folder, record(warm.written_bytes - cold.written_bytes, warm.syncs - cold.syncs))?;

    eprintln!("{MEASURING} {workload}, {concurrency} at a time");
    let (before, cpu_before) = (hub.counters(), process::cpu());
    let mut seen = drive::drive(&client, workload, concurrency, limit).await?;
    let (after, cpu_after) = (hub.counters(), process::cpu());
    let (written_bytes, syncs) = (after.written_bytes - before.written_bytes, after.syncs - before.syncs);
    eprintln!("{MEASURED}");
    let ends = marks::take_ends();
    let rss_mb = process::peak_rss_mb();

    worker.shutdown().await?;
    floor.append(floor::measure(folder, record(written_bytes, syncs))?);

    let seconds = seen.elapsed.as_secs_f64();
    let count = seen.latencies.len() as f64;
    Ok(Report {
        workload: workload.to_string(),
        mode: "embedded",
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
        durable: after.durable,
        ends,
    })
}

/// The mean size of what was written with one sync.
fn record(written_bytes: u64, syncs: u64) -> u64 {
    written_bytes / syncs.max(1)
}

fn ms(latencies: &mut Latencies, parts: usize) -> f64 {
    latencies.per_mille(parts).as_secs_f64() * 1000.0
}
