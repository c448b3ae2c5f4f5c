//! The stream of a worker: one end is the hub's link, the other is the body of GetWorkItems.

use super::GrpcOptions;
use super::desk::Desk;
use super::history::Past;
use super::item::{self, Abilities};
use super::parts::Parts;
use super::unsent::{Next, Unsent};
use duramen_core::ids::Run;
use duramen_core::limits::SEND_WINDOW;
use duramen_core::work::{Announcement, Answer, ItemBytes, WorkItem, WorkKind, WorkerId};
use duramen_hub::{Attachment, WorkerLink};
use duramen_proto::HealthPing;
use duramen_proto::raw::{self, WorkRequest};
use prost::Message as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep};
use tokio_stream::Stream;
use tonic::Status;

/// What both ends of a stream share.
pub(super) struct WorkerStream {
    /// For the log: what the worker calls itself.
    name: String,
    can: Abilities,
    /// What the hub has sent and the connection has not taken: never more than [`SEND_WINDOW`] of a kind.
    unsent: Unsent,
    attachment: Mutex<Option<Attachment>>,
    parts: Mutex<Parts>,
    gone: AtomicBool,
}

impl std::fmt::Debug for WorkerStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerStream").field("name", &self.name).finish_non_exhaustive()
    }
}

impl WorkerStream {
    pub(super) fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attachment(&self) -> MutexGuard<'_, Option<Attachment>> {
        self.attachment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the hub an answer of this worker.
    pub(super) fn answer(&self, answer: Answer) {
        if let Some(attachment) = &*self.attachment() {
            attachment.answer(vec![answer]);
        }
    }

    /// Its name within the hub, while it is connected.
    pub(super) fn worker(&self) -> Option<WorkerId> {
        self.attachment().as_ref().map(Attachment::worker)
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Called under the desk's lock, so that nothing is noted as out on it afterwards.
    pub(super) fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
    }
}

/// The hub's end.
struct Link {
    stream: Arc<WorkerStream>,
    desk: Arc<Desk>,
}

impl WorkerLink for Link {
    fn deliver(&self, items: Vec<WorkItem>) {
        self.desk.handed(&self.stream, &items);
        self.stream.unsent.give(items);
    }

    /// The protocol has no word for it. A session that has ended is never named again, and goes in time.
    fn end_session(&self, _: Run) {}

    fn drained(&self) {
        self.stream.unsent.drained();
    }

    fn closed(&self, reason: &str) {
        self.stream.unsent.close(reason);
    }
}

/// Items that have left and of which the hub has not been told: few enough of its window to tell it now and
/// then.
const SENT_UNTOLD: usize = SEND_WINDOW / 4;

/// The body of GetWorkItems. When it is dropped the worker is gone.
pub(super) struct Items {
    stream: Arc<WorkerStream>,
    desk: Arc<Desk>,
    watch: AbortHandle,
    ping: Pin<Box<Sleep>>,
    options: GrpcOptions,
    /// Items that have left and of which the hub has not been told: orchestrators', and activities'.
    untold: [usize; 2],
    /// Items that have left since others had a turn.
    in_turn: usize,
    ended: bool,
}

/// How a worker is connected.
pub(super) struct Arrival {
    pub(super) name: String,
    pub(super) can: Abilities,
    pub(super) announcement: Announcement,
}

impl Items {
    /// Connects a worker to the hub.
    pub(super) fn connect(desk: Arc<Desk>, arrival: Arrival, options: GrpcOptions) -> Self {
        let Arrival { name, can, announcement } = arrival;
        tracing::info!(worker = name, "a worker has connected");
        let stream = Arc::new(WorkerStream {
            name,
            can,
            unsent: Unsent::default(),
            attachment: Mutex::default(),
            parts: Mutex::default(),
            gone: AtomicBool::new(false),
        });
        let link = Link { stream: Arc::clone(&stream), desk: Arc::clone(&desk) };
        // An answer needs an item that went out, and nothing goes out before this is polled.
        *stream.attachment() = Some(desk.hub.attach(Box::new(link), announcement));
        let ping = Box::pin(tokio::time::sleep(options.ping_every));
        let watch = tokio::spawn(watch(Arc::downgrade(&stream), Arc::clone(&desk), options.unread)).abort_handle();
        Self { stream, desk, watch, ping, options, untold: [0; 2], in_turn: 0, ended: false }
    }

    pub(super) fn stream(&self) -> &Arc<WorkerStream> {
        &self.stream
    }

    /// One more has left.
    fn left(&mut self, kind: WorkKind) {
        let untold = match kind {
            WorkKind::Orchestrator => &mut self.untold[0],
            WorkKind::Activity => &mut self.untold[1],
        };
        *untold += 1;
        if *untold >= SENT_UNTOLD
            && let Some(attachment) = &*self.stream.attachment()
        {
            attachment.sent(kind, std::mem::take(untold));
        }
    }

    /// The message for an item, or nothing if it does not fit: then it waits for a worker that takes it.
    fn message(&self, item: WorkItem) -> Option<raw::WorkItem> {
        let (token, instance, kind) = (item.token, item.work.instance().to_string(), item.work.kind());
        let parcel = item::parcel(item, self.stream.can);
        if !self.stream.can.sessions {
            let (bytes, limit) = (parcel.message.encoded_len(), self.options.inline_item_bytes);
            if bytes > limit {
                tracing::warn!(
                    instance,
                    worker = self.stream.name,
                    bytes,
                    limit,
                    "a work item is too large for a worker"
                );
                let seen = match kind {
                    WorkKind::Orchestrator if self.stream.can.streams_above.is_some() => {
                        ItemBytes { whole: 0, bare: bytes }
                    }
                    WorkKind::Orchestrator => ItemBytes { whole: bytes, bare: 0 },
                    WorkKind::Activity => ItemBytes { whole: bytes, bare: bytes },
                };
                self.desk.given_back(token, Answer::TooLarge(token, seen));
                return None;
            }
            if bytes > limit / 2 {
                tracing::info!(
                    instance,
                    bytes,
                    limit,
                    "a work item is over half of what goes to a worker in one message"
                );
            }
        }
        if let (Some(events), Some(WorkRequest::OrchestratorRequest(request))) = (parcel.past, &parcel.message.request)
        {
            let execution = request.execution_id.clone().unwrap_or_default();
            self.desk.keep_past(token, Past { instance, execution, events, early: self.stream.can.sessions });
        }
        Some(parcel.message)
    }
}

/// Gives back what a worker has not read for too long: somebody else may have the time. What has left for its
/// connection is with it, and is taken back when that is lost.
async fn watch(stream: Weak<WorkerStream>, desk: Arc<Desk>, unread: Duration) {
    loop {
        tokio::time::sleep(unread / 2).await;
        let Some(stream) = stream.upgrade() else { return };
        let overdue = stream.unsent.recall(unread);
        if !overdue.is_empty() {
            let (items, worker) = (overdue.len(), &stream.name);
            tracing::warn!(
                worker,
                items,
                "a worker has not read its stream for {unread:?}; what it was to get goes to others"
            );
        }
        for item in overdue {
            desk.given_back(item.token, Answer::Abandoned(item.token, "its worker does not read its stream".into()));
        }
    }
}

impl Stream for Items {
    type Item = Result<raw::WorkItem, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        if this.in_turn >= SENT_UNTOLD {
            this.in_turn = 0;
            // A stream that went on for as long as the hub gives it more would leave its equals behind.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // It is read again, so what was taken back meanwhile makes room.
        this.stream.unsent.recalled().into_iter().for_each(|kind| this.left(kind));
        while let Poll::Ready(next) = this.stream.unsent.poll(cx) {
            match next {
                Next::Item(item) => {
                    this.left(item.work.kind());
                    this.in_turn += 1;
                    if let Some(message) = this.message(item) {
                        this.ping.as_mut().reset(Instant::now() + this.options.ping_every);
                        return Poll::Ready(Some(Ok(message)));
                    }
                }
                Next::Drained => {
                    this.ended = true;
                    return Poll::Ready(None);
                }
                Next::Closed(reason) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(Status::unavailable(format!("the task hub has closed: {reason}")))));
                }
            }
        }
        if this.ping.as_mut().poll(cx).is_ready() {
            this.ping.as_mut().reset(Instant::now() + this.options.ping_every);
            let request = Some(WorkRequest::HealthPing(HealthPing {}));
            return Poll::Ready(Some(Ok(raw::WorkItem { request, completion_token: String::new() })));
        }
        Poll::Pending
    }
}

impl Drop for Items {
    fn drop(&mut self) {
        tracing::info!(worker = self.stream.name, "a worker has gone");
        self.watch.abort();
        self.desk.lost(&self.stream);
        drop(self.stream.attachment().take());
    }
}
