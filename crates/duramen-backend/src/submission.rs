//! What was submitted to a store and waits for its batch.
//!
//! Shared by the backends that have a journal: one batch is on its way at a time, and everything
//! that comes meanwhile goes into the next.

use crate::Failure;
use crate::journal::Frame;
use crate::leases::Leases;
use duramen_core::checkpoint::Checkpoint;
use duramen_core::ids::{Epoch, PartitionId, Slot};
use prost::Message;
use std::collections::VecDeque;

/// Bytes after which a batch takes no further record. It keeps a batch well within a segment, and a
/// sync from taking long for those who wait for the first of it.
pub const BATCH_BYTES: usize = 8 << 20;

/// Something submitted, in the place where its answer belongs.
#[derive(Debug)]
pub enum Submitted {
    /// A lease to be made durable.
    Lease {
        /// For whom.
        partition: PartitionId,
        /// The epoch that it has.
        epoch: Epoch,
        /// Over which slots.
        slots: Vec<Slot>,
    },
    /// A checkpoint to be made durable.
    Append {
        /// Whose.
        partition: PartitionId,
        /// Under which lease.
        epoch: Epoch,
        /// What changed.
        checkpoint: Encoded,
    },
    /// An append that is not accepted; said in its turn.
    Refused {
        /// Whose.
        partition: PartitionId,
        /// Under which lease.
        epoch: Epoch,
        /// Which.
        number: u64,
        /// Why.
        reason: String,
    },
}

/// A checkpoint as it will stand in the journal. It is encoded by the thread that made it, which also
/// lets go of its parts: they are many, and freeing what another thread is just allocating makes the
/// two wait for each other.
#[derive(Debug)]
pub struct Encoded {
    pub(crate) number: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Encoded {
    /// Its bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has none, which no checkpoint of an owner has.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl From<Checkpoint> for Encoded {
    fn from(checkpoint: Checkpoint) -> Self {
        Self { number: checkpoint.number, bytes: checkpoint.encode_to_vec() }
    }
}

/// The queue in front of the journal, and the fence.
pub struct Queue {
    leases: Leases,
    waiting: VecDeque<Submitted>,
}

impl Queue {
    /// An empty queue of a store whose epochs so far are known.
    pub fn new(leases: Leases) -> Self {
        Self { leases, waiting: VecDeque::new() }
    }

    /// Takes the request for a lease. The lease before it is over at once.
    pub fn acquire(&mut self, partition: PartitionId, slots: Vec<Slot>) -> Result<(), Failure> {
        let epoch = self.leases.next_epoch().ok_or_else(|| Failure {
            what: "failed to give out a lease".into(),
            reason: format!("all {} epochs of the store are used up", Epoch::MAX),
        })?;
        self.leases.grant(partition, epoch, &slots);
        self.waiting.push_back(Submitted::Lease { partition, epoch, slots });
        Ok(())
    }

    /// Takes checkpoints, or the fact that one is refused.
    pub fn append(&mut self, partition: PartitionId, epoch: Epoch, checkpoints: Vec<Encoded>) {
        for checkpoint in checkpoints {
            let number = checkpoint.number;
            self.waiting.push_back(match self.leases.admit(partition, epoch, number) {
                Ok(()) => Submitted::Append { partition, epoch, checkpoint },
                Err(reason) => Submitted::Refused { partition, epoch, number, reason },
            });
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes everything that waits.
    pub fn take(&mut self) -> VecDeque<Submitted> {
        std::mem::take(&mut self.waiting)
    }

    /// Puts back what did not go into a batch, in front of what came meanwhile.
    pub fn put_back(&mut self, mut rest: VecDeque<Submitted>) {
        if !rest.is_empty() {
            rest.append(&mut self.waiting);
            self.waiting = rest;
        }
    }
}

/// Moves what goes into the next batch from the front of what waits into its frame, and gives it back
/// for its answers.
pub fn fill(waiting: &mut VecDeque<Submitted>, frame: &mut Frame) -> Vec<Submitted> {
    let mut batch = Vec::with_capacity(waiting.len());
    while let Some(next) = waiting.pop_front() {
        encode(&next, frame);
        batch.push(next);
        if frame.len() >= BATCH_BYTES {
            break;
        }
    }
    batch
}

fn encode(submitted: &Submitted, frame: &mut Frame) {
    match submitted {
        Submitted::Lease { partition, epoch, slots } => frame.lease(*partition, *epoch, slots),
        Submitted::Append { partition, epoch, checkpoint } => frame.encoded(*partition, *epoch, &checkpoint.bytes),
        Submitted::Refused { .. } => {}
    }
}
