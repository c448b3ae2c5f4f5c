//! The journal: the truth of a store, as pure code.
//!
//! Nothing here touches a file. [`Journal`] says what is to be written as a list of [`Io`], and
//! [`Opening`] is fed the bytes of one segment after the other; whoever has files, real or simulated
//! ones, carries out the one and reads the other.
//!
//! ```text
//! segment  ┌ segment header ┬ batch ┬ batch ┬ batch ┬ zeros …            ┐   numbered files, never
//! (file)   │ 512 bytes      │ each at a 512-byte boundary, zero-padded  │   a number twice
//!          └────────────────┴───────┴───────┴───────┴────────────────────┘
//! batch      header (chained to the batch before) · records
//! record     length · kind · version · body
//! ```
//!
//! A batch is believed when its header stands where it says it stands, names this store and this
//! segment, follows the batch before it in number and checksum, and its body has its checksum.
//! Reading stops at the first that is not. Whether that is the torn end of a crash or damage is
//! decided by what stands further on: see [`Opening`].

mod header;
mod opening;
mod record;
#[cfg(test)]
mod tests;
mod writer;

pub use header::{BLOCK, BatchHeader, FORMAT, SegmentHeader};
pub use opening::{JournalError, Opened, Opening, Tail};
pub use record::{Frame, Record};
pub use writer::{Journal, Plan, Recycling, SegmentSizes};

use bytes::Bytes;

/// Something to be done to the files of a journal, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Io {
    /// Make a file of this size, filled with zeros, and sync it; replace one that is there.
    Create {
        /// The file.
        file: String,
        /// Bytes.
        size: u64,
    },
    /// Write bytes.
    Write {
        /// The file.
        file: String,
        /// Where.
        offset: u64,
        /// What.
        bytes: Bytes,
    },
    /// Sync the data of a file.
    Sync {
        /// The file.
        file: String,
    },
    /// Rename a file, over one that is there.
    Rename {
        /// The file.
        from: String,
        /// Its new name.
        to: String,
    },
    /// Remove a file.
    Remove {
        /// The file.
        file: String,
    },
    /// Sync the directory that the files are in.
    SyncFolder,
}

/// The name of the file of a segment.
pub fn segment_file(number: u64) -> String {
    format!("{number:016x}.segment")
}

/// The number of the segment in a file of this name, if it is one.
pub fn segment_number(file: &str) -> Option<u64> {
    let digits = file.strip_suffix(".segment")?;
    u64::from_str_radix(digits, 16).ok().filter(|number| segment_file(*number) == file)
}

/// Whether a file of this name is a segment that was being made and has never been used.
pub fn is_unfinished(file: &str) -> bool {
    file.ends_with(".new")
}
