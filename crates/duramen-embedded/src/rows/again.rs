//! Making durable what is going to be believed.

use super::error::DatabaseError;
use rusqlite::{Connection, TransactionBehavior};
use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes that are written again at a time.
const PIECE: usize = 1 << 20;

/// Writes the log of an earlier process again, in place, and syncs it, before anybody counts on what it
/// says. That process may have met a sync that failed: then the log is in the page cache alone, the
/// system has forgotten that it is not on disk, and a second sync would write nothing of it. What was
/// moved out of the log is safe: SQLite keeps the log until a sync of the file has succeeded, and moves
/// all of it again.
pub(super) fn write_log_again(connection: &mut Connection, path: &Path) -> Result<(), DatabaseError> {
    let failed = |error: &rusqlite::Error| DatabaseError::of("lock", path, error);
    // Nobody else writes to the log meanwhile.
    let hold = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| failed(&error))?;
    let log = beside(path, "-wal");
    write_again(&log).map_err(|error| DatabaseError::Failed {
        what: "make durable what was read from",
        path: log,
        reason: error.to_string(),
    })?;
    hold.rollback().map_err(|error| failed(&error))
}

fn write_again(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    loop {
        file.seek(SeekFrom::Start(at))?;
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&piece[..read])?;
        at += read as u64;
    }
    file.sync_all()?;
    #[cfg(test)]
    duramen_shim::written_again(path)?;
    Ok(())
}

/// A file of SQLite beside the database: `-wal` is its log.
pub(super) fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(what);
    name.into()
}
