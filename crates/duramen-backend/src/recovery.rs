//! From the bytes of a journal, and the rows beside it, to a store that is ready to go on.

use crate::Damage;
use crate::journal::{Io, Journal, JournalError, Opening, Record, SegmentSizes, Tail};
use crate::leases::Leases;
use crate::rows::{Rows, RowsError, Standing};
use crate::settler::Settler;
use bytes::Bytes;
use duramen_core::ids::{Epoch, Position, StoreId};
use duramen_core::planted::{self, Bug};

/// Why a store is not opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal can be read, and its checkpoints do not fit together, or not the tables.
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
    /// The tables cannot be read.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// Tables and journal are of two stores.
    #[error(
        "the tables belong to the store {tables:016x}, and the journal to {journal:016x}; one of the two was put here from elsewhere"
    )]
    Strangers {
        /// The store of the tables.
        tables: u64,
        /// The store of the journal.
        journal: u64,
    },
    /// There are tables, and no journal.
    #[error(
        "the tables stand at batch {position} of a journal, and there is no journal; put its files back, or restore the store from a backup"
    )]
    NoJournal {
        /// The tables' position.
        position: u64,
    },
}

/// Reads a journal, segment by segment, and folds what the rows do not hold yet.
pub struct Recovery<R> {
    opening: Opening,
    leases: Leases,
    settler: Settler<R>,
    standing: Option<Standing>,
}

/// A store that was read. It may be used once `io` has been done and what was folded is settled.
pub struct Recovered<R> {
    /// The writing end of the journal.
    pub journal: Journal,
    /// What makes durable what was read, and takes away what is not to be believed.
    pub io: Vec<Io>,
    /// The torn end that goes, if there is one.
    pub torn: Option<Tail>,
    /// The epochs that are used up.
    pub leases: Leases,
    /// The rest of the store, with all that was durable folded.
    pub settler: Settler<R>,
}

impl<R: Rows> Recovery<R> {
    /// Begins, with the rows that are there.
    pub fn new(rows: R, sizes: SegmentSizes) -> Result<Self, RecoveryError> {
        let standing = rows.standing()?;
        let begin = standing.unwrap_or(Standing { store: StoreId(0), position: Position(0), epoch: Epoch(0) });
        let mut leases = Leases::default();
        leases.seen(begin.epoch);
        let opening = Opening::new(begin.position, sizes);
        Ok(Self { opening, leases, settler: Settler::new(rows, begin), standing })
    }

    /// Reads the segment of the next number.
    pub fn segment(&mut self, file: &str, bytes: Bytes) -> Result<(), RecoveryError> {
        let settled = self.standing.map_or(Position(0), |standing| standing.position);
        let records = self.opening.segment(file, bytes)?;
        if let Some(gap) = self.opening.gap() {
            // Nothing behind it fits the tables.
            return Err(gap.into());
        }
        for (position, record) in records {
            if position <= settled && !planted::has(Bug::AppliedTwice) {
                continue;
            }
            match record {
                Record::Lease { epoch, .. } => {
                    self.leases.seen(epoch);
                    self.settler.recover_lease(position, epoch);
                }
                Record::Checkpoint { epoch, checkpoint, .. } => {
                    let number = checkpoint.number;
                    self.settler.recover(position, epoch, checkpoint).map_err(|error| match error {
                        RowsError::Damage(damage) => {
                            RecoveryError::Fold { batch: position.0, epoch: epoch.0, number, damage }
                        }
                        error => error.into(),
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Decides about the end. Where there is no segment, the store is new: `create` makes it.
    pub fn finish(self, create: impl FnOnce() -> (Journal, Vec<Io>)) -> Result<Recovered<R>, RecoveryError> {
        let Self { opening, leases, settler, standing } = self;
        let (journal, io, torn) = match (opening.finish()?, standing) {
            (Some(opened), _) => (opened.journal, opened.io, opened.torn),
            (None, None) => {
                let (journal, io) = create();
                (journal, io, None)
            }
            (None, Some(standing)) => return Err(RecoveryError::NoJournal { position: standing.position.0 }),
        };
        if let Some(tables) = standing.map(|standing| standing.store).filter(|store| *store != journal.store()) {
            return Err(RecoveryError::Strangers { tables: tables.0, journal: journal.store().0 });
        }
        settler.belongs_to(journal.store());
        Ok(Recovered { journal, io, torn, leases, settler })
    }
}
