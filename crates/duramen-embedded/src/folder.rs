//! The folder of a store: its lock, and the files of its journal.

use crate::error::OpenError;
use bytes::Bytes;
use duramen_backend::journal::Io;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes written at a time when a file is filled with zeros.
const ZEROS: usize = 1 << 20;

/// A folder that this process has locked.
#[derive(Debug)]
pub(crate) struct Folder {
    journal: PathBuf,
    open: Mutex<HashMap<String, Arc<File>>>,
    /// Held as long as the folder is in use; the system lets it go with the process.
    lock: File,
}

/// What an operation did, for the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) syncs: u64,
    pub(crate) written: u64,
}

/// How long a store that was just let go may take until its lock is free.
const PATIENCE: Duration = Duration::from_millis(500);

/// Takes the lock. A hub that was dropped, or a process that was killed, lets go a moment later.
fn take(lock: &File) -> Result<(), TryLockError> {
    let begun = Instant::now();
    loop {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(5)),
            outcome => return outcome,
        }
    }
}

impl Folder {
    /// Makes the folder if it is not there, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |what: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Files { what, path, source }
        };
        let journal = path.join("journal");
        fs::create_dir_all(&journal).map_err(failed("make the folder", &journal))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(failed("open", &lock_path))?;
        take(&lock).map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::Locked { folder: path.to_owned() },
            TryLockError::Error(source) => OpenError::Files { what: "lock", path: lock_path, source },
        })?;
        // The names of the folders themselves; a file in a folder that a crash takes away is lost.
        for folder in [Some(path), path.parent()].into_iter().flatten().filter(|folder| !folder.as_os_str().is_empty())
        {
            sync_folder(folder).map_err(failed("sync the folder", folder))?;
        }
        Ok(Self { journal, open: Mutex::default(), lock })
    }

    /// Locks a folder with a store to look at it. Nothing is made; a copy without the file of the lock
    /// is used by nobody.
    pub(crate) fn look(path: &Path) -> Result<Self, OpenError> {
        let journal = path.join("journal");
        let failed = |what: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Files { what, path, source }
        };
        fs::read_dir(&journal).map_err(failed("find the journal of a store in", &journal))?;
        let lock_path = path.join("lock");
        let lock = match File::open(&lock_path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => File::open(&journal),
            opened => opened,
        };
        let lock = lock.map_err(failed("open", &lock_path))?;
        take(&lock).map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::Locked { folder: path.to_owned() },
            TryLockError::Error(source) => OpenError::Files { what: "lock", path: lock_path, source },
        })?;
        Ok(Self { journal, open: Mutex::default(), lock })
    }

    /// Lets another process have the folder; this one does not touch it any more.
    pub(crate) fn release(&self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, folder = %self.journal.display(), "failed to unlock the store; the end of the process does it");
        }
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        self.journal.parent().expect("the journal is in the folder")
    }

    /// The path of a file of the journal.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.journal.join(file)
    }

    /// The files of the journal, by name.
    pub(crate) fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.journal)? {
            // A name that is not text is not one of ours.
            names.extend(entry?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    pub(crate) fn read(&self, file: &str) -> io::Result<Bytes> {
        fs::read(self.path(file)).map(Bytes::from)
    }

    pub(crate) fn perform(&self, io: &Io) -> io::Result<Cost> {
        match io {
            Io::Create { file, size } => self.create(file, *size),
            Io::Write { file, offset, bytes } => {
                write_at(&*self.file(file)?, bytes, *offset)?;
                Ok(Cost { syncs: 0, written: bytes.len() as u64 })
            }
            Io::Sync { file } => {
                self.file(file)?.sync_data()?;
                Ok(Cost { syncs: 1, written: 0 })
            }
            Io::Rename { from, to } => {
                fs::rename(self.path(from), self.path(to))?;
                let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(file) = open.remove(from) {
                    open.insert(to.clone(), file);
                }
                Ok(Cost::default())
            }
            Io::Remove { file } => {
                self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(file);
                fs::remove_file(self.path(file))?;
                Ok(Cost::default())
            }
            Io::SyncFolder => {
                sync_folder(&self.journal)?;
                Ok(Cost { syncs: 1, written: 0 })
            }
        }
    }

    fn create(&self, name: &str, size: u64) -> io::Result<Cost> {
        let _fill = tracing::debug_span!("fill_segment", name, size).entered();
        let mut file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(self.path(name))?;
        let zeros = vec![0; ZEROS];
        let mut left = size;
        while left > 0 {
            let now = usize::try_from(left).map_or(ZEROS, |left| left.min(ZEROS));
            file.write_all(&zeros[..now])?;
            left -= now as u64;
        }
        file.sync_all()?;
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Arc::new(file));
        Ok(Cost { syncs: 1, written: size })
    }

    fn file(&self, name: &str) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(name) {
            return Ok(file.clone());
        }
        let file = Arc::new(OpenOptions::new().read(true).write(true).open(self.path(name))?);
        open.insert(name.to_owned(), file.clone());
        Ok(file)
    }
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn write_at(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    // One thread at a time writes to a file, so its position is not shared.
    io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

#[cfg(unix)]
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(not(unix))]
pub(crate) fn sync_folder(_path: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened as a file, and names are durable with the file.
    Ok(())
}
