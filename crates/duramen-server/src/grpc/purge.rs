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
        Some(timeout) => purge.timeout(span(&timeout)),
        None => purge,
    })
}

/// A span of time as the protocol has it. One that is not positive has run out, and so has one with an impossible part.
fn span(of: &duramen_proto::Duration) -> Duration {
    match (u64::try_from(of.seconds), u32::try_from(of.nanos)) {
        (Ok(seconds), Ok(nanos @ 0..1_000_000_000)) => Duration::new(seconds, nanos),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by fuzzing: the conversion of prost-types panics on the most negative of them.
    #[test]
    fn a_span_may_be_anything() {
        let of = |seconds, nanos| span(&duramen_proto::Duration { seconds, nanos });
        assert_eq!(of(2, 5), Duration::new(2, 5));
        assert_eq!(of(i64::MAX, 999_999_999), Duration::new(i64::MAX as u64, 999_999_999));
        for (seconds, nanos) in
            [(i64::MIN, i32::MIN), (i64::MIN, 0), (-1, 5), (0, -1), (0, i32::MAX), (3, 1_000_000_000)]
        {
            assert_eq!(of(seconds, nanos), Duration::ZERO);
        }
    }
}
