//! The stream of a worker: one end is the hub's link, the other is the body of GetWorkItems.

use super::GrpcOptions;
use super::desk::Desk;
use super::history::Past;
use super::item::{self, Abilities};
use super::parts::Parts;
use duramen_core::ids::Run;
use duramen_core::limits::SEND_WINDOW;
use duramen_core::work::{Announcement, Answer, ItemBytes, Work, WorkItem, WorkKind, WorkerId};
use duramen_hub::{Attachment, WorkerLink};
use duramen_proto::HealthPing;
use duramen_proto::raw::{self, WorkRequest};
use prost::Message as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};
use tokio_stream::Stream;
use tonic::Status;

/// What both ends of a stream share.
pub(super) struct WorkerStream {
    /// For the log: what the worker calls itself.
    name: String,
    can: Abilities,
    /// What the hub has sent and the connection has not taken: never more than the worker has room for.
    queue: mpsc::UnboundedSender<Sent>,
    attachment: Mutex<Option<Attachment>>,
    parts: Mutex<Parts>,
    gone: AtomicBool,
}

enum Sent {
    Work(WorkItem),
    /// The worker was drained: the stream ends well.
    Drained,
    /// The hub sends nothing more, for this reason.
    Closed(String),
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
        for item in items {
            // One that is gone needs nothing: the hub takes back what it had.
            let _ = self.stream.queue.send(Sent::Work(item));
        }
    }

    /// The protocol has no word for it. A session that has ended is never named again, and goes in time.
    fn end_session(&self, _: Run) {}

    fn drained(&self) {
        let _ = self.stream.queue.send(Sent::Drained);
    }

    fn closed(&self, reason: &str) {
        let _ = self.stream.queue.send(Sent::Closed(reason.to_owned()));
    }
}

/// Items that have left and of which the hub has not been told: few enough of its window to tell it now and
/// then.
const SENT_UNTOLD: usize = SEND_WINDOW / 4;

/// The body of GetWorkItems. When it is dropped the worker is gone.
pub(super) struct Items {
    stream: Arc<WorkerStream>,
    desk: Arc<Desk>,
    sent: mpsc::UnboundedReceiver<Sent>,
    ping: Pin<Box<Sleep>>,
    options: GrpcOptions,
    /// Items that have left and of which the hub has not been told: orchestrators', and activities'.
    untold: [usize; 2],
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
        let (queue, sent) = mpsc::unbounded_channel();
        let stream = Arc::new(WorkerStream {
            name,
            can,
            queue,
            attachment: Mutex::default(),
            parts: Mutex::default(),
            gone: AtomicBool::new(false),
        });
        let link = Link { stream: Arc::clone(&stream), desk: Arc::clone(&desk) };
        // An answer needs an item that went out, and nothing goes out before this is polled.
        *stream.attachment() = Some(desk.hub.attach(Box::new(link), announcement));
        let ping = Box::pin(tokio::time::sleep(options.ping_every));
        Self { stream, desk, sent, ping, options, untold: [0; 2], ended: false }
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
        let (token, instance, kind) = (item.token, instance(&item.work).to_string(), item.work.kind());
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
                self.desk.answer(token, Answer::TooLarge(token, seen));
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
            self.desk.keep_past(token, Past { instance, execution, events });
        }
        Some(parcel.message)
    }
}

fn instance(work: &Work) -> &duramen_core::ids::InstanceId {
    match work {
        Work::Orchestrator(work) => &work.instance,
        Work::Activity(work) => &work.instance,
    }
}

impl Stream for Items {
    type Item = Result<raw::WorkItem, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        while let Poll::Ready(sent) = this.sent.poll_recv(cx) {
            match sent {
                Some(Sent::Work(item)) => {
                    this.left(item.work.kind());
                    if let Some(message) = this.message(item) {
                        this.ping.as_mut().reset(Instant::now() + this.options.ping_every);
                        return Poll::Ready(Some(Ok(message)));
                    }
                }
                Some(Sent::Drained) => {
                    this.ended = true;
                    return Poll::Ready(None);
                }
                Some(Sent::Closed(reason)) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(Status::unavailable(format!("the task hub has closed: {reason}")))));
                }
                None => return Poll::Ready(None),
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
        self.desk.lost(&self.stream);
        drop(self.stream.attachment().take());
    }
}
