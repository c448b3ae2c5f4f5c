//! QueryInstances and ListInstanceIds: pages, cut by rows and by bytes.

use super::service::Service;
use super::state::bare;
use super::status::refused;
use super::{call, cursor};
use duramen_backend::{Cursor, Order, Query};
use duramen_core::checkpoint::Row;
use duramen_core::time::Time;
use duramen_hub::Hub;
use duramen_proto::{
    InstanceQuery, ListInstanceIdsRequest, ListInstanceIdsResponse, OrchestrationState, OrchestrationStatus,
    QueryInstancesRequest, QueryInstancesResponse,
};
use prost::Message as _;
use tonic::{Request, Status};

/// Bytes of a page: the SDKs receive 4 MiB in one message.
const PAGE_BYTES: usize = 3 << 20;
/// Rows of a page, where the caller does not say.
const PAGE_ROWS: usize = 100;
/// Rows that are read from the store at a time.
const READ_ROWS: usize = 200;

impl Service {
    pub(super) async fn query(
        &self,
        request: Request<QueryInstancesRequest>,
    ) -> Result<QueryInstancesResponse, Status> {
        let desk = self.desk(request.metadata()).await?;
        let asked = request.into_inner().query.unwrap_or_default();
        let query = instances(&asked)?;
        let with_payloads = asked.fetch_inputs_and_outputs;
        let to_state = |row: Row| {
            let mut state = row.into_state();
            if !with_payloads {
                bare(&mut state);
            }
            state
        };
        let page = fill(&desk.hub, query, rows(asked.max_instance_count), to_state, OrchestrationState::encoded_len);
        let (orchestration_state, next) = page.await?;
        Ok(QueryInstancesResponse { orchestration_state, continuation_token: next.as_ref().map(cursor::token) })
    }

    pub(super) async fn list_ids(
        &self,
        request: Request<ListInstanceIdsRequest>,
    ) -> Result<ListInstanceIdsResponse, Status> {
        let desk = self.desk(request.metadata()).await?;
        let asked = request.into_inner();
        let query = Query {
            statuses: statuses(&asked.runtime_status)?,
            completed_from: call::time(asked.completed_time_from),
            completed_to: call::time(asked.completed_time_to),
            order: Order::Completed,
            bare: true,
            after: call::given(asked.last_instance_key.clone()).map(|key| cursor::of_ids(&key)).transpose()?,
            ..Query::default()
        };
        // A string in a list has its length and a tag before it.
        let size = |id: &String| id.len() + 4;
        let (instance_ids, next) = fill(&desk.hub, query, rows(asked.page_size), |row| row.head.id, size).await?;
        Ok(ListInstanceIdsResponse { instance_ids, last_instance_key: next.as_ref().map(cursor::token) })
    }
}

fn instances(asked: &InstanceQuery) -> Result<Query, Status> {
    let prefix = call::given(asked.instance_id_prefix.clone());
    let token = call::given(asked.continuation_token.clone());
    Ok(Query {
        statuses: statuses(&asked.runtime_status)?,
        created_from: call::time(asked.created_time_from),
        created_to: call::time(asked.created_time_to),
        after: token.map(|token| cursor::of_query(&token, prefix.is_some())).transpose()?,
        prefix,
        bare: !asked.fetch_inputs_and_outputs,
        ..Query::default()
    })
}

/// Statuses that a call names. An unknown one is refused: left out, it would make the list longer.
pub(super) fn statuses(asked: &[i32]) -> Result<Vec<OrchestrationStatus>, Status> {
    let known = |status: &i32| {
        OrchestrationStatus::try_from(*status).map_err(|_| {
            let range = "0 (RUNNING) to 7 (SUSPENDED)";
            Status::invalid_argument(format!("{status} is no status of an orchestration; use {range}"))
        })
    };
    asked.iter().map(known).collect()
}

fn rows(asked: i32) -> usize {
    usize::try_from(asked).ok().filter(|rows| *rows > 0).unwrap_or(PAGE_ROWS)
}

/// Reads until the page is full or nothing is left. There is a place to go on only if something is
/// there: the last page says that it is the last, also when it is exactly full.
async fn fill<T>(
    hub: &Hub,
    mut query: Query,
    limit: usize,
    shown: impl Fn(Row) -> T,
    size: impl Fn(&T) -> usize,
) -> Result<(Vec<T>, Option<Cursor>), Status> {
    let (mut page, mut bytes, mut last) = (Vec::new(), 0, None);
    loop {
        query.limit = (limit - page.len()).saturating_add(1).min(READ_ROWS);
        let read = hub.query(query.clone()).await.map_err(refused)?;
        for row in read.rows {
            if page.len() == limit {
                return Ok((page, last));
            }
            let place = place(&row, &query);
            let entry = shown(row);
            bytes += size(&entry);
            if bytes > PAGE_BYTES && !page.is_empty() {
                return Ok((page, last));
            }
            page.push(entry);
            last = Some(place);
        }
        match read.next {
            Some(next) => query.after = Some(next),
            None => return Ok((page, None)),
        }
    }
}

/// The place of a row in its list.
fn place(row: &Row, query: &Query) -> Cursor {
    let time = |at: Option<duramen_proto::Timestamp>| Time::from(at.unwrap_or_default());
    match query.order {
        Order::Completed => Cursor::Completed(time(row.tail.completed), row.head.id.clone()),
        Order::Created if query.prefix.is_some() => Cursor::Id(row.head.id.clone()),
        Order::Created => Cursor::Created(time(row.head.created), row.head.birth),
    }
}
