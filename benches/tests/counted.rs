//! The syncs that the bench reports are those that the kernel saw.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

/// Runs the bench, or what runs the bench.
fn run(mut command: Command, workload: &str, seconds: &str, folder: &Path) -> Output {
    command.arg(workload).args(["--seconds", seconds, "--json"]).env("DURAMEN_BENCH_DIR", folder);
    // One at a time: what is counted depends on how fast a worker answers.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn report(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).expect("one line of JSON")
}

/// The median, since a checkpoint that stays open for an in-process episode is cut after a millisecond.
fn median_syncs(arguments: &[&str]) -> serde_json::Value {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen-bench"));
    command.args(arguments);
    let report = report(&run(command, "latency", "1", folder.path()));
    assert_eq!((&report["durable"], &report["concurrency"]), (&true.into(), &1.into()));
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0, "the store is removed at the end");
    report["syncs_p50"].clone()
}

#[test]
fn a_chain_of_five_is_six_syncs() {
    assert_eq!(median_syncs(&[]), 6);
}

/// Two a step and two more, and fewer where an episode has been answered before its cause is written: then both go
/// with one.
#[test]
fn a_chain_of_five_elsewhere_is_twelve_syncs_at_most() {
    for place in ["--remote-link", "--remote"] {
        let syncs = median_syncs(&[place]).as_u64();
        assert!(syncs.is_some_and(|syncs| (6..=12).contains(&syncs)), "{place}: {syncs:?}");
    }
}

#[test]
fn the_kernel_counts_the_same() {
    if Command::new("strace").arg("--version").output().is_err() {
        eprintln!("skipped: strace is not installed (apt-get install strace)");
        return;
    }
    // A write in the moment between the line that is looked for and the counters is seen by one of them alone; that
    // does not happen three times.
    let runs: Vec<_> = (0..3).map(|_| run_traced()).take_while(|(reported, seen)| reported != seen).collect();
    assert!(runs.len() < 3, "reported and seen by the kernel, (syncs, bytes): {runs:?}");
}

/// What the bench reports, and what strace has seen.
fn run_traced() -> ((u64, u64), (u64, u64)) {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("strace.log");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-e", "trace=fdatasync,fsync,write,pwrite64,pwritev", "-o"]).arg(&log);
    command.arg(env!("CARGO_BIN_EXE_duramen-bench"));
    let report = report(&run(command, "hello-cities", "0", folder.path()));
    let number = |field: &str| report[field].as_u64().unwrap_or_else(|| panic!("no {field} in {report}"));

    let log = std::fs::read_to_string(&log).expect("strace has written it");
    let seen = counted(&log, &folder.path().display().to_string());
    assert!(seen.0 > 0, "{log}");
    ((number("syncs"), number("written_bytes")), seen)
}

/// Syncs and written bytes of the files in `folder` between the lines in which the bench says that it measures.
fn counted(log: &str, folder: &str) -> (u64, u64) {
    let (_, rest) = log.split_once("\"measuring").expect("it says when it begins");
    let (measured, _) = rest.split_once("\"measured").expect("it says when it ends");
    let mut totals = (0, 0);
    // Calls that another thread's interrupt are shown in two parts: the first names the file, the second the outcome.
    let mut unfinished = std::collections::BTreeMap::new();
    for line in measured.lines().skip(1) {
        let Some((thread, call)) = line.trim().split_once(char::is_whitespace) else { continue };
        let call = call.trim();
        let (call, outcome) = match (call.strip_prefix("<... "), call.strip_suffix("<unfinished ...>")) {
            (_, Some(begun)) => {
                unfinished.insert(thread, begun);
                continue;
            }
            (Some(resumed), _) => (unfinished.remove(thread).unwrap_or_default(), resumed),
            (None, None) => (call, call),
        };
        let Some(outcome) = outcome.rsplit_once("= ").and_then(|(_, outcome)| outcome.parse::<u64>().ok()) else {
            continue;
        };
        match call.split_once('(') {
            Some((name, arguments)) if arguments.contains(folder) => match name {
                "fdatasync" | "fsync" => totals.0 += 1,
                _ => totals.1 += outcome,
            },
            _ => {}
        }
    }
    totals
}

#[test]
fn the_log_is_read_right() {
    let log = "1 pwrite64(7</d/a>, \"\"..., 99, 0) = 99\n\
               1 write(2</dev/pts/0>, \"measuring latency, 1 at\"..., 30) = 30\n\
               2 pwrite64(7</d/a>, \"x\"..., 512, 0) = 512\n\
               2 fdatasync(7</d/a> <unfinished ...>\n\
               1 write(7</other/a>, \"x\"..., 5) = 5\n\
               2 <... fdatasync resumed>) = 0\n\
               1 pwrite64(8</d/b>, \"y\"..., 1024, 512 <unfinished ...>\n\
               2 fdatasync(9</other/b>) = 0\n\
               1 <... pwrite64 resumed>) = 1024\n\
               1 write(2</dev/pts/0>, \"measured\\n\", 9) = 9\n\
               1 fdatasync(7</d/a>) = 0\n";
    assert_eq!(counted(log, "/d/"), (1, 1536));
}
