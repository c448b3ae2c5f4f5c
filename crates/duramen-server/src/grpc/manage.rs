//! What is done to an instance by its id and answered with nothing but OK.

use super::purge::check_batch;
use super::service::Service;
use super::status::not;
use duramen_core::ids::InstanceId;
use duramen_core::request::{Refusal, Reply, Request as Ask};
use duramen_proto::{
    RaiseEventRequest, ResumeRequest, RewindInstanceRequest, SkipGracefulOrchestrationTerminationsRequest,
    SkipGracefulOrchestrationTerminationsResponse, SuspendRequest, TerminateRequest,
};
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

impl Service {
    pub(super) async fn raise(&self, request: Request<RaiseEventRequest>) -> Result<(), Status> {
        let (metadata, _, RaiseEventRequest { instance_id, name, input }) = request.into_parts();
        self.done(&metadata, Ask::Raise { id: InstanceId::new(instance_id), name, input }).await
    }

    pub(super) async fn terminate(&self, request: Request<TerminateRequest>) -> Result<(), Status> {
        let (metadata, _, TerminateRequest { instance_id, output, recursive }) = request.into_parts();
        self.done(&metadata, Ask::Terminate { id: InstanceId::new(instance_id), output, recurse: recursive }).await
    }

    pub(super) async fn suspend(&self, request: Request<SuspendRequest>) -> Result<(), Status> {
        let (metadata, _, SuspendRequest { instance_id, reason }) = request.into_parts();
        self.done(&metadata, Ask::Suspend { id: InstanceId::new(instance_id), reason }).await
    }

    pub(super) async fn resume(&self, request: Request<ResumeRequest>) -> Result<(), Status> {
        let (metadata, _, ResumeRequest { instance_id, reason }) = request.into_parts();
        self.done(&metadata, Ask::Resume { id: InstanceId::new(instance_id), reason }).await
    }

    pub(super) async fn rewind(&self, request: Request<RewindInstanceRequest>) -> Result<(), Status> {
        let (metadata, _, RewindInstanceRequest { instance_id, reason }) = request.into_parts();
        self.done(&metadata, Ask::Rewind { id: InstanceId::new(instance_id), reason }).await
    }

    /// Ends instances without their workers; those that could not be ended are named. The ends are
    /// independent of each other: what fails half-way has ended some.
    pub(super) async fn end_at_once(
        &self,
        request: Request<SkipGracefulOrchestrationTerminationsRequest>,
    ) -> Result<SkipGracefulOrchestrationTerminationsResponse, Status> {
        let desk = self.desk(request.metadata()).await?;
        let SkipGracefulOrchestrationTerminationsRequest { instance_batch, reason } = request.into_inner();
        let ids = instance_batch.unwrap_or_default().instance_ids;
        check_batch(ids.len())?;
        let asked = ids
            .iter()
            .map(|id| desk.hub.request(Ask::End { id: InstanceId::new(id.as_str()), output: reason.clone() }));
        let replies = futures::future::join_all(asked).await;
        let mut unterminated_instance_ids = Vec::new();
        for (id, reply) in ids.into_iter().zip(replies) {
            match reply {
                Reply::Done => {}
                Reply::Refused(Refusal::NotFound(_) | Refusal::WrongStatus { .. }) => {
                    unterminated_instance_ids.push(id)
                }
                other => return Err(not(other)),
            }
        }
        Ok(SkipGracefulOrchestrationTerminationsResponse { unterminated_instance_ids })
    }

    async fn done(&self, metadata: &MetadataMap, ask: Ask) -> Result<(), Status> {
        match self.desk(metadata).await?.hub.request(ask).await {
            Reply::Done => Ok(()),
            other => Err(not(other)),
        }
    }
}
