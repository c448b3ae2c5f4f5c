//! Answers on their way, those without a token among them, and what may become of these.

use crate::check::{ensure, fail};
use crate::plan::Fault;
use crate::world::{Issued, Key, World, tell};
use duramen_core::ids::Token;
use duramen_core::limits::UNSHOWN_PAUSE;
use duramen_core::time::Time;
use duramen_core::work::{Answer, Work, WorkItem, WorkerId};
use std::collections::BTreeMap;

/// An answer on its way. Its token says to what it is one, also where the worker leaves it out.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) answer: Answer,
    /// The worker leaves the token out.
    pub(crate) bare: bool,
    /// The worker says it twice, or mixes up what it answers: nobody can tell without a token.
    pub(crate) muddled: bool,
    /// When the connection that it was meant for was lost.
    pub(crate) lost: Option<Moment>,
}

/// A time, and the place in the run: the clock may go back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Time,
    pub(crate) step: u64,
}

/// What an answer without a token names.
pub(crate) type Named = (String, Option<i32>);

pub(crate) fn named(item: &WorkItem) -> Named {
    match &item.work {
        Work::Orchestrator(work) => (work.instance.to_string(), None),
        Work::Activity(work) => (work.instance.to_string(), Some(crate::model::decode(&work.scheduled).event_id)),
    }
}

/// What workers that leave out tokens have, and had when their connections were lost.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    /// By worker: what it has not answered.
    booked: BTreeMap<u64, BTreeMap<Named, u64>>,
    /// What was out when a connection or a hub was lost, and when.
    lost: BTreeMap<Named, Time>,
}

impl World {
    pub(crate) fn moment(&self) -> Moment {
        Moment { at: self.now, step: self.steps }
    }

    /// An item goes to a worker that leaves out tokens.
    pub(crate) fn book(&mut self, hub: usize, worker: u64, item: &WorkItem) {
        let named = named(item);
        let since = self.connections.lost.get(&named).map(|lost| self.now.since(*lost));
        ensure!(
            since.is_none_or(|since| since >= UNSHOWN_PAUSE)
                || self.plan.has(Fault::ClockBack)
                || self.hubs[hub].deposed,
            "what may be out elsewhere waits before it goes to a worker without tokens",
            "{named:?} goes to {worker} {since:?} after it was lost"
        );
        let before = self.connections.booked.entry(worker).or_default().insert(named.clone(), item.token.0);
        ensure!(
            before.is_none(),
            "a worker without tokens never has two items that it cannot tell apart",
            "{named:?} at {worker}: {before:x?} and {}",
            item.token
        );
        self.cover.count("model: an item goes to a worker without tokens");
    }

    /// The connection of a worker is gone: what it had may still be answered elsewhere.
    pub(crate) fn unbook(&mut self, worker: u64) {
        for named in self.connections.booked.remove(&worker).into_iter().flatten() {
            self.connections.lost.insert(named.0, self.now);
        }
    }

    /// A hub begins while another is still there: what that one's workers have may be answered here.
    pub(crate) fn take_over_connections(&mut self) {
        for named in self.connections.booked.values().flat_map(BTreeMap::keys) {
            self.connections.lost.insert(named.clone(), self.now);
        }
    }

    pub(crate) fn forget_connection(&mut self, worker: u64) {
        self.connections.booked.remove(&worker);
    }

    /// The answer as the hub takes it: one without a token is about what is out on the connection.
    pub(crate) fn recognize(&mut self, hub: usize, worker: u64, post: Post) -> Option<Answer> {
        if !post.bare {
            self.hubs[hub].dispatcher.answered(WorkerId(worker), &post.answer);
            return Some(post.answer);
        }
        let dispatcher = &mut self.hubs[hub].dispatcher;
        let found = match &post.answer {
            Answer::Orchestrator(_, response) => dispatcher.token_of_episode(WorkerId(worker), response),
            Answer::Activity(_, response) => dispatcher.token_of_activity(WorkerId(worker), response),
            Answer::Abandoned(..) | Answer::WrittenOff(_) | Answer::TooLarge(..) => {
                fail("only answers come without a token", format!("{post:?}"))
            }
        };
        let Some(token) = found else {
            self.cover.count("model: an answer without a token is to nothing");
            tell!(self, "answer of worker {worker} without a token, to {}, is to nothing", post.answer.token());
            return None;
        };
        let meant = &self.tokens[&post.answer.token().0];
        let issued = &self.tokens[&token.0];
        if issued.item == meant.item && self.shows_the_same(issued, meant) {
            self.cover.count("model: an answer without a token finds its item");
        } else {
            let turned_back = post.lost.is_some() && self.plan.has(Fault::ClockBack);
            let late = post.lost.is_some_and(|lost| is_too_late(lost, self.now, issued));
            let beyond = post.muddled || late || turned_back;
            ensure!(
                beyond,
                "an answer without a token ends its own item",
                "{post:?} at {worker} was taken for {issued:?}"
            );
            self.cover.count("model: an answer without a token ends another item");
            if let Key::Episode { run, .. } = issued.item {
                self.causes.garbled.insert(run);
            }
        }
        if let Some(booked) = self.connections.booked.get_mut(&worker) {
            booked.retain(|_, booked| *booked != token.0);
        }
        tell!(self, "answer of worker {worker} without a token is to {token}");
        Some(with_token(post.answer, token))
    }

    /// Whether an item is the same under two leases: what arrived in between is in the later one alone.
    fn shows_the_same(&self, one: &Issued, other: &Issued) -> bool {
        let shown = |issued: &Issued| match issued.item {
            Key::Episode { run, episode } => self.shown.get(&(issued.epoch, run, episode)),
            Key::Task { .. } => None,
        };
        shown(one) == shown(other)
    }

    /// A worker elsewhere that answers as the one who sent this would.
    pub(crate) fn other_connection(&mut self, hub: usize, post: &Post) -> Option<u64> {
        let alike = |worker: &&crate::worker::Worker| worker.bare == post.bare;
        let workers = self.hubs[hub].workers.iter().filter(|(_, worker)| alike(worker));
        let workers: Vec<u64> = workers.map(|(id, _)| *id).collect();
        (!workers.is_empty()).then(|| *self.rng.pick(&workers))
    }

    pub(crate) fn is_bare(&mut self, in_process: bool) -> bool {
        // At the end there is one worker at least that anything can be given to.
        let alone = !self.quiet || self.hubs[self.owner()].workers.is_empty();
        let bare = alone && !in_process && self.plan.has(Fault::Tokenless) && self.rng.percent(60);
        if bare {
            self.cover.count("fault: Tokenless");
        }
        bare
    }
}

/// Whether what is out may be confused with what was lost, for all that a hub can do: the answer
/// comes after the pause, or the item was there before the loss.
fn is_too_late(lost: Moment, now: Time, issued: &Issued) -> bool {
    now >= lost.at.plus(UNSHOWN_PAUSE) || issued.since.step <= lost.step
}

pub(crate) fn with_token(answer: Answer, token: Token) -> Answer {
    match answer {
        Answer::Orchestrator(_, response) => Answer::Orchestrator(token, response),
        Answer::Activity(_, response) => Answer::Activity(token, response),
        Answer::Abandoned(_, why) => Answer::Abandoned(token, why),
        Answer::WrittenOff(_) => Answer::WrittenOff(token),
        Answer::TooLarge(_, bytes) => Answer::TooLarge(token, bytes),
    }
}
