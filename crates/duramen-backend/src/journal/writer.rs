//! The end of the journal at which batches are written, and the life of segments.

use super::header::{BLOCK, BatchHeader, FORMAT, SegmentHeader, padded};
use super::record::Frame;
use super::{Io, segment_file};
use bytes::Bytes;
use duramen_core::ids::{Position, StoreId};
use std::collections::VecDeque;

/// How large segments are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentSizes {
    /// The first segment of a new store.
    pub first: u64,
    /// Every other one.
    pub next: u64,
}

impl Default for SegmentSizes {
    fn default() -> Self {
        Self { first: 1 << 20, next: 64 << 20 }
    }
}

/// A segment that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) size: u64,
    /// The last batch in it, or before it when it has none.
    pub(super) last: u64,
}

/// The writing end of a journal.
///
/// One batch is on its way at a time: [`batch`](Self::batch) says what to write and what to sync,
/// and [`synced`](Self::synced) that it was done. After a failure of either the journal is of no
/// use; it has to be opened again.
#[derive(Debug)]
pub struct Journal {
    pub(super) store: StoreId,
    pub(super) sizes: SegmentSizes,
    /// In order of number; the last one is being written to.
    pub(super) segments: VecDeque<Segment>,
    /// Made ahead and empty, in order of number.
    pub(super) ready: VecDeque<Segment>,
    /// Where the next batch begins in the current segment.
    pub(super) offset: u64,
    pub(super) next_segment: u64,
    /// The last batch, and its checksum.
    pub(super) last: u64,
    pub(super) checksum: u32,
    pub(super) synced: u64,
    /// Whether the last batch is an empty one: there is then nothing left to bear witness to.
    pub(super) marked: bool,
}

/// A segment that is being made ahead; give it back with [`Journal::prepared`].
#[derive(Debug)]
pub struct Plan {
    segment: Segment,
    /// What makes it.
    pub io: Vec<Io>,
}

/// A segment that is taken out of use.
#[derive(Debug)]
pub struct Recycling {
    /// What it becomes, if it stays.
    segment: Option<Segment>,
    /// What does it.
    pub io: Vec<Io>,
}

/// Empty segments that are kept: as many as settling may lag behind.
const READY: usize = 4;

impl Journal {
    /// The journal of a new store, and what makes its first segment.
    pub fn create(store: StoreId, sizes: SegmentSizes) -> (Self, Vec<Io>) {
        let mut journal = Self {
            store,
            sizes,
            segments: VecDeque::new(),
            ready: VecDeque::new(),
            offset: BLOCK as u64,
            next_segment: 1,
            last: 0,
            checksum: 0,
            synced: 0,
            // A new journal has no batch that a marker could bear witness to.
            marked: true,
        };
        let plan = journal.plan(sizes.first);
        journal.segments.push_back(plan.segment);
        (journal, plan.io)
    }

    /// The store.
    pub fn store(&self) -> StoreId {
        self.store
    }

    /// Where the journal ends.
    pub fn end(&self) -> Position {
        Position(self.last)
    }

    /// The segment that is being written to.
    pub fn segment(&self) -> u64 {
        self.current().number
    }

    /// Where all batches behind a position are, and the one at it: segments in order of number, each
    /// with how many of its bytes are to be read.
    pub fn holding(&self, position: Position) -> Vec<(u64, u64)> {
        let from = self.segments.partition_point(|segment| segment.last < position.0);
        let current = self.segment();
        let bytes = |segment: &Segment| if segment.number == current { self.offset } else { segment.size };
        self.segments.iter().skip(from).map(|segment| (segment.number, bytes(segment))).collect()
    }

    /// Whether an empty batch has been written behind the last one that is not empty.
    pub fn is_marked(&self) -> bool {
        self.marked
    }

    /// The next batch: what puts it into its place, the sync included, and its position. The frame
    /// is left empty.
    pub fn batch(&mut self, frame: &mut Frame) -> (Vec<Io>, Position) {
        let mut io = Vec::with_capacity(2);
        let space = padded(frame.len() as u64);
        if self.current().size - self.offset < space {
            self.change_segment(space, &mut io);
        }
        self.marked = frame.is_empty();
        let (segment, offset) = (self.current().number, self.offset);
        let header = BatchHeader {
            format: FORMAT,
            previous: self.checksum,
            store: self.store.0,
            segment,
            number: self.last + 1,
            offset,
            length: 0,
            synced: self.synced,
            body: 0,
        };
        self.checksum = frame.seal(header);
        self.last += 1;
        self.offset += space;
        if let Some(current) = self.segments.back_mut() {
            current.last = self.last;
        }
        let file = segment_file(segment);
        // The bytes move into the operation and no copy is made; the frame starts with a new buffer.
        let bytes = Bytes::from(std::mem::take(&mut frame.bytes));
        frame.clear();
        io.push(Io::Write { file: file.clone(), offset, bytes });
        io.push(Io::Sync { file });
        (io, Position(self.last))
    }

    /// The empty batch that says that the one before it was synced, so that damage to that one is
    /// not taken for a torn end. With a sync at a clean stop, without one after a time of quiet.
    pub fn mark(&mut self, sync: bool) -> Vec<Io> {
        let (mut io, _) = self.batch(&mut Frame::default());
        if !sync {
            io.pop();
        }
        io
    }

    /// The last batch is synced.
    pub fn synced(&mut self) {
        self.synced = self.last;
    }

    /// A segment to be made ahead, if one is wanted and none is ready.
    pub fn plan_ahead(&mut self) -> Option<Plan> {
        let current = self.current();
        let wanted = self.ready.is_empty() && self.offset > current.size / 2;
        wanted.then(|| self.plan(self.sizes.next))
    }

    /// A segment to be made, whether or not one is wanted.
    pub fn plan_next(&mut self) -> Plan {
        self.plan(self.sizes.next)
    }

    /// A segment into which the next batch fits.
    pub fn plan_for(&mut self, frame: &Frame) -> Plan {
        self.plan(self.size_for(padded(frame.len() as u64)))
    }

    fn size_for(&self, space: u64) -> u64 {
        self.sizes.next.max(space + BLOCK as u64)
    }

    /// A planned segment has been made. If a later one has come into use meanwhile it stays empty
    /// for ever, and goes when it is recycled.
    pub fn prepared(&mut self, plan: Plan) {
        self.made(plan.segment);
    }

    fn made(&mut self, made: Segment) {
        let at = self.segments.partition_point(|segment| segment.number < made.number);
        if at < self.segments.len() {
            let last = at.checked_sub(1).map_or(0, |before| self.segments[before].last);
            self.segments.insert(at, Segment { last, ..made });
        } else {
            let at = self.ready.partition_point(|segment| segment.number < made.number);
            self.ready.insert(at, made);
        }
    }

    /// Whether the next batch fits into the current segment or one that is ready.
    pub fn has_room(&self, frame: &Frame) -> bool {
        let space = padded(frame.len() as u64);
        let fits = |segment: &Segment| segment.size - BLOCK as u64 >= space;
        self.current().size - self.offset >= space || self.ready.iter().any(fits)
    }

    /// Takes the oldest segment out of use if all of its batches lie at or below a settled position:
    /// it becomes a new one that is ready to be written, or goes if there are enough of those or if it
    /// has a size of its own. A segment stays until a batch behind it is synced: a journal never loses
    /// its end. One is recycled at a time; give it back with [`Journal::recycled`].
    pub fn recycle(&mut self, settled: Position) -> Option<Recycling> {
        let oldest = *self.segments.front()?;
        if self.segments.len() < 2 || oldest.last > settled.0 || oldest.last >= self.synced {
            return None;
        }
        self.segments.pop_front();
        let file = segment_file(oldest.number);
        // Each change of a name is durable before the next: were one of them lost and a later one
        // kept, a hole would stand in the middle, or an old name on a file with a new header.
        let mut io = Vec::new();
        let segment = if oldest.size != self.sizes.next || self.ready.len() >= READY {
            io.push(Io::Remove { file });
            None
        } else {
            let segment = self.number(oldest.size);
            let unfinished = unfinished(segment.number);
            io.push(Io::Rename { from: file, to: unfinished.clone() });
            io.push(Io::SyncFolder);
            // What is left in it names the old number and counts for nothing.
            self.finish(segment, unfinished, &mut io);
            Some(segment)
        };
        io.push(Io::SyncFolder);
        Some(Recycling { segment, io })
    }

    /// What a recycling takes has been done.
    pub fn recycled(&mut self, recycling: Recycling) {
        if let Some(segment) = recycling.segment {
            self.made(segment);
        }
    }

    fn current(&self) -> Segment {
        *self.segments.back().expect("a journal always has a segment")
    }

    fn change_segment(&mut self, space: u64, io: &mut Vec<Io>) {
        if self.synced < self.last {
            // Only an empty batch can be unsynced here, and the sync of the new segment would not
            // take it along.
            io.push(Io::Sync { file: segment_file(self.current().number) });
        }
        while let Some(mut ready) = self.ready.pop_front() {
            ready.last = self.last;
            self.segments.push_back(ready);
            if ready.size - BLOCK as u64 >= space {
                self.offset = BLOCK as u64;
                return;
            }
        }
        let plan = self.plan(self.size_for(space));
        io.extend(plan.io);
        self.segments.push_back(Segment { last: self.last, ..plan.segment });
        self.offset = BLOCK as u64;
    }

    fn number(&mut self, size: u64) -> Segment {
        let number = self.next_segment;
        self.next_segment += 1;
        Segment { number, size, last: self.last }
    }

    fn plan(&mut self, size: u64) -> Plan {
        let segment = self.number(size);
        let file = unfinished(segment.number);
        let mut io = vec![Io::Create { file: file.clone(), size }];
        self.finish(segment, file, &mut io);
        io.push(Io::SyncFolder);
        Plan { segment, io }
    }

    /// Gives a file its header, and its name once the header is on disk: a file with the name of a
    /// segment always is one.
    fn finish(&self, segment: Segment, file: String, io: &mut Vec<Io>) {
        let header = SegmentHeader { format: FORMAT, store: self.store.0, number: segment.number, size: segment.size };
        io.push(Io::Write { file: file.clone(), offset: 0, bytes: Bytes::copy_from_slice(&header.encode()) });
        io.push(Io::Sync { file: file.clone() });
        io.push(Io::Rename { from: file, to: segment_file(segment.number) });
    }
}

fn unfinished(number: u64) -> String {
    format!("{number:016x}.new")
}
