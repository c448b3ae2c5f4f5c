//! Effects on their way: to clients, workers, the dispatcher, and other partitions.

use crate::check::{ensure, fail};
use crate::plan::Fault;
use crate::world::{Packet, World, tell};
use duramen_backend::Backend as _;
use duramen_core::ids::Slot;
use duramen_core::partition::{Effect, Input};

impl World {
    /// Carries effects to where they go.
    pub(crate) fn route(&mut self, hub: usize, part: usize, effects: Vec<Effect>) {
        let deposed = self.hubs[hub].deposed;
        for effect in effects {
            match effect {
                Effect::Reply(request, reply) => self.reply(hub, request, &reply),
                Effect::Forward(request, asked) => {
                    let slot = asked.instance().slot();
                    let to = self.hubs[hub].part_of(slot);
                    let Some(to) = to else { fail("slots have owners", format!("{slot:?}")) };
                    self.hubs[hub].parts[to].inputs.push_back(Input::Request(request, asked));
                }
                Effect::Load(id) => self.hubs[hub].parts[part].loads.push_back(id),
                Effect::Timers(window) => {
                    let of = &self.hubs[hub].parts[part];
                    if !of.lost {
                        self.expected_timers = Some((of.slots.clone(), window));
                        self.store.timers(of.id, of.slots.clone(), window);
                        self.take_events();
                    }
                }
                Effect::Offer(offer) => {
                    let id = self.hubs[hub].parts[part].id;
                    tell!(self, "partition {part} offers {:?} after {}", offer.item, offer.after);
                    self.hubs[hub].dispatcher.offer(id, offer, self.now);
                }
                Effect::Withdrawn(withdrawn) => {
                    tell!(self, "partition {part} withdraws {:?}", withdrawn.item);
                    self.hubs[hub].dispatcher.withdraw(&withdrawn);
                }
                Effect::Counted(counted) => {
                    tell!(self, "counted against {}: {} {:?}", counted.instance, counted.key, counted.loss);
                    self.cover.count(if counted.held { "model: an item is held" } else { "model: a dispatch counts" });
                }
                Effect::Work(worker, item) => self.give_work(hub, worker, item),
                Effect::Refused(grant) => self.hubs[hub].dispatcher.refused(&grant),
                Effect::Freed(worker, kind) => self.freed(hub, worker, kind),
                Effect::EndSession(worker, run) => {
                    tell!(self, "worker {} ends its session of run {:x}", worker.0, run.0);
                    if let Some(worker) = self.hubs[hub].workers.get_mut(&worker.0) {
                        worker.end_session(run.0);
                    }
                }
                Effect::Message(mark, message) => {
                    let known = self.durable.ever.messages.get(&(mark.source, mark.target, mark.sequence));
                    ensure!(known == Some(&message), "a message leaves when it is durable", "{mark:?}");
                    self.net.push(Packet::Message(mark, message));
                }
                Effect::Acknowledge(mark) => {
                    let taken = self.durable.received.get(&(mark.source, mark.target)).copied().unwrap_or(0);
                    ensure!(
                        mark.sequence <= taken || deposed,
                        "what is acknowledged is durable",
                        "{mark:?}, and {taken} is durable"
                    );
                    self.net.push(Packet::Acknowledge(mark));
                }
            }
        }
        if self.quiet || self.rng.percent(80) {
            self.run_grants(hub);
        }
    }

    /// Says whether there were any.
    pub(crate) fn run_grants(&mut self, hub: usize) -> bool {
        let mut grants = Vec::new();
        self.hubs[hub].dispatcher.grants(self.now, &mut grants);
        let any = !grants.is_empty();
        for (id, grant) in grants {
            tell!(self, "granted {:?} to {}", grant.item, grant.worker.0);
            let part = self.hubs[hub].parts.iter().position(|part| part.id == id);
            let Some(part) = part else { fail("grants go to partitions", format!("{id:?}")) };
            if self.quiet || self.rng.percent(80) {
                self.handle(hub, part, Input::Granted(grant));
            } else {
                self.hubs[hub].parts[part].inputs.push_back(Input::Granted(grant));
            }
        }
        any
    }

    pub(crate) fn net_step(&mut self) -> bool {
        if self.net.is_empty() {
            return false;
        }
        let at = if self.happens(Fault::MessageReordered, 500) {
            self.cover.count("fault: MessageReordered");
            self.rng.below(self.net.len())
        } else {
            0
        };
        if self.happens(Fault::MessageLost, 100) {
            self.cover.count("fault: MessageLost");
            self.net.remove(at);
            return true;
        }
        let packet = if self.happens(Fault::MessageRepeated, 200) {
            self.cover.count("fault: MessageRepeated");
            self.net[at].clone()
        } else {
            self.net.remove(at)
        };
        let hub = self.any_hub();
        let (slot, input) = match packet {
            Packet::Message(mark, message) => (mark.target, Input::Message(mark, message)),
            Packet::Acknowledge(mark) => (mark.source, Input::Acknowledged(mark)),
        };
        if let Some(part) = self.hubs[hub].part_of(Slot(slot as u8)) {
            self.hubs[hub].parts[part].inputs.push_back(input);
        }
        true
    }
}
