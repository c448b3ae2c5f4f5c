//! Records: what a batch holds.
//!
//! Every record carries its kind and a version of its own. A reader that does not know them refuses
//! the store by name and skips nothing; a writer never changes what a version means.

use super::header::{BLOCK, BatchHeader};
use bytes::{Buf, Bytes};
use duramen_core::checkpoint::Checkpoint;
use duramen_core::ids::{Epoch, PartitionId, Slot};
use prost::Message;

const LEASE: u16 = 1;
const CHECKPOINT: u16 = 2;
const VERSION: u16 = 1;

/// What a batch holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A lease was given; its epoch is used up.
    Lease {
        /// To whom.
        partition: PartitionId,
        /// Its epoch.
        epoch: Epoch,
        /// Over which slots.
        slots: Vec<Slot>,
    },
    /// A checkpoint.
    Checkpoint {
        /// Whose.
        partition: PartitionId,
        /// Under which lease.
        epoch: Epoch,
        /// What changed.
        checkpoint: Checkpoint,
    },
}

/// A batch in the making: room for its header, and the records.
#[derive(Debug)]
pub struct Frame {
    pub(super) bytes: Vec<u8>,
}

impl Default for Frame {
    fn default() -> Self {
        Self { bytes: vec![0; BatchHeader::BYTES] }
    }
}

impl Frame {
    /// Empties the frame and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(BatchHeader::BYTES, 0);
    }

    /// Whether no record is in it.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == BatchHeader::BYTES
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a lease.
    pub fn lease(&mut self, partition: PartitionId, epoch: Epoch, slots: &[Slot]) {
        self.record(LEASE, partition, epoch, |bytes| bytes.extend(slots.iter().map(|slot| slot.0)));
    }

    /// Adds an encoded checkpoint.
    pub fn encoded(&mut self, partition: PartitionId, epoch: Epoch, checkpoint: &[u8]) {
        self.record(CHECKPOINT, partition, epoch, |bytes| bytes.extend_from_slice(checkpoint));
    }

    fn record(&mut self, kind: u16, partition: PartitionId, epoch: Epoch, body: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend([0; 8]);
        self.bytes.extend(partition.0.to_le_bytes());
        self.bytes.extend(epoch.0.to_le_bytes());
        body(&mut self.bytes);
        let length = u64::try_from(self.bytes.len() - start - 8).unwrap_or(u64::MAX);
        let length = u32::try_from(length).expect("a turn is limited to far less than 4 GiB");
        self.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.bytes[start + 4..start + 6].copy_from_slice(&kind.to_le_bytes());
        self.bytes[start + 6..start + 8].copy_from_slice(&VERSION.to_le_bytes());
    }

    /// Pads the batch to whole blocks and puts its header in front; gives its checksum.
    pub(super) fn seal(&mut self, mut header: BatchHeader) -> u32 {
        let body = &self.bytes[BatchHeader::BYTES..];
        header.length = body.len() as u64;
        header.body = crc32c::crc32c(body);
        let (bytes, checksum) = header.encode();
        self.bytes[..BatchHeader::BYTES].copy_from_slice(&bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        checksum
    }
}

/// Why a record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BadRecord {
    /// Its kind or version is not known.
    Newer { kind: u16, version: u16 },
    /// It is not what its length or its kind says, though the checksum of the batch holds.
    Malformed(String),
}

/// Reads the records of a batch. Payloads share the memory of the body.
pub(super) fn decode(mut body: Bytes) -> Result<Vec<Record>, BadRecord> {
    let malformed = |what: &str| BadRecord::Malformed(what.to_owned());
    let mut records = Vec::new();
    while body.has_remaining() {
        if body.len() < 16 {
            return Err(malformed("a record is cut short"));
        }
        let (length, kind, version) = (body.get_u32_le() as usize, body.get_u16_le(), body.get_u16_le());
        if length < 8 || length > body.len() {
            return Err(malformed("a record is longer than its batch"));
        }
        if version != VERSION || !matches!(kind, LEASE | CHECKPOINT) {
            return Err(BadRecord::Newer { kind, version });
        }
        let mut record = body.split_to(length);
        let (partition, epoch) = (PartitionId(record.get_u32_le()), Epoch(record.get_u32_le()));
        records.push(if kind == LEASE {
            Record::Lease { partition, epoch, slots: record.iter().copied().map(Slot).collect() }
        } else {
            let checkpoint = Checkpoint::decode(record).map_err(|error| BadRecord::Malformed(error.to_string()))?;
            Record::Checkpoint { partition, epoch, checkpoint }
        });
    }
    Ok(records)
}
