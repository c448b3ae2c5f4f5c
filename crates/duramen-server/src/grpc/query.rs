//! QueryInstances and ListInstanceIds: pages, cut by rows and by bytes.

use super::call;
use super::service::Service;
use super::state::bare;
use super::status::refused;
use duramen_backend::{Cursor, Order, Query};
use duramen_core::checkpoint::Row;
use duramen_core::extension::{AS_OF, FILTER};
use duramen_core::history::rfc3339;
use duramen_core::time::Time;
use duramen_hub::Hub;
use duramen_proto::{
    InstanceQuery, ListInstanceIdsRequest, ListInstanceIdsResponse, OrchestrationState, OrchestrationStatus,
    QueryInstancesRequest, QueryInstancesResponse,
};
use prost::Message as _;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

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
    ) -> Result<Response<QueryInstancesResponse>, Status> {
        let desk = self.desk(request.metadata()).await?;
        let (metadata, _, request) = request.into_parts();
        let asked = request.query.unwrap_or_default();
        let query = instances(&metadata, &asked)?;
        let with_payloads = asked.fetch_inputs_and_outputs;
        let to_state = |row: Row| {
            let mut state = row.into_state();
            if !with_payloads {
                bare(&mut state);
            }
            state
        };
        let page = fill(&desk.hub, query, rows(asked.max_instance_count), to_state, OrchestrationState::encoded_len);
        let Filled { entries: orchestration_state, next, as_of } = page.await?;
        let continuation_token = next.as_ref().map(Cursor::to_string);
        let mut reply = Response::new(QueryInstancesResponse { orchestration_state, continuation_token });
        if let Some(as_of) = as_of {
            let as_of = rfc3339::format(as_of).parse().expect("a time is ASCII");
            reply.metadata_mut().insert(AS_OF, as_of);
        }
        Ok(reply)
    }

    pub(super) async fn list_ids(
        &self,
        request: Request<ListInstanceIdsRequest>,
    ) -> Result<ListInstanceIdsResponse, Status> {
        let desk = self.desk(request.metadata()).await?;
        let asked = request.into_inner();
        let mut query = Query {
            statuses: statuses(&asked.runtime_status)?,
            completed_from: call::time(asked.completed_time_from),
            completed_to: call::time(asked.completed_time_to),
            order: Order::Completed,
            bare: true,
            ..Query::default()
        };
        go_on(&mut query, "lastInstanceKey", asked.last_instance_key)?;
        // A string in a list has its length and a tag before it.
        let size = |id: &String| id.len() + 4;
        let page = fill(&desk.hub, query, rows(asked.page_size), |row| row.head.id, size);
        let Filled { entries: instance_ids, next, .. } = page.await?;
        Ok(ListInstanceIdsResponse { instance_ids, last_instance_key: next.as_ref().map(Cursor::to_string) })
    }
}

fn instances(metadata: &MetadataMap, asked: &InstanceQuery) -> Result<Query, Status> {
    let prefix = call::given(asked.instance_id_prefix.clone());
    let mut query = Query {
        statuses: statuses(&asked.runtime_status)?,
        created_from: call::time(asked.created_time_from),
        created_to: call::time(asked.created_time_to),
        prefix,
        bare: !asked.fetch_inputs_and_outputs,
        ..Query::default()
    };
    beyond_protocol(metadata, &mut query)?;
    go_on(&mut query, "continuation token", asked.continuation_token.clone())?;
    Ok(query)
}

/// What a client of our own filters by, which the protocol cannot say.
pub(super) fn beyond_protocol(metadata: &MetadataMap, query: &mut Query) -> Result<(), Status> {
    let Some(text) = metadata.get(FILTER) else { return Ok(()) };
    let added = query.add_beyond_protocol(text.to_str().unwrap_or("?"));
    added.map_err(|problem| Status::invalid_argument(format!("{FILTER}: {problem}")))
}

/// Begins where a page ended.
fn go_on(query: &mut Query, what: &str, text: Option<String>) -> Result<(), Status> {
    let Some(text) = call::given(text) else { return Ok(()) };
    let place = query.place(&text).ok_or_else(|| {
        let start: String = text.chars().take(64).collect();
        let hint = "give back the one of the page before, with the same filter, or none to begin";
        Status::invalid_argument(format!("the {what} {start:?} is none that this list gave; {hint}"))
    })?;
    query.after = Some(place);
    Ok(())
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

/// A page on its way out.
struct Filled<T> {
    entries: Vec<T>,
    next: Option<Cursor>,
    /// Since when the store may have gone on, if it was not read up to what was durable.
    as_of: Option<Time>,
}

/// Reads until the page is full or nothing is left. There is a place to go on only if something is
/// there: the last page says that it is the last, also when it is exactly full.
async fn fill<T>(
    hub: &Hub,
    mut query: Query,
    limit: usize,
    shown: impl Fn(Row) -> T,
    size: impl Fn(&T) -> usize,
) -> Result<Filled<T>, Status> {
    let (mut page, mut bytes) = (Filled { entries: Vec::new(), next: None, as_of: None }, 0);
    loop {
        query.limit = (limit - page.entries.len()).saturating_add(1).min(READ_ROWS);
        let read = hub.query(query.clone()).await.map_err(refused)?;
        page.as_of = page.as_of.into_iter().chain(read.as_of).min();
        for row in read.rows {
            if page.entries.len() == limit {
                return Ok(page);
            }
            let place = place(&row, &query);
            let entry = shown(row);
            bytes += size(&entry);
            if bytes > PAGE_BYTES && !page.entries.is_empty() {
                return Ok(page);
            }
            page.entries.push(entry);
            page.next = Some(place);
        }
        match read.next {
            Some(next) => query.after = Some(next),
            None => return Ok(Filled { next: None, ..page }),
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
