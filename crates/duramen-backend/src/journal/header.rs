//! The headers of segments and batches.
//!
//! Both keep this layout in every version of the format, so that an old reader can tell newer data
//! from damage. All numbers are little-endian.

/// Bytes that a disk writes whole or not at all: everything in a segment begins at a multiple.
pub const BLOCK: usize = 512;
/// The version of the format that is written. Readers know all versions up to it.
pub const FORMAT: u32 = 1;

const SEGMENT_MAGIC: [u8; 8] = *b"DURAMSEG";
const BATCH_MAGIC: [u8; 8] = *b"DURAMBAT";

/// What stands in the first block of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The version of the format.
    pub format: u32,
    /// The store.
    pub store: u64,
    /// The segment's number, never used again.
    pub number: u64,
    /// Bytes of the whole segment.
    pub size: u64,
}

impl SegmentHeader {
    /// The first block of the segment.
    pub fn encode(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let mut at = Cursor { bytes: &mut block, at: 0 };
        at.put(&SEGMENT_MAGIC);
        at.put(&self.format.to_le_bytes());
        at.put(&0u32.to_le_bytes());
        at.put(&self.store.to_le_bytes());
        at.put(&self.number.to_le_bytes());
        at.put(&self.size.to_le_bytes());
        at.seal();
        block
    }

    /// The header at the beginning of these bytes, if a good one is there.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (mut from, sealed) = Reader::open(bytes, SEGMENT_MAGIC, 40)?;
        let format = from.u32();
        from.u32();
        sealed.then(|| Self { format, store: from.u64(), number: from.u64(), size: from.u64() })
    }
}

/// What stands in front of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The version of the format.
    pub format: u32,
    /// The checksum of the batch before: its header's, which covers that of its body.
    pub previous: u32,
    /// The store.
    pub store: u64,
    /// The segment in which it was written.
    pub segment: u64,
    /// Counts all batches of the store, from 1.
    pub number: u64,
    /// Where in the segment it was written.
    pub offset: u64,
    /// Bytes of the body.
    pub length: u64,
    /// The highest batch that was known to be synced.
    pub synced: u64,
    /// The CRC-32C of the body.
    pub body: u32,
}

impl BatchHeader {
    /// Bytes of an encoded header; the body follows.
    pub const BYTES: usize = 72;

    /// The encoded header, and its checksum for the next batch.
    pub fn encode(&self) -> ([u8; Self::BYTES], u32) {
        let mut bytes = [0; Self::BYTES];
        let mut at = Cursor { bytes: &mut bytes, at: 0 };
        at.put(&BATCH_MAGIC);
        at.put(&self.format.to_le_bytes());
        at.put(&self.previous.to_le_bytes());
        for number in [self.store, self.segment, self.number, self.offset, self.length, self.synced] {
            at.put(&number.to_le_bytes());
        }
        at.put(&self.body.to_le_bytes());
        let checksum = at.seal();
        (bytes, checksum)
    }

    /// The header at the beginning of these bytes and its checksum, if a good one is there.
    pub fn decode(bytes: &[u8]) -> Option<(Self, u32)> {
        let (mut from, sealed) = Reader::open(bytes, BATCH_MAGIC, Self::BYTES - 4)?;
        if !sealed {
            return None;
        }
        let header = Self {
            format: from.u32(),
            previous: from.u32(),
            store: from.u64(),
            segment: from.u64(),
            number: from.u64(),
            offset: from.u64(),
            length: from.u64(),
            synced: from.u64(),
            body: from.u32(),
        };
        Some((header, from.u32()))
    }

    /// Bytes that the batch takes up in its segment.
    pub fn space(&self) -> u64 {
        padded((Self::BYTES as u64).saturating_add(self.length))
    }
}

/// Rounds up to a multiple of [`BLOCK`].
pub(super) fn padded(bytes: u64) -> u64 {
    bytes.checked_next_multiple_of(BLOCK as u64).unwrap_or(u64::MAX)
}

struct Cursor<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Cursor<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn seal(&mut self) -> u32 {
        let checksum = crc32c::crc32c(&self.bytes[..self.at]);
        self.put(&checksum.to_le_bytes());
        checksum
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A reader behind the magic, and whether the checksum at `sealed` holds.
    fn open(bytes: &'a [u8], magic: [u8; 8], sealed: usize) -> Option<(Self, bool)> {
        if bytes.len() < sealed + 4 || bytes[..8] != magic {
            return None;
        }
        let good = Reader(&bytes[sealed..]).u32() == crc32c::crc32c(&bytes[..sealed]);
        Some((Self(&bytes[8..sealed + 4]), good))
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_first_chunk().expect("the length was checked when the reader was made");
        self.0 = rest;
        *taken
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_and_no_flipped_bit_goes_unseen() {
        let segment = SegmentHeader { format: FORMAT, store: 7, number: 3, size: 1 << 20 };
        let batch = BatchHeader {
            format: FORMAT,
            previous: 1,
            store: 2,
            segment: 3,
            number: 4,
            offset: 5,
            length: 6,
            synced: 7,
            body: 8,
        };
        let (bytes, checksum) = batch.encode();
        assert_eq!(SegmentHeader::decode(&segment.encode()), Some(segment));
        assert_eq!(BatchHeader::decode(&bytes), Some((batch, checksum)));
        for bit in 0..BatchHeader::BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(BatchHeader::decode(&flipped), None, "bit {bit}");
        }
        for bit in 0..44 * 8 {
            let mut flipped = segment.encode();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&flipped), None, "bit {bit}");
        }
        assert_eq!(BatchHeader::decode(&bytes[..BatchHeader::BYTES - 1]), None);
    }
}
