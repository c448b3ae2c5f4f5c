//! What happens because time has passed.

use super::residence::{Deferred, Residence};
use super::{Effect, Partition, Wake};
use crate::ids::{Birth, InstanceId};
use crate::limits::{LOADS_UNDER_WAY, TURN_BYTES};
use crate::planted;
use crate::time::Time;
use alloc::vec::Vec;

impl Partition {
    /// Does what is due. To be called at [`Partition::deadline`], or later.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.ledger.now = now;
        self.move_window();
        self.fire_timers();
        self.read_on();
        while self.ledger.wakes.first().is_some_and(|(at, _)| *at <= now) {
            let (_, wake) = self.ledger.wakes.pop_first().expect("it has a first");
            match wake {
                Wake::Offer(item) => self.offer_again(item),
                Wake::Terminate(id, birth) => self.end_unanswered_of(id, birth),
                Wake::Wait(id, request) => self.end_wait(&id, request),
                Wake::Resend => self.resend(),
            }
        }
        self.take_back_overdue();
        self.let_go();
        self.follow_up();
        out.append(&mut self.ledger.out);
    }

    /// When `tick` is to be called next.
    pub fn deadline(&self) -> Option<Time> {
        self.awaited().into_iter().chain(self.leaves_at()).min()
    }

    /// When something is due that somebody can be waiting for: all but that instances leave memory.
    pub fn awaited(&self) -> Option<Time> {
        // While as much is being loaded as may be, what is loaded comes first.
        let timer = self.ledger.timers.first_due().filter(|_| self.loading.len() < LOADS_UNDER_WAY);
        let wake = self.ledger.wakes.first().map(|(at, _)| *at);
        let other = [self.ledger.timers.moves_at(), self.overdue_at(), self.turn_deadline()];
        timer.into_iter().chain(wake).chain(other.into_iter().flatten()).min()
    }

    fn fire_timers(&mut self) {
        // What does not fit into this turn is due in the next.
        while self.ledger.bytes < TURN_BYTES && self.loading.len() < LOADS_UNDER_WAY {
            let now = self.ledger.now.plus(planted::early());
            let Some((birth, id, key)) = self.ledger.timers.pop_due(now) else { return };
            // A timer that is read without its instance is a hint: the instance says whether it is
            // open.
            if self.residence(&id) == Residence::Elsewhere {
                self.defer(id, Some(Deferred::Due(birth, key.number)));
            } else {
                self.fire(birth, key.number);
            }
        }
    }

    pub(super) fn fire(&mut self, birth: Birth, number: u64) {
        if let Some(instance) = self.instances.get_mut(&birth) {
            instance.fire(number, &mut self.ledger);
        }
    }

    fn end_unanswered_of(&mut self, id: InstanceId, birth: Birth) {
        if self.residence(&id) == Residence::Elsewhere {
            self.defer(id, Some(Deferred::Terminate(birth)));
        } else {
            self.end_unanswered(birth);
        }
    }

    pub(super) fn end_unanswered(&mut self, birth: Birth) {
        if let Some(instance) = self.instances.get_mut(&birth) {
            instance.end_if_unanswered(&mut self.ledger);
        }
    }
}
