//! Offers that a worker has room for and may not get, because it has not shown a token: they must
//! not stand in the way of those behind them.

use super::Offer;
use super::bookings::Key;
use crate::ids::PartitionId;
use crate::work::WorkKind;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

#[derive(Debug, Default)]
pub(super) struct Parked {
    orchestrators: VecDeque<(PartitionId, Offer)>,
    activities: VecDeque<(PartitionId, Offer)>,
}

impl Parked {
    fn of(&mut self, kind: WorkKind) -> &mut VecDeque<(PartitionId, Offer)> {
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

    pub(super) fn push(&mut self, partition: PartitionId, offer: Offer) {
        self.of(offer.item.kind()).push_back((partition, offer));
    }

    /// The oldest: somebody has room.
    pub(super) fn pop(&mut self, kind: WorkKind) -> Option<(PartitionId, Offer)> {
        self.of(kind).pop_front()
    }

    /// Those of a key that is booked no longer.
    pub(super) fn take(&mut self, key: &Key) -> Vec<(PartitionId, Offer)> {
        let all = core::mem::take(self.of(key.kind()));
        let (free, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, offer)| Key::of(&offer.item) == *key);
        *self.of(key.kind()) = rest.into();
        free
    }
}
