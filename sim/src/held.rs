//! Items that no worker survives: what counts against them, and operators who decide about those that are held.

use crate::check::ensure;
use crate::worker::Worker;
use crate::world::{Key, World, tell};
use duramen_core::ids::{InstanceId, Token};
use duramen_core::partition::{Departure, HeldKey, Verdict};
use duramen_core::request::Request;
use duramen_core::work::WorkerId;

pub(crate) fn name_of_worker(id: u64) -> String {
    format!("w{id}")
}

/// Whether a worker elsewhere is drained before it goes.
pub(crate) fn is_drained(id: u64) -> bool {
    id.is_multiple_of(4)
}

impl World {
    /// How a worker goes.
    pub(crate) fn departure(&mut self, hub: usize, id: u64, worker: &Worker) -> Departure {
        if worker.in_process {
            return Departure::Left;
        }
        if is_drained(id) {
            self.hubs[hub].dispatcher.drain(WorkerId(id));
            return Departure::Left;
        }
        self.causes.vanished.insert(name_of_worker(id));
        Departure::Lost
    }

    /// A dispatch is lost with its worker: it has to count before the item is given to another.
    pub(crate) fn lose_dispatch(&mut self, token: Token) {
        let Some(issued) = self.tokens.get(&token.0) else { return };
        let key = (issued.epoch, issued.item.clone());
        let is_out = !issued.answered && !issued.given_back && self.latest.get(&key) == Some(&token.0);
        if is_out {
            *self.lost.entry(key).or_default() += 1;
        }
    }

    /// An item goes to a worker elsewhere: what was lost before counts durably, and it is not held.
    pub(crate) fn check_losses(&mut self, id: &str, epoch: u32, key: &Key) {
        let losses = match key {
            Key::Episode { run, .. } => self.durable.losses(id, HeldKey::Episode(duramen_core::ids::Run(*run))),
            Key::Task { execution, event } => {
                self.durable.task_of(id, execution, event).and_then(|task| task.losses.as_ref())
            }
        };
        let held = losses.is_some_and(|losses| losses.held.is_some());
        let counted = losses.map_or(0, |losses| losses.all.len());
        ensure!(!held, "what is held is given to nobody", "{id}: {key:?}");
        if self.causes.decided.iter().any(|(of, _)| of == id) {
            // Nobody can tell which of the losses came before the decision.
            return;
        }
        let lost = self.lost.get(&(epoch, key.clone())).copied().unwrap_or(0);
        ensure!(
            counted >= lost,
            "a dispatch that was lost counts before the next",
            "{id}: {key:?}, {counted} of {lost}"
        );
    }

    /// An operator decides about something that is held.
    pub(crate) fn decide_step(&mut self) {
        let held = self.durable.held();
        if held.is_empty() || !self.rng.percent(30) {
            return;
        }
        let (id, key) = self.rng.pick(&held).clone();
        let verdict = if self.rng.percent(60) { Verdict::Retry } else { Verdict::Fail };
        self.decide(id, key, verdict);
    }

    fn decide(&mut self, id: String, key: HeldKey, verdict: Verdict) {
        self.cover.count(match verdict {
            Verdict::Retry => "model: an operator retries",
            Verdict::Fail => "model: an operator fails",
        });
        self.causes.decided.insert((id.clone(), key));
        if let HeldKey::Episode(run) = key {
            // Nothing that the program would do follows an operator's failure.
            self.causes.garbled.extend((verdict == Verdict::Fail).then_some(run.0));
            self.written_off.retain(|(_, off, _)| *off != run.0);
        }
        self.send(Request::Decide { id: InstanceId::new(id), key, verdict });
    }

    /// At the end everything is tried again until it is done.
    pub(crate) fn retry_all_held(&mut self) {
        for round in 0.. {
            let held = self.durable.held();
            if held.is_empty() {
                return;
            }
            ensure!(round < 50, "what is held can be tried again", "{held:?}");
            tell!(self, "{} items are held", held.len());
            held.into_iter().for_each(|(id, key)| self.decide(id, key, Verdict::Retry));
            self.rest();
        }
    }
}
