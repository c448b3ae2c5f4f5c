//! Opening the file: what it has to be, and how it becomes that.

use super::again::{beside, write_log_again};
use super::error::DatabaseError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Says in the file's header that it is one of Duramen's: "Dura".
pub(super) const APPLICATION: i32 = 0x4475_7261;

/// The steps from one version of the schema to the next; the version is how many were taken. A step
/// is never changed once a version of Duramen has it: what is new is a further step.
pub(super) const STEPS: [&str; 3] =
    [include_str!("schema.sql"), include_str!("schema-2.sql"), include_str!("schema-3.sql")];

/// For each step but the first: what lets a file that has not had it be read as if it had, without changing a byte of
/// it. A temporary view goes before a table of its name; an index is missed by lists alone, which nobody asks for then.
const LOOKS_LIKE: [&str; STEPS.len() - 1] =
    ["CREATE TEMP VIEW task AS SELECT *, NULL AS held, NULL AS losses FROM main.task", ""];

const PAGE_BYTES: i64 = 8_192;
/// Bytes of the smallest page that SQLite knows.
const SMALLEST_PAGE: u64 = 512;
/// How long another program's lock is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Statements that are kept prepared.
const STATEMENTS: usize = 64;

/// Opens the file for writing; makes it if it is not there.
pub(super) fn open(path: &Path) -> Result<Connection, DatabaseError> {
    let failed = |error: &rusqlite::Error| DatabaseError::of("open", path, error);
    refuse_fragment(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut connection = connect(path, flags, WRITER_CACHE_KIB)?;
    let pages: i64 = value(&connection, "page_count").map_err(|error| failed(&error))?;
    if pages == 0 {
        // They can be chosen only before the first page is written.
        set(&connection, path, "page_size", PAGE_BYTES)?;
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(|error| failed(&error))?;
    }
    let version = identify(&connection, path, pages)?;
    write_log_again(&mut connection, path)?;
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

/// Opens a file that nobody has open, to look at it: not a byte of the folder changes. What stands in
/// the log of a process that was killed is seen, and stays there.
pub(super) fn look(path: &Path) -> Result<Connection, DatabaseError> {
    let failed = |error: rusqlite::Error| DatabaseError::of("look at", path, &error);
    if !path.exists() {
        return Err(DatabaseError::Missing { path: path.to_owned() });
    }
    refuse_fragment(path)?;
    if has_bytes(&beside(path, "-journal")) {
        let reason =
            "a process was ended while it made the file or changed its layout; opening the store goes on with that";
        return Err(DatabaseError::Failed { what: "look at", path: path.to_owned(), reason: reason.to_owned() });
    }
    let connection = if has_bytes(&beside(path, "-wal")) {
        // Alone, SQLite keeps the index of the log in memory, and not in a file beside it.
        let connection = begin(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(failed)?;
        set_up(connection, path, READER_CACHE_KIB)?
    } else {
        // Without a log there is nothing but the file.
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        connect(Path::new(&uri(path)), flags, READER_CACHE_KIB)?
    };
    let pages: i64 = value(&connection, "page_count").map_err(failed)?;
    if pages == 0 {
        return Err(DatabaseError::NoDatabase { path: path.to_owned() });
    }
    let version = usize::try_from(identify(&connection, path, pages)?).unwrap_or(0);
    for view in LOOKS_LIKE.into_iter().skip(version.saturating_sub(1)) {
        connection.execute_batch(view).map_err(failed)?;
    }
    set(&connection, path, "query_only", 1)?;
    Ok(connection)
}

/// SQLite takes a file that is shorter than any page for an empty one, and would write over it.
fn refuse_fragment(path: &Path) -> Result<(), DatabaseError> {
    match fs::metadata(path).is_ok_and(|file| (1..SMALLEST_PAGE).contains(&file.len())) {
        true => Err(DatabaseError::NoDatabase { path: path.to_owned() }),
        false => Ok(()),
    }
}

fn uri(path: &Path) -> String {
    let path = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{path}?immutable=1")
}

fn has_bytes(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0)
}

/// Pages that the writer keeps in memory. A settle touches the pages of the indexes again and again.
const WRITER_CACHE_KIB: i64 = 32 << 10;
/// Pages that one of the readers keeps in memory.
const READER_CACHE_KIB: i64 = 2 << 10;

fn connect(path: &Path, flags: OpenFlags, cache_kib: i64) -> Result<Connection, DatabaseError> {
    set_up(begin(path, flags)?, path, cache_kib)
}

/// A connection that has not looked at the file.
fn begin(path: &Path, flags: OpenFlags) -> Result<Connection, DatabaseError> {
    // Without a lock of SQLite's own: a connection is used by one thread at a time.
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(|error| DatabaseError::of("open", path, &error))
}

fn set_up(connection: Connection, path: &Path, cache_kib: i64) -> Result<Connection, DatabaseError> {
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
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    let known = STEPS.len() as i32;
    let path = path.to_owned();
    match (pages, application) {
        (0, _) => Ok(0),
        // Whoever made it was interrupted before there was anything in it.
        (_, 0) if version == 0 && objects == 0 => Ok(0),
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
