//! Workers: those of this process and those elsewhere, with sessions, and with all their bad habits.

use crate::check::fail;
use crate::held::{is_drained, name_of_worker};
use crate::hub::Hub;
use crate::machine::Machine;
use crate::plan::Fault;
use crate::post::Post;
use crate::world::{World, tell};
use duramen_core::ids::Slot;
use duramen_core::work::{Announcement, Answer, Filters, Session, Work, WorkItem, WorkerId};
use std::collections::{BTreeMap, BTreeSet};

/// By run: what the next item has to name, and how far the program is.
pub(crate) type Sessions = BTreeMap<u64, (Session, Machine)>;

pub(crate) struct Worker {
    pub(crate) in_process: bool,
    /// Keeps sessions.
    pub(crate) keeps: bool,
    /// Leaves out tokens.
    pub(crate) bare: bool,
    pub(crate) room: (usize, usize),
    pub(crate) items: Vec<WorkItem>,
    pub(crate) sessions: Sessions,
    /// Does nothing until this step.
    pub(crate) hangs_until: u64,
    /// Whether it has ever forgotten a session by itself.
    pub(crate) forgetful: bool,
    /// Items after which no session is kept.
    pub(crate) unkept: BTreeSet<u64>,
}

impl Worker {
    pub(crate) fn end_session(&mut self, run: u64) {
        self.sessions.remove(&run);
        let of_run = |item: &&WorkItem| matches!(&item.work, Work::Orchestrator(work) if work.session.run.0 == run);
        self.unkept.extend(self.items.iter().filter(of_run).map(|item| item.token.0));
    }
}

impl World {
    pub(crate) fn join_worker(&mut self) {
        let id = self.number();
        let hub = self.owner();
        let in_process = self.rng.percent(55);
        let room = (1 + self.rng.below(6), 1 + self.rng.below(8));
        // A few take only one kind of work, and names are compared without case.
        let filters = match self.rng.below(8) {
            0 if !self.quiet => Some(Filters { orchestrators: vec![("PROGRAM".into(), vec![])], activities: vec![] }),
            1 if !self.quiet => Some(Filters { orchestrators: vec![], activities: vec![("aCt".into(), vec![])] }),
            _ => None,
        };
        let bare = self.is_bare(in_process);
        // Workers elsewhere keep sessions too, if they are of Duramen: those have tokens.
        let sessions = in_process || (!bare && id.is_multiple_of(2));
        let mut kept = if sessions && !in_process { self.kept.pop().unwrap_or_default() } else { Sessions::default() };
        // Those of leases that go on would never be ended.
        let leases = self.hubs[hub].leases();
        kept.retain(|_, (session, _)| !leases.contains(&session.epoch));
        let worker = Worker {
            in_process,
            keeps: sessions,
            bare,
            room,
            items: Vec::new(),
            sessions: kept,
            hangs_until: 0,
            forgetful: false,
            unkept: BTreeSet::new(),
        };
        self.hubs[hub].workers.insert(id, worker);
        if sessions {
            self.keepers.insert(id);
        }
        let announcement = Announcement {
            in_process,
            sessions,
            orchestrators: room.0,
            activities: room.1,
            filters,
            name: name_of_worker(id).into(),
            ..Announcement::default()
        };
        self.hubs[hub].dispatcher.join(WorkerId(id), announcement);
        let what = if in_process { "in process" } else { "remote" };
        tell!(self, "worker {id} comes ({what}{})", if bare { ", without tokens" } else { "" });
    }

    /// A worker does one of its items.
    pub(crate) fn worker_step(&mut self) -> bool {
        let hub = self.any_hub();
        let steps = self.steps;
        let busy: Vec<u64> = self.hubs[hub]
            .workers
            .iter()
            .filter(|(_, worker)| !worker.items.is_empty() && worker.hangs_until <= steps)
            .map(|(id, _)| *id)
            .collect();
        if busy.is_empty() {
            return false;
        }
        let id = *self.rng.pick(&busy);
        if self.happens(Fault::WorkerHang, 15) {
            self.cover.count("fault: WorkerHang");
            let until = steps + 50 + self.rng.below(400) as u64;
            self.hubs[hub].workers.get_mut(&id).expect("it is here").hangs_until = until;
            return true;
        }
        self.work(hub, id);
        true
    }

    pub(crate) fn worker_fault(&mut self) -> bool {
        let hub = self.owner();
        let workers: Vec<u64> = self.hubs[hub].workers.keys().copied().collect();
        if workers.len() < 4 && self.rng.percent(50) || workers.is_empty() {
            self.join_worker();
            return true;
        }
        if !self.happens(Fault::WorkerVanish, 500) {
            return false;
        }
        self.cover.count("fault: WorkerVanish");
        let id = *self.rng.pick(&workers);
        self.lose_worker(hub, id);
        self.leave_worker(hub, id);
        true
    }

    /// The connections of all workers elsewhere are gone.
    pub(crate) fn lose_workers(&mut self, hub: usize) {
        let workers: Vec<u64> = self.hubs[hub].workers.keys().copied().collect();
        workers.into_iter().for_each(|worker| self.lose_worker(hub, worker));
    }

    /// The connection of a worker elsewhere is gone, and it works on.
    fn lose_worker(&mut self, hub: usize, id: u64) {
        let lost = Some(self.moment());
        let Some(worker) = self.hubs[hub].workers.get_mut(&id).filter(|worker| !worker.in_process) else { return };
        let bare = worker.bare;
        if !is_drained(id) {
            let items: Vec<_> = worker.items.iter().map(|item| item.token).collect();
            items.into_iter().for_each(|token| self.lose_dispatch(token));
        }
        let Some(worker) = self.hubs[hub].workers.get_mut(&id) else { return };
        for item in std::mem::take(&mut worker.items) {
            let answer = if bare || self.rng.percent(70) {
                self.answer_of(hub, id, &item)
            } else {
                Answer::Abandoned(item.token, "late".into())
            };
            self.strays.push(Post { answer, bare, muddled: false, lost });
        }
        if let Some(worker) = self.hubs[hub].workers.get_mut(&id) {
            self.kept.push(std::mem::take(&mut worker.sessions));
        }
        let answers = std::mem::take(&mut self.hubs[hub].answers);
        let (mine, others) = answers.into_iter().partition(|(worker, _)| *worker == id);
        self.hubs[hub].answers = others;
        let mine: Vec<(u64, Post)> = mine;
        self.strays.extend(mine.into_iter().map(|(_, post)| Post { lost, ..post }));
        self.unbook(id);
    }

    pub(crate) fn forget_strays(&mut self) {
        let more = self.strays.len().saturating_sub(40);
        self.strays.drain(..more);
    }
}

/// The owner of an instance among the partitions of a hub.
pub(crate) fn part_of(hub: &Hub, slot: Slot) -> usize {
    hub.part_of(slot).unwrap_or_else(|| fail("slots have owners", format!("{slot:?}")))
}
