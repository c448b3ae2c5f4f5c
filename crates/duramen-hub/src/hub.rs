//! The handle of a hub, and what it shares with its loop.

use crate::attachment::{Attachment, BareAnswer, WorkerLink};
use crate::clock::Clock;
use crate::driver::Driver;
use crate::error::HubError;
use crate::inbox::{Bare, Call, Inbox, Incoming, Pushed, Search};
use crate::options::Options;
use crate::pool::{Pool, Task};
use duramen_backend::{Backend, Event, Page, Query, QueryId};
use duramen_core::ids::{InstanceId, PartitionId, Slot, Token};
use duramen_core::limits::MOST_LOSSES;
use duramen_core::request::{Refusal, Reply, Request, RequestId};
use duramen_core::time::Time;
use duramen_core::work::{Announcement, Answer, WorkerId};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// A running hub. Clones are handles of the same one; when the last is dropped without
/// [`Hub::shutdown`], the hub stops at once.
#[derive(Clone)]
pub struct Hub {
    handle: Arc<Handle>,
}

/// No worker has this name.
const NOBODY: WorkerId = WorkerId(0);

/// Says when the partitions are open, or why not.
type Opened = oneshot::Receiver<Result<(), HubError>>;

/// Stops the hub when the last handle goes.
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let (done, _) = oneshot::channel();
        self.shared.shut(Duration::ZERO, done);
    }
}

impl Hub {
    /// Takes the store and starts to work on what was under way in it.
    pub async fn run(backend: Arc<dyn Backend>, options: Options) -> Result<Self, HubError> {
        let (hub, open) = Self::begin(backend, options)?;
        match open.await {
            Ok(opened) => opened.map(|()| hub),
            Err(_) => Err(HubError::Stopped("it was closed while it opened".into())),
        }
    }

    /// The same without waiting for the store: what is asked meanwhile waits, and is refused if the store
    /// cannot be opened.
    pub fn start(backend: Arc<dyn Backend>, options: Options) -> Result<Self, HubError> {
        Self::begin(backend, options).map(|(hub, _)| hub)
    }

    fn begin(backend: Arc<dyn Backend>, options: Options) -> Result<(Self, Opened), HubError> {
        check(&options)?;
        let (opened, open) = oneshot::channel();
        let shared = Shared::new(backend, options, opened);
        let hub = Self { handle: Arc::new(Handle { shared: Arc::clone(&shared) }) };
        let events = Arc::downgrade(&shared);
        shared.backend.listen(Arc::new(move |event| {
            if let Some(shared) = events.upgrade() {
                shared.report(event);
            }
        }));
        if let Clock::Virtual(clock) = &shared.options.clock {
            let moved = Arc::downgrade(&shared);
            clock.tell(Arc::new(move || {
                if let Some(shared) = moved.upgrade() {
                    shared.look_again();
                }
            }));
        }
        let partitions = shared.options.partitions;
        for partition in 0..partitions {
            shared.backend.acquire(PartitionId(partition), slots(partition, partitions));
        }
        Ok((hub, open))
    }

    /// Asks something about an instance. A future that is dropped withdraws a wait; what else it asked
    /// for may still be done.
    pub async fn request(&self, request: Request) -> Reply {
        let shared = self.shared();
        let submitted = shared.admit().and_then(|open| Ok((open, shared.submit(request)?)));
        match submitted {
            Ok((_open, submitted)) => submitted.reply().await,
            Err(refusal) => Reply::Refused(refusal),
        }
    }

    /// Gives a page of instances as they are on disk.
    pub async fn query(&self, query: Query) -> Result<Page, Refusal> {
        let _open = self.shared().admit()?;
        self.shared().search(query).await
    }

    /// Connects a worker, which from now on gets work.
    pub fn attach(&self, link: Box<dyn WorkerLink>, announcement: Announcement) -> Attachment {
        let shared = &self.handle.shared;
        let worker = WorkerId(shared.next.fetch_add(1, Ordering::Relaxed));
        shared.push(Incoming::Joined(worker, link, announcement));
        Attachment::new(Arc::clone(shared), worker)
    }

    /// Answers items of a worker that is gone: its connection was lost and another one brings them. They
    /// count as long as nobody else has the item.
    pub fn answer_late(&self, answers: Vec<Answer>) {
        let answers = answers.into_iter().map(|answer| Incoming::Answer(NOBODY, answer));
        self.handle.shared.push_all(answers);
    }

    /// Answers an item without its token: it is the one that is out on the connection that the answer came
    /// over, which these workers share, the likeliest first. Says which item that was; `None` when there is
    /// none that fits, and the answer is dropped.
    pub async fn answer_bare(&self, workers: Vec<WorkerId>, answer: BareAnswer) -> Option<Token> {
        let (token, told) = oneshot::channel();
        self.handle.shared.push(Incoming::Bare(Box::new(Bare { workers, answer, token })));
        told.await.ok().flatten()
    }

    /// Answers an item of this worker, or of one that is gone, at once; it is on disk when the future is ready. The
    /// loop gets both together: one that had begun to write would come to the second only in its next turn.
    pub fn answer_and_land(
        &self,
        worker: Option<WorkerId>,
        answer: Answer,
        instance: InstanceId,
    ) -> impl Future<Output = Result<(), Refusal>> + use<'_> {
        let answer = Incoming::Answer(worker.unwrap_or(NOBODY), answer);
        let (landed, submitted) = self.shared().call(Request::Landed(instance));
        self.shared().push_all([answer, landed]);
        submitted.landed()
    }

    /// Waits until all that was done about an instance before is on disk: answers of workers that were given before
    /// this call, and what came of them. There is always room for it, also while the hub drains.
    pub async fn landed(&self, id: InstanceId) -> Result<(), Refusal> {
        let (landed, submitted) = self.shared().call(Request::Landed(id));
        self.shared().push(landed);
        submitted.landed().await
    }

    /// Stops: no request is taken and no work handed out any more; what is with workers may be answered
    /// for as long as `patience`; then the store is closed.
    pub async fn shutdown(&self, patience: Duration) -> Result<(), HubError> {
        let (done, stopped) = oneshot::channel();
        self.handle.shared.shut(patience, done);
        stopped.await.unwrap_or_else(|_| Err(HubError::Stopped("it had been stopped before".into())))
    }

    /// Whether this is a handle of the same hub.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.handle, &other.handle)
    }

    /// Waits until the hub has stopped, its store is closed, and says why.
    pub async fn stopped(&self) -> HubError {
        let mut ended = self.handle.shared.ended.subscribe();
        let reason = ended.wait_for(Option::is_some).await.expect("the handle keeps the sender").clone();
        reason.expect("it was waited for")
    }

    /// The hub's time.
    pub fn now(&self) -> Time {
        self.handle.shared.options.clock.now()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("options", &self.handle.shared.options).finish_non_exhaustive()
    }
}

fn check(options: &Options) -> Result<(), HubError> {
    let out_of_range = |name, value: String, range| Err(HubError::Option { name, value, range });
    if !(1..=MOST_LOSSES).contains(&options.settings.hold_after) {
        return out_of_range("hold_after", options.settings.hold_after.to_string(), "1 to 1000");
    }
    if !(1..=Slot::COUNT as u32).contains(&options.partitions) {
        return out_of_range("partitions", options.partitions.to_string(), "1 to 256");
    }
    if options.queue == 0 {
        return out_of_range("queue", options.queue.to_string(), "at least 1");
    }
    if options.messages == 0 {
        return out_of_range("messages", options.messages.to_string(), "at least 1");
    }
    Ok(())
}

/// The slots of a partition: neighbours, as even as 256 divides.
pub(crate) fn slots(partition: u32, partitions: u32) -> Vec<Slot> {
    (0..=u8::MAX).filter(|slot| owner(Slot(*slot), partitions) == partition).map(Slot).collect()
}

/// The partition that owns a slot.
pub(crate) fn owner(slot: Slot, partitions: u32) -> u32 {
    u32::from(slot.0) * partitions / Slot::COUNT as u32
}

pub(crate) fn gone() -> Refusal {
    Refusal::Stopped("its loop has gone".into())
}

/// What the handles, the workers' attachments, the backend's events and the loop have in common.
pub(crate) struct Shared {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) options: Options,
    inbox: Mutex<Inbox>,
    driver: Mutex<Driver>,
    /// Names requests, queries and workers, each once.
    next: AtomicU64,
    /// Requests and queries that have no reply yet.
    open: AtomicUsize,
    /// Why it stopped, once its store is closed.
    pub(crate) ended: watch::Sender<Option<HubError>>,
    key: u64,
}

impl Shared {
    fn new(backend: Arc<dyn Backend>, options: Options, opened: oneshot::Sender<Result<(), HubError>>) -> Arc<Self> {
        static KEYS: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self {
            driver: Mutex::new(Driver::new(&options, opened)),
            backend,
            options,
            inbox: Mutex::new(Inbox::new()),
            next: AtomicU64::new(1),
            open: AtomicUsize::new(0),
            ended: watch::Sender::new(None),
            key: KEYS.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// The queues. Nothing else is locked while this is.
    pub(crate) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(self: &Arc<Self>, event: Event) {
        let pushed = self.inbox().report(event);
        self.queue_if(pushed);
    }

    pub(crate) fn push(self: &Arc<Self>, incoming: Incoming) {
        let pushed = self.inbox().push(incoming);
        self.queue_if(pushed);
    }

    pub(crate) fn push_all(self: &Arc<Self>, incoming: impl IntoIterator<Item = Incoming>) {
        let pushed = self.inbox().extend(incoming);
        self.queue_if(pushed);
    }

    /// Has the loop take another turn, though nothing has arrived.
    pub(crate) fn look_again(self: Arc<Self>) {
        if self.due() {
            Pool::get().queue(self);
        }
    }

    fn shut(self: &Arc<Self>, patience: Duration, done: oneshot::Sender<Result<(), HubError>>) {
        let refusal = HubError::shut_down().later();
        let pushed = self.inbox().shut(Incoming::Shutdown(patience, done), refusal);
        self.queue_if(pushed);
    }

    pub(crate) fn ask(self: &Arc<Self>, incoming: Incoming) -> Result<(), Refusal> {
        let pushed = self.inbox().ask(incoming)?;
        self.queue_if(pushed);
        Ok(())
    }

    fn queue_if(self: &Arc<Self>, pushed: Pushed) {
        if pushed == Pushed::Queue {
            Pool::get().queue(Arc::clone(self) as Arc<dyn Task>);
        }
    }

    /// Takes a place among the open requests, if there is one.
    pub(crate) fn admit(&self) -> Result<Open<'_>, Refusal> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.options.queue {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Refusal::Overloaded("open client requests".into()));
        }
        Ok(Open(self))
    }

    /// Hands a request to the loop at once; the reply can be awaited later. Whoever does that for a client
    /// has a place for it.
    pub(crate) fn submit(self: &Arc<Self>, request: Request) -> Result<Submitted<'_>, Refusal> {
        let (call, submitted) = self.call(request);
        match self.ask(call) {
            Ok(()) => Ok(submitted),
            Err(refusal) => Err(submitted.refused(refusal)),
        }
    }

    /// A request for the loop, to be pushed.
    fn call(self: &Arc<Self>, request: Request) -> (Incoming, Submitted<'_>) {
        let (reply, answer) = oneshot::channel();
        let id = RequestId(self.next.fetch_add(1, Ordering::Relaxed));
        let call = Incoming::Request(Box::new(Call { id, request, reply }));
        (call, Submitted { shared: self, id: Some(id), answer })
    }

    /// Shows what a partition holds.
    pub(crate) async fn look_at_held(self: &Arc<Self>, partition: usize) -> Reply {
        let (reply, held) = oneshot::channel();
        let id = RequestId(self.next.fetch_add(1, Ordering::Relaxed));
        match self.ask(Incoming::Held(partition, id, reply)) {
            Ok(()) => held.await.unwrap_or_else(|_| Reply::Refused(gone())),
            Err(refusal) => Reply::Refused(refusal),
        }
    }

    /// Gives a page of instances.
    pub(crate) async fn search(self: &Arc<Self>, query: Query) -> Result<Page, Refusal> {
        let (reply, page) = oneshot::channel();
        let id = QueryId(self.next.fetch_add(1, Ordering::Relaxed));
        self.ask(Incoming::Query(Box::new(Search { id, query, reply })))?;
        page.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// A request that the loop has. Dropping it withdraws it.
pub(crate) struct Submitted<'a> {
    shared: &'a Arc<Shared>,
    /// `None` once it is answered.
    id: Option<RequestId>,
    answer: oneshot::Receiver<Reply>,
}

impl Submitted<'_> {
    pub(crate) async fn reply(mut self) -> Reply {
        let reply = (&mut self.answer).await.unwrap_or_else(|_| Reply::Refused(gone()));
        self.id = None;
        reply
    }

    async fn landed(self) -> Result<(), Refusal> {
        match self.reply().await {
            Reply::Refused(refusal) => Err(refusal),
            _ => Ok(()),
        }
    }

    /// The loop never got it, so there is nothing to withdraw.
    fn refused(mut self, refusal: Refusal) -> Refusal {
        self.id = None;
        refusal
    }
}

impl Drop for Submitted<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shared.push(Incoming::Cancelled(id));
        }
    }
}

impl Task for Shared {
    fn key(&self) -> u64 {
        self.key
    }

    fn run(self: Arc<Self>) -> bool {
        let mut driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        catch_unwind(AssertUnwindSafe(|| driver.visit(&self))).unwrap_or_else(|panic| {
            let what = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let what = what.or_else(|| panic.downcast_ref::<String>().cloned());
            driver.stop(&self, HubError::Internal(what.unwrap_or_else(|| "a panic without a message".into())));
            self.inbox().requeue();
            true
        })
    }

    fn due(&self) -> bool {
        self.inbox().due() == Pushed::Queue
    }
}

/// A place among the open requests.
pub(crate) struct Open<'a>(&'a Shared);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen_core::limits::Settings;

    #[test]
    fn each_slot_has_one_owner_whatever_the_number_of_partitions() {
        for partitions in [1, 2, 3, 7, 255, 256] {
            let mut all: Vec<_> = (0..partitions).flat_map(|partition| slots(partition, partitions)).collect();
            all.sort();
            assert_eq!(all, (0..=u8::MAX).map(Slot).collect::<Vec<_>>(), "{partitions} partitions");
        }
    }

    #[test]
    fn options_out_of_range_are_named() {
        let error = check(&Options { partitions: 0, ..Options::default() }).unwrap_err();
        assert_eq!(error.to_string(), "partitions is 0, but must be 1 to 256");
        let settings = |hold_after| Settings { hold_after, ..Settings::default() };
        for out_of_range in [0, MOST_LOSSES + 1] {
            let error = check(&Options { settings: settings(out_of_range), ..Options::default() }).unwrap_err();
            assert_eq!(error.to_string(), format!("hold_after is {out_of_range}, but must be 1 to 1000"));
        }
        assert!(check(&Options { queue: 0, ..Options::default() }).is_err());
        assert!(check(&Options { messages: 0, ..Options::default() }).is_err());
    }
}
