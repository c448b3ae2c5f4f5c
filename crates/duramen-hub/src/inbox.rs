//! What waits for a loop: what the backend reports, which goes first and is never refused, and
//! everything else.

use crate::attachment::BareAnswer;
use crate::attachment::WorkerLink;
use crate::error::HubError;
use crate::operator::ConnectedWorker;
use duramen_backend::{Event, Page, Query, QueryId};
use duramen_core::dispatch::{QueueRow, UnroutableRow};
use duramen_core::ids::Token;
use duramen_core::request::{Refusal, Reply, Request, RequestId};
use duramen_core::work::{Announcement, Answer, WorkKind, WorkerId};
use std::time::Duration;
use tokio::sync::oneshot;

/// Something for the loop that is not from the backend.
pub(crate) enum Incoming {
    /// A client asks.
    Request(Box<Call>),
    /// The client no longer waits for the reply.
    Cancelled(RequestId),
    /// A client wants a page of instances.
    Query(Box<Search>),
    /// A worker answers.
    Answer(WorkerId, Answer),
    /// A worker answers without saying under which token.
    Bare(Box<Bare>),
    /// So many items of a kind have left for a worker's connection.
    Sent(WorkerId, WorkKind, usize),
    /// A worker has come.
    Joined(WorkerId, Box<dyn WorkerLink>, Announcement),
    /// A worker has gone.
    Left(WorkerId),
    /// A worker is to be drained; says whether it is connected.
    Drain(WorkerId, Option<oneshot::Sender<bool>>),
    /// An operator looks.
    Look(Look),
    /// An operator looks at what a partition holds.
    Held(usize, RequestId, oneshot::Sender<Reply>),
    /// The hub is to stop.
    Shutdown(Duration, oneshot::Sender<Result<(), HubError>>),
}

/// A request and where its reply goes.
pub(crate) struct Call {
    pub(crate) id: RequestId,
    pub(crate) request: Request,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// An answer without a token, and where it is told which item it was about.
pub(crate) struct Bare {
    /// Those whose connection it came over.
    pub(crate) workers: Vec<WorkerId>,
    pub(crate) answer: BareAnswer,
    pub(crate) token: oneshot::Sender<Option<Token>>,
}

/// What an operator looks at, and where it is shown.
pub(crate) enum Look {
    /// The workers, with what they have.
    Workers(oneshot::Sender<Vec<ConnectedWorker>>),
    /// What waits for them.
    Queues(oneshot::Sender<Vec<QueueRow>>),
    /// What none of them takes.
    Unroutable(oneshot::Sender<Vec<UnroutableRow>>),
}

/// A query and where its page goes.
pub(crate) struct Search {
    pub(crate) id: QueryId,
    pub(crate) query: Query,
    pub(crate) reply: oneshot::Sender<Result<Page, Refusal>>,
}

/// Whether the loop is on a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// On none, and in no queue.
    Idle,
    /// In the pool's queue.
    Queued,
    /// On a thread.
    Running,
}

/// The two queues of a loop, and whether somebody is looking at them.
pub(crate) struct Inbox {
    backend: Vec<Event>,
    rest: Vec<Incoming>,
    place: Place,
    /// Something other than a new entry wants the loop's attention.
    due: bool,
    /// What clients hear once the hub takes nothing more from them.
    closed: Option<Refusal>,
}

/// What a push did.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// The loop will see it.
    Seen,
    /// The caller has to queue the loop.
    Queue,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self { backend: Vec::new(), rest: Vec::new(), place: Place::Idle, due: false, closed: None }
    }

    /// From the backend.
    pub(crate) fn report(&mut self, event: Event) -> Pushed {
        self.backend.push(event);
        self.wake()
    }

    /// From a client, who is refused once the hub is stopping.
    pub(crate) fn ask(&mut self, incoming: Incoming) -> Result<Pushed, Refusal> {
        match &self.closed {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(self.push(incoming)),
        }
    }

    /// From a worker, or about a client who has gone: there is always room.
    pub(crate) fn push(&mut self, incoming: Incoming) -> Pushed {
        self.rest.push(incoming);
        self.wake()
    }

    /// The same for many.
    pub(crate) fn extend(&mut self, incoming: impl IntoIterator<Item = Incoming>) -> Pushed {
        self.rest.extend(incoming);
        self.wake()
    }

    /// A timer or a moved clock wants the loop to look.
    pub(crate) fn due(&mut self) -> Pushed {
        self.due = true;
        self.wake()
    }

    /// The last that clients are heard on: what they send from now on is refused.
    pub(crate) fn shut(&mut self, shutdown: Incoming, refusal: Refusal) -> Pushed {
        self.close(refusal);
        self.push(shutdown)
    }

    /// Refuses what clients send from now on. The first reason is the one that they hear.
    pub(crate) fn close(&mut self, refusal: Refusal) {
        self.closed.get_or_insert(refusal);
    }

    fn wake(&mut self) -> Pushed {
        match self.place {
            Place::Idle => {
                self.place = Place::Queued;
                Pushed::Queue
            }
            Place::Queued | Place::Running => Pushed::Seen,
        }
    }

    /// The loop is on a thread.
    pub(crate) fn running(&mut self) {
        self.place = Place::Running;
    }

    /// Takes what is there, in exchange for empty vectors; `rest` only if the loop wants it.
    pub(crate) fn take(&mut self, backend: &mut Vec<Event>, rest: Option<&mut Vec<Incoming>>) {
        self.due = false;
        std::mem::swap(&mut self.backend, backend);
        if let Some(rest) = rest {
            std::mem::swap(&mut self.rest, rest);
        }
    }

    /// Whether there is something that a loop would take which takes `rest` or not.
    pub(crate) fn has_work(&self, takes_rest: bool) -> bool {
        self.due || !self.backend.is_empty() || (takes_rest && !self.rest.is_empty())
    }

    /// Whether nothing waits at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.backend.is_empty() && self.rest.is_empty()
    }

    /// Leaves the thread if there is nothing to do; says whether it did.
    pub(crate) fn leave(&mut self, takes_rest: bool) -> bool {
        let leaves = !self.has_work(takes_rest);
        if leaves {
            self.place = Place::Idle;
        }
        leaves
    }

    /// Gives way to other loops; the pool queues it again.
    pub(crate) fn requeue(&mut self) {
        self.place = Place::Queued;
    }
}
