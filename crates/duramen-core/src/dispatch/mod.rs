//! Who gets which work. One dispatcher serves a hub: partitions offer references to items, workers
//! announce what they can do and how much of it, and a grant is put to the partition, which builds
//! the item or says that it is no longer open. Workers elsewhere may be SDKs that answer without a token: what is
//! out on their connections is booked until they have shown one.

mod bookings;
mod chunks;
mod lists;
mod parked;
mod queues;
mod workers;

use crate::ids::{Birth, Epoch, InstanceId, PartitionId, Run, Token};
use crate::limits::UNSHOWN_PAUSE;
use crate::partition::HeldKey;
use crate::planted::{self, Bug};
use crate::time::Time;
use crate::work::{Announcement, Answer, ItemBytes, WorkItem, WorkKind, WorkerId};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bookings::{Bookings, Key};
use duramen_proto::{ActivityResponse, OrchestratorResponse};
use parked::Parked;
use queues::{Queues, Waiting};
use workers::{Chosen, Wanted, Workers};

pub use lists::{QueueRow, UnroutableRow, WorkerRow};
pub use workers::Unroutable;

/// Names an item of work. A reference, never a decision: the partition looks whether it is open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// The next episode of an instance.
    Episode {
        /// The instance.
        id: InstanceId,
        /// Its row.
        birth: Birth,
        /// The run that is to go on.
        run: Run,
    },
    /// An activity.
    Task {
        /// The instance that asked.
        id: InstanceId,
        /// Its row.
        birth: Birth,
        /// The task's number in it.
        number: u64,
        /// The id of the action that asked for it: all that a worker without tokens returns.
        action: i32,
    },
}

impl Item {
    /// What kind of work it is.
    pub fn kind(&self) -> WorkKind {
        match self {
            Self::Episode { .. } => WorkKind::Orchestrator,
            Self::Task { .. } => WorkKind::Activity,
        }
    }

    /// The lease under which its instance began.
    fn begun_in(&self) -> Epoch {
        match self {
            Self::Episode { birth, .. } | Self::Task { birth, .. } => birth.epoch(),
        }
    }

    /// Names it among the items of its instance.
    pub fn key(&self) -> HeldKey {
        HeldKey::of(self)
    }

    /// The instance that it belongs to.
    pub fn instance(&self) -> &InstanceId {
        match self {
            Self::Episode { id, .. } | Self::Task { id, .. } => id,
        }
    }
}

/// An item that waits for a worker.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The item.
    pub item: Item,
    /// The function that is to run.
    pub name: Arc<str>,
    /// Its version, or that of the orchestration for an activity without one.
    pub version: Option<Arc<str>>,
    /// The checkpoint that caused it; 0 when it is durable.
    pub after: u64,
    /// The worker that holds the session.
    pub prefer: Option<WorkerId>,
    /// Whether another instance had the id when the lease began.
    pub follows: bool,
    /// Its size, if it did not fit somewhere.
    pub bytes: ItemBytes,
}

/// An offer that is taken back.
#[derive(Clone, Debug)]
pub struct Withdrawn {
    /// The item.
    pub item: Item,
    /// The function that was to run.
    pub name: Arc<str>,
    /// As it was offered.
    pub version: Option<Arc<str>>,
}

/// An item that goes to a worker.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The item.
    pub item: Item,
    /// The worker.
    pub worker: WorkerId,
    /// Whether the worker lives in the hub's process.
    pub in_process: bool,
    /// Whether it keeps the session.
    pub sessions: bool,
    /// Whether it may have an episode before what caused it is durable.
    pub early: bool,
    /// What the worker calls itself.
    pub name: Arc<str>,
}

/// An item that has been found to be too large for every worker that is connected and takes its function.
#[derive(Clone, Debug)]
pub struct Oversized {
    /// The partition that has it.
    pub partition: PartitionId,
    /// The item.
    pub item: Item,
    /// The function.
    pub name: Arc<str>,
    /// Bytes of the message with it.
    pub bytes: usize,
    /// Bytes that the worker takes which takes the most.
    pub limit: usize,
}

/// Matches offers with workers.
#[derive(Debug, Default)]
pub struct Dispatcher {
    queues: Queues,
    workers: Workers,
    bookings: Bookings,
    parked: Parked,
    /// Offers that are too large for every connected worker that takes their function.
    oversized: Vec<Waiting>,
    /// Those that were found since somebody last asked.
    found_oversized: Vec<Oversized>,
    committed: BTreeMap<PartitionId, u64>,
    opened: BTreeMap<PartitionId, Opened>,
}

/// A partition whose offers are taken.
#[derive(Debug)]
struct Opened {
    /// Its lease.
    epoch: Epoch,
    /// Until when a worker of the hub before may still answer, over a connection that it has by now.
    pause: Option<Time>,
}

impl Opened {
    /// Whether what began under another lease, or follows something that did, is kept from connections that have shown
    /// no token.
    fn pauses(&self) -> bool {
        self.pause.is_some() && !planted::has(Bug::PauseIgnored)
    }
}

impl Dispatcher {
    /// One without workers and work.
    pub fn new() -> Self {
        Self::default()
    }

    /// A partition has been opened; its offers follow.
    pub fn opened(&mut self, partition: PartitionId, epoch: Epoch, now: Time) {
        self.opened.insert(partition, Opened { epoch, pause: Some(now.plus(UNSHOWN_PAUSE)) });
    }

    /// A worker has come.
    pub fn join(&mut self, worker: WorkerId, announcement: Announcement) {
        // One that keeps sessions is Duramen's own, and returns its tokens.
        if !announcement.in_process && !announcement.sessions {
            self.bookings.join(worker);
        }
        self.workers.join(worker, announcement);
        self.unpark_all();
        for waiting in core::mem::take(&mut self.oversized) {
            self.queues.push_back(waiting);
        }
    }

    /// A worker gets nothing more; says whether it is connected.
    pub fn drain(&mut self, worker: WorkerId) -> bool {
        self.workers.drain(worker)
    }

    /// A worker is gone. What it had is offered again by the partitions.
    pub fn leave(&mut self, worker: WorkerId, now: Time) {
        self.workers.leave(worker);
        self.bookings.leave(worker, now);
    }

    /// An item waits.
    pub fn offer(&mut self, partition: PartitionId, offer: Offer, now: Time) {
        // A worker of the hub before may have what began before this lease, or something of the same name.
        let earlier = self.opened.get(&partition).is_some_and(|of| offer.item.begun_in() < of.epoch || offer.follows);
        self.queues.push((partition, earlier), offer, now);
    }

    /// An item is needed no more. One that is parked stays for that moment.
    pub fn withdraw(&mut self, withdrawn: &Withdrawn) {
        let Withdrawn { item, name, version } = withdrawn;
        self.queues.withdraw(item, name, version.as_ref());
        self.forget_oversized(item);
    }

    /// An item goes to its worker.
    pub fn handed(&mut self, worker: WorkerId, item: &WorkItem) {
        self.bookings.handed(worker, item);
    }

    /// A partition says that a grant is to nothing that is open.
    pub fn refused(&mut self, grant: &Grant) {
        let key = Key::of(&grant.item);
        self.bookings.refused(grant.worker, &key);
        self.unpark(&key);
        self.workers.untake(grant.worker, grant.item.kind());
        self.unpark_one(grant.item.kind());
    }

    /// So many items of a kind have left for the connection of a worker: one that takes as many as there
    /// are has room for as many more.
    pub fn sent(&mut self, worker: WorkerId, kind: WorkKind, items: usize) {
        self.workers.sent(worker, kind, items);
        (0..items).for_each(|_| {
            self.unpark_one(kind);
        });
    }

    /// A worker has answered under a token, whether that is still current or not.
    pub fn answered(&mut self, worker: WorkerId, answer: &Answer) {
        if let Answer::TooLarge(token, _) = answer {
            self.bookings.kept_back(worker, *token);
        }
        if self.bookings.shown(worker, answer) {
            self.unpark_all();
        }
    }

    /// Items that were found to be too large for every connected worker since this was last asked.
    pub fn take_oversized(&mut self) -> Vec<Oversized> {
        core::mem::take(&mut self.found_oversized)
    }

    /// An item that was found to be too large waits no longer.
    pub fn forget_oversized(&mut self, item: &Item) {
        self.oversized.retain(|waiting| waiting.item != *item);
    }

    /// The token of an activity that was answered without one; `None` when the answer is about
    /// nothing that is out on this worker's connection, and is to be dropped.
    pub fn token_of_activity(&mut self, worker: WorkerId, response: &ActivityResponse) -> Option<Token> {
        let key = Key::Task(InstanceId::new(response.instance_id.as_str()), response.task_id);
        let token = self.bookings.take_task(worker, &key)?;
        self.unpark(&key);
        Some(token)
    }

    /// The same for an episode.
    pub fn token_of_episode(&mut self, worker: WorkerId, response: &OrchestratorResponse) -> Option<Token> {
        let key = Key::Episode(InstanceId::new(response.instance_id.as_str()));
        let token = self.bookings.take_episode(worker, &key, response)?;
        self.unpark(&key);
        Some(token)
    }

    /// A worker has room for one more item of a kind.
    pub fn freed(&mut self, worker: WorkerId, kind: WorkKind) {
        self.workers.freed(worker, kind);
        self.unpark_one(kind);
    }

    /// A partition's checkpoints are durable up to and with `number`.
    pub fn committed(&mut self, partition: PartitionId, number: u64) {
        self.committed.insert(partition, number);
    }

    /// Items that wait, by kind.
    pub fn waiting(&self, kind: WorkKind) -> usize {
        let oversized = self.oversized.iter().filter(|waiting| waiting.item.kind() == kind);
        self.queues.waiting(kind) + self.parked.waiting(kind) + oversized.count()
    }

    /// Room for further items over all workers: of orchestrators, and of activities.
    pub fn room(&self) -> (usize, usize) {
        (self.workers.room(WorkKind::Orchestrator), self.workers.room(WorkKind::Activity))
    }

    /// Items that are booked on connections that have not shown a token, and those that are kept
    /// from them: 0 when nothing is under way.
    pub fn booked(&self) -> usize {
        self.bookings.count()
    }

    /// When [`Dispatcher::grants`] may give out more without anything else having happened.
    pub fn deadline(&self) -> Option<Time> {
        let pauses = self.opened.values().filter_map(|of| of.pause);
        pauses.chain(self.bookings.next_end()).min().filter(|_| !self.parked.is_empty())
    }

    /// Gives out what can be given out: oldest first, and never more than a worker has room for.
    pub fn grants(&mut self, now: Time, out: &mut Vec<(PartitionId, Grant)>) {
        // Both are asked.
        if self.end_pauses(now) | self.bookings.pass_time(now) {
            self.unpark_all();
        }
        for kind in [WorkKind::Orchestrator, WorkKind::Activity] {
            self.grants_of(kind, out);
        }
    }

    fn grants_of(&mut self, kind: WorkKind, out: &mut Vec<(PartitionId, Grant)>) {
        // Where to look on: queues before it have a head that nobody can take now.
        let mut from = 0;
        while self.workers.room(kind) > 0 {
            let Some((place, head)) = self.queues.head_from(kind, from) else { return };
            let durable = head.after <= self.committed.get(&head.partition).copied().unwrap_or(0);
            let bytes = head.bytes();
            let wanted = Wanted { kind, label: &head.label, bytes, prefer: head.prefer, durable };
            let key = Key::of(&head.item);
            let paused = head.earlier && self.opened.get(&head.partition).is_some_and(Opened::pauses);
            let admits = |worker| self.bookings.admits(worker, &key, paused);
            if let Some(chosen) = self.workers.choose(&wanted, admits) {
                let Chosen { worker, in_process, sessions, early, name } = chosen;
                let name = name.clone();
                let waiting = self.queues.pop(kind, place);
                self.workers.take(worker, kind);
                self.bookings.granted(worker, key);
                out.push((waiting.partition, Grant { item: waiting.item, worker, in_process, sessions, early, name }));
            } else if let Some((bytes, limit)) = self.workers.too_large(&wanted) {
                let waiting = self.queues.pop(kind, place);
                self.found_oversized.push(Oversized {
                    partition: waiting.partition,
                    item: waiting.item.clone(),
                    name: waiting.label.name.clone(),
                    bytes,
                    limit,
                });
                self.oversized.push(waiting);
            } else if (self.bookings.bind() || bytes.is_known()) && self.workers.somebody_has_room(&wanted) {
                let waiting = self.queues.pop(kind, place);
                self.parked.push(waiting);
            } else {
                from = place + 1;
            }
        }
    }

    /// Says whether any has ended.
    fn end_pauses(&mut self, now: Time) -> bool {
        let latest = now.plus(UNSHOWN_PAUSE);
        let mut any = false;
        for of in self.opened.values_mut() {
            // When the clock was set back, nothing waits longer than one pause for that.
            of.pause = of.pause.map(|until| until.min(latest));
            any |= of.pause.take_if(|until| *until <= now).is_some();
        }
        any
    }

    fn unpark(&mut self, key: &Key) {
        for waiting in self.parked.take(key) {
            self.queues.push_back(waiting);
        }
    }

    fn unpark_one(&mut self, kind: WorkKind) -> bool {
        let Some(waiting) = self.parked.pop(kind) else { return false };
        self.queues.push_back(waiting);
        true
    }

    fn unpark_all(&mut self) {
        for kind in [WorkKind::Orchestrator, WorkKind::Activity] {
            while self.unpark_one(kind) {}
        }
    }
}

#[cfg(test)]
mod tests;
