//! Finding a server, or hearing at once why not.

use crate::support::{Echo, Server, hub};
use duramen::{ConnectError, ConnectOptions, TaskHub};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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

#[tokio::test]
async fn a_server_that_speaks_something_else_is_no_server() {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = other.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = other.accept().await.unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        let _ = socket.read_to_end(&mut Vec::new()).await;
    });
    let error = TaskHub::connect(&format!("http://{address}")).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Foreign { .. }), "{error}");
    assert!(error.to_string().contains("the port"), "{error}");
}

#[tokio::test]
async fn a_task_hub_that_cannot_be_is_said_when_connecting() {
    let (hub, _worker) = hub().await;
    let server = Server::of(hub).await;
    for name in ["no name", "x"] {
        let options = ConnectOptions { task_hub: Some(name.into()), ..ConnectOptions::default() };
        let error = TaskHub::connect_with(&server.url(), options).await.unwrap_err();
        assert!(matches!(&error, ConnectError::Refused { reason, .. } if reason.contains(name)), "{error}");
    }
    let options = ConnectOptions { task_hub: Some("line\nbreak".into()), ..ConnectOptions::default() };
    let error = TaskHub::connect_with(&server.url(), options).await.unwrap_err();
    assert!(matches!(&error, ConnectError::TaskHub { .. }), "{error}");
}
