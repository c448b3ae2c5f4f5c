//! A worker of a hub on a server.
//!
//! ```text
//!  server ═ GetWorkItems ═► stream ─► items ─► Link ─► the worker's threads
//!                                       │                      │
//!                                      held                    ▼
//!                                       │
//!         ◄═ Complete…, Abandon… ═══ answers ◄───────────── Outbox
//! ```
//!
//! A stream that ends is opened again, at once or after a pause. What is in hand stays in hand meanwhile: its
//! answers go over the new connection, and count as long as nobody else was given the item. An answer is sent until
//! the server has it; sending it twice does no harm, since it names its item by a token.
//!
//! The worker keeps sessions, as it does in process, and says so to the server ([`duramen_core::extension`]).

mod answers;
mod chunks;
mod held;
mod items;
mod line;
mod stream;

use super::Remote;
use crate::worker::Worker;
use answers::Answers;
use duramen_core::work::{Announcement, Filters};
use duramen_proto::{ActivityFilter, GetWorkItemsRequest, OrchestrationFilter, WorkItemFilters, WorkerCapability};
use held::Held;
use line::{Line, Patience};
use std::sync::Arc;
use std::time::Duration;
use stream::Stream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How long a worker that stops takes to give back what it has not done.
const GIVING_BACK: Duration = Duration::from_secs(2);

/// A worker's end of its connection.
pub(crate) struct Connected {
    line: Arc<Line>,
    held: Arc<Held>,
}

impl Worker {
    /// Takes work from the server from now on: when this is done the server knows the worker, or the first try to tell
    /// it has failed. There will be others.
    pub(crate) async fn connect_to(&self, remote: &Remote) {
        self.connect_with(remote, Patience::default()).tried().await;
    }

    fn connect_with(&self, remote: &Remote, patience: Patience) -> Arc<Line> {
        let line = Arc::new(Line::new(remote.clone(), name(), patience));
        let held = Arc::<Held>::default();
        let (send, given) = mpsc::unbounded_channel();
        let stream = Stream {
            line: Arc::clone(&line),
            held: Arc::clone(&held),
            link: self.link(),
            request: request(self.announcement(), || self.registered()),
        };
        let answers = Answers { line: Arc::clone(&line), held: Arc::clone(&held), arrivals: self.arrivals() };
        let runtime = remote.runtime();
        let tasks = Tasks([runtime.spawn(stream.run()), runtime.spawn(answers.run(given))]);
        self.attach_far(Connected { line: Arc::clone(&line), held }, move |answers| {
            let _both = &tasks;
            // Nobody takes them once the runtime is gone; then the server gives the items to others.
            let _ = send.send(answers);
        });
        line
    }
}

impl Connected {
    /// Gives back what is in hand, so that others get it at once.
    pub(crate) async fn give_back(&self) {
        let rest = self.held.give_up();
        let given_back = answers::give_back(&self.line, rest);
        if tokio::time::timeout(GIVING_BACK, given_back).await.is_err() {
            tracing::debug!("the server was not told what is given back; it will find out");
        }
    }
}

/// They end when this is dropped.
struct Tasks([JoinHandle<()>; 2]);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// What a worker calls itself, as other SDKs do.
fn name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}:{}", host.trim(), std::process::id(), uuid::Uuid::new_v4().simple())
}

fn request(announcement: Announcement, registered: impl FnOnce() -> Filters) -> GetWorkItemsRequest {
    // On the wire 0 is as many as there are.
    let room = |items: usize| i32::try_from(items).unwrap_or(0);
    let Announcement { orchestrators, activities, .. } = announcement;
    let mut filters = announcement.filters;
    if orchestrators == 0 || activities == 0 {
        // There nothing of a kind is taken by naming none of it.
        let filters = filters.get_or_insert_with(registered);
        filters.orchestrators.retain(|_| orchestrators > 0);
        filters.activities.retain(|_| activities > 0);
    }
    let filters = filters.map(|filters| WorkItemFilters {
        orchestrations: filters
            .orchestrators
            .into_iter()
            .map(|(name, versions)| OrchestrationFilter { name, versions })
            .collect(),
        activities: filters.activities.into_iter().map(|(name, versions)| ActivityFilter { name, versions }).collect(),
        entities: Vec::new(),
    });
    GetWorkItemsRequest {
        max_concurrent_orchestration_work_items: room(orchestrators),
        max_concurrent_activity_work_items: room(activities),
        capabilities: vec![WorkerCapability::HistoryStreaming.into()],
        work_item_filters: filters,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
