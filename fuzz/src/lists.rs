//! Lists, states and histories say the same.

use crate::chain::{Client, client};
use crate::house::House;
use crate::run::{Finding, found};
use duramen_proto::{
    GetInstanceRequest, HistoryEvent, InstanceQuery, ListInstanceIdsRequest, OrchestrationStatus,
    QueryInstancesRequest, StreamInstanceHistoryRequest,
};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};
use tonic::Status;

/// A list may lag behind by a second on a busy machine.
const TRIES: usize = 5;

pub(crate) type Instances = BTreeMap<String, OrchestrationStatus>;

/// All instances and their statuses, which every way of asking gives.
pub(crate) async fn agree(house: &House) -> Result<Instances, Finding> {
    let mut client = client(house).await;
    let mut why = String::new();
    for _ in 0..TRIES {
        match compare(&mut client).await {
            Ok(Ok(instances)) => return Ok(instances),
            Ok(Err(differs)) => why = differs,
            Err(status) => return found(format!("a list failed: {status}")),
        }
    }
    found(why)
}

async fn compare(client: &mut Client) -> Result<Result<Instances, String>, Status> {
    let (by_three, by_many) = (query(client, 3).await?, query(client, 1_000).await?);
    if by_three != by_many {
        return Ok(Err(format!("pages of 3 have {by_three:?}, pages of 1,000 have {by_many:?}")));
    }
    for (id, listed) in &by_many {
        let request = GetInstanceRequest { instance_id: id.clone(), get_inputs_and_outputs: true };
        let state = client.get_instance(request).await?.into_inner().orchestration_state;
        let status = state.as_ref().map(duramen_proto::OrchestrationState::orchestration_status);
        if status != Some(*listed) {
            return Ok(Err(format!("{id:?} is {listed:?} in the list and {status:?} by itself")));
        }
        history(client, id).await?;
    }
    let ended: BTreeSet<&String> = by_many.iter().filter(|(_, status)| is_end(**status)).map(|(id, _)| id).collect();
    let listed = ended_ids(client).await?;
    if !listed.iter().eq(ended.iter().copied()) {
        return Ok(Err(format!("ListInstanceIds has {listed:?}, those that have ended are {ended:?}")));
    }
    Ok(Ok(by_many))
}

async fn query(client: &mut Client, rows: i32) -> Result<Instances, Status> {
    let (mut all, mut token) = (Instances::new(), None);
    loop {
        let query = InstanceQuery {
            max_instance_count: rows,
            continuation_token: token,
            fetch_inputs_and_outputs: true,
            ..Default::default()
        };
        let page = client.query_instances(QueryInstancesRequest { query: Some(query) }).await?.into_inner();
        for state in page.orchestration_state {
            let status = state.orchestration_status();
            if all.insert(state.instance_id.clone(), status).is_some() {
                return Err(Status::data_loss(format!("{:?} is in the list twice", state.instance_id)));
            }
        }
        token = page.continuation_token;
        if token.is_none() {
            return Ok(all);
        }
    }
}

async fn ended_ids(client: &mut Client) -> Result<BTreeSet<String>, Status> {
    let (mut all, mut key) = (BTreeSet::new(), None);
    loop {
        let request = ListInstanceIdsRequest { page_size: 2, last_instance_key: key, ..Default::default() };
        let page = client.list_instance_ids(request).await?.into_inner();
        all.extend(page.instance_ids);
        key = page.last_instance_key;
        if key.is_none() {
            return Ok(all);
        }
    }
}

/// It can be read to its end, and every event of it.
async fn history(client: &mut Client, id: &str) -> Result<(), Status> {
    let request = StreamInstanceHistoryRequest { instance_id: id.into(), ..Default::default() };
    let mut chunks = client.stream_instance_history(request).await?.into_inner();
    while let Some(chunk) = chunks.message().await? {
        for event in chunk.events {
            HistoryEvent::decode(event)
                .map_err(|error| Status::data_loss(format!("an event of {id:?} cannot be read: {error}")))?;
        }
    }
    Ok(())
}

fn is_end(status: OrchestrationStatus) -> bool {
    match status {
        OrchestrationStatus::Completed
        | OrchestrationStatus::Failed
        | OrchestrationStatus::Terminated
        | OrchestrationStatus::Canceled => true,
        OrchestrationStatus::Running
        | OrchestrationStatus::ContinuedAsNew
        | OrchestrationStatus::Pending
        | OrchestrationStatus::Suspended => false,
    }
}
