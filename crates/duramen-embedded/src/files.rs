//! The files under the journal, and what is counted about them.

use crate::folder::{Cost, Folder};
use bytes::Bytes;
use duramen_backend::Failure;
#[cfg(test)]
use duramen_backend::disk::Disk;
use duramen_backend::journal::Io;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a store has asked of the file system since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls that sync a file or a folder.
    pub syncs: u64,
    /// Bytes written, the zeros of new segments among them.
    pub written_bytes: u64,
    /// How often what was durable was settled.
    pub settles: u64,
    /// The position in the journal that the tables stand for.
    pub settled_position: u64,
    /// Bytes of checkpoints that are durable and not settled.
    pub unsettled_bytes: u64,
    /// The most of them that there ever were.
    pub unsettled_bytes_max: u64,
    /// Whether the disk is full: settling waits for space, or what was kept back is in use.
    pub no_space: bool,
    /// How long writing and syncing a batch took since the store was opened: 999 in 1,000 took no longer.
    pub batch_p999: Duration,
    /// The longest of them.
    pub batch_max: Duration,
}

/// The files of a journal.
#[derive(Debug)]
pub(crate) struct Files {
    place: Place,
    syncs: AtomicU64,
    written: AtomicU64,
}

/// An operation that failed.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) failure: Failure,
    /// Whether there was no space for it.
    pub(crate) full: bool,
}

/// Where the files are.
#[derive(Debug)]
pub(crate) enum Place {
    Folder(Folder),
    /// A disk of which a test says what goes wrong.
    #[cfg(test)]
    Simulated(Disk),
}

impl Files {
    pub(crate) fn new(place: Place) -> Self {
        Self { place, syncs: AtomicU64::new(0), written: AtomicU64::new(0) }
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters {
            syncs: self.syncs.load(Ordering::Relaxed),
            written_bytes: self.written.load(Ordering::Relaxed),
            ..Counters::default()
        }
    }

    pub(crate) fn list(&self) -> io::Result<Vec<String>> {
        match &self.place {
            Place::Folder(folder) => folder.list(),
            #[cfg(test)]
            Place::Simulated(disk) => Ok(disk.list()),
        }
    }

    pub(crate) fn read(&self, file: &str) -> io::Result<Bytes> {
        match &self.place {
            Place::Folder(folder) => folder.read(file),
            #[cfg(test)]
            Place::Simulated(disk) => disk.read(file),
        }
    }

    /// Carries out operations in order, up to the first that fails.
    pub(crate) fn perform<'a>(&self, io: impl IntoIterator<Item = &'a Io>) -> Result<(), Failure> {
        self.attempt(io).map_err(|refused| refused.failure)
    }

    /// The same, for whoever can do something about a full disk.
    pub(crate) fn attempt<'a>(&self, io: impl IntoIterator<Item = &'a Io>) -> Result<(), Refused> {
        io.into_iter().try_for_each(|io| {
            let cost = match &self.place {
                Place::Folder(folder) => folder.perform(io),
                #[cfg(test)]
                Place::Simulated(disk) => disk.perform(io).map(|()| simulated_cost(io)),
            };
            self.count(cost.map_err(|error| Refused {
                failure: self.failure(io, &error),
                full: matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded),
            })?);
            Ok(())
        })
    }

    /// Counts what was done to a file that is not one of the journal.
    pub(crate) fn count(&self, cost: Cost) {
        self.syncs.fetch_add(cost.syncs, Ordering::Relaxed);
        self.written.fetch_add(cost.written, Ordering::Relaxed);
    }

    /// The folder, if they are in one.
    pub(crate) fn folder(&self) -> Option<&Folder> {
        match &self.place {
            Place::Folder(folder) => Some(folder),
            #[cfg(test)]
            Place::Simulated(_) => None,
        }
    }

    /// Lets another process have the files.
    pub(crate) fn release(&self) {
        match &self.place {
            Place::Folder(folder) => folder.release(),
            #[cfg(test)]
            Place::Simulated(_) => {}
        }
    }

    /// The name under which a user finds a file.
    pub(crate) fn name(&self, file: &str) -> String {
        match &self.place {
            Place::Folder(folder) => folder.path(file).display().to_string(),
            #[cfg(test)]
            Place::Simulated(_) => file.to_owned(),
        }
    }

    fn failure(&self, io: &Io, error: &io::Error) -> Failure {
        let (what, file) = match io {
            Io::Create { file, size } => (format!("make and fill {size} bytes of"), file.as_str()),
            Io::Write { file, offset, bytes } => (format!("write {} bytes at {offset} of", bytes.len()), file.as_str()),
            Io::Sync { file } => ("sync".to_owned(), file.as_str()),
            Io::Rename { from, to } => (format!("give the name {to} to"), from.as_str()),
            Io::Remove { file } => ("remove".to_owned(), file.as_str()),
            Io::SyncFolder => ("sync the folder".to_owned(), ""),
        };
        Failure { what: format!("failed to {what} {}", self.name(file)), reason: error.to_string() }
    }
}

#[cfg(test)]
fn simulated_cost(io: &Io) -> Cost {
    match io {
        Io::Create { size, .. } => Cost { syncs: 1, written: *size },
        Io::Write { bytes, .. } => Cost { syncs: 0, written: bytes.len() as u64 },
        Io::Sync { .. } | Io::SyncFolder => Cost { syncs: 1, written: 0 },
        Io::Rename { .. } | Io::Remove { .. } => Cost::default(),
    }
}
