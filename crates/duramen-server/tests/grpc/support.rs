//! A server on a socket of its own, clients of it, and workers that do as they are told.

use duramen_backend::Memory;
use duramen_hub::{Hub, Options};
use duramen_proto::history_event::EventType;
use duramen_proto::orchestrator_action::OrchestratorActionType as Action;
use duramen_proto::services::task_hub_sidecar_service_client::TaskHubSidecarServiceClient;
use duramen_proto::work_item::Request as Work;
use duramen_proto::*;
use duramen_server::{GrpcOptions, GrpcServer, Hubs, HubsOptions, OpenHub};
use prost::Message;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

pub(crate) use duramen_proto::OrchestrationStatus as S;
pub(crate) type Client = TaskHubSidecarServiceClient<Channel>;

/// Longer than anything here takes, and short enough to wait for when something hangs.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    address: SocketAddr,
    pub(crate) hubs: Hubs,
    pub(crate) grpc: GrpcServer,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(GrpcOptions::default(), HubsOptions::default(), Options::default()).await
    }

    pub(crate) async fn with(grpc: GrpcOptions, hubs: HubsOptions, hub: Options) -> Self {
        let hubs = Hubs::new(hubs, move |_| {
            let hub = Hub::run(Arc::new(Memory::new()), hub.clone());
            Box::pin(async move { hub.await.map(OpenHub::from).map_err(|error| error.to_string()) })
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let grpc = GrpcServer::new(hubs.clone(), grpc);
        let server = grpc.clone();
        tokio::spawn(async move { server.serve(listener, std::future::pending()).await });
        Self { address, hubs, grpc }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> Client {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).expect("it is a URL");
        let client = Client::new(endpoint.connect().await.expect("it listens"));
        client.max_decoding_message_size(usize::MAX).max_encoding_message_size(usize::MAX)
    }

    pub(crate) async fn worker(&self) -> Worker {
        Worker::join(self.connect().await, GetWorkItemsRequest::default()).await
    }
}

/// Fails the test when something does not happen.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("{what} took longer than {PATIENCE:?}"),
    }
}

pub(crate) fn create(id: &str, name: &str) -> CreateInstanceRequest {
    CreateInstanceRequest { instance_id: id.into(), name: name.into(), ..Default::default() }
}

pub(crate) async fn start(client: &mut Client, id: &str, name: &str) {
    client.start_instance(create(id, name)).await.expect("it starts");
}

pub(crate) async fn get(client: &mut Client, id: &str) -> Option<OrchestrationState> {
    let request = GetInstanceRequest { instance_id: id.into(), get_inputs_and_outputs: true };
    client.get_instance(request).await.expect("a state is given").into_inner().orchestration_state
}

/// Waits for the end, and gives the state.
pub(crate) async fn ended(client: &mut Client, id: &str) -> OrchestrationState {
    let request = GetInstanceRequest { instance_id: id.into(), get_inputs_and_outputs: true };
    let reply = soon("the end", client.wait_for_instance_completion(request)).await.expect("it is waited for");
    reply.into_inner().orchestration_state.expect("it exists")
}

pub(crate) async fn history(client: &mut Client, id: &str) -> Vec<HistoryEvent> {
    let request = StreamInstanceHistoryRequest { instance_id: id.into(), ..Default::default() };
    let mut stream = client.stream_instance_history(request).await.expect("it has a history").into_inner();
    let mut events = Vec::new();
    while let Some(chunk) = stream.message().await.expect("chunks come") {
        events.extend(chunk.events.iter().map(|event| HistoryEvent::decode(event.clone()).expect("an event")));
    }
    events
}

#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(reply: Result<T, Status>, code: Code, text: &str) {
    let status = reply.expect_err("it is refused");
    assert_eq!((status.code(), status.message().contains(text)), (code, true), "{status}");
}

/// A worker that does what a test says.
pub(crate) struct Worker {
    pub(crate) client: Client,
    stream: Streaming<raw::WorkItem>,
    /// Whether it returns tokens.
    pub(crate) shows_tokens: bool,
}

impl Worker {
    pub(crate) async fn join(mut client: Client, request: impl tonic::IntoRequest<GetWorkItemsRequest>) -> Self {
        let stream = client.get_work_items(request).await.expect("it may have work").into_inner();
        Self { client, stream, shows_tokens: true }
    }

    /// The next message, pings among them.
    pub(crate) async fn message(&mut self) -> Result<Option<WorkItem>, Status> {
        let message = soon("a work item", self.stream.message()).await?;
        Ok(message.map(|raw| WorkItem::decode(&raw.encode_to_vec()[..]).expect("it is a work item")))
    }

    /// The next item and its token.
    pub(crate) async fn next(&mut self) -> (Work, String) {
        loop {
            let item = self.message().await.expect("the stream goes on").expect("it goes on");
            match item.request.expect("an item asks for something") {
                Work::HealthPing(_) => {}
                work => return (work, item.completion_token),
            }
        }
    }

    pub(crate) async fn episode(&mut self) -> (OrchestratorRequest, String) {
        match self.next().await {
            (Work::OrchestratorRequest(request), token) => (request, token),
            (other, _) => panic!("an episode was expected, not {}", kind(&other)),
        }
    }

    pub(crate) async fn activity(&mut self) -> (ActivityRequest, String) {
        match self.next().await {
            (Work::ActivityRequest(request), token) => (request, token),
            (other, _) => panic!("an activity was expected, not {}", kind(&other)),
        }
    }

    pub(crate) async fn answer(&mut self, id: &str, token: &str, actions: Vec<OrchestratorAction>) {
        let completion_token = if self.shows_tokens { token.into() } else { String::new() };
        let response = OrchestratorResponse { instance_id: id.into(), actions, completion_token, ..Default::default() };
        self.client.complete_orchestrator_task(response).await.expect("a completion is always OK");
    }

    pub(crate) async fn result(&mut self, of: &ActivityRequest, token: &str, result: &str) {
        let response = activity_response(of, if self.shows_tokens { token } else { "" }, result);
        self.client.complete_activity_task(response).await.expect("a completion is always OK");
    }

    /// Takes the next episode, whose instance it gives, and answers it.
    pub(crate) async fn run(&mut self, actions: Vec<OrchestratorAction>) -> OrchestratorRequest {
        let (request, token) = self.episode().await;
        self.answer(&request.instance_id, &token, actions).await;
        request
    }
}

fn kind(work: &Work) -> &'static str {
    match work {
        Work::OrchestratorRequest(_) => "an episode",
        Work::ActivityRequest(_) => "an activity",
        Work::EntityRequest(_) | Work::EntityRequestV2(_) => "an entity's batch",
        Work::HealthPing(_) => "a ping",
    }
}

pub(crate) fn activity_response(of: &ActivityRequest, token: &str, result: &str) -> ActivityResponse {
    ActivityResponse {
        instance_id: of.orchestration_instance.clone().expect("it says whose it is").instance_id,
        task_id: of.task_id,
        result: Some(result.into()),
        completion_token: token.into(),
        ..Default::default()
    }
}

fn action(id: i32, action: Action) -> OrchestratorAction {
    OrchestratorAction { id, orchestrator_action_type: Some(action) }
}

pub(crate) fn task(id: i32, name: &str) -> OrchestratorAction {
    action(id, Action::ScheduleTask(ScheduleTaskAction { name: name.into(), ..Default::default() }))
}

pub(crate) fn task_with(id: i32, name: &str, input: String) -> OrchestratorAction {
    action(id, Action::ScheduleTask(ScheduleTaskAction { name: name.into(), input: Some(input), ..Default::default() }))
}

pub(crate) fn complete(id: i32, result: &str) -> OrchestratorAction {
    let complete = CompleteOrchestrationAction {
        orchestration_status: S::Completed.into(),
        result: Some(result.into()),
        ..Default::default()
    };
    action(id, Action::CompleteOrchestration(complete))
}

pub(crate) fn fail(id: i32, message: &str) -> OrchestratorAction {
    let failure = TaskFailureDetails { error_type: "E".into(), error_message: message.into(), ..Default::default() };
    let complete = CompleteOrchestrationAction {
        orchestration_status: S::Failed.into(),
        failure_details: Some(failure),
        ..Default::default()
    };
    action(id, Action::CompleteOrchestration(complete))
}

/// What an event is, and its id: `TaskScheduled 1`.
pub(crate) fn brief(event: &HistoryEvent) -> String {
    let kind = match event.event_type.as_ref().expect("an event says what happened") {
        EventType::OrchestratorStarted(_) => "OrchestratorStarted",
        EventType::ExecutionStarted(_) => "ExecutionStarted",
        EventType::ExecutionCompleted(_) => "ExecutionCompleted",
        EventType::TaskScheduled(_) => "TaskScheduled",
        EventType::TaskCompleted(_) => "TaskCompleted",
        EventType::TaskFailed(_) => "TaskFailed",
        EventType::EventRaised(_) => "EventRaised",
        EventType::ExecutionTerminated(_) => "ExecutionTerminated",
        other => panic!("no test expects {other:?}"),
    };
    format!("{kind} {}", event.event_id)
}
