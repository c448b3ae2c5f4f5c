//! PurgeInstances.

use super::call;
use super::desk::Desk;
use super::service::Service;
use super::status::{not, refused};
use duramen_backend::Query;
use duramen_core::ids::InstanceId;
use duramen_core::request::{Reply, Request as Ask};
use duramen_proto::purge_instances_request::Request as Which;
use duramen_proto::{PurgeInstanceFilter, PurgeInstancesRequest, PurgeInstancesResponse};
use tonic::{Request, Status};

/// Ids that one request may name.
pub(super) const IDS_OF_A_BATCH: usize = 500;

impl Service {
    pub(super) async fn purge(
        &self,
        request: Request<PurgeInstancesRequest>,
    ) -> Result<PurgeInstancesResponse, Status> {
        let desk = self.desk(request.metadata()).await?;
        let purged = match request.into_inner().request {
            Some(Which::InstanceId(id)) => by_ids(&desk, vec![id]).await?,
            Some(Which::InstanceBatch(batch)) => {
                check_batch(batch.instance_ids.len())?;
                by_ids(&desk, batch.instance_ids).await?
            }
            Some(Which::PurgeInstanceFilter(filter)) => {
                let query = query(&filter)?;
                desk.hub.purge(query).await.map_err(refused)?
            }
            None => {
                let ways = "an instance id, a batch of them, or a filter";
                return Err(Status::invalid_argument(format!("a purge names nothing; give {ways}")));
            }
        };
        let deleted_instance_count = i32::try_from(purged).unwrap_or(i32::MAX);
        Ok(PurgeInstancesResponse { deleted_instance_count, is_complete: Some(true) })
    }
}

pub(super) fn check_batch(ids: usize) -> Result<(), Status> {
    if ids > IDS_OF_A_BATCH {
        let text = format!("the batch has {ids} instance ids, more than the {IDS_OF_A_BATCH} allowed; send several");
        return Err(Status::invalid_argument(text));
    }
    Ok(())
}

async fn by_ids(desk: &Desk, ids: Vec<String>) -> Result<u64, Status> {
    let asked = ids.into_iter().map(|id| desk.hub.request(Ask::Purge(InstanceId::new(id))));
    let mut purged = 0;
    for reply in futures::future::join_all(asked).await {
        match reply {
            Reply::Purged(gone) => purged += u64::from(gone),
            other => return Err(not(other)),
        }
    }
    Ok(purged)
}

fn query(filter: &PurgeInstanceFilter) -> Result<Query, Status> {
    Ok(Query {
        statuses: super::query::statuses(&filter.runtime_status)?,
        created_from: call::time(filter.created_time_from),
        created_to: call::time(filter.created_time_to),
        ..Query::default()
    })
}
