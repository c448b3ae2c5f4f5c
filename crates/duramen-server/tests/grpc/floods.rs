//! Clients that want more than their share: they are refused with a reason, and others are served.

use crate::raw::Raw;
use crate::support::*;
use duramen_hub::Options;
use duramen_proto::*;
use duramen_server::{GrpcOptions, HubsOptions};
use prost::Message as _;
use std::time::Duration;
use tonic::{Code, Status};

async fn server(grpc: GrpcOptions) -> Server {
    Server::with(grpc, HubsOptions::default(), Options::default()).await
}

/// Repeats a call until it is no longer refused for want of room, or is at last.
async fn until<T, F: Future<Output = Result<T, Status>>>(refused: bool, mut call: impl FnMut() -> F) {
    let asked = async {
        loop {
            let exhausted = call().await.err().is_some_and(|status| status.code() == Code::ResourceExhausted);
            if exhausted == refused {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(if refused { "a refusal" } else { "room" }, asked).await;
}

/// A message says at its beginning how long it is, and has room for that from then on.
#[tokio::test]
async fn uploads_without_an_end_are_bounded_together() {
    const MIB: u32 = 1 << 20;
    let grpc = GrpcOptions {
        receive_bytes: 1 << 20,
        receiving_bytes: 4 << 20,
        upload: Duration::from_secs(2),
        ..GrpcOptions::default()
    };
    let server = server(grpc).await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    let (episode, token) = worker.episode().await;
    // Each of these is never ended.
    let mut uploads = Vec::new();
    for _ in 0..6 {
        let mut raw = Raw::connect(server.address()).await;
        for _ in 0..3 {
            let stream = raw.call("StartInstance").await;
            raw.begin_message(stream, MIB - 1, b"some").await;
        }
        uploads.push(raw);
    }
    let large = |id: &str| CreateInstanceRequest { input: Some("x".repeat(900 << 10)), ..create(id, "O") };
    until(true, || {
        let mut client = client.clone();
        async move { client.start_instance(large("")).await }
    })
    .await;
    refused(client.start_instance(large("")).await, Code::ResourceExhausted, "send it again later");
    // Small ones go on, and so does a worker, however much it has to say.
    start(&mut client, "small", "O").await;
    worker.answer("i", &token, vec![task_with(0, "A", "x".repeat(900 << 10))]).await;
    assert_eq!(episode.instance_id, "i");
    // One that does not arrive in time is given up, also when its connection stays.
    until(false, || {
        let mut client = client.clone();
        async move { client.start_instance(large("")).await }
    })
    .await;
    drop(uploads);
}

/// Workers' messages wait for each other instead.
#[tokio::test]
async fn answers_of_workers_are_never_refused() {
    let grpc = GrpcOptions { receive_bytes: 1 << 20, receiving_bytes: 1 << 20, ..GrpcOptions::default() };
    let server = server(grpc).await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    worker.run((0..40).map(|id| task(id, "A")).collect()).await;
    let mut results = Vec::new();
    for _ in 0..40 {
        let (activity, token) = worker.activity().await;
        let (mut client, result) = (client.clone(), "x".repeat(900 << 10));
        results.push(tokio::spawn(async move {
            client.complete_activity_task(activity_response(&activity, &token, &result)).await
        }));
    }
    for result in results {
        soon("a result", result).await.unwrap().unwrap();
    }
}

/// No call takes two: what follows the first could go on without end.
#[tokio::test]
async fn more_than_one_message_is_refused() {
    let server = server(GrpcOptions::default()).await;
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", server.address())).unwrap();
    let mut grpc = tonic::client::Grpc::new(endpoint.connect().await.unwrap());
    grpc.ready().await.unwrap();
    let path = tonic::codegen::http::uri::PathAndQuery::from_static("/TaskHubSidecarService/StartInstance");
    let messages = futures::stream::iter([create("i", "O"), create("j", "O")]);
    let codec = duramen_proto::codec::ServerCodec::<CreateInstanceRequest, CreateInstanceResponse>::default();
    let reply = grpc.client_streaming(tonic::Request::new(messages), path, codec).await;
    refused(reply.map(drop), Code::InvalidArgument, "more than one message");
}

/// Histories that nobody reads are held up to a bound; the next client still gets its own.
#[tokio::test]
async fn replies_that_are_not_read_are_bounded_together() {
    let grpc = GrpcOptions { reply_bytes: 16 << 20, ..GrpcOptions::default() };
    let server = server(grpc).await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    worker.run((0..3).map(|id| task_with(id, "A", "x".repeat(900 << 10))).collect()).await;
    let greedy = server.connect().await;
    let ask = || StreamInstanceHistoryRequest { instance_id: "i".into(), ..Default::default() };
    let mut unread = Vec::new();
    let refusal = loop {
        match greedy.clone().stream_instance_history(ask()).await {
            Ok(stream) => unread.push(stream),
            Err(status) => break status,
        }
    };
    assert!((2..=6).contains(&unread.len()), "{} histories of 2.7 MiB", unread.len());
    refused(Err::<(), _>(refusal), Code::ResourceExhausted, "wait to be read by their clients");
    assert_eq!(history(&mut client, "i").await.len(), 5, "another connection finds room");
    // What is gone makes room again.
    drop(unread);
    until(false, || {
        let mut greedy = greedy.clone();
        async move { greedy.stream_instance_history(ask()).await }
    })
    .await;
}

/// The same for what comes in one message, over a connection that takes none of it.
#[tokio::test]
async fn pages_that_are_not_read_are_bounded_together() {
    let grpc = GrpcOptions { reply_bytes: 16 << 20, ..GrpcOptions::default() };
    let server = server(grpc).await;
    let mut client = server.connect().await;
    for id in ["a", "b", "c"] {
        let input = Some("x".repeat(900 << 10));
        client.start_instance(CreateInstanceRequest { input, ..create(id, "O") }).await.unwrap();
    }
    let query = InstanceQuery { fetch_inputs_and_outputs: true, ..Default::default() };
    let ask = QueryInstancesRequest { query: Some(query) };
    let mut greedy = Vec::new();
    for _ in 0..8 {
        let mut raw = Raw::connect(server.address()).await;
        for _ in 0..5 {
            raw.whole("QueryInstances", &ask.encode_to_vec()).await;
        }
        greedy.push(raw);
    }
    until(true, || {
        let (mut client, ask) = (client.clone(), ask.clone());
        async move { client.query_instances(ask).await }
    })
    .await;
    // What is small needs no room.
    assert!(get_bare(&mut client, "a").await);
    drop(greedy);
    until(false, || {
        let (mut client, ask) = (client.clone(), ask.clone());
        async move { client.query_instances(ask).await }
    })
    .await;
}

async fn get_bare(client: &mut Client, id: &str) -> bool {
    let request = GetInstanceRequest { instance_id: id.into(), get_inputs_and_outputs: false };
    client.get_instance(request).await.unwrap().into_inner().exists
}

/// A thousand over each of ten connections. They cost little, and are gone with their connection.
#[tokio::test]
async fn trap_09_ten_thousand_waits_are_cheap() {
    const CONNECTIONS: usize = 10;
    const EACH: usize = 1_000;
    let grpc = GrpcOptions { calls: 2 * CONNECTIONS * EACH, ..GrpcOptions::default() };
    let server = server(grpc).await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    let before = resident();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(server.connect().await);
    }
    let wait = |client: &Client| {
        let mut client = client.clone();
        let request = GetInstanceRequest { instance_id: "i".into(), ..Default::default() };
        tokio::spawn(async move { client.wait_for_instance_completion(request).await })
    };
    let mut waits: Vec<Vec<_>> = connections.iter().map(|client| (0..EACH).map(|_| wait(client)).collect()).collect();
    // Beside them others go on.
    start(&mut client, "j", "O").await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 400 << 20, "ten thousand waits cost {} MiB, the clients' part included", grown >> 20);
    // One connection goes, with its waits.
    waits.pop().unwrap().iter().for_each(tokio::task::JoinHandle::abort);
    drop(connections);
    for _ in 0..2 {
        worker.run(vec![complete(0, "1")]).await;
    }
    for wait in waits.into_iter().flatten() {
        assert!(soon("a wait", wait).await.unwrap().unwrap().into_inner().exists);
    }
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number of pages") * 4_096
}

/// One that never has fewer than a hundred starts open.
#[tokio::test]
async fn who_floods_the_server_with_starts_is_refused_and_others_are_not() {
    let grpc = GrpcOptions { calls: 100, ..GrpcOptions::default() };
    let server = server(grpc).await;
    let flood = server.connect().await;
    let (say, mut refusals) = tokio::sync::mpsc::channel(1);
    let flooding: Vec<_> = (0..100)
        .map(|_| {
            let (mut flood, say) = (flood.clone(), say.clone());
            tokio::spawn(async move {
                loop {
                    if let Err(status) = flood.start_instance(create("", "Flood")).await {
                        let _ = say.try_send(status);
                    }
                }
            })
        })
        .collect();
    let refusal = soon("a refusal", refusals.recv()).await.unwrap();
    refused(Err::<(), _>(refusal), Code::ResourceExhausted, "100 open calls");
    let mut client = server.connect().await;
    let filters = WorkItemFilters {
        orchestrations: vec![OrchestrationFilter { name: "O".into(), versions: vec![] }],
        activities: vec![ActivityFilter { name: "A".into(), versions: vec![] }],
        entities: vec![],
    };
    let request = GetWorkItemsRequest { work_item_filters: Some(filters), ..Default::default() };
    let mut worker = Worker::join(server.connect().await, request).await;
    for id in ["a", "b", "c"] {
        start(&mut client, id, "O").await;
        worker.run(vec![task(0, "A")]).await;
        let (activity, token) = worker.activity().await;
        worker.result(&activity, &token, "1").await;
        worker.run(vec![complete(1, "1")]).await;
        ended(&mut client, id).await;
    }
    flooding.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn workers_beyond_the_number_are_refused_and_one_connection_cannot_have_all() {
    let grpc = GrpcOptions { workers: 4, ..GrpcOptions::default() };
    let server = server(grpc).await;
    let mut greedy = server.connect().await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        streams.push(greedy.get_work_items(GetWorkItemsRequest::default()).await.unwrap());
    }
    let third = greedy.get_work_items(GetWorkItemsRequest::default()).await;
    refused(third.map(drop), Code::ResourceExhausted, "4 streams of workers");
    let mut other = server.connect().await;
    streams.push(other.get_work_items(GetWorkItemsRequest::default()).await.unwrap());
    // One that goes makes room.
    drop(streams);
    let ask = || {
        let mut greedy = greedy.clone();
        async move { greedy.get_work_items(GetWorkItemsRequest::default()).await }
    };
    until(false, ask).await;
}
