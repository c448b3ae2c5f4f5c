//! Looking whether a store is whole, without changing a byte of it.

use crate::error::OpenError;
use crate::folder::Folder;
use crate::rows::{self, Database, DatabaseError};
use duramen_backend::journal::{Journal, SegmentSizes, segment_number};
use duramen_backend::recovery::Recovery;
use duramen_backend::rows::Rows;
use duramen_backend::tables::Tables;
use duramen_core::ids::StoreId;
use std::fmt;
use std::path::{Path, PathBuf};

/// What is in a store, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The store's number, unless nothing was ever written.
    pub store: Option<u64>,
    /// Instances in the tables.
    pub instances: u64,
    /// The position in the journal that the tables stand for.
    pub settled: u64,
    /// The last batch of the journal. What lies behind the tables' position was folded over them in
    /// memory, and fits if there is no problem.
    pub durable: u64,
    /// Segments of the journal, and their bytes.
    pub segments: u64,
    /// Bytes of those.
    pub journal_bytes: u64,
    /// Things that the next opening puts right by itself, for information.
    pub notes: Vec<String>,
    /// Everything that is wrong; empty if the store is whole.
    pub problems: Vec<Problem>,
}

/// Something that is wrong with a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it, where in it, and what to do.
    pub what: String,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.what)
    }
}

impl fmt::Display for Report {
    /// For people: a line of what is there, and a line for each note and problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instances, settled, durable, segments, .. } = self;
        write!(
            f,
            "{instances} instances settled at batch {settled}; the journal has {segments} segments and ends with batch {durable}"
        )?;
        self.notes.iter().try_for_each(|note| write!(f, "\nnote: {note}"))?;
        self.problems.iter().try_for_each(|problem| write!(f, "\nproblem: {problem}"))
    }
}

/// Reads a store that nobody has open, all of it, and says whether it is whole: the tables' pages,
/// indexes and rows, each against the others; the journal's chain; whether the two fit together; and
/// whether what the journal has beyond the tables can be folded over them. Nothing is changed. It takes
/// as long as reading everything does.
///
/// # Errors
///
/// There is no store in the folder, somebody has it open, or the file system refuses to read it. What is
/// wrong with the store itself is in the report.
pub fn verify(path: impl AsRef<Path>) -> Result<Report, OpenError> {
    let folder = Folder::look(path.as_ref())?;
    verify_locked(path.as_ref(), &folder)
}

/// The same for a folder that this process has locked.
pub(crate) fn verify_locked(path: &Path, folder: &Folder) -> Result<Report, OpenError> {
    let mut report = Report::default();
    let tables = path.join(rows::FILE);
    let database = match Database::look(path) {
        Ok(database) => Some(database),
        // The process that made the folder was ended before it made the tables.
        Err(DatabaseError::Missing { .. }) => None,
        Err(error) => {
            report.problem(&tables, error);
            None
        }
    };
    if let Some(database) = &database {
        match database.check() {
            Ok(checked) => {
                report.instances = checked.instances;
                report.settled = checked.standing.map_or(0, |standing| standing.position.0);
                report.store = checked.standing.map(|standing| standing.store.0);
                let restore = |what| format!("{what}; restore the store from a backup");
                checked.problems.into_iter().map(restore).for_each(|what| report.problem(&tables, what));
            }
            Err(error) => report.problem(&tables, error),
        }
    }
    match database {
        // Over tables that cannot be trusted nothing can be folded.
        Some(database) if report.is_whole() => journal(folder, database, &mut report)?,
        Some(_) => {}
        // If anything was ever settled, the journal does not begin with the first batch and says so.
        None if report.is_whole() => journal(folder, Tables::default(), &mut report)?,
        None => {}
    }
    Ok(report)
}

/// Reads the journal, and folds what the rows do not hold, in memory.
fn journal(folder: &Folder, rows: impl Rows, report: &mut Report) -> Result<(), OpenError> {
    let unreadable = |source| OpenError::Files { what: "read", path: folder.path(""), source };
    let mut recovery = match Recovery::new(rows, SegmentSizes::default()) {
        Ok(recovery) => recovery,
        Err(error) => {
            report.problem(&folder.path(""), error);
            return Ok(());
        }
    };
    for file in folder.list().map_err(unreadable)? {
        if segment_number(&file).is_none() {
            continue;
        }
        let bytes = folder.read(&file).map_err(unreadable)?;
        report.segments += 1;
        report.journal_bytes += bytes.len() as u64;
        if let Err(error) = recovery.segment(&file, bytes) {
            report.problem(&folder.path(&file), error);
            return Ok(());
        }
    }
    // A store without a journal gets one when it is opened.
    let create = || Journal::create(StoreId(0), SegmentSizes::default());
    match recovery.finish(create) {
        Ok(recovered) => {
            report.durable = recovered.journal.end().0;
            report.store = report.store.or((report.segments > 0).then(|| recovered.journal.store().0));
            report.notes.extend(recovered.torn.map(|torn| {
                let file = folder.path(&torn.file);
                format!(
                    "{} has a torn end at byte {}: a process was ended while it wrote batch {}, which was never \
                     acknowledged; opening cuts it off",
                    file.display(),
                    torn.offset,
                    torn.batch
                )
            }));
        }
        Err(error) => report.problem(&folder.path(""), error),
    }
    Ok(())
}

impl Report {
    fn problem(&mut self, file: &Path, what: impl fmt::Display) {
        self.problems.push(Problem { file: file.to_owned(), what: what.to_string() });
    }
}
