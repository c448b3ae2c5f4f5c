//! Purging by filter.

use crate::hub::{Hub, Shared};
use duramen_backend::Query;
use duramen_core::checkpoint::Row;
use duramen_core::ids::InstanceId;
use duramen_core::request::{Refusal, Reply, Request};
use duramen_proto::OrchestrationStatus;
use std::sync::Arc;

/// Instances that are put to their partitions at a time.
const AT_A_TIME: usize = 256;

/// The statuses of an instance that has ended.
const ENDED: [OrchestrationStatus; 4] = [
    OrchestrationStatus::Completed,
    OrchestrationStatus::Failed,
    OrchestrationStatus::Canceled,
    OrchestrationStatus::Terminated,
];

pub(crate) async fn purge(hub: &Hub, shared: &Arc<Shared>, mut which: Query) -> Result<u64, Refusal> {
    which.limit = AT_A_TIME.min(shared.options.queue);
    if which.statuses.is_empty() {
        which.statuses = ENDED.to_vec();
    }
    let mut purged = 0;
    loop {
        let page = hub.query(which.clone()).await?;
        let asked = page.rows.iter().map(|row| shared.submit(Request::Purge(id(row))));
        // All are on their way before the first reply is awaited.
        for asked in asked.collect::<Vec<_>>() {
            match asked?.reply().await {
                Reply::Purged(gone) => purged += u64::from(gone),
                // The page was a hint: it lives again, or somebody else has purged it.
                Reply::Refused(Refusal::NotFound(_) | Refusal::WrongStatus { .. }) => {}
                Reply::Refused(refusal) => return Err(refusal),
                Reply::Started { .. } | Reply::State(_) | Reply::Done | Reply::History(_) => {
                    unreachable!("a purge is answered with what became of it")
                }
            }
        }
        match page.next {
            Some(next) => which.after = Some(next),
            None => return Ok(purged),
        }
    }
}

fn id(row: &Row) -> InstanceId {
    InstanceId::new(row.head.id.as_str())
}
