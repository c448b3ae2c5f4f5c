//! What a client can ask of a partition, and what it is told.

use crate::checkpoint::{Head, Tail};
use crate::ids::{Birth, InstanceId, Run};
use crate::limits::BadInput;
use crate::partition::{HeldItem, HeldKey, Verdict};
use crate::time::Time;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;
use duramen_proto::{CreateInstanceRequest, OrchestrationState, OrchestrationStatus};

/// Names a request within its hub; the reply carries it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A call of a client about one instance.
#[derive(Clone, Debug)]
pub enum Request {
    /// Start an instance.
    Start(Box<Start>),
    /// The state of an instance.
    Get(InstanceId),
    /// The state of an instance once it has begun, or has ended.
    Wait(Wait),
    /// Raise an event.
    Raise {
        /** The target. */
        id: InstanceId,
        /** Kept as given. */
        name: String,
        /** JSON text. */
        input: Option<String>,
    },
    /// Suspend an instance.
    Suspend {
        /** The target. */
        id: InstanceId,
        /** Why. */
        reason: Option<String>,
    },
    /// Resume an instance.
    Resume {
        /** The target. */
        id: InstanceId,
        /** Why. */
        reason: Option<String>,
    },
    /// Terminate an instance.
    Terminate {
        /** The target. */
        id: InstanceId,
        /** Becomes its output. */
        output: Option<String>,
        /** With its children. */
        recurse: bool,
    },
    /// End an instance at once, without its worker: as terminated, its children left alone.
    End {
        /** The target. */
        id: InstanceId,
        /** Becomes its output. */
        output: Option<String>,
    },
    /// Rewind a failed instance to where it failed.
    Rewind {
        /** The target. */
        id: InstanceId,
        /** Why. */
        reason: Option<String>,
    },
    /// Start the same function with the same input again: under a new id, or over the ended one.
    Restart {
        /** The original. */
        id: InstanceId,
        /** The id of the copy; `None` keeps the original's. */
        new_id: Option<InstanceId>,
    },
    /// Remove an instance that has ended.
    Purge(PurgeOne),
    /// The history of the current execution.
    History(InstanceId),
    /// Nothing: the reply comes once all that was done about the instance before is on disk, whether it exists or not.
    Landed(InstanceId),
    /// Decide about an item that is held.
    Decide {
        /** The instance that it belongs to. */
        id: InstanceId,
        /** Which of its items. */
        key: HeldKey,
        /** What is to be done with it. */
        verdict: Verdict,
    },
}

/// A start.
#[derive(Clone, Debug)]
pub struct Start {
    /// As the protocol has it, with an instance id that is not empty.
    pub request: CreateInstanceRequest,
    /// Whether the id was drawn at random for this request, so that no instance can have it.
    pub fresh: bool,
    /// What to do when the id exists.
    pub on_existing: OnExisting,
}

/// What a start does when its id exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnExisting {
    /// Refuse when it is live, replace it when it has ended (the protocol without a policy).
    Reject,
    /// Start nothing, and give the handle of the one that exists when it is live; replace it when it
    /// has ended.
    Attach,
    /// Start nothing and answer with the one that exists, live or ended. Duramen only.
    AttachAny,
    /// Replace it when its status is listed, refuse otherwise (the protocol's reuse policy).
    Replace(Vec<OrchestrationStatus>),
    /// The same without asking that who replaces live ones lists TERMINATED too (the protocol's withdrawn
    /// action TERMINATE).
    ReplaceAny(Vec<OrchestrationStatus>),
    /// Start nothing and answer with the one that exists when its status is listed, refuse otherwise (the
    /// protocol's withdrawn action IGNORE).
    AttachListed(Vec<OrchestrationStatus>),
}

/// A purge of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeOne {
    /// The instance.
    pub id: InstanceId,
    /// Purge it only if it still is what a list has shown; `None` purges whatever has ended under the id.
    pub seen: Option<Seen>,
}

impl<T: Into<InstanceId>> From<T> for PurgeOne {
    fn from(id: T) -> Self {
        Self { id: id.into(), seen: None }
    }
}

/// What a list has shown of an instance that had ended. One that was replaced, or rewound, meanwhile is
/// another one to whoever chose it from the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its birth.
    pub birth: Birth,
    /// How it had ended.
    pub status: OrchestrationStatus,
    /// When it had ended.
    pub completed: Time,
}

impl Seen {
    /// What a row shows, if it is one of an instance that has ended.
    pub fn of(head: &Head, tail: &Tail) -> Option<Self> {
        let completed = tail.completed.map(Time::from)?;
        let status = OrchestrationStatus::try_from(tail.status).ok()?;
        Some(Self { birth: Run(head.birth), status, completed })
    }
}

/// What a purge of more than one instance has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Instances that had ended and are gone, with their histories.
    pub deleted: u64,
    /// Whether nothing is left of what was to be purged; `false` means that the time ran out.
    pub complete: bool,
}

/// A wait.
#[derive(Clone, Debug)]
pub struct Wait {
    /// The instance.
    pub id: InstanceId,
    /// The birth it is bound to; `None` goes on with whatever runs under the id.
    pub birth: Option<Birth>,
    /// What for.
    pub until: Until,
    /// How long; `None` waits for ever, but [`crate::limits::Settings::unknown_wait`] for an id that
    /// does not exist.
    pub timeout: Option<Duration>,
}

/// What a wait is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// It is no longer PENDING.
    Started,
    /// It has ended.
    Completed,
}

/// What a client is told.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The start landed, or attached to what was there.
    Started {
        /** The id. */
        id: InstanceId,
        /** Its birth, to bind waits to. */
        birth: Birth,
        /** Whether it was there before. */
        attached: bool,
    },
    /// The state, or `None` when there is no such instance.
    State(Option<Arc<OrchestrationState>>),
    /// Accepted.
    Done,
    /// Whether there was an ended instance, which is now gone.
    Purged(bool),
    /// The encoded events, oldest first.
    History(Vec<Bytes>),
    /// The items of one partition that are held.
    Held(Vec<HeldItem>),
    /// It was not done.
    Refused(Refusal),
}

/// Why a request was not done. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such instance.
    #[error("no orchestration instance {0:?} exists")]
    NotFound(String),
    /// A start met an instance that it may not replace.
    #[error(
        "an orchestration instance already exists under the id {id:?} (it is {status}); wait for it, use another id, or allow its status to be replaced"
    )]
    AlreadyExists {
        /** The id. */
        id: String,
        /** Its status. */
        status: Cow<'static, str>,
    },
    /// The instance's status does not allow it.
    #[error("{what} of instance {id:?} is not allowed while it is {status}: {why}")]
    WrongStatus {
        /** What was asked. */
        what: Cow<'static, str>,
        /** The id. */
        id: String,
        /** Its status. */
        status: Cow<'static, str>,
        /** The rule. */
        why: Cow<'static, str>,
    },
    /// The instance that the wait was bound to has been replaced by another under the same id.
    #[error("instance {0:?} has been replaced by a new one under the same id; wait by id to follow that one")]
    Replaced(String),
    /// The list of replaceable statuses has live ones without TERMINATED.
    #[error("Invalid reusable statuses: cannot exclude 'Terminated' while also allowing reuse of running instances")]
    ReusePolicy,
    /// The wait took longer than it was allowed to.
    #[error("instance {0:?} did not get there in time; it goes on, and can be waited for again")]
    TimedOut(String),
    /// Something in the request may not be.
    #[error(transparent)]
    BadInput(#[from] BadInput),
    /// The hub has more to do than it can hold.
    #[error("the hub is at its limit of {0}; try again in a moment")]
    Overloaded(Cow<'static, str>),
    /// The disk of the store is full.
    #[error(
        "the disk of the task hub is full, and it takes nothing new until there is space: free some, or purge instances that have ended"
    )]
    NoSpace,
    /// The hub is shutting down, or was stopped by a failed write.
    #[error("the hub has stopped: {0}")]
    Stopped(String),
    /// The store failed while this was under way.
    #[error("the store failed, so it is not known whether this was done ({0}); open the hub again and look")]
    OutcomeUnknown(String),
}
