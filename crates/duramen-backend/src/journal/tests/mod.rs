mod damage;
mod life;
mod torn;

use super::{Frame, Io, Journal, JournalError, Opened, Opening, Record, SegmentSizes, is_unfinished, segment_number};
use crate::disk::Disk;
use bytes::Bytes;
use duramen_core::checkpoint::{Arrived, Change, Checkpoint, Delta};
use duramen_core::ids::{Epoch, PartitionId, Position, StoreId};

const SIZES: SegmentSizes = SegmentSizes { first: 4_096, next: 8_192 };

/// A journal on a simulated disk, and nothing else.
struct Rig {
    disk: Disk,
    journal: Journal,
    /// The payload of each batch, as it was believed to be durable; `None` for a mark.
    written: Vec<(Position, Option<Bytes>)>,
}

impl Rig {
    fn new() -> Self {
        let disk = Disk::new();
        let (journal, io) = Journal::create(StoreId(7), SIZES);
        perform(&disk, &io);
        Self { disk, journal, written: Vec::new() }
    }

    /// Writes and syncs a batch with a payload of this many bytes.
    fn write(&mut self, bytes: usize) {
        let payload = payload(self.written.len() as u64, bytes);
        let mut frame = frame(payload.clone());
        let (io, position) = self.journal.batch(&mut frame);
        perform(&self.disk, &io);
        self.journal.synced();
        self.written.push((position, Some(payload)));
    }

    fn mark(&mut self) {
        let io = self.journal.mark(true);
        perform(&self.disk, &io);
        self.written.push((self.journal.end(), None));
    }

    /// What must be read when only this many batches are there.
    fn records(&self, batches: usize) -> Vec<(Position, Bytes)> {
        self.written[..batches].iter().filter_map(|(position, payload)| Some((*position, payload.clone()?))).collect()
    }
}

/// A batch of one checkpoint.
fn frame(payload: Bytes) -> Frame {
    let mut frame = Frame::default();
    frame.encoded(PartitionId(0), Epoch(1), &prost::Message::encode_to_vec(&checkpoint(payload)));
    frame
}

fn perform(disk: &Disk, io: &[Io]) {
    io.iter().try_for_each(|io| disk.perform(io)).expect("the disk works");
}

fn payload(seed: u64, bytes: usize) -> Bytes {
    let byte = |at: usize| (at as u64).wrapping_mul(0x9e37_79b9).wrapping_add(seed << 8).to_le_bytes()[1] | 1;
    (0..bytes).map(byte).collect()
}

fn checkpoint(event: Bytes) -> Checkpoint {
    let change = Some(Change::Arrived(Arrived { birth: 1, run: 1, sequence: 0, event }));
    Checkpoint { number: 1, deltas: vec![Delta { change }] }
}

/// Reads a journal whose tables stand at this position, and makes durable what it believes.
fn open_at(disk: &Disk, position: Position) -> Result<(Vec<(Position, Bytes)>, Opened), JournalError> {
    let mut opening = Opening::new(position, SIZES);
    let mut records = Vec::new();
    for file in disk.list().into_iter().filter(|file| !is_unfinished(file)) {
        segment_number(&file).expect("there is nothing else");
        let read = opening.segment(&file, disk.read(&file).expect("it is there"))?;
        records.extend(read.into_iter().map(|(position, record)| match record {
            Record::Checkpoint { checkpoint, .. } => {
                match checkpoint.deltas.into_iter().next().and_then(|delta| delta.change) {
                    Some(Change::Arrived(arrived)) => (position, arrived.event),
                    other => panic!("not written: {other:?}"),
                }
            }
            Record::Lease { .. } => panic!("no lease was written"),
        }));
    }
    let opened = opening.finish()?.expect("there is a segment");
    perform(disk, &opened.io);
    Ok((records, opened))
}

fn open(disk: &Disk) -> Result<(Vec<(Position, Bytes)>, Opened), JournalError> {
    open_at(disk, Position(0))
}
