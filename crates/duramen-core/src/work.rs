//! What goes to a worker and what comes back.
//!
//! There is one shape for workers in this process and workers elsewhere; past and new events are the
//! encoded `HistoryEvent`s that are stored, so they go to a socket without being decoded.

use crate::ids::{Epoch, InstanceId, Run, Token};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use duramen_proto::{ActivityResponse, OrchestratorResponse};

/// Names a connected worker within its hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u64);

/// The two kinds of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkKind {
    /// An episode of an orchestrator.
    Orchestrator,
    /// A run of an activity.
    Activity,
}

/// A unit of work that was granted to a worker.
#[derive(Clone, Debug)]
pub struct WorkItem {
    /// To be returned with the answer.
    pub token: Token,
    /// What to do.
    pub work: Work,
}

/// What a worker is to do.
#[derive(Clone, Debug)]
pub enum Work {
    /// Run an orchestrator over its history.
    Orchestrator(OrchestratorWork),
    /// Run an activity.
    Activity(ActivityWork),
}

impl Work {
    /// Its kind.
    pub fn kind(&self) -> WorkKind {
        match self {
            Self::Orchestrator(_) => WorkKind::Orchestrator,
            Self::Activity(_) => WorkKind::Activity,
        }
    }

    /// The instance that it belongs to.
    pub fn instance(&self) -> &InstanceId {
        match self {
            Self::Orchestrator(work) => &work.instance,
            Self::Activity(work) => &work.instance,
        }
    }
}

/// One episode of an orchestrator.
#[derive(Clone, Debug)]
pub struct OrchestratorWork {
    /// The instance.
    pub instance: InstanceId,
    /// Its current execution.
    pub execution_id: Arc<str>,
    /// The orchestrator's name.
    pub name: Arc<str>,
    /// Its version, if it has one.
    pub version: Option<Arc<str>>,
    /// The session that this episode goes on with.
    pub session: Session,
    /// The encoded events of earlier episodes; `None` when the worker holds the session and so has
    /// seen them. A worker that does not answers with `requires_history`.
    pub past: Option<Vec<Bytes>>,
    /// The encoded events of this episode: OrchestratorStarted first, then what arrived.
    pub new: Vec<Bytes>,
    /// The encoded OrchestrationTraceContext that the last answer carried; may be empty.
    pub trace: Bytes,
}

/// Names what a worker keeps between two episodes of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session {
    /// The lease under which it began.
    pub epoch: Epoch,
    /// The run that it belongs to.
    pub run: Run,
    /// Changes with each rewind of the run.
    pub rewinds: u32,
    /// Episodes answered before this one.
    pub episodes: u64,
}

/// One run of an activity.
#[derive(Clone, Debug)]
pub struct ActivityWork {
    /// The instance that asked.
    pub instance: InstanceId,
    /// Its execution that asked.
    pub execution_id: Arc<str>,
    /// The orchestration's version: an activity without one matches as that.
    pub orchestration_version: Option<Arc<str>>,
    /// The encoded `HistoryEvent` that holds TaskScheduled: name, version, input, tags, trace
    /// context, and the task's id as `event_id`.
    pub scheduled: Bytes,
}

/// What a worker says about an item.
#[derive(Clone, Debug)]
pub enum Answer {
    /// An episode ran; `requires_history` in the response asks for the item again, in full.
    Orchestrator(Token, OrchestratorResponse),
    /// An activity ran.
    Activity(Token, ActivityResponse),
    /// The worker gives the item back unanswered, with a reason for the log.
    Abandoned(Token, String),
    /// The item was running on a thread that never came back. It is not handed out again in this
    /// process.
    WrittenOff(Token),
    /// The item is larger than what the worker's connection takes, and has not left.
    TooLarge(Token, ItemBytes),
}

impl Answer {
    /// The item that the answer is about.
    pub fn token(&self) -> Token {
        match self {
            Self::Orchestrator(token, _)
            | Self::Activity(token, _)
            | Self::Abandoned(token, _)
            | Self::WrittenOff(token)
            | Self::TooLarge(token, _) => *token,
        }
    }

    /// The kind of work that it is the outcome of; giving an item back is none.
    pub fn kind(&self) -> Option<WorkKind> {
        match self {
            Self::Orchestrator(..) => Some(WorkKind::Orchestrator),
            Self::Activity(..) => Some(WorkKind::Activity),
            Self::Abandoned(..) | Self::WrittenOff(_) | Self::TooLarge(..) => None,
        }
    }

    /// Whether the answer is of the item's kind, and names no other instance than the item's: a
    /// worker that mixes up its tokens must not end someone else's item.
    pub(crate) fn may_be_about(&self, item: &crate::dispatch::Item) -> bool {
        let (kind, named) = match self {
            Self::Orchestrator(_, response) => (WorkKind::Orchestrator, &response.instance_id),
            Self::Activity(_, response) => (WorkKind::Activity, &response.instance_id),
            Self::Abandoned(..) | Self::WrittenOff(_) | Self::TooLarge(..) => return true,
        };
        kind == item.kind() && (named.is_empty() || named == item.instance().as_str())
    }
}

/// How many bytes a message with an item has, as far as somebody has seen: it is measured where the message is
/// made, and only what did not fit is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemBytes {
    /// With the past events; 0 if that is not known.
    pub whole: usize,
    /// Without them, as it goes to a worker that fetches them; 0 if that is not known.
    pub bare: usize,
}

impl ItemBytes {
    /// Whether anybody has seen it.
    pub fn is_known(self) -> bool {
        self.whole > 0 || self.bare > 0
    }

    /// What a message to a worker has at least.
    pub fn to(self, streams_history: bool) -> usize {
        if streams_history { self.bare } else { self.whole.max(self.bare) }
    }

    /// What two measurements together say.
    pub(crate) fn with(self, other: Self) -> Self {
        Self { whole: self.whole.max(other.whole), bare: self.bare.max(other.bare) }
    }
}

/// What a worker announces when it comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcement {
    /// Whether it lives and dies with the hub's process.
    pub in_process: bool,
    /// Whether it keeps sessions: what it has seen of an instance is not shown to it again. It keeps them by lease.
    pub sessions: bool,
    /// How many orchestrator items it takes at a time, or [`Announcement::UNLIMITED`].
    pub orchestrators: usize,
    /// The same for activity items.
    pub activities: usize,
    /// Whether its link says what has left for the worker ([`crate::dispatch::Dispatcher::sent`]). It then gets no more
    /// than [`crate::limits::SEND_WINDOW`] of a kind that have not left. Without a limit there must be this one.
    pub windowed: bool,
    /// What it can run; `None` means everything.
    pub filters: Option<Filters>,
    /// What it calls itself, for people.
    pub name: Arc<str>,
    /// Bytes of the largest message that its connection takes; `None` takes any.
    pub item_bytes: Option<usize>,
    /// Whether it fetches long histories by itself.
    pub streams_history: bool,
}

impl Announcement {
    /// As many as there are. Then only what has not left for the worker's connection is bounded, by
    /// [`crate::limits::SEND_WINDOW`].
    pub const UNLIMITED: usize = usize::MAX;

    /// Whether it may have an episode before what caused it is durable (invariant 1): whatever it remembers of it ends
    /// with the lease.
    pub(crate) fn may_be_early(&self) -> bool {
        self.in_process || self.sessions
    }
}

/// Which items a worker takes. Names are compared without case; an empty list of versions means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// Orchestrators and their versions.
    pub orchestrators: Vec<(String, Vec<String>)>,
    /// Activities and their versions.
    pub activities: Vec<(String, Vec<String>)>,
}
