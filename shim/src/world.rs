//! A folder of files as one process after another sees it, without SQLite.

use crate::Faults;
use crate::file::File;
use rusqlite::ffi;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_int;
use std::io;
use std::time::Duration;

/// What happens to the files of one folder.
#[derive(Default)]
pub(crate) struct World {
    files: BTreeMap<u64, File>,
    next: u64,
    /// What a listing of the folder shows, and what it would show after a crash.
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    pub(crate) faults: Faults,
    pub(crate) syncs: u64,
    /// Whether the process has ended: nothing it asks for is done any more.
    dead: bool,
    doom: Option<Doom>,
}

/// The end of a process that is to come.
struct Doom {
    operations: u64,
    then: Box<dyn FnOnce() + Send>,
}

/// The files that are left for the next process, and what is there of them in the page cache.
pub(crate) type Left = BTreeMap<String, Vec<u8>>;

impl World {
    pub(crate) fn is_dead(&self) -> bool {
        self.dead
    }

    /// Ends the process after so many more operations that change files.
    pub(crate) fn doom(&mut self, operations: u64, then: Box<dyn FnOnce() + Send>) {
        self.doom = Some(Doom { operations, then });
    }

    /// Counts an operation, and says whether the process is still there to do it.
    fn lives(&mut self) -> bool {
        match self.doom.take() {
            Some(Doom { operations: 0, then }) => {
                self.dead = true;
                then();
            }
            Some(Doom { operations, then }) => self.doom = Some(Doom { operations: operations - 1, then }),
            None => {}
        }
        !self.dead
    }

    /// The file of a name that was just opened; `found` are its bytes if it was there before.
    pub(crate) fn open(&mut self, name: &str, found: Option<Vec<u8>>) -> u64 {
        if let Some(id) = self.names.get(name) {
            return *id;
        }
        let id = self.next;
        self.next += 1;
        // One that others put there is taken to be on disk.
        if found.is_some() {
            self.durable_names.insert(name.to_owned(), id);
        }
        self.files.insert(id, File::durable(found.unwrap_or_default()));
        self.names.insert(name.to_owned(), id);
        id
    }

    pub(crate) fn write(&mut self, id: u64, offset: usize, bytes: &[u8], perform: impl FnOnce() -> c_int) -> c_int {
        if !self.lives() || self.faults.fail_writes {
            return ffi::SQLITE_IOERR_WRITE;
        }
        let used: u64 = self.files.values().map(File::size).sum();
        let Some(file) = self.files.get_mut(&id) else { return ffi::SQLITE_IOERR_WRITE };
        let more = ((offset + bytes.len()) as u64).saturating_sub(file.size());
        if more > 0 && self.faults.capacity.is_some_and(|capacity| used + more > capacity) {
            return ffi::SQLITE_FULL;
        }
        let done = perform();
        if done == ffi::SQLITE_OK {
            file.write(offset, bytes);
        }
        done
    }

    pub(crate) fn truncate(&mut self, id: u64, size: usize, perform: impl FnOnce() -> c_int) -> c_int {
        if !self.lives() || self.faults.fail_writes {
            return ffi::SQLITE_IOERR_TRUNCATE;
        }
        let done = perform();
        if let Some(file) = self.files.get_mut(&id).filter(|_| done == ffi::SQLITE_OK) {
            file.truncate(size);
        }
        done
    }

    /// The system is not asked to sync: what is on disk is said here, and tests are quick.
    pub(crate) fn sync(&mut self, id: u64, names_too: bool) -> c_int {
        if !self.lives() {
            return ffi::SQLITE_IOERR_FSYNC;
        }
        self.syncs += 1;
        let Some(file) = self.files.get_mut(&id) else { return ffi::SQLITE_IOERR_FSYNC };
        if self.faults.fail_syncs {
            file.forget();
            return ffi::SQLITE_IOERR_FSYNC;
        }
        file.sync();
        if names_too {
            self.sync_names();
        }
        ffi::SQLITE_OK
    }

    /// Others have written a file again, with the content that it has, and synced it.
    pub(crate) fn written_again(&mut self, name: &str, read: impl FnOnce() -> io::Result<Vec<u8>>) -> io::Result<()> {
        if !self.lives() || self.faults.fail_writes || self.faults.fail_syncs {
            return Err(io::Error::other("a write or a sync that the test lets fail"));
        }
        let Some(file) = self.names.get(name).and_then(|id| self.files.get_mut(id)) else { return Ok(()) };
        *file = File::durable(read()?);
        Ok(())
    }

    pub(crate) fn delete(&mut self, name: &str, sync: bool, perform: impl FnOnce() -> c_int) -> c_int {
        if !self.lives() || self.faults.fail_writes {
            return ffi::SQLITE_IOERR_DELETE;
        }
        let done = perform();
        if done == ffi::SQLITE_OK {
            self.names.remove(name);
            if sync && self.faults.fail_syncs {
                return ffi::SQLITE_IOERR_DIR_FSYNC;
            }
            if sync {
                self.sync_names();
            }
        }
        done
    }

    pub(crate) fn slow_syncs(&self) -> Option<Duration> {
        self.faults.slow_syncs
    }

    /// A sync of the folder.
    pub(crate) fn sync_names(&mut self) {
        self.durable_names.clone_from(&self.names);
        let (files, names) = (&mut self.files, &self.names);
        files.retain(|id, _| names.values().any(|named| named == id));
    }

    /// The process ends. The page cache lives on: the next one has the same files and the same to lose.
    pub(crate) fn kill(&mut self) -> Self {
        self.dead = true;
        self.doom = None;
        Self {
            files: self.files.clone(),
            next: self.next,
            names: self.names.clone(),
            durable_names: self.durable_names.clone(),
            ..Self::default()
        }
    }

    /// The names of files that there are.
    pub(crate) fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    /// The power goes, and the process with it.
    pub(crate) fn crash(&mut self, chance: &mut dyn FnMut(u64) -> u64) -> Left {
        self.dead = true;
        self.doom = None;
        let mut names = self.durable_names.clone();
        let known: BTreeSet<_> = self.names.keys().chain(self.durable_names.keys()).cloned().collect();
        for name in known.into_iter().filter(|name| self.names.get(name) != self.durable_names.get(name)) {
            if chance(2) == 0 {
                match self.names.get(&name) {
                    Some(id) => names.insert(name, *id),
                    None => names.remove(&name),
                };
            }
        }
        let left = |(name, id)| {
            let file = self.files.get(&id).cloned().unwrap_or_default();
            (name, file.after_crash(chance))
        };
        names.into_iter().map(left).collect()
    }
}
