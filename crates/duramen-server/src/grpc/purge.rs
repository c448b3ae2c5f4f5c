//! PurgeInstances.

use super::call;
use super::service::Service;
use super::status::refused;
use duramen_backend::Query;
use duramen_core::ids::InstanceId;
use duramen_hub::Purge;
use duramen_proto::purge_instances_request::Request as Which;
use duramen_proto::{PurgeInstanceFilter, PurgeInstancesRequest, PurgeInstancesResponse};
use std::time::Duration;
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

/// Ids that one request may name.
const IDS_OF_A_BATCH: usize = 500;

impl Service {
    pub(super) async fn purge(
        &self,
        request: Request<PurgeInstancesRequest>,
    ) -> Result<PurgeInstancesResponse, Status> {
        let desk = self.desk(request.metadata()).await?;
        let (metadata, _, PurgeInstancesRequest { request, recursive, .. }) = request.into_parts();
        let mut purge = match request {
            Some(Which::InstanceId(id)) => Purge::ids([InstanceId::new(id)]),
            Some(Which::InstanceBatch(batch)) => {
                check_batch(batch.instance_ids.len())?;
                Purge::ids(batch.instance_ids.into_iter().map(InstanceId::new))
            }
            Some(Which::PurgeInstanceFilter(filter)) => matching(&metadata, &filter)?,
            None => {
                let ways = "an instance id, a batch of them, or a filter";
                return Err(Status::invalid_argument(format!("a purge names nothing; give {ways}")));
            }
        };
        if recursive {
            purge = purge.recursive();
        }
        let purged = desk.hub.purge(purge).await.map_err(refused)?;
        let deleted_instance_count = i32::try_from(purged.deleted).unwrap_or(i32::MAX);
        Ok(PurgeInstancesResponse { deleted_instance_count, is_complete: Some(purged.complete) })
    }
}

pub(super) fn check_batch(ids: usize) -> Result<(), Status> {
    if ids > IDS_OF_A_BATCH {
        let text = format!("the batch has {ids} instance ids, more than the {IDS_OF_A_BATCH} allowed; send several");
        return Err(Status::invalid_argument(text));
    }
    Ok(())
}

fn matching(metadata: &MetadataMap, filter: &PurgeInstanceFilter) -> Result<Purge, Status> {
    let mut query = Query {
        statuses: super::query::statuses(&filter.runtime_status)?,
        created_from: call::time(filter.created_time_from),
        created_to: call::time(filter.created_time_to),
        ..Query::default()
    };
    super::query::beyond_protocol(metadata, &mut query)?;
    let purge = Purge::matching(query);
    Ok(match filter.timeout {
        // What lies before now has run out.
        Some(timeout) => purge.timeout(Duration::try_from(timeout).unwrap_or_default()),
        None => purge,
    })
}
