//! `duramen serve`: its configuration, and its life under something like systemd.
#![cfg(unix)]

mod support;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Server, duramen, output, text};
use tempfile::tempdir;

const FILE: &str = r#"
hubs = ["default", "Orders"]
grpc = [0]
http = 0
data = "data"
log = "info"

[limits]
unknown_wait = "5s"

[settling]
age = "1s"

[retention]
completed = "30d"
failed = "90d"
"#;

/// A folder with this configuration in it.
fn folder(file: &str) -> tempfile::TempDir {
    let folder = tempdir().expect("a folder");
    fs::write(folder.path().join("duramen.toml"), file).expect("it is written");
    folder
}

fn printed(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = duramen(folder, &[&["serve", "--print-config"], arguments].concat());
    command.envs(variables.iter().copied());
    let output = output(command);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = output(duramen(folder, &[&["serve"], arguments].concat()));
    assert!(!output.status.success() && output.stdout.is_empty(), "{}", text(&output.stdout));
    text(&output.stderr)
}

#[test]
fn flags_count_before_variables_and_those_before_the_file() {
    let folder = folder(FILE);
    let config = ["--config", "duramen.toml"];
    let variables = [
        ("DURAMEN_SETTLING_AGE", "2s"),
        ("DURAMEN_DRAIN", "10s"),
        ("DURAMEN_RETENTION_FAILED", "12h"),
        ("RUST_LOG", "debug"),
        ("DURAMEN_PORT", "tcp://1.2.3.4:5"),
    ];
    let all = printed(folder.path(), &[&config[..], &["--drain", "1m"]].concat(), &variables);
    assert_eq!(
        all,
        r#"hubs = ["default", "orders"]
grpc = ["localhost:0"]
http = "localhost:0"
data = "data"
insecure = false
drain = "1m"
log = "debug"

[limits]
open_requests = 100000
calls = 100000
workers = 1000
connections = 4000
receive_bytes = "64MiB"
receiving_bytes = "256MiB"
page_bytes = "3MiB"
reply_bytes = "256MiB"
episode = "5m"
activity = "none"
unknown_wait = "5s"
hold_after = 20
max_inline_item_bytes = "3900KiB"
fail_oversized = false

[settling]
bytes = "64MiB"
age = "2s"
bound = "256MiB"
reserve = "64MiB"

[retention]
completed = "30d"
failed = "12h"
terminated = "none"
canceled = "none"
"#
    );
    fs::write(folder.path().join("again.toml"), &all).expect("it is written");
    assert_eq!(printed(folder.path(), &["--config", "again.toml"], &[]), all, "what is printed is a configuration");
    assert_eq!(printed(folder.path(), &[], &[("DURAMEN_CONFIG", "again.toml")]), all);
}

#[test]
fn errors_of_the_configuration_show_the_place_and_the_way_out() {
    let folder = folder("hbus = [\"default\"]\n");
    let error = refused(folder.path(), &["--config", "duramen.toml"]);
    assert!(error.starts_with("duramen: failed to understand the configuration duramen.toml: "), "{error}");
    assert!(error.contains("line 1, column 1") && error.trim_end().ends_with("did you mean `hubs`?"), "{error}");

    let error = refused(folder.path(), &["--config", "elsewhere.toml"]);
    assert!(error.starts_with("duramen: failed to read the configuration elsewhere.toml: No such file"), "{error}");
    let error = refused(folder.path(), &[]);
    assert!(error.contains("--data FOLDER, DURAMEN_DATA or `data` in the file"), "{error}");
    let error = refused(folder.path(), &["--data", "data", "--drian", "5s"]);
    assert!(error.contains("'--drain' exists") || error.contains("'--drain'"), "{error}");
    let error = refused(folder.path(), &["--data", "data", "--limits-receiving-bytes", "1MiB"]);
    assert!(
        error.contains("`receiving_bytes` in [limits] is 1MiB: not even one message of 64MiB would fit"),
        "{error}"
    );
    let error = refused(folder.path(), &["--data", "data", "--limits-workers", "0"]);
    assert!(error.contains("`workers` in [limits] is 0"), "{error}");
    let error = refused(folder.path(), &["--data", "data", "--settling-bytes", "1GiB"]);
    assert!(error.contains("`bytes` is 1GiB, more than `bound`, 256MiB"), "{error}");
    let error = refused(folder.path(), &["--data", "data", "--hubs", "orders,ORDERS"]);
    assert!(error.contains("\"orders\" twice"), "{error}");
    let error = refused(folder.path(), &["--data", "data", "--log", "loud"]);
    assert!(error.contains("failed to read \"loud\" as what to log"), "{error}");
    let error = refused(folder.path(), &["--data", "data", "--log", "info,duramen_hub=loud"]);
    assert!(error.contains("failed to read \"info,duramen_hub=loud\" as what to log"), "{error}");
}

#[test]
fn an_address_that_others_can_reach_has_to_be_asked_for_twice() {
    let folder = tempdir().expect("a folder");
    for (flag, address) in [("--grpc", "0.0.0.0:8080"), ("--http", "[::]:8082")] {
        let error = refused(folder.path(), &["--data", "data", flag, address]);
        assert!(
            error.contains(&format!("is {address}, which other machines can reach")) && error.contains("--insecure"),
            "{error}"
        );
        let told = ["--data", "data", flag, address, "--insecure"];
        assert!(printed(folder.path(), &told, &[]).contains("insecure = true"));
    }
    let error = refused(folder.path(), &["--data", "data", "--http", "0.0.0.0:1", "--insecure=false"]);
    assert!(error.contains("which other machines can reach"), "{error}");
}

#[test]
fn systemd_hears_when_it_is_ready_and_when_it_stops() {
    let folder = folder(FILE);
    let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let heard = || {
        let mut line = [0; 64];
        let length = socket.recv(&mut line).expect("a line");
        String::from_utf8_lossy(&line[..length]).into_owned()
    };
    let mut command = duramen(folder.path(), &["serve", "--config", "duramen.toml"]);
    command.env("NOTIFY_SOCKET", folder.path().join("notify"));
    let server = Server::start(command);
    assert_eq!(heard(), "READY=1");
    assert_eq!(server.place("task hubs"), "default, orders");
    let (status, hubs) = server.get("/readyz");
    assert!(status == 200 && hubs.matches(r#""state":"open""#).count() == 2, "{status} {hubs}");
    server.signal("TERM");
    assert_eq!(heard(), "STOPPING=1");
    let (status, log) = server.ended();
    assert!(status.success(), "{status}");
    assert!(log.last().is_some_and(|line| line.ends_with("stopped")), "{log:?}");
}

#[test]
fn a_hub_that_does_not_open_keeps_no_other_from_its_work_and_comes_back_by_itself() {
    let folder = folder(FILE);
    let broken = folder.path().join("data/hubs/orders");
    fs::create_dir_all(folder.path().join("data/hubs/left-behind")).expect("a folder");
    fs::write(&broken, "a file where a folder should be").expect("it is written");
    let server = Server::start(duramen(folder.path(), &["serve", "--config", "duramen.toml"]));
    server.logs("left-behind");
    let (status, hubs) = server.get("/readyz");
    assert_eq!(status, 503);
    assert!(
        hubs.contains(
            r#"{"name":"orders","state":"closed","reason":"failed to make the folder data/hubs/orders/journal"#
        ),
        "{hubs}"
    );
    assert!(hubs.contains(r#"{"name":"default","state":"open""#), "{hubs}");
    fs::remove_file(&broken).expect("it is removed");
    server.logs("open hub=orders");
    // It is said a moment before it is so.
    let patience = Instant::now() + Duration::from_secs(60);
    while server.get("/readyz").0 != 200 {
        assert!(Instant::now() < patience, "it says that it is open, and is not ready");
    }
}

#[test]
fn where_no_hub_opens_there_is_no_server() {
    let folder = folder(FILE);
    fs::write(folder.path().join("data"), "a file").expect("it is written");
    let error = refused(folder.path(), &["--config", "duramen.toml", "--log", "off"]);
    assert!(error.contains("no task hub could be opened: task hub \"default\" is not open"), "{error}");
    assert!(error.contains("task hub \"orders\" is not open"), "{error}");
}

/// The names of the threads of a process.
#[cfg(target_os = "linux")]
fn threads(process: u32) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("it runs").flatten();
    // One that ends meanwhile has no name any more.
    let names = threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn a_hub_that_nobody_uses_costs_no_thread() {
    let folder = tempdir().expect("a folder");
    let hubs: Vec<String> = (0..8).map(|n| format!("hub-{n}")).collect();
    let hubs = hubs.join(",");
    let arguments =
        ["serve", "--data", "data", "--grpc", "0", "--http", "0", "--settling-age", "100ms", "--hubs", &hubs];
    let server = Server::start(duramen(folder.path(), &arguments));
    let of_stores = |name: &&String| ["write", "settle", "chores", "read"].iter().any(|of| name.ends_with(of));
    let begun = Instant::now();
    while let left @ 1.. = threads(server.process()).iter().filter(of_stores).count() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{left} threads of stores are still there");
        std::thread::yield_now();
    }
    assert_eq!(server.get("/readyz").0, 200);
}
