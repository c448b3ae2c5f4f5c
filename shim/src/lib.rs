//! A file layer under SQLite on which a test can pull the plug.
//!
//! ```text
//! SQLite ─► vfs, methods ─► the system's files, in a folder of the test: the page cache
//!               │
//!               └─► World: what of it is on disk, what was done since the last sync, what fails
//! ```
//!
//! [`Shim::new`] takes a folder under its eye: every database that is opened in it from then on, by
//! whatever code, is watched. What SQLite writes goes to real files, so that locks, shared memory and
//! several connections are as they always are; what would be left of it is known beside them. A
//! process ends with [`kill`](Shim::kill) (its page cache lives on) or [`crash`](Shim::crash) (what was
//! not synced is lost, kept or torn, sector by sector); what is left is put into another folder, which
//! the next process opens. The connections of the ended one get nothing but errors.
//!
//! Databases outside of watched folders, and temporary files, are left alone. A file becomes durable
//! with SQLite's own syncs, a name with SQLite's own syncs of its folder.
//!
//! This crate is for tests, and the only one with unsafe code: SQLite asks for C functions.

mod chance;
mod file;
mod methods;
#[cfg(test)]
mod tests;
mod vfs;
mod world;

pub use chance::Chance;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fs, io};
use world::World;

/// What goes wrong from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Every write, truncation and removal fails and changes nothing.
    pub fail_writes: bool,
    /// Every sync fails. What it should have made durable stays in the page cache, which forgets that
    /// it is not on disk: a later sync succeeds and writes nothing of it.
    pub fail_syncs: bool,
    /// Bytes that the files may have in all; a write that would exceed them finds no space.
    pub capacity: Option<u64>,
    /// How long each sync takes.
    pub slow_syncs: Option<Duration>,
}

/// A watched folder, as one process sees it. Clones are the same folder and process.
#[derive(Clone)]
pub struct Shim {
    folder: PathBuf,
    world: Arc<Mutex<World>>,
}

impl Shim {
    /// Watches the databases in a folder. Those that are there are taken to be on disk.
    ///
    /// # Errors
    ///
    /// The folder is not there.
    pub fn new(folder: impl AsRef<Path>) -> io::Result<Self> {
        Self::over(folder.as_ref(), World::default())
    }

    fn over(folder: &Path, world: World) -> io::Result<Self> {
        let shim = Self { folder: folder.canonicalize()?, world: Arc::new(Mutex::new(world)) };
        vfs::watch(&shim.folder, &shim.world);
        Ok(shim)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Switches faults on or off.
    pub fn set_faults(&self, faults: Faults) {
        self.world().faults = faults;
    }

    /// How many syncs of files there were.
    pub fn syncs(&self) -> u64 {
        self.world().syncs
    }

    /// Makes durable the names of the files in the folder, as whoever syncs it without SQLite does.
    pub fn sync_folder(&self) {
        self.world().sync_names();
    }

    /// Ends the process instead of the operation that comes after so many others, and does something
    /// with the end: another part of the same machine may have to stop at the same moment. An
    /// operation is a write, a truncation, a sync, or the removal of a file.
    pub fn end_after(&self, operations: u64, then: impl FnOnce() + Send + 'static) {
        self.world().doom(operations, Box::new(then));
    }

    /// Whether the process has ended.
    pub fn has_ended(&self) -> bool {
        self.world().is_dead()
    }

    /// Ends the process, unless it has ended. `then` is done at the same moment; the page cache goes, as
    /// it is, to another folder.
    ///
    /// # Errors
    ///
    /// A file cannot be copied.
    pub fn kill(&self, to: impl AsRef<Path>, then: impl FnOnce()) -> io::Result<Self> {
        let mut world = self.world();
        if !world.is_dead() {
            then();
        }
        let next = world.kill();
        for name in world.names() {
            fs::copy(self.folder.join(&name), to.as_ref().join(&name))?;
        }
        drop(world);
        Self::over(to.as_ref(), next)
    }

    /// Pulls the plug, which ends the process too, unless it has ended. `then` is done at the same
    /// moment; what is on disk goes to another folder. `chance` draws a number below the one it is given.
    ///
    /// # Errors
    ///
    /// A file cannot be written.
    pub fn crash(
        &self,
        to: impl AsRef<Path>,
        mut chance: impl FnMut(u64) -> u64,
        then: impl FnOnce(),
    ) -> io::Result<Self> {
        let mut world = self.world();
        if !world.is_dead() {
            then();
        }
        for (name, bytes) in world.crash(&mut chance) {
            fs::write(to.as_ref().join(name), bytes)?;
        }
        drop(world);
        Self::new(to)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }
}

/// Says that somebody has written a whole file again, and synced it, without SQLite. Nothing happens if
/// it is in no watched folder.
///
/// # Errors
///
/// The file cannot be read.
pub fn written_again(file: impl AsRef<Path>) -> io::Result<()> {
    let file = file.as_ref().canonicalize()?;
    match vfs::find(&file) {
        Some((world, name)) => lock(&world).written_again(&name, || fs::read(&file)),
        None => Ok(()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
