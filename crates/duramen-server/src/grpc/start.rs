//! StartInstance and RestartInstance.

use super::call;
use super::service::Service;
use super::status::not;
use duramen_core::extension::{ATTACH, ATTACH_ANY, ATTACHED, BIRTH, DELAY, ON_EXISTING};
use duramen_core::ids::{Birth, InstanceId};
use duramen_core::request::{OnExisting, Reply, Request as Ask, Start};
use duramen_proto::{
    CreateInstanceRequest, CreateInstanceResponse, OrchestrationIdReusePolicy, RestartInstanceRequest,
    RestartInstanceResponse,
};
use std::time::Duration;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Request, Response, Status};

impl Service {
    pub(super) async fn start(
        &self,
        request: Request<CreateInstanceRequest>,
    ) -> Result<Response<CreateInstanceResponse>, Status> {
        let desk = self.desk(request.metadata()).await?;
        let (metadata, _, mut request) = request.into_parts();
        let on_existing = on_existing(&metadata, request.orchestration_id_reuse_policy.take())?;
        let fresh = request.instance_id.is_empty();
        if fresh {
            request.instance_id = random_id();
        }
        request.execution_id = request.execution_id.filter(|id| !id.is_empty());
        if let Some(delay) = call::number(&metadata, DELAY) {
            request.scheduled_start_timestamp = Some(desk.hub.now().plus(Duration::from_nanos(delay)).into());
        }
        match desk.hub.request(Ask::Start(Box::new(Start { request, fresh, on_existing }))).await {
            Reply::Started { id, birth, attached } => {
                Ok(started(CreateInstanceResponse { instance_id: id.to_string() }, birth, attached))
            }
            other => Err(not(other)),
        }
    }

    pub(super) async fn restart(
        &self,
        request: Request<RestartInstanceRequest>,
    ) -> Result<Response<RestartInstanceResponse>, Status> {
        let desk = self.desk(request.metadata()).await?;
        let RestartInstanceRequest { instance_id, restart_with_new_instance_id } = request.into_inner();
        let new_id = restart_with_new_instance_id.then(|| InstanceId::new(random_id()));
        match desk.hub.request(Ask::Restart { id: InstanceId::new(instance_id), new_id }).await {
            Reply::Started { id, birth, attached } => {
                Ok(started(RestartInstanceResponse { instance_id: id.to_string() }, birth, attached))
            }
            other => Err(not(other)),
        }
    }
}

/// The reply with what our own clients want to know beside it.
fn started<T>(reply: T, birth: Birth, attached: bool) -> Response<T> {
    let mut reply = Response::new(reply);
    reply.metadata_mut().insert(BIRTH, birth.0.into());
    if attached {
        reply.metadata_mut().insert(ATTACHED, AsciiMetadataValue::from_static("true"));
    }
    reply
}

/// What the protocol's policy asks for, or a client of our own beside it.
fn on_existing(metadata: &MetadataMap, policy: Option<OrchestrationIdReusePolicy>) -> Result<OnExisting, Status> {
    match metadata.get(ON_EXISTING).map(|said| said.to_str().unwrap_or("?")) {
        None => {}
        Some(ATTACH) => return Ok(OnExisting::Attach),
        Some(ATTACH_ANY) => return Ok(OnExisting::AttachAny),
        Some(other) => return Err(Status::invalid_argument(format!("{ON_EXISTING}: {other} is unknown"))),
    }
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

/// An id that no instance has. It begins with the time, so that the store writes what is made together to places that
/// are together: ids without order cost an index a page each.
fn random_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}
