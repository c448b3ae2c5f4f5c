//! Why a folder is not opened.

use crate::rows::DatabaseError;
use duramen_backend::Failure;
use duramen_backend::recovery::RecoveryError;
use std::io;
use std::path::PathBuf;

/// Why a store is not opened. What is in its folder was not changed, unless the error is of the file
/// system.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the store open, or this one has it open already.
    #[error("the store in {folder} is in use by another process (it holds {folder}/lock); stop that process, or use another folder", folder = folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
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
    /// What is in the folder cannot be read, or was written by a newer version.
    #[error("the store in {folder} cannot be opened: {source}", folder = folder.display())]
    Recovery {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        source: RecoveryError,
    },
    /// The disk is full, and so are the bytes that were kept back for that.
    #[error("there is no space for what the journal of the store in {folder} holds beyond its tables ({source}); nothing is lost: free about as much space as {folder}/journal takes up, and open it again", folder = folder.display())]
    NoSpace {
        /// The folder.
        folder: PathBuf,
        /// What there was no space for.
        source: Failure,
    },
    /// The tables cannot be used.
    #[error(transparent)]
    Tables(#[from] DatabaseError),
}
