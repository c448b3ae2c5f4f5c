//! Opening the file: what it has to be, and how it becomes that.

use super::error::DatabaseError;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::Path;
use std::time::Duration;

/// Says in the file's header that it is one of Duramen's: "Dura".
pub(super) const APPLICATION: i32 = 0x4475_7261;

/// The steps from one version of the schema to the next; the version is how many were taken. A step
/// is never changed once a version of Duramen has it: what is new is a further step.
const STEPS: [&str; 1] = [include_str!("schema.sql")];

const PAGE_BYTES: i64 = 8_192;
/// Bytes of the smallest page that SQLite knows.
const SMALLEST_PAGE: u64 = 512;
/// How long another program's lock is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Statements that are kept prepared.
const STATEMENTS: usize = 64;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Reading and writing; the file is made if it is not there.
    Write,
    /// Reading what is there.
    Read,
}

/// Opens the file for writing, or to look at it.
pub(super) fn open(path: &Path, access: Access) -> Result<Connection, DatabaseError> {
    let failed = |error: &rusqlite::Error| DatabaseError::of("open", path, error);
    // SQLite takes a file that is shorter than any page for an empty one, and would write over it.
    if std::fs::metadata(path).is_ok_and(|file| (1..SMALLEST_PAGE).contains(&file.len())) {
        return Err(DatabaseError::NoDatabase { path: path.to_owned() });
    }
    let mut connection = match access {
        Access::Write => {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
            connect(path, flags, WRITER_CACHE_KIB)?
        }
        Access::Read if !path.exists() => return Err(DatabaseError::Missing { path: path.to_owned() }),
        Access::Read => connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, READER_CACHE_KIB)?,
    };
    let pages: i64 = value(&connection, "page_count").map_err(|error| failed(&error))?;
    if pages == 0 && access == Access::Read {
        return Err(DatabaseError::NoDatabase { path: path.to_owned() });
    }
    if pages == 0 {
        // They can be chosen only before the first page is written.
        set(&connection, path, "page_size", PAGE_BYTES)?;
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(|error| failed(&error))?;
    }
    let version = identify(&connection, path, pages)?;
    if access == Access::Read {
        return Ok(connection);
    }
    migrate(&mut connection, version).map_err(|error| DatabaseError::of("bring up to date", path, &error))?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(|error| DatabaseError::of("switch to a write-ahead log", path, &error))?;
    let must_be = |pragma, wanted: &str, found: String| match found == wanted {
        true => Ok(()),
        false => Err(DatabaseError::Setting { path: path.to_owned(), pragma, wanted: wanted.to_owned(), found }),
    };
    must_be("journal_mode", "wal", mode)?;
    set(&connection, path, "synchronous", 2)?;
    // Moving the log into the file is a chore of the store, not of whichever settle makes it long.
    set(&connection, path, "wal_autocheckpoint", 0)?;
    for (pragma, wanted) in [("page_size", PAGE_BYTES), ("auto_vacuum", 2)] {
        let found: i64 = value(&connection, pragma).map_err(|error| failed(&error))?;
        must_be(pragma, &wanted.to_string(), found.to_string())?;
    }
    Ok(connection)
}

/// Opens the file once more, for reading.
pub(super) fn reader(path: &Path) -> Result<Connection, DatabaseError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, READER_CACHE_KIB)
}

/// Pages that the writer keeps in memory. A settle touches the pages of the indexes again and again.
const WRITER_CACHE_KIB: i64 = 16 << 10;
/// Pages that one of the readers keeps in memory.
const READER_CACHE_KIB: i64 = 2 << 10;

fn connect(path: &Path, flags: OpenFlags, cache_kib: i64) -> Result<Connection, DatabaseError> {
    // Without a lock of SQLite's own: a connection is used by one thread at a time.
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| DatabaseError::of("open", path, &error))?;
    connection.busy_timeout(PATIENCE).map_err(|error| DatabaseError::of("open", path, &error))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    set(&connection, path, "cache_size", -cache_kib)?;
    set(&connection, path, "temp_store", 2)?;
    Ok(connection)
}

/// Whose file it is, and the version of its schema.
fn identify(connection: &Connection, path: &Path, pages: i64) -> Result<i32, DatabaseError> {
    let failed = |error: rusqlite::Error| DatabaseError::of("read the header of", path, &error);
    let application: i32 = value(connection, "application_id").map_err(failed)?;
    let version: i32 = value(connection, "user_version").map_err(failed)?;
    let known = STEPS.len() as i32;
    let path = path.to_owned();
    match (pages, application) {
        (0, _) => Ok(0),
        (_, APPLICATION) if version > known => Err(DatabaseError::Newer { path, found: version, known }),
        (_, APPLICATION) if version < 1 => {
            Err(DatabaseError::Damaged { path, reason: format!("its schema has the version {version}") })
        }
        (_, APPLICATION) => Ok(version),
        (_, found) => Err(DatabaseError::Foreign { path, found }),
    }
}

/// Takes the steps that the file has not had, all or none.
fn migrate(connection: &mut Connection, version: i32) -> rusqlite::Result<()> {
    let steps = STEPS.iter().skip(usize::try_from(version).unwrap_or(0));
    if steps.len() == 0 {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", STEPS.len() as i64)?;
    transaction.commit()
}

/// Sets a pragma and looks whether it was taken.
fn set(connection: &Connection, path: &Path, pragma: &'static str, wanted: i64) -> Result<(), DatabaseError> {
    let failed = |error: rusqlite::Error| DatabaseError::of("set up", path, &error);
    // Some give their new value as a row, and some nothing.
    connection.pragma(None, pragma, wanted, |_| Ok(())).map_err(failed)?;
    let found: i64 = value(connection, pragma).map_err(failed)?;
    if found == wanted {
        return Ok(());
    }
    let (wanted, found) = (wanted.to_string(), found.to_string());
    Err(DatabaseError::Setting { path: path.to_owned(), pragma, wanted, found })
}

pub(super) fn value<T: rusqlite::types::FromSql>(connection: &Connection, pragma: &str) -> rusqlite::Result<T> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}
