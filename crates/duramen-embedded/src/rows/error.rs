//! Why the tables are not opened, and what goes wrong with them later.

use duramen_backend::rows::RowsError;
use duramen_backend::{Damage, Failure};
use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
use std::path::{Path, PathBuf};

/// Why the tables of a store are not opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The file is of another kind.
    #[error("{path} is no SQLite database; move it away, or restore the store from a backup", path = path.display())]
    NoDatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database of another program.
    #[error(
        "{path} is a database of another program (its application id is {found:#x}); move it away, or open another folder",
        path = path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it says of itself.
        found: i32,
    },
    /// The file was written by a newer version.
    #[error(
        "{path} has the tables of schema {found}, and this version of Duramen knows them up to {known}; open the store with the version that wrote it, or a newer one",
        path = path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i32,
        /// The newest that is known.
        known: i32,
    },
    /// The file is not there, and was not to be made.
    #[error("there is no {path}; the folder is no store of Duramen, or its tables were moved away", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("{path} is damaged: {reason}; restore the store from a backup", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        reason: String,
    },
    /// A setting on which durability or space depends was not taken.
    #[error("{path} was set to {pragma} = {wanted} and has {found}; copy the store to a local disk, or restore it from a backup", path = path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// The setting.
        pragma: &'static str,
        /// What it was set to.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// Anything else.
    #[error("failed to {what} {path}: {reason}", path = path.display())]
    Failed {
        /// What was to be done.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl DatabaseError {
    /// What an error of SQLite means while a file is opened.
    pub(super) fn of(what: &'static str, path: &Path, error: &rusqlite::Error) -> Self {
        let (path, reason) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NoDatabase { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, reason },
            _ => Self::Failed { what, path, reason },
        }
    }
}

/// What goes wrong with a statement, before it is known which file and what for.
#[derive(Debug)]
pub(super) enum Trouble {
    Damage(Damage),
    Sqlite(rusqlite::Error),
    /// A row that does not read as what was written.
    Row(String),
}

impl From<Damage> for Trouble {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<rusqlite::types::FromSqlError> for Trouble {
    fn from(error: rusqlite::types::FromSqlError) -> Self {
        Self::Row(error.to_string())
    }
}

impl From<prost::DecodeError> for Trouble {
    fn from(error: prost::DecodeError) -> Self {
        Self::Row(error.to_string())
    }
}

impl Trouble {
    /// What it means for whoever asked.
    pub(super) fn explain(self, what: &str, path: &Path) -> RowsError {
        let what = format!("failed to {what} {}", path.display());
        match self {
            Self::Damage(damage) => RowsError::Damage(damage),
            Self::Sqlite(error) if is_full(&error) => RowsError::Full(Failure { what, reason: error.to_string() }),
            Self::Sqlite(error) => RowsError::Failed(Failure { what, reason: advise(&error) }),
            Self::Row(reason) => {
                let reason = format!("a row is damaged ({reason}); restore the store from a backup");
                RowsError::Failed(Failure { what, reason })
            }
        }
    }
}

fn is_full(error: &rusqlite::Error) -> bool {
    // SQLite says that the disk is full, except where the file beside the log does not get its few pages.
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHMSIZE)
}

fn advise(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            format!("{error}; restore the store from a backup")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("{error}; another program holds a lock on it, such as a shell with an open transaction")
        }
        _ => error.to_string(),
    }
}
