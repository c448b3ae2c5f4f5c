//! What a stop does to work that is under way, and what of it is there afterwards.
#![cfg(unix)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod support;

use duramen_proto::orchestrator_action::OrchestratorActionType;
use duramen_proto::services::task_hub_sidecar_service_client::TaskHubSidecarServiceClient;
use duramen_proto::work_item::Request;
use duramen_proto::{
    CompleteOrchestrationAction, CreateInstanceRequest, GetInstanceRequest, GetWorkItemsRequest, OrchestrationStatus,
    OrchestratorAction, OrchestratorResponse, WorkItem,
};
use prost::Message;
use std::path::Path;
use support::{Server, duramen};
use tempfile::tempdir;
use tonic::transport::{Channel, Endpoint};

type Client = TaskHubSidecarServiceClient<Channel>;

fn start(folder: &Path) -> Server {
    let arguments = ["serve", "--data", "data", "--grpc", "0", "--http", "0", "--drain", "1h"];
    Server::start(duramen(folder, &arguments))
}

async fn connect(server: &Server) -> Client {
    let address = server.place("gRPC").split(' ').next().expect("an address");
    Client::new(Endpoint::from_shared(format!("http://{address}")).expect("a URL").connect().await.expect("it listens"))
}

/// Starts an instance, and takes its item as a worker that does not answer yet.
async fn item(client: &mut Client) -> (tonic::Streaming<duramen_proto::raw::WorkItem>, WorkItem) {
    let mut items = client.get_work_items(GetWorkItemsRequest::default()).await.expect("a stream").into_inner();
    let start = CreateInstanceRequest { instance_id: "one".into(), name: "Greet".into(), ..Default::default() };
    client.start_instance(start).await.expect("it starts");
    let item = items.message().await.expect("a message").expect("an item");
    (items, WorkItem::decode(item.encode_to_vec().as_slice()).expect("the same in other types"))
}

/// What a worker answers whose orchestrator returns at once.
fn done(item: &WorkItem) -> OrchestratorResponse {
    let Some(Request::OrchestratorRequest(request)) = &item.request else { panic!("no orchestrator: {item:?}") };
    let mut complete = CompleteOrchestrationAction { result: Some("\"hello\"".into()), ..Default::default() };
    complete.set_orchestration_status(OrchestrationStatus::Completed);
    let action = OrchestratorActionType::CompleteOrchestration(complete);
    OrchestratorResponse {
        instance_id: request.instance_id.clone(),
        actions: vec![OrchestratorAction { id: 0, orchestrator_action_type: Some(action) }],
        completion_token: item.completion_token.clone(),
        ..Default::default()
    }
}

async fn status(client: &mut Client) -> OrchestrationStatus {
    let one = GetInstanceRequest { instance_id: "one".into(), ..Default::default() };
    let state = client.get_instance(one).await.expect("an answer").into_inner().orchestration_state;
    state.expect("it exists").orchestration_status()
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_waits_for_the_answer_of_a_worker_and_keeps_it() {
    let folder = tempdir().expect("a folder");
    let server = start(folder.path());
    let mut client = connect(&server).await;
    let (mut items, item) = item(&mut client).await;

    server.signal("TERM");
    server.logs("SIGTERM: stopping");
    while server.get("/readyz").0 != 503 {}
    let start = CreateInstanceRequest { instance_id: "two".into(), name: "Greet".into(), ..Default::default() };
    let refused = client.start_instance(start).await.expect_err("nothing new is taken");
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused}");
    client.complete_orchestrator_task(done(&item)).await.expect("what is under way is taken");
    let closed = items.message().await.expect_err("the stream is closed");
    assert_eq!(closed.code(), tonic::Code::Unavailable, "{closed}");
    drop((items, client));
    let (ended, log) = server.ended();
    assert!(ended.success(), "{ended} {log:?}");

    let server = start(folder.path());
    assert_eq!(status(&mut connect(&server).await).await, OrchestrationStatus::Completed);
}

#[tokio::test]
async fn a_second_signal_stops_it_at_once_and_a_kill_loses_nothing_either() {
    let folder = tempdir().expect("a folder");
    for (signals, code) in [(["TERM", "TERM"], Some(143)), (["TERM", "INT"], Some(130)), (["KILL", ""], None)] {
        let server = start(folder.path());
        let mut client = connect(&server).await;
        let one = GetInstanceRequest { instance_id: "one".into(), ..Default::default() };
        let exists = client.get_instance(one).await.expect("an answer").into_inner().exists;
        assert_eq!(exists, signals != ["TERM", "TERM"], "what was started is there the next time");
        let mut items = client.get_work_items(GetWorkItemsRequest::default()).await.expect("a stream").into_inner();
        if !exists {
            let start = CreateInstanceRequest { instance_id: "one".into(), name: "Greet".into(), ..Default::default() };
            client.start_instance(start).await.expect("it starts");
        }
        items.message().await.expect("a message").expect("it is handed out again and again");
        server.signal(signals[0]);
        if code.is_some() {
            server.logs("stopping");
            server.signal(signals[1]);
        }
        assert_eq!(server.ended().0.code(), code);
    }
    let server = start(folder.path());
    let mut client = connect(&server).await;
    let (_items, item) = {
        let mut items = client.get_work_items(GetWorkItemsRequest::default()).await.expect("a stream").into_inner();
        let item = items.message().await.expect("a message").expect("an item");
        (items, WorkItem::decode(item.encode_to_vec().as_slice()).expect("the same in other types"))
    };
    client.complete_orchestrator_task(done(&item)).await.expect("it is taken");
    assert_eq!(status(&mut client).await, OrchestrationStatus::Completed);
}
