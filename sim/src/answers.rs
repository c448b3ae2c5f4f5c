//! Answers on their way back: late, twice, under the wrong token, over another connection.

use crate::model::decode;
use crate::plan::Fault;
use crate::post::Post;
use crate::world::{Issued, Key, World, tell};
use duramen_core::ids::Token;
use duramen_core::partition::Input;
use duramen_core::work::{Answer, WorkerId};

impl World {
    /// An answer arrives at its hub.
    pub(crate) fn answer_step(&mut self) -> bool {
        if !self.strays.is_empty() && !self.quiet && self.rng.percent(10) {
            let at = self.rng.below(self.strays.len());
            let stray = self.strays.remove(at);
            let hub = self.owner();
            if let Some(worker) = self.other_connection(hub, &stray) {
                self.cover.count("model: an answer of an earlier life");
                self.deliver_answer(hub, worker, stray);
                return true;
            }
        }
        let hub = self.any_hub();
        if self.hubs[hub].answers.is_empty() {
            return false;
        }
        let at = self.rng.below(self.hubs[hub].answers.len());
        let (worker, post) = self.hubs[hub].answers.remove(at);
        self.deliver_answer(hub, worker, post);
        true
    }

    fn deliver_answer(&mut self, hub: usize, worker: u64, post: Post) {
        let Some(answer) = self.recognize(hub, worker, post) else { return };
        let token = answer.token();
        let epoch = token.epoch().0;
        let part = self.hubs[hub].parts.iter().position(|part| part.epoch.is_some_and(|of| of.0 == epoch));
        let current = self.tokens.get(&token.0).is_some_and(|issued| {
            !issued.answered
                && (issued.worker == worker || self.is_taken_back(hub, issued))
                && names(&answer, issued)
                && self.latest.get(&(epoch, issued.item.clone())) == Some(&token.0)
        });
        let Some(part) = part else {
            self.cover.count("model: an answer to a lease that is over");
            return;
        };
        if !current {
            self.cover.count("model: a stale answer");
        }
        tell!(self, "answer of worker {worker} to {token} ({})", if current { "current" } else { "stale" });
        if let (Answer::Abandoned(..), Some(issued)) = (&answer, self.tokens.get_mut(&token.0)) {
            issued.given_back = true;
        }
        if current && self.hubs[hub].parts[part].core.is_some() {
            let issued = self.tokens.get_mut(&token.0).expect("it is current");
            // An answer over another connection may or may not be taken.
            // One that only gives the item back leaves room for an answer until somebody else has it.
            issued.answered = issued.worker == worker && answer.kind().is_some();
            match (&answer, &issued.item) {
                (Answer::Orchestrator(_, response), Key::Episode { run, episode }) if !response.requires_history => {
                    self.causes.episodes.insert((issued.epoch, *run, *episode));
                }
                (Answer::Activity(_, response), Key::Task { execution, event }) => {
                    let failure = response.failure_details.as_ref().map(|failure| failure.error_message.clone());
                    let of = (execution.clone(), decode(event).event_id);
                    self.causes.results.extend(response.result.clone().or(failure).map(|text| (text, of)));
                }
                _ => {}
            }
        }
        self.hubs[hub].parts[part].inputs.push_back(Input::Answer(WorkerId(worker), answer));
    }

    /// Whether an item may have been taken back from its worker. While it has not, another worker's
    /// answer under its token changes nothing.
    fn is_taken_back(&self, hub: usize, issued: &Issued) -> bool {
        let limit = match issued.item {
            Key::Episode { .. } => Some(self.plan.episode_limit),
            Key::Task { .. } => self.plan.activity_limit,
        };
        let overdue = limit.is_some_and(|limit| issued.since.at.plus(limit) <= self.furthest.max(self.now));
        overdue || !self.hubs[hub].workers.contains_key(&issued.worker)
    }

    /// A worker says that an item will never come back. Unless it was taken back for another reason,
    /// it is not handed out again under this lease.
    pub(crate) fn write_off(&mut self, hub: usize, worker: u64, token: Token) {
        let Some(issued) = self.tokens.get(&token.0) else { return };
        let Key::Episode { run, episode } = issued.item else { return };
        let mine = issued.worker == worker
            && !issued.answered
            && self.latest.get(&(issued.epoch, issued.item.clone())) == Some(&token.0);
        let in_time = self.now < issued.since.at.plus(self.plan.episode_limit) && !self.plan.has(Fault::ClockBack);
        if mine && in_time && self.hubs[hub].workers.contains_key(&worker) && !self.hubs[hub].deposed {
            self.cover.count("model: an episode is written off");
            self.written_off.insert((issued.epoch, run, episode));
        }
    }
}

fn names(answer: &Answer, issued: &Issued) -> bool {
    match (answer, &issued.item) {
        (Answer::Orchestrator(_, response), Key::Episode { .. }) => response.instance_id == issued.instance,
        (Answer::Activity(_, response), Key::Task { .. }) => response.instance_id == issued.instance,
        (Answer::Orchestrator(..) | Answer::Activity(..), _) => false,
        (Answer::Abandoned(..) | Answer::WrittenOff(_) | Answer::TooLarge(..), _) => true,
    }
}
