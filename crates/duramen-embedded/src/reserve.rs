//! Space that is kept back on the disk, so that what frees space can be written when there is no other.
//!
//! It is a file of the store's folder that holds nothing. When the disk is full it is made empty, and what it took up
//! serves the next settles; once there is space again it is filled up. A file that is there and empty says so to the
//! next opening. It is as large as the tables, up to a limit: a purge of everything changes every page of them once.

use crate::folder::Cost;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The file's name.
pub(crate) const NAME: &str = "reserve";
/// Smaller ones are not worth a file.
const LEAST: u64 = 1 << 20;

pub(crate) struct Reserve {
    /// `None` for a store that is in no folder.
    folder: Option<PathBuf>,
    most: u64,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There is none.
    Absent,
    /// So many bytes.
    Held(u64),
    /// It was let go, and the disk was full when it was last tried to have it again.
    Spent,
}

impl Reserve {
    /// That of the store in a folder, of at most so many bytes.
    pub(crate) fn look(folder: Option<&Path>, most: u64) -> Self {
        let found = folder.and_then(|folder| fs::metadata(folder.join(NAME)).ok());
        let state = match found.map(|file| file.len()) {
            None => State::Absent,
            Some(0) => State::Spent,
            Some(bytes) => State::Held(bytes),
        };
        Self { folder: folder.map(Path::to_owned), most, state: Mutex::new(state) }
    }

    /// Whether it was let go.
    pub(crate) fn is_spent(&self) -> bool {
        *self.state() == State::Spent
    }

    /// Brings it up to what belongs beside tables of so many bytes. An error leaves it as it is.
    pub(crate) fn keep(&self, tables: u64) -> io::Result<Cost> {
        let mut state = self.state();
        let Some(folder) = &self.folder else { return Ok(Cost::default()) };
        let wanted = self.most.min(tables) / LEAST * LEAST;
        let held = match *state {
            State::Absent | State::Spent => 0,
            State::Held(bytes) => bytes,
        };
        // Tables that grow are followed in large steps.
        let enough = held >= wanted || (held > 0 && wanted < self.most && wanted < held * 2);
        if enough && *state != State::Spent {
            return Ok(Cost::default());
        }
        // Spent beside tables that have become small, it has done its work.
        let wanted = wanted.max(LEAST).min(self.most);
        let cost = fill_up(&folder.join(NAME), held, wanted)?;
        *state = State::Held(wanted);
        Ok(cost)
    }

    /// Lets it go; says whether the disk has become emptier by it.
    pub(crate) fn release(&self) -> io::Result<bool> {
        let mut state = self.state();
        let (Some(folder), State::Held(_)) = (&self.folder, *state) else { return Ok(false) };
        let file = OpenOptions::new().write(true).open(folder.join(NAME))?;
        file.set_len(0)?;
        file.sync_all()?;
        *state = State::Spent;
        Ok(true)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fill_up(path: &Path, held: u64, wanted: u64) -> io::Result<Cost> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let cost = allocate(&mut file, held, wanted).inspect_err(|_| {
        // What there is of it would only be in the way of what needs it.
        let _ = file.set_len(held);
    })?;
    file.sync_all()?;
    Ok(Cost { syncs: 1, ..cost })
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn allocate(file: &mut File, held: u64, wanted: u64) -> io::Result<Cost> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;
    match fallocate(&*file, FallocateFlags::empty(), held, wanted - held) {
        Ok(()) => Ok(Cost::default()),
        // Not every file system can do it.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => write_zeros(file, wanted - held),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn allocate(file: &mut File, held: u64, wanted: u64) -> io::Result<Cost> {
    write_zeros(file, wanted - held)
}

fn write_zeros(file: &mut File, bytes: u64) -> io::Result<Cost> {
    let zeros = vec![0; LEAST as usize];
    for _ in 0..bytes / LEAST {
        file.write_all(&zeros)?;
    }
    Ok(Cost { syncs: 0, written: bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    fn held(folder: &Path) -> Option<u64> {
        fs::metadata(folder.join(NAME)).ok().map(|file| file.len())
    }

    #[test]
    fn it_follows_the_tables_up_to_its_limit() {
        let folder = tempfile::tempdir().expect("there is a place for temporary files");
        let reserve = Reserve::look(Some(folder.path()), 8 * MB);
        for (tables, wanted) in [
            (MB - 1, None),
            (2 * MB, Some(2 * MB)),
            (3 * MB, Some(2 * MB)),
            (4 * MB + 5, Some(4 * MB)),
            (7 * MB, Some(4 * MB)),
            (100 * MB, Some(8 * MB)),
            (MB, Some(8 * MB)),
        ] {
            reserve.keep(tables).expect("there is space");
            assert_eq!(held(folder.path()), wanted, "beside {tables}");
        }
    }

    #[test]
    fn it_is_let_go_once_and_the_next_opening_knows() {
        let folder = tempfile::tempdir().expect("there is a place for temporary files");
        let reserve = Reserve::look(Some(folder.path()), 8 * MB);
        assert!(!reserve.release().expect("there is none"));
        assert!(!reserve.is_spent());
        reserve.keep(8 * MB).expect("there is space");
        assert!(reserve.release().expect("it is there") && !reserve.release().expect("it is gone"));
        let reserve = Reserve::look(Some(folder.path()), 8 * MB);
        assert!(reserve.is_spent());
        reserve.keep(0).expect("there is space");
        assert!(!reserve.is_spent() && held(folder.path()) == Some(MB));
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let folder = tempfile::tempdir().expect("there is a place for temporary files");
        let path = folder.path().join(NAME);
        fill_up(&path, 0, MB).expect("there is space");
        let error = fill_up(&path, MB, 1 << 55).expect_err("no disk is so large");
        assert_eq!(held(folder.path()), Some(MB), "{error}");
    }

    #[test]
    fn zeros_are_written_where_nothing_else_can_be_done() {
        let folder = tempfile::tempdir().expect("there is a place for temporary files");
        let mut file = File::create(folder.path().join(NAME)).expect("it can be made");
        assert_eq!(write_zeros(&mut file, 3 * MB).expect("there is space"), Cost { syncs: 0, written: 3 * MB });
        assert_eq!(held(folder.path()), Some(3 * MB));
    }
}
