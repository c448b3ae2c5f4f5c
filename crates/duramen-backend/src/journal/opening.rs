//! Opening a journal: what is believed, what is cut, what is damage.

use super::header::{BLOCK, BatchHeader, FORMAT, SegmentHeader};
use super::record::{self, BadRecord, Record};
use super::writer::{Journal, Segment, SegmentSizes};
use super::{Io, segment_file, segment_number};
use bytes::Bytes;
use duramen_core::ids::{Position, StoreId};
use std::collections::{BTreeSet, VecDeque};

/// Why a journal is not opened. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Written by a newer version.
    #[error(
        "{file} has {what}, and this version of Duramen knows formats up to {FORMAT}; open the store with the version that wrote it, or a newer one"
    )]
    Newer {
        /// The segment's file.
        file: String,
        /// What is newer.
        what: String,
    },
    /// Something that was durable cannot be read.
    #[error(
        "{file} is damaged at byte {offset}: {what}; restore the store from a backup, or from a copy of this file, and keep the damaged one for inspection"
    )]
    Damaged {
        /// The segment's file.
        file: String,
        /// Where.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A segment of another store.
    #[error("{file} belongs to the store {found:016x}, and the others to {store:016x}; move it to where it came from")]
    Foreign {
        /// The segment's file.
        file: String,
        /// The store in its header.
        found: u64,
        /// The store of the segments before it.
        store: u64,
    },
    /// The tables are ahead of the journal.
    #[error(
        "the tables stand at batch {position}, and the journal ends with batch {last}; files of the journal are missing or older than the tables"
    )]
    Beyond {
        /// The tables' position.
        position: u64,
        /// The last batch.
        last: u64,
    },
    /// Batches between the tables and the journal are missing.
    #[error(
        "the tables stand at batch {position}, and the journal begins with batch {first}; files of the journal are missing, or the tables are older than the journal"
    )]
    Before {
        /// The tables' position.
        position: u64,
        /// The first batch that there is.
        first: u64,
    },
}

/// A torn end that was cut off, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The segment's file.
    pub file: String,
    /// Where the journal ends now.
    pub offset: u64,
    /// The first batch that is not there.
    pub batch: u64,
}

/// An opened journal.
#[derive(Debug)]
pub struct Opened {
    /// Its writing end; to be used once `io` has been done.
    pub journal: Journal,
    /// What makes durable what was believed, and takes away what was not.
    pub io: Vec<Io>,
    /// The torn end that goes, if there is one.
    pub torn: Option<Tail>,
}

/// Reads the segments of a journal in the order of their numbers.
///
/// Reading stops at the first batch that is out of chain. A good header *further on* (of this store,
/// in the segment and at the place that it names, with a higher number) that says that the missing
/// batch had been synced makes it damage; so does a position of the tables that lies there. Otherwise
/// it is the torn end of a crash: it was never acknowledged, and is cut off.
///
/// What was read behind the last batch that is known to be synced may live in the page cache alone,
/// and after a failed sync another sync proves nothing. [`Opened::io`] writes it again in place and
/// syncs it, before anybody believes it.
#[derive(Debug)]
pub struct Opening {
    position: u64,
    sizes: SegmentSizes,
    store: Option<u64>,
    segments: VecDeque<Segment>,
    /// The segment and offset behind the last good batch.
    end: Option<(u64, u64)>,
    first: Option<u64>,
    last: u64,
    checksum: u32,
    marked: bool,
    synced: u64,
    /// Batches not known to be synced.
    unsure: Vec<(u64, Io)>,
    /// The highest batch that a header beyond the end says was synced.
    claimed: u64,
    /// Ranges beyond the end that are not zero.
    waste: Vec<(u64, u64, u64)>,
    io: Vec<Io>,
}

impl Opening {
    /// Begins to open a journal whose tables stand at `position`.
    pub fn new(position: Position, sizes: SegmentSizes) -> Self {
        Self {
            position: position.0,
            sizes,
            store: None,
            segments: VecDeque::new(),
            end: None,
            first: None,
            last: 0,
            checksum: 0,
            marked: true,
            synced: 0,
            unsure: Vec::new(),
            claimed: 0,
            waste: Vec::new(),
            io: Vec::new(),
        }
    }

    /// Reads the next segment: its records, each with the position of its batch.
    pub fn segment(&mut self, file: &str, mut bytes: Bytes) -> Result<Vec<(Position, Record)>, JournalError> {
        let header = self.segment_header(file, &bytes)?;
        let number = header.number;
        if (bytes.len() as u64) < header.size {
            // Somebody cut the file. What is missing counts as zeros, and the chain says the rest.
            let missing = usize::try_from(header.size).unwrap_or(usize::MAX) - bytes.len();
            self.io.push(Io::Write {
                file: file.to_owned(),
                offset: bytes.len() as u64,
                bytes: vec![0; missing].into(),
            });
            bytes = [&bytes[..], &vec![0; missing]].concat().into();
        }
        let mut records = Vec::new();
        let mut offset = BLOCK;
        let begun = self.first.is_some();
        while let Some((batch, checksum)) = self.good_batch(number, offset, &bytes) {
            let space = batch.space() as usize;
            if batch.format > FORMAT {
                return Err(JournalError::Newer {
                    file: file.to_owned(),
                    what: format!("a batch of format {}", batch.format),
                });
            }
            let body = offset + BatchHeader::BYTES..offset + BatchHeader::BYTES + batch.length as usize;
            let read = record::decode(bytes.slice(body)).map_err(|bad| bad_record(file, offset, bad))?;
            records.extend(read.into_iter().map(|record| (Position(batch.number), record)));
            self.accept(file, offset, &batch, checksum, bytes.slice(offset..offset + space));
            offset += space;
        }
        if let (false, true, Some((segment, offset))) = (begun, offset > BLOCK && self.claimed > 0, self.end) {
            let what = "its first batch cannot be read, and a batch behind it says that it had been synced".to_owned();
            return Err(JournalError::Damaged { file: segment_file(segment), offset, what });
        }
        if offset > BLOCK || self.end.is_none() {
            // The chain has come this far, so whatever stands beyond an earlier end is no part of it.
            self.end = Some((number, offset as u64));
            self.claimed = 0;
        }
        self.look_further(number, offset, &bytes);
        self.segments.push_back(Segment { number, size: header.size, last: self.last });
        Ok(records)
    }

    /// Decides about the end. `None` when there was no segment: the store is new.
    pub fn finish(mut self) -> Result<Option<Opened>, JournalError> {
        let (Some(store), Some((segment, offset))) = (self.store, self.end) else {
            return Ok(None);
        };
        let missing = if self.first.is_some() { self.last + 1 } else { self.position.max(self.last) + 1 };
        if self.claimed >= missing {
            let what = format!("batch {missing} cannot be read, and a batch behind it says that it had been synced");
            return Err(JournalError::Damaged { file: segment_file(segment), offset, what });
        }
        if self.position >= missing || (self.first.is_none() && self.position > 0) {
            return Err(JournalError::Beyond { position: self.position, last: self.last });
        }
        if let Some(gap) = self.gap() {
            return Err(gap);
        }
        // Before the end there are only segments that were never used; what they held before is no end.
        let is_torn = self.waste.iter().any(|(wasted, ..)| *wasted >= segment);
        let torn = is_torn.then(|| Tail { file: segment_file(segment), offset, batch: missing });
        let io = self.repairs(segment);
        let split = self.segments.partition_point(|other| other.number <= segment);
        let ready = self.segments.split_off(split);
        let next_segment = ready.back().or(self.segments.back()).map_or(1, |last| last.number + 1);
        let journal = Journal {
            store: StoreId(store),
            sizes: self.sizes,
            segments: self.segments,
            ready,
            offset,
            next_segment,
            last: self.last,
            checksum: self.checksum,
            synced: self.last,
            marked: self.marked,
        };
        Ok(Some(Opened { journal, io, torn }))
    }

    /// What is wrong if the first batch that there is does not follow the tables.
    pub(crate) fn gap(&self) -> Option<JournalError> {
        let first = self.first.filter(|first| *first > self.position + 1)?;
        Some(match self.segments.front().filter(|begin| begin.last == 0) {
            Some(begin) => JournalError::Damaged {
                file: segment_file(begin.number),
                offset: BLOCK as u64,
                what: format!(
                    "batch {} cannot be read, and batch {first} follows in another segment",
                    self.position + 1
                ),
            },
            None => JournalError::Before { position: self.position, first },
        })
    }

    fn segment_header(&mut self, file: &str, bytes: &[u8]) -> Result<SegmentHeader, JournalError> {
        let damaged = |what: &str| JournalError::Damaged { file: file.to_owned(), offset: 0, what: what.to_owned() };
        let header =
            SegmentHeader::decode(bytes).ok_or_else(|| damaged("it does not begin with the header of a segment"))?;
        if header.format > FORMAT {
            return Err(JournalError::Newer { file: file.to_owned(), what: format!("the format {}", header.format) });
        }
        if segment_number(file) != Some(header.number) {
            return Err(damaged("its header names another segment than its name does"));
        }
        if self.segments.back().is_some_and(|last| last.number >= header.number) || header.size < BLOCK as u64 {
            return Err(damaged("its header makes no sense"));
        }
        let store = *self.store.get_or_insert(header.store);
        if header.store != store {
            return Err(JournalError::Foreign { file: file.to_owned(), found: header.store, store });
        }
        Ok(header)
    }

    /// The batch at this place, if it is the next of the chain.
    fn good_batch(&self, segment: u64, offset: usize, bytes: &[u8]) -> Option<(BatchHeader, u32)> {
        let (header, checksum) = self.header_at(segment, offset, bytes)?;
        let follows = match self.first {
            Some(_) => header.number == self.last + 1 && header.previous == self.checksum,
            // The batch before the first that was kept is gone.
            None => true,
        };
        let start = offset + BatchHeader::BYTES;
        let end = start.checked_add(usize::try_from(header.length).ok()?)?;
        let fits = header.space() <= (bytes.len() - offset) as u64;
        (follows && fits && crc32c::crc32c(bytes.get(start..end)?) == header.body).then_some((header, checksum))
    }

    fn header_at(&self, segment: u64, offset: usize, bytes: &[u8]) -> Option<(BatchHeader, u32)> {
        let (header, checksum) = BatchHeader::decode(bytes.get(offset..)?)?;
        let here = Some(header.store) == self.store && header.segment == segment && header.offset == offset as u64;
        here.then_some((header, checksum))
    }

    fn accept(&mut self, file: &str, offset: usize, batch: &BatchHeader, checksum: u32, bytes: Bytes) {
        self.first.get_or_insert(batch.number);
        self.last = batch.number;
        self.checksum = checksum;
        self.marked = batch.length == 0;
        if batch.synced > self.synced {
            self.synced = batch.synced;
            self.unsure.retain(|(number, _)| *number > batch.synced);
        }
        self.unsure.push((batch.number, Io::Write { file: file.to_owned(), offset: offset as u64, bytes }));
    }

    /// Looks at what stands behind the end of the chain in this segment.
    fn look_further(&mut self, segment: u64, from: usize, bytes: &Bytes) {
        let mut own = false;
        for offset in (from..bytes.len()).step_by(BLOCK) {
            if let Some((header, _)) =
                self.header_at(segment, offset, bytes).filter(|(header, _)| header.number > self.last)
            {
                self.claimed = self.claimed.max(header.synced);
                own = true;
            }
        }
        if !own {
            // No batch begins here under this segment's number: what stands here is what the file held
            // before it was used again, or the rest of a batch whose header is lost. Neither can ever be
            // taken for a batch, and the next one is written over it.
            return;
        }
        let rest = bytes.get(from..).unwrap_or(&[]);
        // Compared by blocks: most of a segment is zeros, and there may be 64 MiB of them.
        let Some(blocks) = rest.chunks(BLOCK).rposition(|block| *block != [0; BLOCK][..block.len()]) else {
            return;
        };
        let length = rest.len().min((blocks + 1) * BLOCK);
        self.waste.push((segment, from as u64, length as u64));
    }

    fn repairs(&mut self, end: u64) -> Vec<Io> {
        let mut io = std::mem::take(&mut self.io);
        io.extend(self.unsure.drain(..).map(|(_, write)| write));
        for &(segment, offset, length) in self.waste.iter().filter(|(segment, ..)| *segment >= end) {
            io.push(Io::Write { file: segment_file(segment), offset, bytes: vec![0; length as usize].into() });
        }
        let mut files: BTreeSet<_> = io
            .iter()
            .filter_map(|io| if let Io::Write { file, .. } = io { Some(file.clone()) } else { None })
            .collect();
        files.insert(segment_file(end));
        io.extend(files.into_iter().map(|file| Io::Sync { file }));
        io.push(Io::SyncFolder);
        io
    }
}

fn bad_record(file: &str, offset: usize, bad: BadRecord) -> JournalError {
    match bad {
        BadRecord::Newer { kind, version } => JournalError::Newer {
            file: file.to_owned(),
            what: format!("a record of kind {kind} and version {version}"),
        },
        BadRecord::Malformed(what) => JournalError::Damaged {
            file: file.to_owned(),
            offset: offset as u64,
            what: format!("its checksum holds, and yet {what}"),
        },
    }
}
