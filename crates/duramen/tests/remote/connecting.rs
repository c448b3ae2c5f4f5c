//! Finding a server, or hearing at once why not.

use crate::support::{Echo, Server, hub};
use duramen::{ConnectError, ConnectOptions, TaskHub};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

#[tokio::test]
async fn what_the_server_prints_connects() {
    let (hub, _worker) = hub().await;
    let server = Server::of(hub).await;
    let printed = format!("Endpoint={};Authentication=None;TaskHub=default", server.url());
    for address in [server.url(), printed] {
        let there = TaskHub::connect(&address).await.unwrap();
        let said = there.client().start(Echo, "hello").await.unwrap().wait().await.unwrap();
        assert_eq!(said, "hello");
    }
}

#[tokio::test]
async fn nobody_listening_is_said_at_once_with_what_to_do() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let begun = Instant::now();
    let error = TaskHub::connect(&format!("http://{free}")).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Unreachable { address, .. } if address.ends_with(&free.to_string())));
    assert!(error.to_string().contains("duramen dev"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(4), "well before the time that a connection may take");
}

#[tokio::test]
async fn who_accepts_and_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = ConnectOptions { connect_timeout: Duration::from_millis(50), ..ConnectOptions::default() };
    let error = TaskHub::connect_with(&format!("http://{}", silent.local_addr().unwrap()), options).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Unreachable { reason, .. } if reason.contains("50ms")), "{error}");
}
