//! Connected workers: what they take, and how much more of it.

use super::queues::Label;
use crate::limits::SEND_WINDOW;
use crate::work::{Announcement, Filters, WorkKind, WorkerId};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

#[derive(Debug)]
struct Worker {
    in_process: bool,
    sessions: bool,
    orchestrators: Room,
    activities: Room,
    filters: Option<Filters>,
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

    fn takes(&self, kind: WorkKind, label: &Label) -> bool {
        let Some(filters) = &self.filters else { return true };
        let listed = match kind {
            WorkKind::Orchestrator => &filters.orchestrators,
            WorkKind::Activity => &filters.activities,
        };
        let version = label.version.as_deref().unwrap_or("");
        listed.iter().any(|(name, versions)| {
            *name == label.name && (versions.is_empty() || versions.iter().any(|listed| listed == version))
        })
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

impl Workers {
    pub(super) fn join(&mut self, id: WorkerId, announcement: Announcement) {
        let Announcement { in_process, sessions, orchestrators, activities, windowed, filters } = announcement;
        let lower = |listed: Vec<(String, Vec<String>)>| {
            listed.into_iter().map(|(name, versions)| (name.to_lowercase(), versions)).collect()
        };
        let filters = filters.map(|filters| Filters {
            orchestrators: lower(filters.orchestrators),
            activities: lower(filters.activities),
        });
        let (orchestrators, activities) = (Room::new(orchestrators, windowed), Room::new(activities, windowed));
        self.room[0] += orchestrators.free();
        self.room[1] += activities.free();
        self.workers.insert(id, Worker { in_process, sessions, orchestrators, activities, filters });
    }

    pub(super) fn leave(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.remove(&id) {
            self.room[0] -= worker.orchestrators.free();
            self.room[1] -= worker.activities.free();
        }
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
        let room = worker.room_mut(kind);
        let before = room.free();
        by(room);
        self.room[index(kind)] = self.room[index(kind)] - before + room.free();
    }

    /// A worker for the head of a queue: the one that holds the session if it has room, else the
    /// next in turn. What is not durable goes in-process only, and only if it is an orchestrator's
    /// (invariant 1).
    pub(super) fn choose(&self, wanted: &Wanted<'_>, admits: impl Fn(WorkerId) -> bool) -> Option<Chosen> {
        let suits = |id: WorkerId, worker: &Worker| {
            let early = worker.in_process && wanted.kind == WorkKind::Orchestrator;
            let open = worker.room(wanted.kind) > 0 && (wanted.durable || early);
            open && worker.takes(wanted.kind, wanted.label) && admits(id)
        };
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
}

/// A worker that was chosen.
pub(super) struct Chosen {
    pub(super) worker: WorkerId,
    pub(super) in_process: bool,
    pub(super) sessions: bool,
}

impl Chosen {
    fn new(worker: WorkerId, about: &Worker) -> Self {
        Self { worker, in_process: about.in_process, sessions: about.sessions }
    }
}

/// What a worker is wanted for.
pub(super) struct Wanted<'a> {
    pub(super) kind: WorkKind,
    pub(super) label: &'a Label,
    pub(super) prefer: Option<WorkerId>,
    pub(super) durable: bool,
}
