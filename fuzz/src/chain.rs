//! A chain by a well-behaved worker.

use crate::house::House;
use crate::run::{Finding, found};
use duramen_proto::orchestrator_action::OrchestratorActionType as Action;
use duramen_proto::services::task_hub_sidecar_service_client::TaskHubSidecarServiceClient;
use duramen_proto::work_item::Request as Work;
use duramen_proto::{
    ActivityFilter, ActivityResponse, CompleteOrchestrationAction, CreateInstanceRequest, GetInstanceRequest,
    GetWorkItemsRequest, OrchestrationFilter, OrchestrationStatus, OrchestratorAction, OrchestratorResponse,
    ScheduleTaskAction, WorkItem, WorkItemFilters,
};
use prost::Message as _;
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

pub(crate) type Client = TaskHubSidecarServiceClient<Channel>;

/// Nobody else uses these names.
const ORCHESTRATOR: &str = "a-well-behaved-orchestrator";
const ACTIVITY: &str = "a-well-behaved-activity";
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs one, whatever went before.
pub(crate) async fn runs(house: &House, id: &str) -> Result<(), Finding> {
    match tokio::time::timeout(PATIENCE, chain(house, id)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(status)) => found(format!("a well-behaved chain failed: {status}")),
        Err(_) => found(format!("a well-behaved chain took longer than {PATIENCE:?}")),
    }
}

async fn chain(house: &House, id: &str) -> Result<(), Status> {
    let mut client = client(house).await;
    let filters = WorkItemFilters {
        orchestrations: vec![OrchestrationFilter { name: ORCHESTRATOR.into(), versions: Vec::new() }],
        activities: vec![ActivityFilter { name: ACTIVITY.into(), versions: Vec::new() }],
        entities: Vec::new(),
    };
    let request = GetWorkItemsRequest { work_item_filters: Some(filters), ..Default::default() };
    let mut items = Client::new(house.connect().await).get_work_items(request).await?.into_inner();
    client
        .start_instance(CreateInstanceRequest {
            instance_id: id.into(),
            name: ORCHESTRATOR.into(),
            ..Default::default()
        })
        .await?;
    episode(&mut client, &mut items, id, Action::ScheduleTask(task())).await?;
    let (work, token) = next(&mut items).await?;
    let Work::ActivityRequest(activity) = work else { return Err(strange(&work)) };
    client
        .complete_activity_task(ActivityResponse {
            instance_id: id.into(),
            task_id: activity.task_id,
            result: Some("1".into()),
            completion_token: token,
            ..Default::default()
        })
        .await?;
    episode(&mut client, &mut items, id, Action::CompleteOrchestration(done())).await?;
    let request = GetInstanceRequest { instance_id: id.into(), get_inputs_and_outputs: true };
    let state = client.wait_for_instance_completion(request).await?.into_inner().orchestration_state;
    match state.map(|state| (state.orchestration_status(), state.output)) {
        Some((OrchestrationStatus::Completed, Some(output))) if output == "2" => Ok(()),
        other => Err(Status::data_loss(format!("it ended as {other:?}"))),
    }
}

pub(crate) async fn client(house: &House) -> Client {
    Client::new(house.connect().await).max_decoding_message_size(usize::MAX)
}

async fn episode(
    client: &mut Client,
    items: &mut Streaming<duramen_proto::raw::WorkItem>,
    id: &str,
    action: Action,
) -> Result<(), Status> {
    let (work, completion_token) = next(items).await?;
    let Work::OrchestratorRequest(request) = work else { return Err(strange(&work)) };
    let action = OrchestratorAction { id: request.past_events.len() as i32, orchestrator_action_type: Some(action) };
    let response =
        OrchestratorResponse { instance_id: id.into(), actions: vec![action], completion_token, ..Default::default() };
    client.complete_orchestrator_task(response).await.map(drop)
}

async fn next(items: &mut Streaming<duramen_proto::raw::WorkItem>) -> Result<(Work, String), Status> {
    loop {
        let raw = items.message().await?.ok_or_else(|| Status::aborted("the stream has ended"))?;
        let item = WorkItem::decode(&raw.encode_to_vec()[..]).map_err(|error| Status::data_loss(error.to_string()))?;
        match item.request {
            Some(Work::HealthPing(_)) | None => {}
            Some(work) => return Ok((work, item.completion_token)),
        }
    }
}

fn strange(work: &Work) -> Status {
    Status::data_loss(format!("it got {work:?}"))
}

fn task() -> ScheduleTaskAction {
    ScheduleTaskAction { name: ACTIVITY.into(), ..Default::default() }
}

fn done() -> CompleteOrchestrationAction {
    CompleteOrchestrationAction {
        orchestration_status: OrchestrationStatus::Completed.into(),
        result: Some("2".into()),
        ..Default::default()
    }
}
