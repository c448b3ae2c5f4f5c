//! Offers that must not stand in the way of those behind them: somebody has room, and may not get them.

use super::bookings::Key;
use super::queues::Waiting;
use crate::work::WorkKind;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

#[derive(Debug, Default)]
pub(super) struct Parked {
    orchestrators: VecDeque<Waiting>,
    activities: VecDeque<Waiting>,
}

impl Parked {
    fn of(&mut self, kind: WorkKind) -> &mut VecDeque<Waiting> {
        match kind {
            WorkKind::Orchestrator => &mut self.orchestrators,
            WorkKind::Activity => &mut self.activities,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.orchestrators.is_empty() && self.activities.is_empty()
    }

    pub(super) fn waiting(&self, kind: WorkKind) -> usize {
        match kind {
            WorkKind::Orchestrator => self.orchestrators.len(),
            WorkKind::Activity => self.activities.len(),
        }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.orchestrators.iter().chain(&self.activities)
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        self.of(waiting.item.kind()).push_back(waiting);
    }

    /// The oldest: somebody has room.
    pub(super) fn pop(&mut self, kind: WorkKind) -> Option<Waiting> {
        self.of(kind).pop_front()
    }

    /// Those of a key that is booked no longer.
    pub(super) fn take(&mut self, key: &Key) -> Vec<Waiting> {
        let all = core::mem::take(self.of(key.kind()));
        let (free, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|waiting| Key::of(&waiting.item) == *key);
        *self.of(key.kind()) = rest.into();
        free
    }
}
