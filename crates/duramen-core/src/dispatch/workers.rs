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
    left: usize,
    /// Whether it takes as many as there are: `left` is then what may still go to its connection, and an
    /// answer gives no room.
    unlimited: bool,
}

impl Room {
    fn new(announced: usize) -> Self {
        let unlimited = announced == Announcement::UNLIMITED;
        Self { left: if unlimited { SEND_WINDOW } else { announced }, unlimited }
    }
}

impl Worker {
    fn room(&self, kind: WorkKind) -> usize {
        match kind {
            WorkKind::Orchestrator => self.orchestrators.left,
            WorkKind::Activity => self.activities.left,
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
        let Announcement { in_process, sessions, orchestrators, activities, filters } = announcement;
        let lower = |listed: Vec<(String, Vec<String>)>| {
            listed.into_iter().map(|(name, versions)| (name.to_lowercase(), versions)).collect()
        };
        let filters = filters.map(|filters| Filters {
            orchestrators: lower(filters.orchestrators),
            activities: lower(filters.activities),
        });
        let (orchestrators, activities) = (Room::new(orchestrators), Room::new(activities));
        self.room[0] += orchestrators.left;
        self.room[1] += activities.left;
        self.workers.insert(id, Worker { in_process, sessions, orchestrators, activities, filters });
    }

    pub(super) fn leave(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.remove(&id) {
            self.room[0] -= worker.orchestrators.left;
            self.room[1] -= worker.activities.left;
        }
    }

    /// Room for items of a kind, over all workers.
    pub(super) fn room(&self, kind: WorkKind) -> usize {
        self.room[index(kind)]
    }

    /// A worker has answered an item.
    pub(super) fn freed(&mut self, id: WorkerId, kind: WorkKind) {
        self.add(id, kind, 1, |room| !room.unlimited);
    }

    /// Items have left for a worker's connection.
    pub(super) fn sent(&mut self, id: WorkerId, kind: WorkKind, items: usize) {
        self.add(id, kind, items, |room| room.unlimited);
    }

    /// A worker will not get an item that it was chosen for.
    pub(super) fn untake(&mut self, id: WorkerId, kind: WorkKind) {
        self.add(id, kind, 1, |_| true);
    }

    fn add(&mut self, id: WorkerId, kind: WorkKind, items: usize, counts: impl FnOnce(&Room) -> bool) {
        if let Some(worker) = self.workers.get_mut(&id)
            && counts(worker.room_mut(kind))
        {
            worker.room_mut(kind).left += items;
            self.room[index(kind)] += items;
        }
    }

    pub(super) fn take(&mut self, id: WorkerId, kind: WorkKind) {
        let worker = self.workers.get_mut(&id).expect("a worker that was chosen is here");
        worker.room_mut(kind).left -= 1;
        self.room[index(kind)] -= 1;
        self.last = Some(id);
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
