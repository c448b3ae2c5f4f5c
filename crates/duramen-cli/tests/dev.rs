//! `duramen dev`, from its first line to its end.
#![cfg(unix)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod support;

use std::net::TcpListener;
use support::{Server, duramen, output, text};
use tempfile::tempdir;

const ANY_PORT: [&str; 5] = ["dev", "--grpc", "0", "--http", "0"];

#[test]
fn it_says_where_everything_is_and_that_is_true() {
    let folder = tempdir().expect("a folder");
    let server = Server::start(duramen(folder.path(), &ANY_PORT));
    let grpc = server.place("gRPC").split(' ').next().expect("an address").to_owned();
    assert!(grpc.starts_with("localhost:") && !grpc.ends_with(":0"), "{grpc}");
    assert_eq!(server.place("connect"), format!("Endpoint=http://{grpc};Authentication=None;TaskHub=default"));
    let data = folder.path().canonicalize().expect("a path").join(".duramen");
    assert!(server.place("data").starts_with(data.to_str().expect("text")), "{}", server.text);
    assert!(data.join("hubs/default/lock").exists());
    assert_eq!(std::fs::read_to_string(data.join(".gitignore")).expect("it is there"), "*\n");

    assert_eq!(server.get("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(server.get("/"), (200, server.text.clone()));
    let (status, hubs) = server.get("/readyz");
    assert_eq!(status, 200);
    assert!(hubs.contains(r#"{"name":"default","state":"open","#), "{hubs}");

    server.signal("TERM");
    let (status, log) = server.ended();
    assert!(status.success() && log.is_empty(), "{status} {log:?}");
}

#[test]
fn a_second_one_in_the_same_folder_says_that_there_is_one_and_the_data_survives_a_kill() {
    let folder = tempdir().expect("a folder");
    let first = Server::start(duramen(folder.path(), &ANY_PORT));
    let second = output(duramen(folder.path(), &ANY_PORT));
    assert_eq!(second.status.code(), Some(1));
    assert!(second.stdout.is_empty());
    let error = text(&second.stderr);
    assert!(error.contains("is in use by another process") && error.contains(".duramen/hubs/default/lock"), "{error}");

    first.signal("KILL");
    assert!(!first.ended().0.success());
    let third = Server::start(duramen(folder.path(), &ANY_PORT));
    assert_eq!(third.get("/readyz").0, 200);
    third.signal("INT");
    assert!(third.ended().0.success());
}

#[test]
fn hubs_that_were_made_before_are_there_and_wait_until_they_are_named() {
    let folder = tempdir().expect("a folder");
    let data = folder.path().join("data");
    for hub in ["orders", "Capital", "no name"] {
        std::fs::create_dir_all(data.join("hubs").join(hub)).expect("a folder");
    }
    let server = Server::start(duramen(folder.path(), &[&ANY_PORT[..], &["--data", "data"]].concat()));
    let (status, hubs) = server.get("/readyz");
    assert_eq!(status, 200);
    assert!(hubs.contains(r#"{"name":"orders","state":"untouched"}]"#), "{hubs}");
    assert!(!data.join(".gitignore").exists(), "the folder was there before");
}

#[test]
fn in_memory_there_is_no_folder() {
    let folder = tempdir().expect("a folder");
    let server = Server::start(duramen(folder.path(), &[&ANY_PORT[..], &["--in-memory"]].concat()));
    assert_eq!(server.get("/readyz").0, 200);
    assert!(server.place("data").starts_with("in memory"), "{}", server.text);
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn a_port_that_is_taken_is_named_before_the_data_is_touched() {
    let folder = tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    for arguments in [["dev", "--grpc", &port, "--http", "0"], ["dev", "--grpc", "0", "--http", &port]] {
        let refused = output(duramen(folder.path(), &arguments));
        assert_eq!(refused.status.code(), Some(1));
        let error = text(&refused.stderr);
        let flag = if arguments[2] == port { "--grpc" } else { "--http" };
        assert!(error.contains(&format!("localhost:{port} is taken by another program")), "{error}");
        assert!(error.trim_end().ends_with(flag), "{error}");
        assert!(!folder.path().join(".duramen/hubs").exists());
    }
}
