//! The settled tables, in SQLite.
//!
//! One file, `tables.db`, in the folder of the store. A settle is one transaction; reads see whole
//! ones. Whoever wants to see what a store holds opens the file with any SQLite shell while the hub
//! runs: the views `instances`, `histories`, `inboxes`, `tasks` and `timers` are for people, and
//! `docs/store.md` explains them.
//!
//! - `schema.sql` is the layout, `open` how a file is made, checked and brought up to it, `again`
//!   what is done before an earlier process is believed.
//! - `write` is the settle, `read` what an owner of slots asks, `query` lists.
//! - `codec` says what stands in a row; `pace` keeps a settle from disturbing the journal;
//!   `space` gives space back, checks and copies.

mod again;
mod check;
mod codec;
mod copy;
mod error;
mod open;
mod pace;
mod query;
mod read;
mod space;
#[cfg(test)]
mod tests;
mod write;

pub use error::DatabaseError;
pub use space::Moved;

use bytes::Bytes;
use duramen_backend::rows::{Changes, Haste, Rows, RowsError, Standing, Thrift, Tidied};
use duramen_backend::{Failure, Page, Query};
use duramen_core::checkpoint::{DueTimers, Image, Outstanding, Task, TaskKey, TimerWindow};
use duramen_core::ids::Slot;
use error::Trouble;
use pace::Pacing;
use rusqlite::{Connection, Transaction};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The file of the tables in the folder of a store.
pub const FILE: &str = "tables.db";
/// What was settled and not yet moved into that file.
pub(crate) const LOG: &str = "tables.db-wal";

/// Connections for reading that are kept open.
const READERS: usize = 4;

/// The tables of a store. Calls come from any thread; one writes at a time, and reads go on beside it.
pub struct Database {
    path: PathBuf,
    pacing: Pacing,
    /// Before the writer: the last connection to be closed brings the log into the file.
    readers: Mutex<Vec<Connection>>,
    writer: Mutex<Connection>,
    /// Locked while the log is moved into the file, and while the file has to stand still.
    moving: Mutex<()>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Database {
    /// Opens the tables in the folder of a store, and makes them if they are not there. The caller
    /// has locked the folder.
    pub fn open(folder: &Path) -> Result<Self, DatabaseError> {
        let path = folder.join(FILE);
        let writer = open::open(&path)?;
        Ok(Self::over(path, Vec::new(), writer))
    }

    /// Opens the tables that are there, to look at them; nobody may have them open, and not a byte is
    /// changed.
    pub(crate) fn look(folder: &Path) -> Result<Self, DatabaseError> {
        let path = folder.join(FILE);
        let reader = open::look(&path)?;
        // What would be written goes to an empty database in memory, and fails.
        let writer = Connection::open_in_memory().map_err(|error| DatabaseError::of("look at", &path, &error))?;
        Ok(Self::over(path, vec![reader], writer))
    }

    fn over(path: PathBuf, readers: Vec<Connection>, writer: Connection) -> Self {
        let (readers, writer) = (Mutex::new(readers), Mutex::new(writer));
        Self { path, pacing: Pacing::default(), readers, writer, moving: Mutex::default() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The connection that writes.
    pub(crate) fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads within one transaction, so that all of it is of one settle.
    fn read<T>(&self, what: &str, read: impl FnOnce(&Transaction<'_>) -> Result<T, Trouble>) -> Result<T, RowsError> {
        let connection = self.reader()?;
        let outcome =
            connection.unchecked_transaction().map_err(Trouble::from).and_then(|transaction| read(&transaction));
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS {
            readers.push(connection);
        }
        outcome.map_err(|trouble| trouble.explain(what, &self.path))
    }

    /// A connection that reads; to be dropped, or kept for the next read.
    pub(crate) fn reader(&self) -> Result<Connection, RowsError> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match kept {
            Some(connection) => Ok(connection),
            None => open::reader(&self.path).map_err(|error| {
                let what = format!("failed to open {} once more", self.path.display());
                RowsError::Failed(Failure { what, reason: error.to_string() })
            }),
        }
    }
}

impl Rows for Database {
    fn standing(&self) -> Result<Option<Standing>, RowsError> {
        self.read("read what the tables stand for from", |rows| read::standing(rows))
    }

    fn write(&self, changes: &Changes) -> Result<(), RowsError> {
        let mut writer = self.writer();
        write::write(&mut writer, changes, &self.pacing).map_err(|trouble| trouble.explain("settle into", &self.path))
    }

    fn arrived(&self, run: u64, sequence: u64) -> Result<Option<Bytes>, RowsError> {
        self.read("read an inbox from", |rows| read::arrived(rows, run, sequence))
    }

    fn history(&self, run: u64, index: u64) -> Result<Option<Bytes>, RowsError> {
        self.read("read a history from", |rows| read::event(rows, run, index))
    }

    fn task(&self, key: TaskKey) -> Result<Option<Task>, RowsError> {
        self.read("read a task from", |rows| read::task(rows, key))
    }

    fn load(&self, id: &str) -> Result<Option<Image>, RowsError> {
        self.read("load an instance from", |rows| read::load(rows, id))
    }

    fn query(&self, query: &Query) -> Result<Page, RowsError> {
        self.read("list instances from", |rows| query::page(rows, query))
    }

    fn outstanding(&self, slots: &[Slot]) -> Result<Outstanding, RowsError> {
        self.read("read what is outstanding from", |rows| read::outstanding(rows, slots))
    }

    fn timers(&self, slots: &[Slot], window: TimerWindow) -> Result<DueTimers, RowsError> {
        self.read("read timers from", |rows| read::timers(rows, slots, window))
    }

    fn set_haste(&self, haste: Haste) {
        self.pacing.set(haste);
    }

    fn tidy(&self, thrift: Thrift) -> Result<Tidied, RowsError> {
        self.tidy_slice(thrift)
    }
}
