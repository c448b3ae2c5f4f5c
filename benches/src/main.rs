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
//! - Every line says how long it took until all was settled once the work was done (`settled_s`), and how much was
//!   durable and not settled at the most (`unsettled_bytes_max`).
//! - What a restart costs is measured in a process of its own, which has made nothing before.
//! - Syncs and written bytes are counted where they are called; a test compares them with what `strace` counts.

mod bench;
mod drive;
mod floor;
mod hello;
mod latencies;
mod listing;
mod marks;
mod minutes;
mod parked;
mod process;
mod purging;
mod python;
mod report;
mod server;
mod settled;
mod store;
mod timers;
mod waiters;
mod workloads;

use bench::{Bench, Place};
use clap::Parser;
use duramen::prelude::*;
use duramen_embedded::SegmentSizes;
use listing::List;
use minutes::Minutes;
use parked::Parked;
use purging::Purge;
use python::Python;
use report::Report;
use server::Serve;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use timers::Timers;
use waiters::Waiters;
use workloads::Workload;

/// As in the `duramen` binary: memory that is free goes back to the system, whatever its neighbours do.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How fast durable functions run.
///
/// The store is made in a new folder in DURAMEN_BENCH_DIR (or ./bench-data), which is removed at the end.
#[derive(Debug, Parser)]
#[command(name = "duramen-bench")]
struct Arguments {
    #[command(subcommand)]
    measured: Measured,
    /// How many orchestrations run at a time
    #[arg(long, global = true, value_name = "N")]
    concurrency: Option<usize>,
    /// How long new orchestrations are started; 0 starts each of them once
    #[arg(long, global = true, value_name = "S")]
    seconds: Option<u64>,
    /// The same in minutes, each of which is reported
    #[arg(long, global = true, value_name = "M", conflicts_with = "seconds")]
    minutes: Option<u64>,
    /// Treat the worker as if it were in another process: nothing leaves before it is on disk
    #[arg(long, global = true)]
    remote_link: bool,
    /// Put the hub into a server, which is another process
    #[arg(long, global = true, conflicts_with = "remote_link")]
    remote: bool,
    /// Print one line of JSON
    #[arg(long, global = true)]
    json: bool,
}

/// What is measured.
#[derive(Clone, Debug, clap::Subcommand)]
enum Measured {
    #[command(flatten)]
    Load(Workload),
    /// N instances that wait for an event: what they cost once settled, and after a restart how fast the store opens,
    /// what idleness costs, and how fast an event wakes one
    Parked(Parked),
    /// N timers due within one second, among later ones: how late they are, and when the last has fired
    Timers(Timers),
    /// Pages of 100 of a list, by status and prefix
    List(List),
    /// N instances that have ended are purged while `latency` runs: how much later its results come, and how much
    /// smaller the store is
    Purge(Purge),
    /// A chain of 5 activities by the published Python SDK, 64 at a time: against `duramen dev`, in a process of its
    /// own and on disk, and against the in-memory backend that the SDK ships
    Python(Python),
    /// N calls that wait over 100 connections to a server, and 200 workers without work, beside `latency`
    Waiters(Waiters),
    /// The server of a remote run
    #[command(hide = true)]
    Serve(Serve),
}

/// Said on standard error around the measured time; a test looks for both among the system calls.
const MEASURING: &str = "measuring";
const MEASURED: &str = "measured";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Half of a run, in a folder that its other half still needs.
    if let Measured::Parked(parked @ Parked { phase: Some(phase), .. }) = arguments.measured {
        return shown(parked.phase(phase).await);
    }
    if let Measured::Serve(serve) = arguments.measured {
        return shown(serve.run().await.map(|()| String::new()));
    }
    let home = std::env::var_os("DURAMEN_BENCH_DIR").map_or_else(|| PathBuf::from("bench-data"), PathBuf::from);
    let folder = home.join(format!("bench-{}", std::process::id()));
    let outcome = run(&arguments, &folder).await;
    if let Err(error) = std::fs::remove_dir_all(&folder) {
        eprintln!("failed to remove {}: {error}", folder.display());
    }
    shown(outcome)
}

fn shown(outcome: Result<String>) -> ExitCode {
    match outcome {
        Ok(report) if report.is_empty() => {}
        Ok(report) => println!("{}", report.trim_end()),
        Err(error) => {
            eprintln!("failed: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

async fn run(arguments: &Arguments, folder: &Path) -> Result<String> {
    std::fs::create_dir_all(folder)?;
    let (json, hub, place) = (arguments.json, folder.join("hub"), arguments.place());
    match &arguments.measured {
        Measured::Load(workload) => Ok(text(&measure(arguments, *workload, folder).await?, json)),
        Measured::Parked(_) if place != Place::Here => Err(Error::msg("`parked` measures a hub in its own process")),
        Measured::Parked(parked) => Ok(text(&parked.run(&hub)?, json)),
        Measured::Timers(timers) => Ok(text(&timers.run(&hub, place).await?, json)),
        Measured::List(list) => Ok(text(&list.run(&hub, place).await?, json)),
        Measured::Purge(purge) => Ok(text(&purge.run(&hub, place, arguments.seconds.unwrap_or(10)).await?, json)),
        Measured::Python(python) => Ok(text(&python.run(folder, arguments.concurrency, arguments.seconds)?, json)),
        // It measures a server whether it is told so or not.
        Measured::Waiters(waiters) => Ok(text(&waiters.run(&hub, arguments.seconds.unwrap_or(10)).await?, json)),
        Measured::Serve(_) => unreachable!("a server is told apart before"),
    }
}

impl Arguments {
    fn place(&self) -> Place {
        match (self.remote, self.remote_link) {
            (true, _) => Place::There,
            (false, true) => Place::HereByRemoteLink,
            (false, false) => Place::Here,
        }
    }
}

fn text(report: &impl serde::Serialize, json: bool) -> String {
    if json { report::to_json(report) } else { report::to_text(report) }
}

async fn measure(arguments: &Arguments, workload: Workload, folder: &Path) -> Result<Report> {
    let concurrency = match workload {
        Workload::Latency => 1,
        _ => arguments.concurrency.unwrap_or_else(|| workload.usual_concurrency()).max(1),
    };
    let seconds = arguments.minutes.map(|minutes| minutes * 60).or(arguments.seconds);
    let limit = Duration::from_secs(seconds.unwrap_or_else(|| workload.usual_seconds()));

    let warm = warm_up(arguments, workload, concurrency, limit, &folder.join("warm-up")).await?;
    let mut floor = floor::measure(folder, warm.record)?;

    let bench = Bench::open(&folder.join("hub"), arguments.place(), warm.segments(limit)).await?;
    let mut calls = match bench.address() {
        Some(address) => Some(hello::measure(address).await?),
        None => None,
    };
    bench.caller.drive(workload.small(), concurrency, Duration::ZERO).await?;
    eprintln!("{MEASURING} {workload}, {concurrency} at a time");
    let (before, cpu_before) = (bench.store().figures()?, process::cpu());
    let minutes = arguments.minutes.map(|minutes| Minutes::watch(bench.caller.done.clone(), minutes));
    let mut seen = bench.caller.drive(workload, concurrency, limit).await?;
    let (after, cpu_after) = (bench.store().figures()?, process::cpu());
    eprintln!("{MEASURED}");
    let settled = settled::wait(bench.store()).await?;
    let minutes = match minutes {
        Some(minutes) => Some(minutes.await?),
        None => None,
    };
    let ends = marks::take_ends();
    let rss_mb = process::peak_rss_mb();
    if let (Some(calls), Some(address)) = (&mut calls, bench.address()) {
        calls.append(hello::measure(address).await?);
    }
    let server = calls.map(|mut calls| report::Server {
        call_p50_us: calls.per_mille(500).as_secs_f64() * 1e6,
        server_cpu_s: (after.cpu - before.cpu).as_secs_f64(),
        server_rss_mb: after.peak_rss_mb,
    });
    bench.close().await?;

    let (written_bytes, syncs) = (after.written_bytes - before.written_bytes, after.syncs - before.syncs);
    floor.append(floor::measure(folder, written_bytes / syncs.max(1))?);

    let seconds = seen.elapsed.as_secs_f64();
    let count = seen.latencies.len() as f64;
    Ok(Report {
        workload: workload.to_string(),
        mode: arguments.place().mode(),
        concurrency,
        seconds,
        orchestrations_per_s: count / seconds,
        activities_per_s: count * workload.activities() as f64 / seconds,
        p50_ms: seen.latencies.ms(500),
        p99_ms: seen.latencies.ms(990),
        p999_ms: seen.latencies.ms(999),
        cpu_s: (cpu_after - cpu_before).as_secs_f64(),
        rss_mb,
        written_bytes,
        syncs,
        floor_p50_us: floor.per_mille(500).as_secs_f64() * 1e6,
        durable: seen.durable,
        journal_p999_ms: after.batch_p999.as_secs_f64() * 1000.0,
        journal_max_ms: after.batch_max.as_secs_f64() * 1000.0,
        server,
        syncs_p50: seen.median_syncs(),
        settled,
        ends,
        minutes,
    })
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
async fn warm_up(
    arguments: &Arguments,
    workload: Workload,
    concurrency: usize,
    limit: Duration,
    folder: &Path,
) -> Result<Warm> {
    let bench = Bench::open(folder, arguments.place(), 0).await?;
    let before = bench.store().figures()?;
    let limit = (limit / 10).min(Duration::from_secs(1));
    let seen = bench.caller.drive(workload.small(), concurrency, limit).await?;
    let after = bench.store().figures()?;
    bench.close().await?;
    std::fs::remove_dir_all(folder)?;
    let (bytes, syncs) = (after.written_bytes - before.written_bytes, after.syncs - before.syncs);
    Ok(Warm { record: bytes / syncs.max(1), bytes_per_s: bytes as f64 / seen.elapsed.as_secs_f64() })
}
