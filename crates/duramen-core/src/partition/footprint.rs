//! How much a partition holds in memory. When nothing is outstanding, nothing is held.

use super::Partition;

/// Counts of what a partition holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Instances, and what is remembered of them until they leave.
    pub instances: usize,
    /// History events of instances.
    pub events: usize,
    /// Ids that are known to be gone before their purge is settled.
    pub tombstones: usize,
    /// Loads under way.
    pub loading: usize,
    /// Clients that wait.
    pub waiters: usize,
    /// Timers in the index.
    pub timers: usize,
    /// Things to look at again at a time.
    pub wakes: usize,
    /// Items with workers, references to episodes of instances that are not in memory, and what is
    /// remembered of either.
    pub items: usize,
    /// Items that are held.
    pub held: usize,
    /// Messages that are not acknowledged, or wait for their target.
    pub messages: usize,
    /// Changes and effects that are not durable yet.
    pub staged: usize,
}

impl Footprint {
    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Partition {
    /// What the partition holds in memory.
    pub fn footprint(&self) -> Footprint {
        let ledger = &self.ledger;
        Footprint {
            instances: self.instances.len().max(self.by_id.len()).max(self.leaving.noted()),
            events: self.instances.sum(|instance| instance.history.in_memory().len()),
            tombstones: self.leaving.tombstones(),
            loading: self.loading.len(),
            waiters: self.waiters.len().max(self.waiting_at.len()),
            timers: ledger.timers.held(),
            wakes: ledger.wakes.len(),
            items: ledger.episodes.len()
                + ledger.activities.len()
                + ledger.running.len()
                + ledger.returns.len()
                + ledger.late_items()
                + self.leaving.offered.len(),
            held: ledger.held_items.count(),
            messages: self.outbox.held(),
            staged: ledger.deltas.len()
                + ledger.held.len()
                + ledger.letters.len()
                + ledger.moved.len()
                + self.in_flight.len(),
        }
    }
}
