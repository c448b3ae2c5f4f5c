//! Connections that do what HTTP/2 allows and no client does. Each may lose its connection; others notice nothing.

use crate::raw::Raw;
use crate::support::*;
use duramen_hub::Options;
use duramen_server::{GrpcOptions, HubsOptions};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// A call over another connection still gets through.
async fn others_are_served(server: &Server, id: &str) {
    let mut client = server.connect().await;
    soon("a start", start(&mut client, id, "O")).await;
}

#[tokio::test]
async fn calls_that_are_given_up_at_once() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address()).await;
    for round in 0..20 {
        raw.call_and_reset("QueryInstances", 1_000).await;
        if round % 5 == 0 {
            others_are_served(&server, &format!("i{round}")).await;
        }
    }
    others_are_served(&server, "last").await;
}

#[tokio::test]
async fn headers_without_an_end_end_the_connection() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address()).await;
    raw.endless_headers(2_000).await;
    soon("the connection's end", raw.closed()).await;
    others_are_served(&server, "i").await;
}

#[tokio::test]
async fn settings_and_pings_without_end() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address()).await;
    // The answers are not read, so at some time the server takes no more.
    let flood = tokio::spawn(async move { raw.settings_and_pings(200_000).await });
    for n in 0..5 {
        others_are_served(&server, &format!("i{n}")).await;
    }
    flood.abort();
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let grpc = GrpcOptions { keep_alive: Duration::from_millis(100), ..GrpcOptions::default() };
    let server = Server::with(grpc, HubsOptions::default(), Options::default()).await;
    let mut silent = TcpStream::connect(server.address()).await.unwrap();
    let _ = soon("the connection's end", silent.read_to_end(&mut Vec::new())).await;
    others_are_served(&server, "i").await;
}

#[tokio::test]
async fn connections_beyond_the_number_are_closed_until_one_goes() {
    let grpc = GrpcOptions { connections: 3, ..GrpcOptions::default() };
    let server = Server::with(grpc, HubsOptions::default(), Options::default()).await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        kept.push(Raw::connect(server.address()).await);
    }
    let mut fourth = TcpStream::connect(server.address()).await.unwrap();
    let _ = soon("the connection's end", fourth.read_to_end(&mut Vec::new())).await;
    drop(kept);
    let served = async {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", server.address())).unwrap();
        while endpoint.connect().await.is_err() {}
    };
    soon("a place", served).await;
}
