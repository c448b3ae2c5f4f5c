//! The hub's side of one instance: messages, requests and answers of its worker applied to it.
//!
//! An instance changes only together with the checkpoint that is being made ([`Ledger`]): whatever
//! it does to itself it also writes there, so that loading it gives back what was in memory
//! (invariant 11).

mod acceptance;
mod actions;
mod birth;
mod ending;
mod episode;
mod history;
mod inbox;
mod losses;
mod rewind;
mod state;
mod tasks;

pub(crate) use birth::Beginning;
pub(crate) use episode::HandOut;
pub(crate) use history::History;
pub(crate) use losses::is_held;

use crate::checkpoint::{CustomStatus, Head, Image, Tail, Task, Timer};
use crate::dispatch::{Item, Offer};
use crate::event::Kind;
use crate::ids::{Birth, InstanceId, Run, Slot, Token};
use crate::partition::Ledger;
use crate::time::Time;
use crate::work::{ItemBytes, WorkerId};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use duramen_proto::OrchestrationStatus;

/// An event that waits for an episode.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) sequence: u64,
    pub(crate) kind: Kind,
    pub(crate) event: Bytes,
    /// The checkpoint that holds it; 0 for one that was loaded.
    pub(crate) number: u64,
}

/// What an episode took: fixed when it is first handed out, the same when it is handed out again.
#[derive(Clone, Debug)]
pub(crate) struct Fixed {
    pub(crate) time: Time,
    pub(crate) started: Bytes,
    /// Sequences, in the order in which the worker gets them.
    pub(crate) taken: Vec<u64>,
    /// The last checkpoint that any of it came with.
    pub(crate) number: u64,
}

#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    pub(crate) head: Head,
    pub(crate) tail: Tail,
    pub(crate) custom_status: Option<CustomStatus>,
    pub(crate) history: History,
    pub(crate) inbox: VecDeque<Entry>,
    /// Open tasks of all runs of this birth: those of a run that is over are left behind, and their
    /// results are dropped.
    pub(crate) tasks: BTreeMap<u64, Task>,
    pub(crate) timers: BTreeMap<u64, Timer>,

    // What follows is not stored.
    pub(crate) name: Arc<str>,
    pub(crate) version: Option<Arc<str>>,
    pub(crate) execution_id: Arc<str>,
    /// The largest id of an action in the history of this execution.
    pub(crate) largest_action: i32,
    /// The last checkpoint that changed it.
    pub(crate) touched: u64,
    /// The checkpoint of its last answer or rewind, which a history that is shown includes, or of what last counted
    /// against its episode, which it is given out with.
    pub(crate) advanced: u64,
    /// The episode that is with a worker.
    pub(crate) episode: Option<Token>,
    pub(crate) fixed: Option<Fixed>,
    /// Whether the dispatcher has a reference to its next episode.
    pub(crate) offered: bool,
    /// Who holds its session.
    pub(crate) session: Option<WorkerId>,
    /// How often its episode came back unanswered without that counting against it.
    pub(crate) returns: u32,
    /// The size of its episode, if it did not fit somewhere.
    pub(crate) bytes: ItemBytes,
    /// Its episode never came back: it is not handed out again in this process.
    pub(crate) written_off: bool,
    /// When the hub ends it, if its worker does not answer a termination.
    pub(crate) terminating: Option<Time>,
    /// When it was last touched.
    pub(crate) used: Time,
    /// Where it stands among those that are idle, if it is known to be settled.
    pub(crate) idle_since: Option<Time>,
    /// Whether it stands among those that a checkpoint changed.
    pub(crate) noted: bool,
}

impl Instance {
    /// An instance of which nothing has been written yet.
    pub(crate) fn new(id: InstanceId, head: Head, tail: Tail) -> Self {
        Self {
            id,
            name: head.name.as_str().into(),
            version: head.version.as_deref().map(Into::into),
            execution_id: head.execution_id.as_str().into(),
            head,
            tail,
            custom_status: None,
            history: History::default(),
            inbox: VecDeque::new(),
            tasks: BTreeMap::new(),
            timers: BTreeMap::new(),
            largest_action: -1,
            touched: 0,
            advanced: 0,
            episode: None,
            fixed: None,
            offered: false,
            session: None,
            returns: 0,
            bytes: ItemBytes::default(),
            written_off: false,
            terminating: None,
            used: Time::MIN,
            idle_since: None,
            noted: false,
        }
    }

    /// An instance as the backend gave it.
    pub(crate) fn load(image: Image) -> Self {
        let mut instance = Self::new(InstanceId::new(image.head.id.as_str()), image.head, image.tail);
        instance.custom_status = image.custom_status;
        instance.largest_action = image.history.iter().map(crate::event::id_of).fold(-1, i32::max);
        instance.history = image.history.into();
        instance.inbox = image
            .inbox
            .into_iter()
            .map(|arrived| Entry {
                sequence: arrived.sequence,
                kind: Kind::of(&arrived.event),
                event: arrived.event,
                number: 0,
            })
            .collect();
        instance.tasks = image.tasks.into_iter().map(|task| (task.key.unwrap_or_default().number, task)).collect();
        instance.timers = image.timers.into_iter().map(|timer| (timer.key.unwrap_or_default().number, timer)).collect();
        instance
    }

    /// What the backend gives once all that was written is settled, but for the events that are not in
    /// memory.
    #[cfg(any(debug_assertions, feature = "audit"))]
    pub(crate) fn image(&self) -> Image {
        let arrived = |entry: &Entry| crate::checkpoint::Arrived {
            birth: self.head.birth,
            run: self.head.run,
            sequence: entry.sequence,
            event: entry.event.clone(),
        };
        Image {
            head: self.head.clone(),
            tail: self.tail.clone(),
            custom_status: self.custom_status.clone(),
            history: self.history.in_memory().to_vec(),
            inbox: self.inbox.iter().map(arrived).collect(),
            tasks: self.tasks.values().cloned().collect(),
            timers: self.timers.values().cloned().collect(),
        }
    }

    pub(crate) fn birth(&self) -> Birth {
        Run(self.head.birth)
    }

    pub(crate) fn run(&self) -> Run {
        Run(self.head.run)
    }

    pub(crate) fn slot(&self) -> Slot {
        self.id.slot()
    }

    pub(crate) fn status(&self) -> OrchestrationStatus {
        OrchestrationStatus::try_from(self.tail.status).unwrap_or(OrchestrationStatus::Running)
    }

    pub(crate) fn set_status(&mut self, status: OrchestrationStatus) {
        self.tail.status = status.into();
    }

    /// Whether it has ended, in whatever way.
    pub(crate) fn ended(&self) -> bool {
        self.tail.completed.is_some()
    }

    /// Notes that something happened to it now.
    pub(crate) fn change(&mut self, ledger: &mut Ledger) {
        self.tail.updated = Some(ledger.now.into());
        ledger.touch(self);
    }

    pub(crate) fn item(&self) -> Item {
        Item::Episode { id: self.id.clone(), birth: self.birth(), run: self.run() }
    }

    /// Offers the next episode, if there is something to take and nobody has it yet.
    pub(crate) fn offer_if_due(&mut self, ledger: &mut Ledger) {
        if self.offered || !self.is_due() {
            return;
        }
        self.offered = true;
        let offer = self.offer();
        ledger.offer(offer);
    }

    pub(crate) fn offer(&self) -> Offer {
        Offer {
            item: self.item(),
            name: self.name.clone(),
            version: self.version.clone(),
            after: self.touched,
            prefer: self.session,
            follows: false,
            bytes: self.bytes,
        }
    }

    /// Whether an episode may be handed out.
    pub(crate) fn is_due(&self) -> bool {
        !self.ended() && self.episode.is_none() && !self.written_off && !self.is_held() && self.has_something_to_take()
    }

    /// The offer of a task of this instance.
    pub(crate) fn offer_of(&self, task: &Task, after: u64, bytes: ItemBytes) -> Offer {
        Offer { bytes, ..offer_of(self.id.clone(), task, after) }
    }

    /// Whether it may leave memory once it is settled: nothing about it is only there. That the
    /// dispatcher has a reference does not keep it. Each reason to stay ends with a change.
    pub(crate) fn is_evictable(&self) -> bool {
        if self.ended() {
            return self.episode.is_none();
        }
        // The time in which a termination is to be answered would run anew with each load.
        self.terminating.is_none() && self.episode.is_none() && self.fixed.is_none() && !self.written_off
    }
}

/// The encoded TaskScheduled of a task in memory.
pub(crate) fn task_event(task: &Task) -> &Bytes {
    use crate::checkpoint::{Part, Place};
    match &task.event {
        Some(Part { place: Some(Place::Here(event)) }) => event,
        _ => unreachable!("a task in memory holds its event"),
    }
}

/// The reference to a task.
pub(crate) fn task_item(id: InstanceId, task: &Task) -> Item {
    let key = task.key.unwrap_or_default();
    Item::Task { id, birth: Run(key.birth), number: key.number, action: task.action }
}

/// The offer of a task of an instance.
pub(crate) fn offer_of(id: InstanceId, task: &Task, after: u64) -> Offer {
    let version = task.runs_as.as_deref().map(Into::into);
    let bytes = ItemBytes::default();
    Offer {
        item: task_item(id, task),
        name: task.name.as_str().into(),
        version,
        after,
        prefer: None,
        bytes,
        follows: false,
    }
}
