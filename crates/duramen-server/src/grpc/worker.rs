//! GetWorkItems, and what workers say about their items.

use super::call;
use super::desk::parse;
use super::item::{Abilities, STREAMED_BYTES};
use super::parts::is_whole;
use super::service::Service;
use super::stream::{Arrival, Items};
use duramen_core::extension;
use duramen_core::work::{Announcement, Answer, Filters};
use duramen_hub::BareAnswer;
use duramen_proto::{ActivityResponse, GetWorkItemsRequest, OrchestratorResponse, WorkItemFilters, WorkerCapability};
use std::sync::Arc;
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

impl Service {
    pub(super) async fn connect(&self, request: Request<GetWorkItemsRequest>) -> Result<Items, Status> {
        let desk = self.desk(request.metadata()).await?;
        let connection = call::connection(&request);
        let name = call::worker_name(request.metadata()).unwrap_or("without a name").to_owned();
        let sessions = request.metadata().contains_key(extension::KEEPS_SESSIONS);
        let asked = request.into_inner();
        let streams_history = asked.capabilities().any(|can| can == WorkerCapability::HistoryStreaming);
        // Framing comes on top, and is far less than half of it.
        let streams_above = streams_history.then_some(STREAMED_BYTES.min(self.options.inline_item_bytes / 2));
        let can = Abilities { streams_above, sessions };
        let announcement = Announcement {
            in_process: false,
            sessions: can.sessions,
            orchestrators: room(asked.max_concurrent_orchestration_work_items),
            activities: room(asked.max_concurrent_activity_work_items),
            windowed: true,
            filters: asked.work_item_filters.map(filters),
            name: name.as_str().into(),
            item_bytes: (!can.sessions).then_some(self.options.inline_item_bytes),
            streams_history,
        };
        let items = Items::connect(Arc::clone(&desk), Arrival { name, can, announcement }, self.options.clone());
        connection.joined(items.stream(), &desk);
        Ok(items)
    }

    pub(super) async fn activity_done(&self, request: Request<ActivityResponse>) -> Result<(), Status> {
        let desk = self.desk(request.metadata()).await?;
        let connection = call::connection(&request);
        let response = request.into_inner();
        let named = response.instance_id.clone();
        match parse(&response.completion_token) {
            Some(token) => desk.done(token, Answer::Activity(token, response), &named).await,
            None if response.completion_token.is_empty() => {
                desk.done_bare(connection.workers(&desk), BareAnswer::Activity(response), &named).await
            }
            None => desk.done_of_nothing(&response.completion_token, &named).await,
        }
    }

    pub(super) async fn episode_done(&self, request: Request<OrchestratorResponse>) -> Result<(), Status> {
        let desk = self.desk(request.metadata()).await?;
        let connection = call::connection(&request);
        let response = request.into_inner();
        match parse(&response.completion_token) {
            Some(token) => desk.episode(token, response).await,
            // SDKs that know no tokens know no parts either.
            None if response.completion_token.is_empty() && is_whole(&response) => {
                let named = response.instance_id.clone();
                desk.done_bare(connection.workers(&desk), BareAnswer::Orchestrator(response), &named).await
            }
            None => desk.done_of_nothing(&response.completion_token, &response.instance_id).await,
        }
    }

    /// The worker gives an item back. It is offered again after a pause that grows. Nothing of that is kept on disk.
    pub(super) async fn abandoned(&self, metadata: &MetadataMap, token: &str) -> Result<(), Status> {
        let desk = self.desk(metadata).await?;
        match parse(token) {
            Some(token) => desk.given_back(token, Answer::Abandoned(token, "the worker gave it back".into())),
            None => desk.stale(token),
        }
        Ok(())
    }
}

/// How many items a worker takes; 0 is as many as there are.
fn room(most: i32) -> usize {
    usize::try_from(most).ok().filter(|most| *most > 0).unwrap_or(Announcement::UNLIMITED)
}

fn filters(asked: WorkItemFilters) -> Filters {
    Filters {
        orchestrators: asked.orchestrations.into_iter().map(|filter| (filter.name, filter.versions)).collect(),
        activities: asked.activities.into_iter().map(|filter| (filter.name, filter.versions)).collect(),
    }
}
