//! Copies of a store: while it runs, and back again.
//!
//! ```text
//! backup   segments stay · the tables' file stands still and is copied: all up to its position
//!          · the journal's segments from that position on are copied · all is synced · gets its name
//! restore  verify the copy · copy it · use up epochs · gets its name
//! ```
//!
//! A copy is made beside the folder that it is to be, as `NAME.part`, and renamed once it is on disk. So
//! a folder with its name is whole, whatever happened meanwhile.

use crate::commit::Committer;
use crate::error::OpenError;
use crate::folder::{Folder, sync_folder};
use crate::rows::{self, Database, DatabaseError};
use crate::store::{Embedded, Store};
use crate::verify::{Report, verify_locked};
use duramen_backend::journal::{segment_file, segment_number};
use duramen_backend::rows::{Rows, RowsError};
use duramen_core::ids::{Epoch, Position};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::SystemTime;

/// Epochs that a restored store leaves out: as many openings of the original, or leases within them, may
/// have come after the backup.
pub const EPOCHS_LEFT_OUT: u32 = 65_536;
/// Bytes that are copied at a time.
const PIECE: usize = 1 << 20;
/// How often a file that changes while it is copied is begun again.
const ATTEMPTS: usize = 5;

/// How far a copy is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are copied.
    pub copied: u64,
    /// Bytes of which it is known that they are to be copied; the journal goes on growing.
    pub total: u64,
}

/// Why a store is not copied, or a copy not restored. The original was not touched.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target is there already.
    #[error("{target} is not empty; name a folder that is not there", target = target.display())]
    Target {
        /// The folder that was to be made.
        target: PathBuf,
    },
    /// A copy that was interrupted lies where this one is to be made.
    #[error("{part} is there, from a copy that was interrupted; remove it and try again", part = part.display())]
    Interrupted {
        /// The folder.
        part: PathBuf,
    },
    /// Somebody reads the tables in one long transaction.
    #[error(
        "somebody has been reading {file} in one transaction for a minute, which keeps the copy from being begun; end \
         it (a SQLite shell, perhaps) and try again",
        file = file.display()
    )]
    Reader {
        /// The tables.
        file: PathBuf,
    },
    /// Somebody else writes to the tables.
    #[error("{file} was changed again and again by another program while it was copied; stop that program", file = file.display())]
    Changed {
        /// The tables.
        file: PathBuf,
    },
    /// The copy that was to be restored is not whole.
    #[error("{from} is not whole and was not restored:\n{report}", from = from.display())]
    NotWhole {
        /// The copy.
        from: PathBuf,
        /// What is wrong with it.
        report: Box<Report>,
    },
    /// Too many epochs are used up.
    #[error(
        "only {left} of the store's epochs are left, and a restored store has to leave out {EPOCHS_LEFT_OUT}; start a new store"
    )]
    Epochs {
        /// Epochs that are left.
        left: u32,
    },
    /// The file system did not do what it was told.
    #[error("failed to {what} {path}: {source}", path = path.display())]
    Files {
        /// What was to be done.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The tables cannot be read or written.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// The tables cannot be opened.
    #[error(transparent)]
    Tables(#[from] DatabaseError),
    /// The copy cannot be looked at.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl Embedded {
    /// Copies the store into a folder that is not there, or empty, while it goes on working. The copy
    /// holds at least everything that was acknowledged before the call, opens like any store, and is
    /// meant for [`restore`]: opened where it is, it would give out runs that the original gives out too.
    ///
    /// Meanwhile settling goes on, but neither the log of the tables nor the journal's old segments are
    /// made smaller: the disk needs room for what is written while the copy is made. `progress` is
    /// called after each piece.
    ///
    /// # Errors
    ///
    /// The target is not empty, a file cannot be copied, or somebody else's long read keeps the tables
    /// from standing still. What was begun is removed.
    pub fn backup(&self, to: impl AsRef<Path>, progress: impl FnMut(Progress)) -> Result<(), BackupError> {
        let source = self.0.committer.files.folder().ok_or_else(|| BackupError::Files {
            what: "find the folder of",
            path: to.as_ref().to_owned(),
            source: io::Error::other("the store is in no folder"),
        })?;
        build(to.as_ref(), progress, |copy| self.0.copy(source, copy))
    }
}

/// Makes the store in `to`, a folder that is not there or is empty, from a backup or from the folder of a
/// store that nobody has open. The backup is verified first, and not changed.
///
/// A restored store leaves out the next [`EPOCHS_LEFT_OUT`] epochs: runs, tokens and execution ids that
/// the original gave out after the backup are then given to nothing else, as long as it was not opened
/// more often than that since (with several partitions, an opening counts as many times). What the
/// original did after the backup is forgotten: activities that were done then are done again.
///
/// # Errors
///
/// The backup is not whole or in use, the target is not empty, or a file cannot be copied. What was begun
/// is removed.
pub fn restore(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    progress: impl FnMut(Progress),
) -> Result<Report, BackupError> {
    let from = from.as_ref();
    let source = Folder::look(from)?;
    let report = verify_locked(from, &source)?;
    if !report.is_whole() {
        return Err(BackupError::NotWhole { from: from.to_owned(), report: Box::new(report) });
    }
    build(to.as_ref(), progress, |copy| {
        let mut files: Vec<_> = [rows::FILE, rows::LOG].map(|file| (from.join(file), PathBuf::from(file))).into();
        files.retain(|(path, _)| path.exists());
        let names = source.list().map_err(files_error("read", &source.path("")))?;
        let segments = names.into_iter().filter(|name| segment_number(name).is_some());
        files.extend(segments.map(|name| (source.path(&name), Path::new("journal").join(name))));
        for (path, _) in &files {
            copy.progress.total += fs::metadata(path).map_err(files_error("read", path))?.len();
        }
        for (path, name) in &files {
            copy.file(path, name, u64::MAX)?;
        }
        leave_out_epochs(&copy.part)
    })?;
    Ok(report)
}

/// The tables take over what the journal's leases say when they are opened; so this is above those too.
fn leave_out_epochs(folder: &Path) -> Result<(), BackupError> {
    if !folder.join(rows::FILE).exists() {
        // Nothing was ever settled, and a lease is not given before.
        return Ok(());
    }
    let tables = Database::open(folder)?;
    if let Some(standing) = tables.standing()? {
        let left = Epoch::MAX - standing.epoch.0;
        if left <= EPOCHS_LEFT_OUT {
            return Err(BackupError::Epochs { left });
        }
        tables.advance_epoch(EPOCHS_LEFT_OUT)?;
    }
    Ok(())
}

impl Store<Database> {
    fn copy(&self, source: &Folder, copy: &mut Copy<impl FnMut(Progress)>) -> Result<(), BackupError> {
        // From here on no segment goes. What went before is settled, and so in what is copied now.
        let stay = SegmentsStay::new(&self.committer);
        let settled = self.committer.settler.settled();
        self.copy_tables(copy)?;
        let standing = Database::look(&copy.part)?.standing()?.map(|standing| standing.position).unwrap_or_default();
        if standing < settled {
            // Then segments that this copy needs may be gone.
            return Err(BackupError::Changed { file: self.committer.settler.rows().path().to_owned() });
        }
        self.copy_journal(source, standing, copy)?;
        drop(stay);
        Ok(())
    }

    fn copy_tables(&self, copy: &mut Copy<impl FnMut(Progress)>) -> Result<(), BackupError> {
        let tables = self.committer.settler.rows();
        let path = tables.path();
        let Some(_still) = tables.stand_still()? else { return Err(BackupError::Reader { file: path.to_owned() }) };
        let state = || -> Result<(u64, SystemTime), BackupError> {
            let metadata = fs::metadata(path).map_err(files_error("read", path))?;
            Ok((metadata.len(), metadata.modified().map_err(files_error("read", path))?))
        };
        for _ in 0..ATTEMPTS {
            let before = state()?;
            copy.progress = Progress { copied: 0, total: before.0 };
            copy.file(path, Path::new(rows::FILE), u64::MAX)?;
            // Nobody in this process writes to the file now.
            if state()? == before {
                return Ok(());
            }
        }
        Err(BackupError::Changed { file: path.to_owned() })
    }

    fn copy_journal(
        &self,
        source: &Folder,
        standing: Position,
        copy: &mut Copy<impl FnMut(Progress)>,
    ) -> Result<(), BackupError> {
        let segments = self.committer.holding(standing);
        copy.progress.total += segments.iter().map(|(_, bytes)| bytes).sum::<u64>();
        for (number, bytes) in segments {
            // What is not copied of the last one counts as zeros when the copy is opened.
            let name = segment_file(number);
            copy.file(&source.path(&name), &Path::new("journal").join(&name), bytes)?;
        }
        Ok(())
    }
}

/// As long as it lives, no segment of the journal is taken out of use.
struct SegmentsStay<'a>(&'a Committer<Database>);

impl<'a> SegmentsStay<'a> {
    fn new(committer: &'a Committer<Database>) -> Self {
        committer.copies.fetch_add(1, Ordering::SeqCst);
        Self(committer)
    }
}

impl Drop for SegmentsStay<'_> {
    fn drop(&mut self) {
        self.0.copies.fetch_sub(1, Ordering::SeqCst);
        self.0.chores.recycle();
    }
}

/// A copy that is being made.
struct Copy<P> {
    part: PathBuf,
    progress: Progress,
    tell: P,
}

/// Makes a folder beside the target, has it filled, syncs it and gives it its name.
fn build<P: FnMut(Progress)>(
    to: &Path,
    tell: P,
    fill: impl FnOnce(&mut Copy<P>) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let is_empty = match fs::read_dir(to) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    let (true, Some(name)) = (is_empty, to.file_name()) else {
        return Err(BackupError::Target { target: to.to_owned() });
    };
    let mut part_name = name.to_owned();
    part_name.push(".part");
    let part = to.with_file_name(part_name);
    let parent = part.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    fs::create_dir_all(&parent).map_err(files_error("make the folder", &parent))?;
    fs::create_dir(&part).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Interrupted { part: part.clone() },
        _ => files_error("make the folder", &part)(error),
    })?;
    let mut copy = Copy { part, progress: Progress::default(), tell };
    let done = fs::create_dir(copy.part.join("journal"))
        .map_err(files_error("make the folder", &copy.part))
        .and_then(|()| fill(&mut copy))
        .and_then(|()| copy.finish(to, &parent));
    if done.is_err() {
        // What stays is of no use; the error is that of the copy.
        let _ = fs::remove_dir_all(&copy.part);
    }
    done
}

impl<P: FnMut(Progress)> Copy<P> {
    /// Copies up to so many bytes of a file, and syncs the copy.
    fn file(&mut self, from: &Path, name: &Path, bytes: u64) -> Result<(), BackupError> {
        let to = self.part.join(name);
        let mut source = File::open(from).map_err(files_error("open", from))?.take(bytes);
        let mut target = File::create(&to).map_err(files_error("make", &to))?;
        let mut piece = vec![0; PIECE];
        loop {
            let read = source.read(&mut piece).map_err(files_error("read", from))?;
            if read == 0 {
                return target.sync_all().map_err(files_error("sync", &to));
            }
            target.write_all(&piece[..read]).map_err(files_error("write", &to))?;
            self.progress.copied += read as u64;
            self.progress.total = self.progress.total.max(self.progress.copied);
            (self.tell)(self.progress);
        }
    }

    fn finish(&mut self, to: &Path, parent: &Path) -> Result<(), BackupError> {
        for folder in [&self.part.join("journal"), &self.part] {
            sync_folder(folder).map_err(files_error("sync the folder", folder))?;
        }
        fs::rename(&self.part, to).map_err(files_error("give its name to", to))?;
        sync_folder(parent).map_err(files_error("sync the folder", parent))
    }
}

fn files_error<'a>(what: &'static str, path: &'a Path) -> impl Fn(io::Error) -> BackupError + 'a {
    move |source| BackupError::Files { what, path: path.to_owned(), source }
}
