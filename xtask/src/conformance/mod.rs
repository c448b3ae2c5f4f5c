//! `cargo xtask conformance`: other people's SDKs, as they are published, run against the server.
//!
//! Each suite is set up in a fresh folder as a user of that SDK would do it (`suite`), with the versions of
//! `conformance/packages`. It gets the address of a server that runs on a fresh data folder (`server`) and a small
//! HTTP endpoint on which it can start further servers, kill them and start them again (`control`). What its
//! scenarios report is printed as one table (`report`).

mod control;
mod packages;
mod report;
mod server;
mod suite;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use control::Control;
use packages::Packages;
use report::Report;
use server::{Launch, Servers};
use suite::Suite;

const USAGE: &str = "usage: cargo xtask conformance [SUITE...] [--only TEXT] [--keep] [--reference] [--kills N]

  SUITE        python, js, cross, java, go, dotnet-like, kills; without one, all of them, several at a time
  --only TEXT  only the scenarios whose name contains it
  --kills N    how often the suite `kills` kills its server under load; 3 unless told otherwise
  --keep       leave the installed packages of the last run in place instead of starting from a fresh folder
  --reference  against the in-memory backend of the Python package instead of our server: says whether the
               scenarios are right, as far as that backend goes

  DURAMEN_SERVER=COMMAND  what to run instead of `target/debug/duramen {verb}`; {verb} is `dev` or `serve`, {grpc},
                          {http} and {data} stand for two ports and a folder";

/// A suite that takes longer than this has hung; each kill may add `KILL_LIMIT`.
const SUITE_LIMIT: Duration = Duration::from_secs(600);
const KILL_LIMIT: Duration = Duration::from_secs(20);

/// Suites that run at a time. They wait most of the time, for timers and for what must not happen.
const LANES: usize = 3;

/// Kills of a run that nobody asked more of.
const FEW_KILLS: u32 = 3;

/// What was asked for.
struct Arguments {
    suites: Vec<Suite>,
    only: Option<String>,
    keep: bool,
    reference: bool,
    kills: u32,
}

pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let arguments = parse(arguments)?;
    let packages = Packages::read(&root.join("conformance/packages"))?;
    let work = root.join("target/conformance");
    let launch = launch(root, &work, &packages, &arguments)?;
    let runs = Runs { root, work: &work, packages: &packages, launch: &launch, arguments: &arguments };
    let reports = runs.all()?;
    let failed = reports.iter().map(Report::print).sum::<usize>();
    if failed == 0 {
        Ok(())
    } else {
        Err(format!("{failed} scenarios failed; whole outputs are in {}", work.display()))
    }
}

/// What starts a server: ours, what `DURAMEN_SERVER` says, or the reference.
fn launch(root: &Path, work: &Path, packages: &Packages, arguments: &Arguments) -> Result<Launch, String> {
    if arguments.reference {
        let folder = work.join("reference");
        suite::virtual_environment(&folder, &packages.pip("python"))?;
        let script = root.join("conformance/reference/server.py");
        return Ok(Launch::new(&format!(
            "{}/venv/bin/python {} 127.0.0.1:{{grpc}}",
            folder.display(),
            script.display()
        )));
    }
    if let Ok(command) = std::env::var("DURAMEN_SERVER") {
        return Ok(Launch::new(&command));
    }
    // One command, so that what both are made of is compiled once.
    let packages = ["--package", "duramen-cli", "--package", "duramen-conformance"];
    crate::run(Command::new("cargo").args(["build", "--quiet"]).args(packages))?;
    let binary = root.join("target/debug/duramen");
    Ok(Launch::new(&format!("{} {{verb}} --grpc {{grpc}} --http {{http}} --data {{data}}", binary.display())))
}

/// What the suites of one call share.
struct Runs<'a> {
    root: &'a Path,
    work: &'a Path,
    packages: &'a Packages,
    launch: &'a Launch,
    arguments: &'a Arguments,
}

impl Runs<'_> {
    /// Runs the suites, some at a time; gives the reports in the order of the suites.
    fn all(&self) -> Result<Vec<Report>, String> {
        let suites = &self.arguments.suites;
        let (next, reports) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        thread::scope(|scope| {
            for _ in 0..LANES {
                scope.spawn(|| {
                    while let Some(suite) = suites.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let report = self.one(*suite);
                        reports.lock().expect("no holder of this lock panics").insert(*suite, report);
                    }
                });
            }
        });
        reports.into_inner().expect("no holder of this lock panics").into_values().collect()
    }

    fn one(&self, suite: Suite) -> Result<Report, String> {
        let folder = self.work.join(suite.name());
        println!("--- {}: setting up in {}", suite.name(), folder.display());
        if !self.arguments.keep && folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| format!("failed to remove {}: {error}", folder.display()))?;
        }
        let mut command = suite.set_up(&self.root.join("conformance"), &folder, self.packages)?;
        let servers = Servers::new(self.launch.clone(), fresh(&folder.join("servers"))?);
        let address = servers.add(&[])?.address;
        let control = Control::start(servers.clone())?;
        let results = folder.join("results");
        fs::write(&results, "").map_err(|error| format!("failed to write {}: {error}", results.display()))?;
        command
            .env("CONFORMANCE_ADDRESS", &address)
            .env("CONFORMANCE_CONTROL", control.url())
            .env("CONFORMANCE_RESULTS", &results)
            .env("CONFORMANCE_ONLY", self.arguments.only.as_deref().unwrap_or_default())
            .env("CONFORMANCE_KILLS", self.arguments.kills.to_string())
            .env("CONFORMANCE_RUST", self.root.join("target/debug/duramen-conformance"))
            .env("CONFORMANCE_REFERENCE", if self.arguments.reference { "1" } else { "" });
        println!("--- {}: running", suite.name());
        let limit = SUITE_LIMIT + KILL_LIMIT * self.arguments.kills;
        let outcome = suite::run_to_log(command, &self.work.join(format!("{}.log", suite.name())), limit);
        servers.stop_all();
        println!("--- {}: done", suite.name());
        Report::read(suite.name(), &results, outcome)
    }
}

/// An empty folder.
fn fresh(folder: &Path) -> Result<PathBuf, String> {
    let failed = |error| format!("failed to make {}: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(failed)?;
    }
    fs::create_dir_all(folder).map_err(failed)?;
    Ok(folder.to_owned())
}

fn parse(arguments: &[&str]) -> Result<Arguments, String> {
    let mut parsed = Arguments { suites: Vec::new(), only: None, keep: false, reference: false, kills: FEW_KILLS };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match *argument {
            "--only" => parsed.only = Some((*rest.next().ok_or("--only needs a text")?).to_owned()),
            "--keep" => parsed.keep = true,
            "--reference" => parsed.reference = true,
            "--kills" => {
                let number = rest.next().ok_or("--kills needs a number")?;
                parsed.kills = number.parse().map_err(|_| format!("--kills needs a number, not {number:?}"))?;
            }
            "--help" => return Err(USAGE.to_owned()),
            name => parsed.suites.push(Suite::from_name(name).ok_or(format!("no suite {name:?}\n\n{USAGE}"))?),
        }
    }
    if parsed.suites.is_empty() {
        parsed.suites = Suite::ALL.to_vec();
    }
    Ok(parsed)
}
