//! What is done to an instance by its id and answered with nothing but OK.

use super::service::Service;
use super::status::not;
use duramen_core::ids::InstanceId;
use duramen_core::request::{Reply, Request as Ask};
use duramen_proto::{RaiseEventRequest, ResumeRequest, RewindInstanceRequest, SuspendRequest, TerminateRequest};
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

    async fn done(&self, metadata: &MetadataMap, ask: Ask) -> Result<(), Status> {
        match self.desk(metadata).await?.hub.request(ask).await {
            Reply::Done => Ok(()),
            other => Err(not(other)),
        }
    }
}
