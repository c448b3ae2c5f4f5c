//! Items that come back from workers unanswered, and when they are offered again.

use super::ledger::Out;
use super::residence::{Deferred, Residence};
use super::{Input, Lost, Partition, Wake};
use crate::checkpoint::LossCause;
use crate::dispatch::Item;
use crate::event;
use crate::ids::Token;
use crate::limits::{FIRST_PAUSE, REDELIVERY_PAUSE};
use crate::planted::planted;
use crate::time::Time;
use crate::work::{ItemBytes, WorkerId};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;
use duramen_proto::ActivityResponse;

impl Partition {
    /// A worker is gone: what it had goes to others.
    pub(super) fn worker_gone(&mut self, worker: WorkerId, departure: Departure) {
        let with_worker = |out: &&Out| out.worker == worker;
        let of = |outs: &BTreeMap<Token, Out>| -> Vec<Token> {
            outs.iter().filter(|(_, out)| with_worker(out)).map(|(token, _)| *token).collect()
        };
        let tokens: Vec<Token> = of(&self.ledger.episodes).into_iter().chain(of(&self.ledger.activities)).collect();
        for token in tokens {
            let out = self.ledger.recall(token).expect("it was just listed");
            planted!(OldToken => self.ledger.activities.insert(token, out.clone()));
            self.ledger.keep_late(token, &out);
            self.take_back(
                out,
                match departure {
                    Departure::Lost => self.lost(LossCause::Disconnected),
                    Departure::Left => Return::Left,
                },
            );
        }
        self.withdraw_deferred_grants(worker);
        self.instances.each(|instance| {
            instance.session.take_if(|holder| *holder == worker);
        });
    }

    pub(super) fn lost(&self, cause: LossCause) -> Return {
        Return::Lost(Lost { cause, at: self.ledger.now })
    }

    /// Offers an item that came back unanswered again, later and later.
    pub(super) fn take_back(&mut self, out: Out, why: Return) {
        if let Item::Episode { birth, .. } = &out.item {
            let Some(instance) = self.instances.get_mut(birth) else { return };
            instance.take_back();
        }
        let counted = match why {
            Return::Lost(lost) => match self.count_loss(&out, lost) {
                Some(_) if lost.cause == LossCause::WrittenOff => return,
                Some(counted) => counted as u32,
                None => return,
            },
            Return::GivenBack | Return::Left | Return::TooLarge(_) => 0,
        };
        let returned = match &out.item {
            Item::Episode { birth, .. } => {
                let Some(instance) = self.instances.get_mut(birth) else { return };
                // Nobody has a reference until the pause is over.
                instance.offered = true;
                why.note(&mut instance.returns, &mut instance.bytes);
                instance.returns
            }
            Item::Task { birth, number, .. } => {
                let returned = self.ledger.returns.entry((*birth, *number)).or_default();
                why.note(&mut returned.times, &mut returned.bytes);
                returned.times
            }
        };
        let pause = why.pause(returned + counted);
        self.ledger.wakes.insert((self.ledger.now.plus(pause), Wake::Offer(out.item)));
    }

    /// The pause of an item that came back is over.
    pub(super) fn offer_again(&mut self, item: Item) {
        let (birth, id) = match &item {
            Item::Episode { birth, id, .. } | Item::Task { birth, id, .. } => (*birth, id.clone()),
        };
        if self.residence(&id) == Residence::Elsewhere {
            return self.defer(id, Some(Deferred::Offer(item)));
        }
        let Some(instance) = self.instances.get_mut(&birth) else { return };
        match item {
            Item::Episode { .. } => {
                instance.offered = false;
                instance.offer_if_due(&mut self.ledger);
            }
            Item::Task { number, .. } => {
                if let Some(task) = instance.tasks.get(&number) {
                    let returned = self.ledger.returns.get(&(birth, number)).copied().unwrap_or_default();
                    // What counts against it is durable before somebody else has it.
                    let offer = instance.offer_of(task, instance.touched, returned.bytes);
                    self.ledger.offer(offer);
                }
            }
        }
    }

    /// Takes back what has been with its worker for too long.
    pub(super) fn take_back_overdue(&mut self) {
        while let Some(token) = self.overdue() {
            let out = self.ledger.revoke(token).expect("it was just found");
            self.ledger.keep_late(token, &out);
            self.take_back(out, self.lost(LossCause::Overdue));
        }
    }

    /// Items that are with workers.
    pub fn in_flight(&self) -> impl Iterator<Item = InFlight<'_>> {
        let outs = self.ledger.episodes.values().chain(self.ledger.activities.values());
        outs.map(|out| InFlight { worker: out.worker, item: &out.item, since: out.since })
    }

    /// No connected worker takes an item: its instance fails, if the hub is set so.
    pub(super) fn fail_oversized(&mut self, item: Item, bytes: usize, limit: usize) {
        if !self.config.settings.fail_oversized {
            return;
        }
        let id = item.instance().clone();
        if self.residence(&id) == Residence::Elsewhere {
            return self.defer(id, Some(Deferred::Input(Input::Oversized(item, bytes, limit))));
        }
        let message = format!(
            "the work item has {bytes} bytes in one message, and no connected worker takes more than {limit}; pass large \
             data by reference, or continue as new before the history is so long"
        );
        let failure = event::failure("WorkItemTooLarge", message);
        match &item {
            Item::Episode { birth, run, .. } => {
                let Some(instance) = self.instances.get_mut(birth) else { return };
                if instance.run() != *run {
                    return;
                }
                // The dispatcher has forgotten it.
                instance.offered = false;
                if instance.is_due() {
                    instance.fail_episode(failure, &mut self.ledger);
                }
            }
            Item::Task { birth, number, .. } => {
                let running = self.ledger.running.contains_key(&(*birth, *number));
                if !running && self.instances.get(birth).is_some_and(|instance| instance.tasks.contains_key(number)) {
                    let failure_details = Some(failure);
                    self.activity_answered(item, ActivityResponse { failure_details, ..ActivityResponse::default() });
                }
            }
        }
    }

    fn overdue(&self) -> Option<Token> {
        let due = |limit: Duration| move |(_, out): &(&Token, &Out)| out.since.plus(limit) <= self.ledger.now;
        let episode = self.ledger.episodes.first_key_value().filter(due(self.config.settings.episode_limit));
        let activity = || {
            let limit = self.config.settings.activity_limit?;
            self.ledger.activities.first_key_value().filter(due(limit))
        };
        episode.or_else(activity).map(|(token, _)| *token)
    }

    /// When the oldest item has been with its worker for too long. Tokens rise with time.
    pub(super) fn overdue_at(&self) -> Option<Time> {
        let episode =
            self.ledger.episodes.values().next().map(|out| out.since.plus(self.config.settings.episode_limit));
        let limit = self.config.settings.activity_limit;
        let activity = limit.and_then(|limit| self.ledger.activities.values().next().map(|out| out.since.plus(limit)));
        episode.into_iter().chain(activity).min()
    }
}

/// How a worker went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Its connection was lost: what it had counts as lost.
    Lost,
    /// It was drained, or it lived in this process and was stopped.
    Left,
}

/// An item that is with a worker.
#[derive(Clone, Copy, Debug)]
pub struct InFlight<'a> {
    /// The worker.
    pub worker: WorkerId,
    /// The item.
    pub item: &'a Item,
    /// Since when.
    pub since: Time,
}

/// Why an item comes back unanswered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Return {
    /// Its worker did not want it, or could not do it.
    GivenBack,
    /// Its worker left.
    Left,
    /// It does not fit its worker's connection.
    TooLarge(ItemBytes),
    /// That counts against it.
    Lost(Lost),
}

impl Return {
    fn note(self, returns: &mut u32, bytes: &mut ItemBytes) {
        match self {
            Self::GivenBack => *returns += 1,
            Self::TooLarge(seen) => *bytes = bytes.with(seen),
            Self::Left | Self::Lost(_) => {}
        }
    }

    /// The pause before an item is offered that has come back so often. One that was given back would come back at
    /// once; one that was lost has others waiting for it, so its first pause is left out.
    fn pause(self, times: u32) -> Duration {
        match self {
            Self::GivenBack => pause(times),
            Self::Lost(_) => pause(times - 1),
            Self::Left | Self::TooLarge(_) => Duration::ZERO,
        }
    }
}

/// The pause after the n-th return: doubling, up to a limit.
fn pause(n: u32) -> Duration {
    match n {
        0 => Duration::ZERO,
        n => REDELIVERY_PAUSE.min(FIRST_PAUSE * 2u32.saturating_pow((n - 1).min(20))),
    }
}
