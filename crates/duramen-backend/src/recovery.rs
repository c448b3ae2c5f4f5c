//! From the bytes of a journal to a store that is ready to go on.

use crate::journal::{Io, Journal, JournalError, Opening, Record, SegmentSizes, Tail};
use crate::leases::Leases;
use crate::tables::{Damage, Settling};
use bytes::Bytes;
use duramen_core::ids::Position;
use duramen_core::planted::{self, Bug};

/// Why a store is not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal can be read, and its checkpoints do not fit together.
    #[error(
        "the checkpoint {number} of epoch {epoch} in batch {batch} of the journal does not fit what came before it: {damage}"
    )]
    Fold {
        /// The batch.
        batch: u64,
        /// The lease.
        epoch: u32,
        /// The checkpoint.
        number: u64,
        /// What does not fit.
        damage: Damage,
    },
}

/// Folds a journal, segment by segment, into empty tables.
pub struct Recovery {
    opening: Opening,
    leases: Leases,
    settling: Settling,
}

/// A store that was read. It may be used once `io` has been done.
pub struct Recovered {
    /// The writing end of the journal.
    pub journal: Journal,
    /// What makes durable what was read, and takes away what is not to be believed.
    pub io: Vec<Io>,
    /// The torn end that goes, if there is one.
    pub torn: Option<Tail>,
    /// The epochs that are used up.
    pub leases: Leases,
    /// The rows.
    pub settling: Settling,
}

impl Recovery {
    /// Begins.
    pub fn new(sizes: SegmentSizes) -> Self {
        Self { opening: Opening::new(Position(0), sizes), leases: Leases::default(), settling: Settling::default() }
    }

    /// Reads the segment of the next number.
    pub fn segment(&mut self, file: &str, bytes: Bytes) -> Result<(), RecoveryError> {
        for (position, record) in self.opening.segment(file, bytes)? {
            match record {
                Record::Lease { epoch, .. } => self.leases.seen(epoch),
                Record::Checkpoint { epoch, checkpoint, .. } => {
                    let number = checkpoint.number;
                    if planted::has(Bug::AppliedTwice) {
                        self.settling.durable(position, checkpoint.clone());
                    }
                    self.settling.durable(position, checkpoint);
                    let folded = self.settling.settle(position);
                    folded.map_err(|damage| RecoveryError::Fold {
                        batch: position.0,
                        epoch: epoch.0,
                        number,
                        damage,
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Decides about the end. `None` when there was no segment: the store is new.
    pub fn finish(self) -> Result<Option<Recovered>, RecoveryError> {
        let Self { opening, leases, settling } = self;
        let opened = opening.finish()?;
        Ok(opened.map(|opened| Recovered {
            journal: opened.journal,
            io: opened.io,
            torn: opened.torn,
            leases,
            settling,
        }))
    }
}
