//! The syncs that the bench reports are those that the kernel saw.

use std::path::Path;
use std::process::{Command, Output};

/// Runs the bench, or what runs the bench, with the smallest measured part.
fn run(mut command: Command, workload: &str, folder: &Path) -> Output {
    command.arg(workload).args(["--seconds", "0", "--json"]).env("DURAMEN_BENCH_DIR", folder);
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn report(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).expect("one line of JSON")
}

#[test]
fn a_chain_of_five_is_six_syncs() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(Command::new(env!("CARGO_BIN_EXE_duramen-bench")), "latency", folder.path());
    let report = report(&output);
    assert_eq!((&report["durable"], &report["concurrency"]), (&true.into(), &1.into()));
    assert_eq!(report["syncs"], 6, "{report}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0, "the store is removed at the end");
}
