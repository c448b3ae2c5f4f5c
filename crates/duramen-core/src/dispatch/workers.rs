//! Connected workers: what they take, and how much more of it.

use super::queues::Label;
use crate::limits::{SEND_WINDOW, WORKER_NAME_CHARS};
use crate::work::{Announcement, Filters, ItemBytes, WorkKind, WorkerId};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

#[derive(Debug)]
struct Worker {
    announced: Announcement,
    orchestrators: Room,
    activities: Room,
    /// With names in lower case.
    filters: Option<Filters>,
    /// It gets nothing more.
    draining: bool,
}

/// How many more items of a kind a worker takes.
#[derive(Debug)]
struct Room {
    /// Of the number that it announced; `None` if it takes as many as there are.
    left: Option<usize>,
    /// What may still go to its link before that has said that some of it has left.
    window: Option<usize>,
}

impl Room {
    fn new(announced: usize, windowed: bool) -> Self {
        let left = (announced != Announcement::UNLIMITED).then_some(announced);
        let window = (left.is_none() || windowed).then_some(SEND_WINDOW);
        Self { left, window }
    }

    fn free(&self) -> usize {
        self.left.unwrap_or(usize::MAX).min(self.window.unwrap_or(usize::MAX))
    }

    fn take(&mut self) {
        self.left = self.left.map(|left| left - 1);
        self.window = self.window.map(|window| window - 1);
    }

    fn untake(&mut self) {
        self.freed();
        self.sent(1);
    }

    fn freed(&mut self) {
        self.left = self.left.map(|left| left + 1);
    }

    fn sent(&mut self, items: usize) {
        self.window = self.window.map(|window| window + items);
    }
}

impl Worker {
    fn room(&self, kind: WorkKind) -> usize {
        match kind {
            WorkKind::Orchestrator => self.orchestrators.free(),
            WorkKind::Activity => self.activities.free(),
        }
    }

    fn room_mut(&mut self, kind: WorkKind) -> &mut Room {
        match kind {
            WorkKind::Orchestrator => &mut self.orchestrators,
            WorkKind::Activity => &mut self.activities,
        }
    }

    fn takes_kind(&self, kind: WorkKind) -> bool {
        !self.draining
            && match kind {
                WorkKind::Orchestrator => self.announced.orchestrators > 0,
                WorkKind::Activity => self.announced.activities > 0,
            }
    }

    /// Whether the name is among those that it takes, and whether the version is, too.
    fn lists(&self, kind: WorkKind, label: &Label) -> (bool, bool) {
        let Some(filters) = &self.filters else { return (true, true) };
        let listed = match kind {
            WorkKind::Orchestrator => &filters.orchestrators,
            WorkKind::Activity => &filters.activities,
        };
        let version = label.version.as_deref().unwrap_or("");
        let mut named = listed.iter().filter(|(name, _)| *name == label.lower).peekable();
        let name = named.peek().is_some();
        (name, named.any(|(_, versions)| versions.is_empty() || versions.iter().any(|listed| listed == version)))
    }

    fn takes(&self, kind: WorkKind, label: &Label) -> bool {
        self.takes_kind(kind) && self.lists(kind, label).1
    }

    fn fits(&self, bytes: ItemBytes) -> bool {
        self.announced.item_bytes.is_none_or(|most| bytes.to(self.announced.streams_history) <= most)
    }
}

#[derive(Debug, Default)]
pub(super) struct Workers {
    workers: BTreeMap<WorkerId, Worker>,
    room: [usize; 2],
    /// The worker that was chosen last: the next choice begins behind it.
    last: Option<WorkerId>,
}

fn index(kind: WorkKind) -> usize {
    match kind {
        WorkKind::Orchestrator => 0,
        WorkKind::Activity => 1,
    }
}

/// Why no connected worker can take an item, whatever room it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unroutable {
    /// No worker is connected that takes items of this kind.
    NoWorker,
    /// None of them takes the function.
    NoneForName,
    /// None of them takes the function in this version.
    NoneForVersion,
    /// The item is larger than what the connection of any of them takes.
    TooLarge {
        /// Bytes of the message with the item, for the worker that takes the most.
        bytes: usize,
        /// Bytes that this worker takes.
        limit: usize,
    },
}

impl Workers {
    pub(super) fn join(&mut self, id: WorkerId, mut announced: Announcement) {
        if announced.name.len() > WORKER_NAME_CHARS {
            announced.name = announced.name.chars().take(WORKER_NAME_CHARS).collect::<String>().into();
        }
        let lower = |listed: &[(String, Vec<String>)]| {
            listed.iter().map(|(name, versions)| (name.to_lowercase(), versions.clone())).collect()
        };
        let filters = announced.filters.as_ref().map(|filters| Filters {
            orchestrators: lower(&filters.orchestrators),
            activities: lower(&filters.activities),
        });
        let windowed = announced.windowed;
        let (orchestrators, activities) =
            (Room::new(announced.orchestrators, windowed), Room::new(announced.activities, windowed));
        self.room[0] += orchestrators.free();
        self.room[1] += activities.free();
        self.workers.insert(id, Worker { announced, orchestrators, activities, filters, draining: false });
    }

    pub(super) fn leave(&mut self, id: WorkerId) {
        self.drain(id);
        self.workers.remove(&id);
    }

    /// A worker gets nothing more; says whether it is here.
    pub(super) fn drain(&mut self, id: WorkerId) -> bool {
        let Some(worker) = self.workers.get_mut(&id) else { return false };
        if !core::mem::replace(&mut worker.draining, true) {
            self.room[0] -= worker.orchestrators.free();
            self.room[1] -= worker.activities.free();
        }
        true
    }

    /// What the workers announced, and whether they get nothing more.
    pub(super) fn iter(&self) -> impl Iterator<Item = (WorkerId, &Announcement, bool)> {
        self.workers.iter().map(|(id, worker)| (*id, &worker.announced, worker.draining))
    }

    /// Room for items of a kind, over all workers.
    pub(super) fn room(&self, kind: WorkKind) -> usize {
        self.room[index(kind)]
    }

    /// A worker has answered an item.
    pub(super) fn freed(&mut self, id: WorkerId, kind: WorkKind) {
        self.change(id, kind, Room::freed);
    }

    /// Items have left for a worker's connection.
    pub(super) fn sent(&mut self, id: WorkerId, kind: WorkKind, items: usize) {
        self.change(id, kind, |room| room.sent(items));
    }

    /// A worker will not get an item that it was chosen for.
    pub(super) fn untake(&mut self, id: WorkerId, kind: WorkKind) {
        self.change(id, kind, Room::untake);
    }

    pub(super) fn take(&mut self, id: WorkerId, kind: WorkKind) {
        self.change(id, kind, Room::take);
        self.last = Some(id);
    }

    fn change(&mut self, id: WorkerId, kind: WorkKind, by: impl FnOnce(&mut Room)) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let draining = worker.draining;
        let room = worker.room_mut(kind);
        let before = room.free();
        by(room);
        // What a worker that is drained has does not count any more.
        if !draining {
            self.room[index(kind)] = self.room[index(kind)] - before + room.free();
        }
    }

    /// A worker for the head of a queue: the one that holds the session if it has room, else the
    /// next in turn. What is not durable goes only to those who forget it with the lease, and only if it is an
    /// orchestrator's (invariant 1).
    pub(super) fn choose(&self, wanted: &Wanted<'_>, admits: impl Fn(WorkerId) -> bool) -> Option<Chosen<'_>> {
        let suits = |id: WorkerId, worker: &Worker| has_room(worker, wanted) && worker.fits(wanted.bytes) && admits(id);
        if let Some(id) = wanted.prefer
            && let Some(worker) = self.workers.get(&id)
            && suits(id, worker)
        {
            return Some(Chosen::new(id, worker));
        }
        let start = self.last.map_or(WorkerId(0), |last| WorkerId(last.0.wrapping_add(1)));
        let in_turn = self.workers.range(start..).chain(self.workers.range(..start));
        in_turn.into_iter().find(|(id, worker)| suits(**id, worker)).map(|(id, worker)| Chosen::new(*id, worker))
    }

    /// Whether somebody has room who may only not get it.
    pub(super) fn somebody_has_room(&self, wanted: &Wanted<'_>) -> bool {
        self.workers.values().any(|worker| has_room(worker, wanted))
    }

    /// Whether nobody takes an item because of its size: its bytes, and what they may be.
    pub(super) fn too_large(&self, wanted: &Wanted<'_>) -> Option<(usize, usize)> {
        if !wanted.bytes.is_known() {
            return None;
        }
        match self.obstacle(wanted.kind, wanted.label, wanted.bytes) {
            Some(Unroutable::TooLarge { bytes, limit }) => Some((bytes, limit)),
            Some(Unroutable::NoWorker | Unroutable::NoneForName | Unroutable::NoneForVersion) | None => None,
        }
    }

    /// Why nobody can take it, however much room there is; `None` when somebody can.
    pub(super) fn obstacle(&self, kind: WorkKind, label: &Label, bytes: ItemBytes) -> Option<Unroutable> {
        let (mut any, mut named, mut most) = (false, false, None::<(usize, usize)>);
        for worker in self.workers.values().filter(|worker| worker.takes_kind(kind)) {
            any = true;
            let (name, version) = worker.lists(kind, label);
            named |= name;
            if !version {
                continue;
            }
            if worker.fits(bytes) {
                return None;
            }
            let limit = worker.announced.item_bytes.unwrap_or(usize::MAX);
            if most.is_none_or(|(_, before)| limit > before) {
                most = Some((bytes.to(worker.announced.streams_history), limit));
            }
        }
        Some(match (any, named, most) {
            (_, _, Some((bytes, limit))) => Unroutable::TooLarge { bytes, limit },
            (false, _, None) => Unroutable::NoWorker,
            (true, false, None) => Unroutable::NoneForName,
            (true, true, None) => Unroutable::NoneForVersion,
        })
    }
}

fn has_room(worker: &Worker, wanted: &Wanted<'_>) -> bool {
    let early = wanted.kind == WorkKind::Orchestrator && worker.announced.may_be_early();
    worker.room(wanted.kind) > 0 && (wanted.durable || early) && worker.takes(wanted.kind, wanted.label)
}

/// What a worker is wanted for.
pub(super) struct Wanted<'a> {
    pub(super) kind: WorkKind,
    pub(super) label: &'a Label,
    pub(super) bytes: ItemBytes,
    pub(super) prefer: Option<WorkerId>,
    pub(super) durable: bool,
}

/// A worker that is to get an item.
pub(super) struct Chosen<'a> {
    pub(super) worker: WorkerId,
    pub(super) in_process: bool,
    pub(super) sessions: bool,
    pub(super) early: bool,
    pub(super) name: &'a Arc<str>,
}

impl<'a> Chosen<'a> {
    fn new(worker: WorkerId, of: &'a Worker) -> Self {
        let Announcement { in_process, sessions, name, .. } = &of.announced;
        Self { worker, in_process: *in_process, sessions: *sessions, early: of.announced.may_be_early(), name }
    }
}
