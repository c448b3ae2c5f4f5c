//! StartInstance and RestartInstance.

use super::service::Service;
use super::status::not;
use duramen_core::ids::InstanceId;
use duramen_core::request::{OnExisting, Reply, Request as Ask, Start};
use duramen_proto::{
    CreateInstanceRequest, CreateInstanceResponse, OrchestrationIdReusePolicy, RestartInstanceRequest,
    RestartInstanceResponse,
};
use tonic::{Request, Status};

impl Service {
    pub(super) async fn start(
        &self,
        request: Request<CreateInstanceRequest>,
    ) -> Result<CreateInstanceResponse, Status> {
        let desk = self.desk(request.metadata()).await?;
        let mut request = request.into_inner();
        let on_existing = on_existing(request.orchestration_id_reuse_policy.take())?;
        let fresh = request.instance_id.is_empty();
        if fresh {
            request.instance_id = random_id();
        }
        request.execution_id = request.execution_id.filter(|id| !id.is_empty());
        match desk.hub.request(Ask::Start(Box::new(Start { request, fresh, on_existing }))).await {
            Reply::Started { id, .. } => Ok(CreateInstanceResponse { instance_id: id.to_string() }),
            other => Err(not(other)),
        }
    }

    pub(super) async fn restart(
        &self,
        request: Request<RestartInstanceRequest>,
    ) -> Result<RestartInstanceResponse, Status> {
        let desk = self.desk(request.metadata()).await?;
        let RestartInstanceRequest { instance_id, restart_with_new_instance_id } = request.into_inner();
        let new_id = restart_with_new_instance_id.then(|| InstanceId::new(random_id()));
        match desk.hub.request(Ask::Restart { id: InstanceId::new(instance_id), new_id }).await {
            Reply::Started { id, .. } => Ok(RestartInstanceResponse { instance_id: id.to_string() }),
            other => Err(not(other)),
        }
    }
}

/// What the protocol's policy asks for.
fn on_existing(policy: Option<OrchestrationIdReusePolicy>) -> Result<OnExisting, Status> {
    let Some(policy) = policy else { return Ok(OnExisting::Reject) };
    let listed = super::query::statuses(&policy.replaceable_status)?;
    match policy.action {
        0 => Ok(OnExisting::Replace(listed)),
        // Withdrawn from the protocol, and still sent by Go and Dapr.
        1 => Ok(OnExisting::AttachListed(listed)),
        2 => Ok(OnExisting::ReplaceAny(listed)),
        other => Err(Status::invalid_argument(format!("the reuse policy's action {other} is unknown"))),
    }
}

/// An id that no instance has.
fn random_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
