//! The table of calls. Each is a line here and a function in the file of its group.

use super::GrpcOptions;
use super::call;
use super::desk::Desk;
use super::history::Chunks;
use super::status::{no_entities, no_hub};
use super::stream::Items;
use crate::{HubName, Hubs, NamedHub};
use duramen_core::extension::VERSION;
use duramen_core::request::Until;
use duramen_proto as proto;
use duramen_proto::services::task_hub_sidecar_service_server::TaskHubSidecarService;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Request, Response, Status};

pub(super) struct Service {
    hubs: Hubs,
    pub(super) options: GrpcOptions,
    desks: Mutex<HashMap<HubName, Arc<Desk>>>,
}

impl Service {
    pub(super) fn new(hubs: Hubs, options: GrpcOptions) -> Self {
        Self { hubs, options, desks: Mutex::default() }
    }

    /// Completions of all hubs that were about nothing that was out.
    pub(super) fn stale_completions(&self) -> u64 {
        self.desks().values().map(|desk| desk.stale_completions()).sum()
    }

    fn desks(&self) -> MutexGuard<'_, HashMap<HubName, Arc<Desk>>> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The desk of the hub that a call names.
    pub(super) async fn desk(&self, metadata: &MetadataMap) -> Result<Arc<Desk>, Status> {
        let NamedHub { name, hub } = self.hubs.get(call::hub_name(metadata)).await.map_err(no_hub)?;
        let mut desks = self.desks();
        if let Some(desk) = desks.get(&name).filter(|desk| desk.hub.is(&hub)) {
            return Ok(Arc::clone(desk));
        }
        // None yet, or that of a hub which has stopped and was opened again: what was out of it is stale.
        let desk = Desk::new(hub);
        desks.insert(name, Arc::clone(&desk));
        Ok(desk)
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl TaskHubSidecarService for Service {
    type GetWorkItemsStream = Items;
    type StreamInstanceHistoryStream = Chunks;

    async fn hello(&self, request: Request<()>) -> Answer<()> {
        self.desk(request.metadata()).await?;
        let mut reply = Response::new(());
        reply.metadata_mut().insert(VERSION, AsciiMetadataValue::from_static(env!("CARGO_PKG_VERSION")));
        Ok(reply)
    }

    async fn start_instance(
        &self,
        request: Request<proto::CreateInstanceRequest>,
    ) -> Answer<proto::CreateInstanceResponse> {
        self.start(request).await
    }

    async fn restart_instance(
        &self,
        request: Request<proto::RestartInstanceRequest>,
    ) -> Answer<proto::RestartInstanceResponse> {
        self.restart(request).await
    }

    async fn get_instance(&self, request: Request<proto::GetInstanceRequest>) -> Answer<proto::GetInstanceResponse> {
        self.state(request).await.map(Response::new)
    }

    async fn wait_for_instance_start(
        &self,
        request: Request<proto::GetInstanceRequest>,
    ) -> Answer<proto::GetInstanceResponse> {
        self.wait(request, Until::Started).await.map(Response::new)
    }

    async fn wait_for_instance_completion(
        &self,
        request: Request<proto::GetInstanceRequest>,
    ) -> Answer<proto::GetInstanceResponse> {
        self.wait(request, Until::Completed).await.map(Response::new)
    }

    async fn raise_event(&self, request: Request<proto::RaiseEventRequest>) -> Answer<proto::RaiseEventResponse> {
        self.raise(request).await.map(|()| Response::new(proto::RaiseEventResponse {}))
    }

    async fn terminate_instance(&self, request: Request<proto::TerminateRequest>) -> Answer<proto::TerminateResponse> {
        self.terminate(request).await.map(|()| Response::new(proto::TerminateResponse {}))
    }

    async fn suspend_instance(&self, request: Request<proto::SuspendRequest>) -> Answer<proto::SuspendResponse> {
        self.suspend(request).await.map(|()| Response::new(proto::SuspendResponse {}))
    }

    async fn resume_instance(&self, request: Request<proto::ResumeRequest>) -> Answer<proto::ResumeResponse> {
        self.resume(request).await.map(|()| Response::new(proto::ResumeResponse {}))
    }

    async fn rewind_instance(
        &self,
        request: Request<proto::RewindInstanceRequest>,
    ) -> Answer<proto::RewindInstanceResponse> {
        self.rewind(request).await.map(|()| Response::new(proto::RewindInstanceResponse {}))
    }

    async fn query_instances(
        &self,
        request: Request<proto::QueryInstancesRequest>,
    ) -> Answer<proto::QueryInstancesResponse> {
        self.query(request).await
    }

    async fn list_instance_ids(
        &self,
        request: Request<proto::ListInstanceIdsRequest>,
    ) -> Answer<proto::ListInstanceIdsResponse> {
        self.list_ids(request).await.map(Response::new)
    }

    async fn purge_instances(
        &self,
        request: Request<proto::PurgeInstancesRequest>,
    ) -> Answer<proto::PurgeInstancesResponse> {
        self.purge(request).await.map(Response::new)
    }

    async fn stream_instance_history(
        &self,
        request: Request<proto::StreamInstanceHistoryRequest>,
    ) -> Answer<Self::StreamInstanceHistoryStream> {
        self.stream_history(request).await.map(Response::new)
    }

    async fn get_work_items(&self, request: Request<proto::GetWorkItemsRequest>) -> Answer<Self::GetWorkItemsStream> {
        self.connect(request).await.map(Response::new)
    }

    async fn complete_activity_task(
        &self,
        request: Request<proto::ActivityResponse>,
    ) -> Answer<proto::CompleteTaskResponse> {
        self.activity_done(request).await.map(|()| Response::new(proto::CompleteTaskResponse {}))
    }

    async fn complete_orchestrator_task(
        &self,
        request: Request<proto::OrchestratorResponse>,
    ) -> Answer<proto::CompleteTaskResponse> {
        self.episode_done(request).await.map(|()| Response::new(proto::CompleteTaskResponse {}))
    }

    async fn abandon_task_activity_work_item(
        &self,
        request: Request<proto::AbandonActivityTaskRequest>,
    ) -> Answer<proto::AbandonActivityTaskResponse> {
        let (metadata, _, asked) = request.into_parts();
        self.abandoned(&metadata, &asked.completion_token).await?;
        Ok(Response::new(proto::AbandonActivityTaskResponse {}))
    }

    async fn abandon_task_orchestrator_work_item(
        &self,
        request: Request<proto::AbandonOrchestrationTaskRequest>,
    ) -> Answer<proto::AbandonOrchestrationTaskResponse> {
        let (metadata, _, asked) = request.into_parts();
        self.abandoned(&metadata, &asked.completion_token).await?;
        Ok(Response::new(proto::AbandonOrchestrationTaskResponse {}))
    }

    /// A hub is made when it is named; one that exists is kept.
    async fn create_task_hub(
        &self,
        request: Request<proto::CreateTaskHubRequest>,
    ) -> Answer<proto::CreateTaskHubResponse> {
        self.desk(request.metadata()).await?;
        if request.get_ref().recreate_if_exists {
            let way = "stop the server and remove its folder";
            return Err(Status::unimplemented(format!("a task hub is not emptied through this call; {way}")));
        }
        Ok(Response::new(proto::CreateTaskHubResponse {}))
    }

    async fn delete_task_hub(&self, _: Request<proto::DeleteTaskHubRequest>) -> Answer<proto::DeleteTaskHubResponse> {
        let way = "stop the server and remove its folder";
        Err(Status::unimplemented(format!("a task hub is not deleted through this call; {way}")))
    }

    async fn skip_graceful_orchestration_terminations(
        &self,
        request: Request<proto::SkipGracefulOrchestrationTerminationsRequest>,
    ) -> Answer<proto::SkipGracefulOrchestrationTerminationsResponse> {
        self.end_at_once(request).await.map(Response::new)
    }

    async fn complete_entity_task(&self, _: Request<proto::EntityBatchResult>) -> Answer<proto::CompleteTaskResponse> {
        Err(no_entities("completing an entity's batch"))
    }

    async fn abandon_task_entity_work_item(
        &self,
        _: Request<proto::AbandonEntityTaskRequest>,
    ) -> Answer<proto::AbandonEntityTaskResponse> {
        Err(no_entities("giving back an entity's batch"))
    }

    async fn signal_entity(&self, _: Request<proto::SignalEntityRequest>) -> Answer<proto::SignalEntityResponse> {
        Err(no_entities("signaling an entity"))
    }

    async fn get_entity(&self, _: Request<proto::GetEntityRequest>) -> Answer<proto::GetEntityResponse> {
        Err(no_entities("reading an entity"))
    }

    async fn query_entities(&self, _: Request<proto::QueryEntitiesRequest>) -> Answer<proto::QueryEntitiesResponse> {
        Err(no_entities("listing entities"))
    }

    async fn clean_entity_storage(
        &self,
        _: Request<proto::CleanEntityStorageRequest>,
    ) -> Answer<proto::CleanEntityStorageResponse> {
        Err(no_entities("cleaning up after entities"))
    }
}
