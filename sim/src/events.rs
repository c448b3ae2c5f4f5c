//! What the store says, held against the model, and what it is given to write.

use crate::check::{ensure, fail};
use crate::hub::Report;
use crate::model::Judge;
use crate::plan::Fault;
use crate::world::{Pending, World, compare, tell};
use duramen_backend::{Backend as _, Event};
use duramen_core::checkpoint::Checkpoint;
use duramen_core::ids::{Epoch, Slot};
use std::sync::PoisonError;

impl World {
    /// Takes what the store says, the moment it says it.
    pub(crate) fn take_events(&mut self) {
        loop {
            let event = self.events.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            match event {
                Some(event) => self.take_event(event),
                None => return,
            }
        }
    }

    fn take_event(&mut self, event: Event) {
        match event {
            Event::Acquired { partition, epoch, outstanding, store } => {
                ensure!(self.epochs.insert(epoch.0), "an epoch is given once", "{epoch:?}");
                let hub = self.owner();
                let place = self.hubs[hub].parts.iter().position(|part| part.id == partition);
                let Some(place) = place else { fail("leases go to who asked", format!("{partition:?}")) };
                let part = &mut self.hubs[hub].parts[place];
                ensure!(part.epoch.is_none(), "leases go to who asked", "{partition:?} twice");
                part.epoch = Some(epoch);
                let slots = part.slots.clone();
                let expected = self.durable.outstanding(|slot| slots.contains(&Slot(slot as u8)));
                compare("an owner is given what is outstanding", &format!("{partition:?}"), &*outstanding, &expected);
                tell!(self, "partition {} has lease {}", partition.0, epoch.0);
                self.hubs[hub].parts[place].reports.push_back(Report::Acquired(outstanding, store));
            }
            Event::Appended { partition, epoch, number, position } => {
                let expected = self.pending.pop_front();
                let matches =
                    expected.as_ref().is_some_and(|next| next.epoch == epoch.0 && next.checkpoint.number == number);
                ensure!(
                    matches,
                    "only what its owner submitted becomes durable, in order",
                    "checkpoint {number} of {epoch:?}, and next is {:?}",
                    expected.as_ref().map(|next| (next.epoch, next.checkpoint.number))
                );
                let expected = expected.expect("it matches");
                self.durable.apply(&expected.checkpoint, None);
                self.submitted.durable.push(position);
                tell!(self, "checkpoint {number} of partition {} is durable", partition.0);
                self.report(epoch, Report::Committed(number, position));
            }
            Event::Refused { epoch, number, .. } => {
                let part = self.parts().find(|part| part.epoch == Some(epoch));
                let lost = part.is_none_or(|part| part.lost);
                ensure!(lost, "the owner's appends are accepted", "checkpoint {number} of {epoch:?}");
                self.cover.count("model: append refused");
                tell!(self, "checkpoint {number} of lease {} is refused", epoch.0);
                self.report(epoch, Report::Refused);
            }
            Event::Loaded { partition, id, image } => {
                let hub = self.hubs.iter().position(|hub| hub.loading_for == Some(partition)).unwrap_or(self.owner());
                let core =
                    self.hubs[hub].parts.iter().find(|part| part.id == partition).and_then(|part| part.core.as_ref());
                if core.is_some_and(|core| core.has_in_memory(&id)) {
                    self.cover.count("a history is loaded again");
                    let expected = self.in_tables().image(id.as_str());
                    compare("what is loaded is what is settled", id.as_str(), &image.as_deref(), &expected.as_ref());
                } else {
                    let expected = self.durable.image(id.as_str());
                    compare("what is loaded is what is durable", id.as_str(), &image.as_deref(), &expected.as_ref());
                }
                let slow = self.plan.has(Fault::SlowLoad) && !self.quiet;
                let part = self.hubs[hub].parts.iter_mut().find(|part| part.id == partition);
                if let Some(part) = part {
                    if slow {
                        self.cover.count("fault: SlowLoad");
                        part.loaded.push((id, image));
                    } else {
                        part.reports.push_back(Report::Loaded(id, image));
                    }
                }
            }
            Event::Timers { partition, due } => {
                if let Some((slots, window)) = self.expected_timers.take() {
                    let mine = |slot: u32| slots.iter().any(|owned| u32::from(owned.0) == slot);
                    let expected = self.in_tables().timers(mine, window);
                    compare("timers that are read are what is durable", "timers", &Some(&due.timers), &Some(&expected));
                }
                let hub = self.owner();
                if let Some(part) = self.hubs[hub].parts.iter_mut().find(|part| part.id == partition) {
                    part.reports.push_back(Report::Timers(due));
                }
            }
            Event::Queried { query, page } => self.listed(query.0, page),
            Event::Settled(position) => {
                self.noted_settled();
                for hub in &mut self.hubs {
                    for part in &mut hub.parts {
                        part.reports.push_back(Report::Settled(position));
                    }
                }
            }
            Event::Space { .. } => unreachable!("the simulated disk has no end"),
            Event::Failed(failure) => {
                let disk = self.plan.has(Fault::FailedSync) || self.plan.has(Fault::FailedWrite);
                let meant = (disk && failure.reason.contains("lets fail"))
                    || (self.plan.has(Fault::DiesRecycling) && failure.reason.contains("the process has ended"));
                ensure!(meant, "the store works", "{failure}");
                self.failed = true;
            }
        }
    }

    fn report(&mut self, epoch: Epoch, report: Report) {
        let mut parts = self.hubs.iter_mut().flat_map(|hub| &mut hub.parts);
        if let Some(part) = parts.find(|part| part.epoch == Some(epoch)) {
            part.reports.push_back(report);
        }
    }

    /// Submits a checkpoint of a partition.
    pub(crate) fn submit(&mut self, hub: usize, part: usize, checkpoint: Checkpoint) {
        let of = &mut self.hubs[hub].parts[part];
        let (id, epoch, lost) = (of.id, of.epoch.expect("an open partition has a lease"), of.lost);
        ensure!(checkpoint.number == of.submitted + 1, "checkpoints are numbered in order", "{}", checkpoint.number);
        of.submitted += 1;
        self.causes.latest = std::mem::replace(&mut of.latest, self.now).max(self.now);
        self.causes.latest_ever = self.causes.latest_ever.max(self.causes.latest);
        if self.plan.has(Fault::ClockBack) {
            // What was due stays due when the clock goes back.
            self.causes.latest = self.causes.latest_ever;
        }
        if !lost {
            let judge = Judge {
                causes: &self.causes,
                epoch: epoch.0,
                cover: &mut self.cover,
                messages: &self.durable.ever.messages,
            };
            self.ahead.apply(&checkpoint, Some(judge));
            self.submitted.all.push((epoch.0, checkpoint.clone()));
            self.pending.push_back(Pending { epoch: epoch.0, checkpoint: checkpoint.clone() });
        } else {
            self.cover.count("fault: a deposed owner writes");
        }
        self.store.append(id, epoch, vec![checkpoint], duramen_backend::Hurry::Busy);
        self.take_events();
    }
}
