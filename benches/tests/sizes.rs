//! Each workload runs, small, and says what it should.

use serde_json::Value;
use std::process::Command;

fn report(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen-bench"));
    let output = command.args(arguments).arg("--json").env("DURAMEN_BENCH_DIR", folder.path()).output();
    let output = output.expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0, "the store is removed at the end");
    serde_json::from_slice(&output.stdout).expect("one line of JSON")
}

/// That each of these is a number that is not negative.
fn assert_figures(report: &Value, names: &[&str]) {
    for name in names.iter().chain(&["settled_s", "unsettled_bytes_max"]) {
        let figure = report[name].as_f64();
        assert!(figure.is_some_and(|figure| figure >= 0.0), "{name} of {report}");
    }
}

#[test]
fn parked_instances_wait_through_a_restart() {
    let report = report(&["parked", "50", "--idle-seconds", "1", "--raises", "5"]);
    let names = ["start_per_s", "rss_settled_mb", "rss_reopened_mb", "reopen_s", "idle_cpu_s", "idle_written_bytes"];
    assert_figures(&report, &names);
    assert_figures(&report, &["raise_p50_ms", "raise_p99_ms", "store_mb"]);
    assert_eq!((&report["workload"], &report["idle_s"]), (&"parked 50".into(), &1.into()));
}

#[test]
fn timers_fire_in_time() {
    let report = report(&["timers", "20", "--later", "10"]);
    assert_figures(&report, &["all_fired_s", "late_p50_ms", "late_p99_ms", "start_per_s"]);
    assert!(report["all_fired_s"].as_f64() >= Some(0.9), "they are spread over a second: {report}");
}

#[test]
fn lists_are_read_in_pages() {
    let report = report(&["list", "--instances", "400"]);
    assert_figures(&report, &["list_p50_ms", "list_p99_ms", "by_status_p99_ms", "by_prefix_p99_ms"]);
}

#[test]
fn a_server_in_another_process_has_figures_of_its_own() {
    let report = report(&["hello-cities", "--remote", "--concurrency", "20", "--seconds", "1"]);
    assert_figures(&report, &["call_p50_us", "server_cpu_s", "server_rss_mb", "orchestrations_per_s"]);
    assert_eq!((&report["mode"], &report["durable"]), (&"remote".into(), &true.into()));
}

#[test]
fn calls_wait_beside_other_work() {
    let report = report(&["waiters", "300", "--seconds", "0"]);
    let names = ["server_rss_before_mb", "server_rss_mb", "latency_p50_ms", "latency_p99_ms", "call_p50_us"];
    assert_figures(&report, &names);
    assert_eq!((&report["waiters"], &report["workers"]), (&300.into(), &200.into()));
}

#[test]
fn a_purge_runs_beside_other_work() {
    let report = report(&["purge", "100", "--seconds", "0"]);
    let names = ["purge_s", "latency_idle_p99_ms", "latency_during_p99_ms", "tables_mb_before", "tables_mb_after"];
    assert_figures(&report, &names);
}
