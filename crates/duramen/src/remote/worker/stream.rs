//! The stream that work comes over, opened again whenever it ends.

use super::held::Held;
use super::items::{Received, receive};
use super::line::Line;
use crate::remote::{Calls, root};
use crate::worker::Link;
use bytes::Bytes;
use duramen_core::extension;
use duramen_core::work::{Work, WorkItem};
use duramen_proto::{GetWorkItemsRequest, StreamInstanceHistoryRequest, raw};
use futures::FutureExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Request, Status, Streaming};

/// Items that are handed on together at most.
const BATCH: usize = 256;
/// A stream that ends sooner was not ended to move the worker elsewhere.
const LIVED: Duration = Duration::from_secs(1);

pub(super) struct Stream {
    pub(super) line: Arc<Line>,
    pub(super) held: Arc<Held>,
    pub(super) link: Link,
    pub(super) request: GetWorkItemsRequest,
}

/// How a stream ended, or why there was none.
enum End {
    /// The server ended it in good order.
    Ended,
    /// There was none.
    NotOpened(String),
    Broken(String),
    Silent,
}

impl Stream {
    /// Takes work until it is dropped.
    pub(super) async fn run(self) {
        let mut backoff = self.line.backoff();
        let mut fetching = JoinSet::new();
        loop {
            let begun = Instant::now();
            let end = match self.open().await {
                Ok(items) => {
                    self.line.set_open(true);
                    tracing::info!(server = self.line.address(), "the worker takes work");
                    let end = self.read(items, &mut fetching).await;
                    self.line.set_open(false);
                    backoff = self.line.backoff();
                    end
                }
                Err(reason) => {
                    self.line.set_open(false);
                    End::NotOpened(reason)
                }
            };
            let server = self.line.address();
            let pause = match &end {
                End::Ended if begun.elapsed() >= LIVED => Duration::ZERO,
                End::Ended | End::NotOpened(_) | End::Broken(_) | End::Silent => backoff.next(),
            };
            match end {
                End::Ended => tracing::info!(server, "the server ended the stream of work; the worker comes again"),
                End::NotOpened(reason) => tracing::warn!(server, ?pause, "the worker gets no work: {reason}"),
                End::Broken(reason) => tracing::warn!(server, "the worker's stream of work has broken: {reason}"),
                End::Silent => {
                    let silence = self.line.patience.silence;
                    tracing::warn!(server, ?silence, "the server says nothing; the worker connects anew");
                    self.line.renew();
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn open(&self) -> Result<Streaming<raw::WorkItem>, String> {
        let opening = async {
            let mut calls = self.line.calls();
            calls.hello(()).await?;
            let mut request = Request::new(self.request.clone());
            request.metadata_mut().insert(extension::KEEPS_SESSIONS, AsciiMetadataValue::from_static("1"));
            calls.get_work_items(request).await
        };
        match tokio::time::timeout(self.line.patience.opening, opening).await {
            Ok(Ok(items)) => Ok(items.into_inner()),
            Ok(Err(status)) => Err(said(&status)),
            Err(_) => {
                self.line.renew();
                Err(format!("no answer within {:?}", self.line.patience.opening))
            }
        }
    }

    async fn read(&self, mut items: Streaming<raw::WorkItem>, fetching: &mut JoinSet<()>) -> End {
        loop {
            let Ok(mut next) = tokio::time::timeout(self.line.patience.silence, items.message()).await else {
                return End::Silent;
            };
            let mut batch = Vec::new();
            let end = loop {
                match next {
                    Ok(Some(message)) => self.take(message, &mut batch, fetching),
                    Ok(None) => break Some(End::Ended),
                    Err(status) => break Some(End::Broken(said(&status))),
                }
                if batch.len() >= BATCH {
                    break None;
                }
                // What has already come goes to the worker's threads in one go.
                match items.message().now_or_never() {
                    Some(more) => next = more,
                    None => break None,
                }
            };
            self.link.deliver(batch);
            while fetching.try_join_next().is_some() {}
            if let Some(end) = end {
                return end;
            }
        }
    }

    fn take(&self, message: raw::WorkItem, batch: &mut Vec<WorkItem>, fetching: &mut JoinSet<()>) {
        match receive(message, &self.held) {
            Received::Item(item) => batch.push(item),
            Received::WithoutPast(item) => {
                fetching.spawn(complete(self.line.calls(), item, self.link.clone()));
            }
            Received::Refused(token, reason) => self.link.refuse(token, reason),
            Received::Ping => {}
        }
    }
}

/// Fetches the past of an episode, and hands the episode on.
async fn complete(calls: Calls, mut item: WorkItem, link: Link) {
    let Work::Orchestrator(work) = &mut item.work else { return link.deliver(vec![item]) };
    match past(calls, work.instance.to_string(), work.execution_id.to_string()).await {
        Ok(events) => {
            work.past = Some(events);
            link.deliver(vec![item]);
        }
        Err(status) => link.refuse(item.token, format!("its history did not come: {}", said(&status))),
    }
}

async fn past(mut calls: Calls, instance_id: String, execution_id: String) -> Result<Vec<Bytes>, Status> {
    let execution_id = Some(execution_id);
    let request = StreamInstanceHistoryRequest { instance_id, execution_id, for_work_item_processing: true };
    let mut chunks = calls.stream_instance_history(request).await?.into_inner();
    let mut events = Vec::new();
    while let Some(chunk) = chunks.message().await? {
        events.extend(chunk.events);
    }
    Ok(events)
}

/// What went wrong: the connection's own words, or the server's.
pub(super) fn said(status: &Status) -> String {
    if std::error::Error::source(status).is_some() { root(status) } else { status.message().to_owned() }
}
