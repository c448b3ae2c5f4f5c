//! The published Python SDK against `duramen dev`, and against the in-memory backend that the SDK itself ships.
//!
//! Server, worker and clients are three processes on each side; worker, clients and load are the same on both. Our
//! server keeps everything on disk, the other keeps nothing.

mod process;

use crate::latencies::Latencies;
use crate::process::cpu_of;
use duramen::prelude::*;
use process::Process;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What is measured.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Python {}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    workload: String,
    mode: &'static str,
    concurrency: usize,
    seconds: f64,
    orchestrations_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Processor time of our server and of the worker beside it in the measured time, and of both the server's part.
    server_cpu_s: f64,
    worker_cpu_s: f64,
    server_share: f64,
    /// The SDK's own backend.
    reference_per_s: f64,
    reference_p50_ms: f64,
    reference_p99_ms: f64,
    reference_server_cpu_s: f64,
    reference_worker_cpu_s: f64,
    sdk: String,
}

const CONCURRENCY: usize = 64;
const SECONDS: u64 = 10;

impl Python {
    pub(crate) fn run(self, folder: &Path, concurrency: Option<usize>, seconds: Option<u64>) -> Result<Report> {
        let (concurrency, seconds) = (concurrency.unwrap_or(CONCURRENCY).max(1), seconds.unwrap_or(SECONDS).max(1));
        let sdk = published()?;
        let side = Side { interpreter: install(folder, &sdk)?, concurrency, seconds };
        let reference = side.measure(reference(&side.interpreter)?)?;
        let ours = side.measure(server(&folder.join("data"))?)?;
        Ok(report(sdk, concurrency, ours, reference))
    }
}

fn report(sdk: String, concurrency: usize, mut ours: Seen, mut reference: Seen) -> Report {
    let (server, worker) = (ours.server_cpu.as_secs_f64(), ours.worker_cpu.as_secs_f64());
    Report {
        workload: "python".to_owned(),
        mode: "server, Python worker",
        concurrency,
        seconds: ours.seconds,
        orchestrations_per_s: ours.per_s(),
        p50_ms: ours.latencies.ms(500),
        p99_ms: ours.latencies.ms(990),
        server_cpu_s: server,
        worker_cpu_s: worker,
        server_share: server / (server + worker),
        reference_per_s: reference.per_s(),
        reference_p50_ms: reference.latencies.ms(500),
        reference_p99_ms: reference.latencies.ms(990),
        reference_server_cpu_s: reference.server_cpu.as_secs_f64(),
        reference_worker_cpu_s: reference.worker_cpu.as_secs_f64(),
        sdk,
    }
}

/// How both sides are measured.
struct Side {
    interpreter: PathBuf,
    concurrency: usize,
    seconds: u64,
}

/// What was seen of one.
struct Seen {
    seconds: f64,
    latencies: Latencies,
    server_cpu: Duration,
    worker_cpu: Duration,
}

impl Seen {
    fn per_s(&self) -> f64 {
        self.latencies.len() as f64 / self.seconds
    }
}

/// What the clients say at the end.
#[derive(Deserialize)]
struct Counted {
    seconds: f64,
    took_us: Vec<u64>,
}

impl Side {
    fn measure(&self, (server, address): (Process, String)) -> Result<Seen> {
        let mut worker = Process::start(self.script("worker.py").arg(&address))?;
        worker.line_after("ready")?;
        let (concurrency, seconds) = (self.concurrency.to_string(), self.seconds.to_string());
        let mut clients = Process::start(self.script("client.py").args([&address, &concurrency, &seconds]))?;
        clients.line_after("measuring")?;
        let before = (cpu_of(server.id())?, cpu_of(worker.id())?);
        let counted = clients.line_after("{")?;
        let after = (cpu_of(server.id())?, cpu_of(worker.id())?);
        let counted: Counted = serde_json::from_str(&format!("{{{counted}"))?;
        let mut latencies = Latencies::default();
        counted.took_us.iter().for_each(|took| latencies.push(Duration::from_micros(*took)));
        Ok(Seen { seconds: counted.seconds, latencies, server_cpu: after.0 - before.0, worker_cpu: after.1 - before.1 })
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.interpreter);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name));
        command
    }
}

/// `duramen dev` of the same build as this program, and where it listens.
fn server(data: &Path) -> Result<(Process, String)> {
    let binary = std::env::current_exe()?.with_file_name("duramen");
    if !binary.exists() {
        let text = format!("there is no {}; build it: cargo build --release -p duramen-cli", binary.display());
        return Err(Error::msg(text));
    }
    let mut command = Command::new(binary);
    command.args(["dev", "--grpc", "0", "--http", "0", "--data"]).arg(data);
    let mut server = Process::start(&mut command)?;
    let endpoint = server.line_after("connect")?;
    let address = endpoint.strip_prefix("Endpoint=http://").and_then(|rest| rest.split(';').next());
    let address = address.ok_or_else(|| Error::msg(format!("the server names no endpoint: {endpoint}")))?;
    let address = address.to_owned();
    Ok((server, address))
}

/// The backend that the SDK ships, as a server, and where it listens.
fn reference(interpreter: &Path) -> Result<(Process, String)> {
    let (port, script) = (process::free_port()?, repository().join("conformance/reference/server.py"));
    let address = format!("127.0.0.1:{port}");
    let mut server = Process::start(Command::new(interpreter).arg(script).arg(&address))?;
    server.until_it_listens(port)?;
    Ok((server, address))
}

/// The SDK in a fresh environment, as a user installs it; gives its Python.
fn install(folder: &Path, sdk: &str) -> Result<PathBuf> {
    let environment = folder.join("venv");
    process::run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    let interpreter = environment.join("bin/python");
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", sdk];
    process::run(Command::new(&interpreter).args(install))?;
    Ok(interpreter)
}

/// The package and its version, as the conformance suites use it.
fn published() -> Result<String> {
    let file = repository().join("conformance/packages");
    let packages = std::fs::read_to_string(&file)?;
    packages
        .lines()
        .find_map(|line| match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["python", "durabletask", version] => Some(format!("durabletask=={version}")),
            _ => None,
        })
        .ok_or_else(|| Error::msg(format!("{} has no version of durabletask for python", file.display())))
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the benchmarks are in a folder of the repository")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(took_ms: u64, count: usize, server_ms: u64, worker_ms: u64) -> Seen {
        let mut latencies = Latencies::default();
        (0..count).for_each(|_| latencies.push(Duration::from_millis(took_ms)));
        let (server_cpu, worker_cpu) = (Duration::from_millis(server_ms), Duration::from_millis(worker_ms));
        Seen { seconds: 2.0, latencies, server_cpu, worker_cpu }
    }

    #[test]
    fn a_share_is_of_server_and_worker_together() {
        let report = report("sdk".to_owned(), 64, seen(7, 10, 500, 1500), seen(9, 4, 1000, 1000));
        assert_eq!((report.server_share, report.orchestrations_per_s, report.p50_ms), (0.25, 5.0, 7.0));
        assert_eq!((report.reference_per_s, report.reference_p99_ms), (2.0, 9.0));
    }

    #[test]
    fn the_version_is_that_of_the_conformance_suites() {
        assert!(published().unwrap().starts_with("durabletask=="));
    }
}
