//! Where the effects of a partition go.

use super::{Driver, turn::target};
use crate::hub::{Shared, owner};
use bytes::Bytes;
use duramen_core::checkpoint::PairMark;
use duramen_core::ids::Slot;
use duramen_core::partition::{Effect, Input, Partition};
use duramen_core::request::{Request, RequestId};
use duramen_core::time::Time;

/// Something that a partition sent to another.
pub(super) enum Mail {
    /// A message between instances.
    Message(PairMark, Bytes),
    /// A client's request that goes on there.
    Forwarded(RequestId, Box<Request>),
    /// The receiver has it on disk.
    Acknowledged(PairMark),
}

impl Driver {
    /// Gives a partition one input, and sends on what comes of it.
    pub(super) fn handle(&mut self, shared: &Shared, at: usize, input: Input) {
        self.run(shared, at, |partition, now, out| partition.handle(input, now, out));
    }

    /// Runs a partition, and sends on what comes of it.
    pub(super) fn run(
        &mut self,
        shared: &Shared,
        at: usize,
        work: impl FnOnce(&mut Partition, Time, &mut Vec<Effect>),
    ) {
        let mut out = self.spare.effects.pop().unwrap_or_default();
        if let Some(slice) = self.slices.get_mut(at) {
            work(&mut slice.partition, self.now, &mut out);
        }
        self.route(shared, at, out);
    }

    pub(super) fn route(&mut self, shared: &Shared, at: usize, mut effects: Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Reply(request, reply) => self.pending.answered(request, reply),
                Effect::Forward(id, request) => {
                    let to = self.owner_of(target(&request));
                    self.pending.moved(id, to);
                    self.slices[to].mail.push_back(Mail::Forwarded(id, Box::new(request)));
                }
                Effect::Load(id) => shared.backend.load(self.slices[at].id, id),
                Effect::Timers(window) => {
                    let slots = crate::hub::slots(at as u32, shared.options.partitions);
                    shared.backend.timers(self.slices[at].id, slots, window);
                }
                Effect::Offer(offer) => self.dispatcher.offer(self.slices[at].id, offer, self.now),
                Effect::Withdrawn(withdrawn) => self.dispatcher.withdraw(&withdrawn),
                Effect::Refused(grant) => {
                    self.workers.freed(grant.worker);
                    self.dispatcher.refused(&grant);
                }
                Effect::Freed(worker, kind) => {
                    self.workers.freed(worker);
                    self.dispatcher.freed(worker, kind);
                }
                Effect::Work(worker, item) => {
                    self.dispatcher.handed(worker, &item);
                    self.workers.give(worker, item);
                }
                Effect::Counted(counted) => super::operator::log(&counted),
                Effect::EndSession(worker, run) => self.workers.end_session(worker, run),
                Effect::Message(mark, message) => {
                    let to = self.owner_of_slot(mark.target);
                    self.post(shared, to, Mail::Message(mark, message));
                }
                Effect::Acknowledge(mark) => {
                    let to = self.owner_of_slot(mark.source);
                    self.slices[to].mail.push_back(Mail::Acknowledged(mark));
                }
            }
        }
        self.spare.effects.push(effects);
    }

    /// Puts a message into a partition's queue. When that is full, the partition works it off first; if
    /// it may not do so now, the message stays in its sender's outbox, from which it will be sent again.
    fn post(&mut self, shared: &Shared, to: usize, mail: Mail) {
        if self.slices[to].mail.len() >= shared.options.messages {
            self.deliver_mail(shared, to);
        }
        if self.slices[to].mail.len() < shared.options.messages {
            self.slices[to].mail.push_back(mail);
        }
    }

    /// Feeds a partition what others have sent to it.
    pub(super) fn deliver_mail(&mut self, shared: &Shared, at: usize) {
        // A partition lets messages to others out when a write of its own has landed, or on a tick; so
        // this does not call itself.
        while self.takes_input()
            && let Some(mail) = self.slices[at].mail.pop_front()
        {
            let input = match mail {
                Mail::Message(mark, message) => Input::Message(mark, message),
                Mail::Forwarded(id, request) => Input::Request(id, *request),
                Mail::Acknowledged(mark) => Input::Acknowledged(mark),
            };
            self.handle(shared, at, input);
        }
    }

    fn owner_of_slot(&self, slot: u32) -> usize {
        // Slots stand as numbers in stored messages; there are no others than 0 to 255.
        owner(Slot(slot as u8), self.slices.len() as u32) as usize
    }
}
