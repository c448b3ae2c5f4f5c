//! Making checkpoints, and letting out what waited for them.

use super::{Effect, Partition};
use crate::checkpoint::{Change, Checkpoint, Delta};
use crate::ids::Position;
use crate::limits::OPEN_TURN;
use crate::planted::{self, Bug};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::vec::Vec;

impl Partition {
    /// Bytes of changes that are not in a checkpoint yet: beyond [`crate::limits::TURN_BYTES`] a
    /// turn takes no more input.
    pub fn turn_bytes(&self) -> usize {
        self.ledger.bytes
    }

    /// Ends the turn: the checkpoint to append, if there is one to be written now. A turn in which
    /// nothing waits but replies about instances with an episode in this process stays open for the
    /// outcomes of those episodes, for at most a millisecond.
    pub fn cut(&mut self, now: Time) -> Option<Checkpoint> {
        let opened = self.ledger.opened?;
        if self.may_stay_open() && now < opened.plus(OPEN_TURN) {
            return None;
        }
        self.outbox.write_acknowledged(&mut self.ledger);
        self.ledger.opened = None;
        let number = self.ledger.number;
        let room = self.ledger.deltas.len();
        let mut deltas = core::mem::replace(&mut self.ledger.deltas, Vec::with_capacity(room));
        for birth in core::mem::take(&mut self.ledger.dirty) {
            let Some(instance) = self.instances.get_mut(&birth) else { continue };
            deltas.push(Delta { change: Some(Change::Tail(Box::new(instance.tail.clone()))) });
            self.leaving.note(number, instance);
        }
        self.ledger.number += 1;
        self.ledger.bytes = 0;
        self.ledger.must_leave = false;
        self.ledger.patient.clear();
        let held = core::mem::replace(&mut self.ledger.held, self.spare.pop().unwrap_or_default());
        self.in_flight.push_back((number, held));
        Some(Checkpoint { number, deltas })
    }

    fn may_stay_open(&self) -> bool {
        let under_way = |birth| self.instances.get(birth).is_some_and(|instance| instance.episode.is_some());
        self.ledger.in_process > 0 && !self.ledger.must_leave && self.ledger.patient.iter().all(under_way)
    }

    /// Every checkpoint up to and with `number` is durable; `number` ends at `position` in the
    /// journal.
    pub fn committed(&mut self, number: u64, position: Position, out: &mut Vec<Effect>) {
        assert!(number > self.committed && number < self.ledger.number, "checkpoint {number} was not on its way");
        self.committed = number;
        self.landed.push_back((number, position));
        while self.in_flight.front().is_some_and(|(waiting, _)| *waiting <= number) {
            let (_, mut effects) = self.in_flight.pop_front().expect("it has a front");
            out.append(&mut effects);
            if self.spare.len() < 4 {
                self.spare.push(effects);
            }
        }
    }

    /// Checkpoints that are on their way to disk.
    pub fn unsynced(&self) -> usize {
        self.in_flight.len()
    }

    /// Replies with what is now in memory: at once if all of it is durable, else with the checkpoint
    /// that makes it so.
    pub(super) fn reply_when_durable(&mut self, reply: Effect, touched: u64) {
        if touched <= self.committed || planted::has(Bug::ReplyNotDurable) {
            self.ledger.out.push(reply);
        } else if touched == self.ledger.number {
            self.ledger.hold(reply);
        } else {
            let place = self.in_flight.iter_mut().find(|(number, _)| *number >= touched);
            place.expect("what is not durable is on its way").1.push(reply);
        }
    }

    /// When the open turn must be cut; `deadline` counts it too.
    pub fn turn_deadline(&self) -> Option<Time> {
        self.ledger.opened.map(|opened| opened.plus(OPEN_TURN))
    }
}
