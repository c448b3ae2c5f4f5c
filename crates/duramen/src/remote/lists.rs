//! Lists, and purges of more than one instance.

use super::repeat::Broken;
use super::{Calls, Remote};
use crate::client::{ClientError, Cursor, Instance, Page, Purge, Purged, Selection};
use duramen_backend::Query;
use duramen_core::extension::{AS_OF, FILTER};
use duramen_core::history::rfc3339;
use duramen_proto::purge_instances_request::Request as Which;
use duramen_proto::{self as proto, Timestamp};
use std::time::{Duration, Instant};
use tonic::Request;

/// Ids that one call may name.
const BATCH: usize = 500;
/// A purge by a filter goes in calls that last this long, and is told how far it has come after each.
const SLICE: Duration = Duration::from_secs(1);

impl Remote {
    /// A page of the list that begins after a cursor.
    pub(crate) async fn query(&self, query: &Query, after: Option<&Cursor>) -> Result<Page, ClientError> {
        after.map(|after| after.place(query)).transpose()?;
        let message = proto::QueryInstancesRequest { query: Some(asked(query, after)) };
        let call = |mut calls: Calls| {
            let message = with_filter(message.clone(), query);
            async move { calls.query_instances(message).await }
        };
        let reply = self.repeat(Broken::Again, call).await?;
        let as_of = reply.metadata().get(AS_OF).and_then(|at| rfc3339::parse(at.to_str().ok()?));
        let reply = reply.into_inner();
        let instances = reply.orchestration_state.into_iter().map(Instance::new).collect();
        Ok(Page { instances, next: reply.continuation_token.map(Cursor::from), as_of })
    }

    /// Purges in slices, so that the caller hears of progress and its time is kept.
    pub(crate) async fn purge(&self, mut purge: Purge) -> Result<Purged, ClientError> {
        let ends = purge.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut purged = Purged { deleted: 0, complete: true };
        match std::mem::replace(&mut purge.which, Selection::Ids(Vec::new())) {
            Selection::Ids(ids) => {
                for (number, batch) in ids.chunks(BATCH).enumerate() {
                    if number > 0 && left(ends).is_zero() {
                        purged.complete = false;
                        break;
                    }
                    let batch = Which::InstanceBatch(proto::InstanceBatch { instance_ids: batch.to_vec() });
                    self.slice(batch, &Query::default(), &mut purge, &mut purged).await?;
                }
            }
            Selection::Matching(filter) => {
                let query = filter.into_query();
                loop {
                    let left = left(ends);
                    let slice = Which::PurgeInstanceFilter(purge_filter(&query, left.min(SLICE)));
                    self.slice(slice, &query, &mut purge, &mut purged).await?;
                    if purged.complete || left <= SLICE {
                        break;
                    }
                }
            }
        }
        Ok(purged)
    }

    async fn slice(&self, which: Which, query: &Query, purge: &mut Purge, all: &mut Purged) -> Result<(), ClientError> {
        let message =
            proto::PurgeInstancesRequest { request: Some(which), recursive: purge.recursive, is_orchestration: true };
        let call = |mut calls: Calls| {
            let message = with_filter(message.clone(), query);
            async move { calls.purge_instances(message).await }
        };
        let done = self.repeat(Broken::Tell("purge, a part of which may be done"), call).await?.into_inner();
        all.deleted += u64::try_from(done.deleted_instance_count).unwrap_or_default();
        all.complete = done.is_complete.unwrap_or(true);
        (purge.progress)(all.deleted);
        Ok(())
    }
}

/// What is left of the caller's time; without one, all there is.
fn left(ends: Option<Instant>) -> Duration {
    ends.map_or(Duration::MAX, |ends| ends.saturating_duration_since(Instant::now()))
}

fn asked(query: &Query, after: Option<&Cursor>) -> proto::InstanceQuery {
    proto::InstanceQuery {
        runtime_status: query.statuses.iter().copied().map(i32::from).collect(),
        created_time_from: query.created_from.map(Timestamp::from),
        created_time_to: query.created_to.map(Timestamp::from),
        task_hub_names: Vec::new(),
        max_instance_count: i32::try_from(query.limit).unwrap_or(i32::MAX),
        continuation_token: after.map(Cursor::to_string),
        instance_id_prefix: query.prefix.clone(),
        fetch_inputs_and_outputs: !query.bare,
    }
}

fn purge_filter(query: &Query, timeout: Duration) -> proto::PurgeInstanceFilter {
    proto::PurgeInstanceFilter {
        created_time_from: query.created_from.map(Timestamp::from),
        created_time_to: query.created_to.map(Timestamp::from),
        runtime_status: query.statuses.iter().copied().map(i32::from).collect(),
        timeout: Some(timeout.try_into().expect("a slice is short")),
    }
}

fn with_filter<M>(message: M, query: &Query) -> Request<M> {
    let mut request = Request::new(message);
    if let Some(text) = query.beyond_protocol() {
        let text = text.parse().expect("a form is ASCII");
        request.metadata_mut().insert(FILTER, text);
    }
    request
}
