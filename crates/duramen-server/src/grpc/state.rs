//! The state of an instance, and waiting for it.

use super::call;
use super::service::Service;
use super::status::not;
use duramen_core::extension::BIRTH;
use duramen_core::ids::{InstanceId, Run};
use duramen_core::request::{Reply, Request as Ask, Until, Wait};
use duramen_proto::{GetInstanceRequest, GetInstanceResponse, OrchestrationState};
use std::sync::Arc;
use tonic::{Request, Response, Status};

impl Service {
    pub(super) async fn state(
        &self,
        request: Request<GetInstanceRequest>,
    ) -> Result<Response<GetInstanceResponse>, Status> {
        let desk = self.desk(request.metadata()).await?;
        let connection = call::connection(&request);
        let GetInstanceRequest { instance_id, get_inputs_and_outputs } = request.into_inner();
        let _read = match get_inputs_and_outputs {
            true => Some(self.limits().read().await),
            false => None,
        };
        let reply = desk.hub.request(Ask::Get(InstanceId::new(instance_id))).await;
        self.limits().respond(&connection, shown(reply, get_inputs_and_outputs)?)
    }

    /// A wait is held until the caller goes or its time is over. One without a time is held as long as
    /// there is an instance to wait for.
    pub(super) async fn wait(
        &self,
        request: Request<GetInstanceRequest>,
        until: Until,
    ) -> Result<Response<GetInstanceResponse>, Status> {
        let timeout = call::patience(request.metadata());
        let birth = call::number(request.metadata(), BIRTH).map(Run);
        let desk = self.desk(request.metadata()).await?;
        let connection = call::connection(&request);
        let GetInstanceRequest { instance_id, get_inputs_and_outputs } = request.into_inner();
        let wait = Wait { id: InstanceId::new(instance_id), birth, until, timeout };
        let reply = desk.hub.request(Ask::Wait(wait)).await;
        self.limits().respond(&connection, shown(reply, get_inputs_and_outputs)?)
    }
}

fn shown(reply: Reply, with_payloads: bool) -> Result<GetInstanceResponse, Status> {
    match reply {
        Reply::State(None) => Ok(GetInstanceResponse { exists: false, orchestration_state: None }),
        Reply::State(Some(state)) => {
            let mut state = Arc::unwrap_or_clone(state);
            if !with_payloads {
                bare(&mut state);
            }
            Ok(GetInstanceResponse { exists: true, orchestration_state: Some(state) })
        }
        other => Err(not(other)),
    }
}

/// Takes out what those get who ask for inputs and outputs.
pub(super) fn bare(state: &mut OrchestrationState) {
    state.input = None;
    state.output = None;
    state.custom_status = None;
    state.failure_details = None;
}
