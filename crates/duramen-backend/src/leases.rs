//! Who may write: one writer per slot, under an epoch that no other has (invariant 3).

use duramen_core::ids::{Epoch, PartitionId, Slot};
use duramen_core::planted::{self, Bug};
use std::collections::HashMap;

/// The leases of one store. Epochs come from one counter, so an epoch alone names a lease.
pub struct Leases {
    newest: u32,
    /// The epoch that holds each slot; 0 for none.
    holders: [u32; Slot::COUNT],
    live: HashMap<u32, Lease>,
}

struct Lease {
    partition: PartitionId,
    last: u64,
}

impl Default for Leases {
    fn default() -> Self {
        Self { newest: 0, holders: [0; Slot::COUNT], live: HashMap::new() }
    }
}

impl Leases {
    /// The epoch that the next lease gets; `None` when there are no more.
    pub fn next_epoch(&self) -> Option<Epoch> {
        (self.newest < Epoch::MAX).then(|| Epoch(self.newest + 1))
    }

    /// Notes an epoch of an earlier process, so that it is never given again.
    pub fn seen(&mut self, epoch: Epoch) {
        self.newest = self.newest.max(epoch.0);
    }

    /// Gives the slots to a partition. What held any of them before has lost its lease.
    pub fn grant(&mut self, partition: PartitionId, epoch: Epoch, slots: &[Slot]) {
        self.seen(epoch);
        for slot in slots {
            let holder = std::mem::replace(&mut self.holders[usize::from(slot.0)], epoch.0);
            self.live.remove(&holder);
        }
        self.live.insert(epoch.0, Lease { partition, last: 0 });
    }

    /// Lets the checkpoint with this number in, or says why not.
    pub fn admit(&mut self, partition: PartitionId, epoch: Epoch, number: u64) -> Result<(), String> {
        match self.live.get_mut(&epoch.0) {
            Some(lease) if lease.partition != partition => {
                Err(format!("epoch {} belongs to partition {}, not to {}", epoch.0, lease.partition.0, partition.0))
            }
            Some(lease) if number == lease.last + 1 => {
                lease.last = number;
                Ok(())
            }
            Some(lease) => Err(format!("checkpoint {number} of epoch {} does not follow {}", epoch.0, lease.last)),
            None if planted::has(Bug::DeposedAppend) => Ok(()),
            None => Err(format!("epoch {} is not the newest of its slots; another owner has taken them", epoch.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: PartitionId = PartitionId(1);

    #[test]
    fn a_lease_over_one_shared_slot_ends_the_whole_lease_before_it() {
        let mut leases = Leases::default();
        leases.grant(ONE, Epoch(1), &[Slot(1), Slot(2)]);
        leases.grant(PartitionId(2), Epoch(2), &[Slot(2), Slot(3)]);
        assert!(leases.admit(ONE, Epoch(1), 1).is_err());
        assert!(leases.admit(PartitionId(2), Epoch(2), 1).is_ok());
    }

    #[test]
    fn numbers_have_no_gap_and_no_repeat() {
        let mut leases = Leases::default();
        leases.grant(ONE, Epoch(5), &[Slot(0)]);
        assert!(leases.admit(ONE, Epoch(5), 2).is_err());
        assert!(leases.admit(ONE, Epoch(5), 1).is_ok());
        assert!(leases.admit(ONE, Epoch(5), 1).is_err());
        assert!(leases.admit(ONE, Epoch(5), 2).is_ok());
        assert!(leases.admit(PartitionId(2), Epoch(5), 3).is_err());
        assert_eq!(leases.next_epoch(), Some(Epoch(6)));
    }
}
