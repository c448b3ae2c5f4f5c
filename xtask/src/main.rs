//! Chores of the repository: `cargo xtask VERB`.

mod conformance;
mod coverage;
mod dist;
mod folder;
mod mutants;
mod newcomer;
mod pure;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "usage: cargo xtask VERB

  conformance  the published SDKs of other languages against the server (--help says more)
  dist         build the wheel that `pip install` takes, into target/wheels
  newcomer     do what README tells those who come from other languages, with that wheel
  pure         prove that duramen-core has no std, clock, randomness or hash order in it
  coverage     show which lines of core its tests and the simulator do not reach
  mutants      change core in small ways, and see that its tests or the simulator notice
  ci           what .ci/run does
  nightly      the same with larger numbers: 20,000 seeds of the simulator, 1,000 kills of a store under load, 50 of a
               server: takes hours";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let verb: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match verb.as_slice() {
        ["dist"] => dist::dist(dist::Profile::Release).map(drop),
        ["newcomer"] => newcomer::newcomer(),
        ["pure"] => pure::run(&root()),
        ["coverage"] => coverage::run(&root()),
        ["mutants", arguments @ ..] => mutants::run(&root(), arguments),
        ["conformance", rest @ ..] => conformance::run(&root(), rest),
        ["ci"] => run(Command::new("bash").arg(".ci/run")),
        ["nightly"] => nightly(),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Everything of `ci` with more cases of each property, then many kills of a server under load, and in release many
/// seeds of the simulator and many kills of a store.
fn nightly() -> Result<(), String> {
    run(Command::new("bash").arg(".ci/run").env("PROPTEST_CASES", "10000"))?;
    conformance::run(&root(), &["kills", "--kills", "50"])?;
    let release = ["run", "--release", "--package"];
    run(Command::new("cargo").args(release).args(["duramen-sim", "--", "--seeds", "20000"]))?;
    run(Command::new("cargo").args(release).args(["duramen-torture", "--", "run", "--kills", "1000"]))
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in a folder of the repository").to_owned()
}

/// Runs a command at the root; its output goes where ours goes.
fn run(command: &mut Command) -> Result<(), String> {
    let status =
        command.current_dir(root()).status().map_err(|error| format!("failed to start {command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}
