//! Histories as a SQLite file that people and programs look at: one row an instance, one row an event.
//!
//! ```sql
//! CREATE TABLE instances (
//!     id TEXT PRIMARY KEY, execution_id TEXT, name TEXT, version TEXT, status TEXT, parent_id TEXT,
//!     created TEXT, updated TEXT, completed TEXT, input TEXT, output TEXT, custom_status TEXT, failure TEXT);
//! CREATE TABLE events (
//!     instance_id TEXT, sequence INTEGER, timestamp TEXT, event_id INTEGER, type TEXT, name TEXT,
//!     scheduled_id INTEGER, input TEXT, result TEXT, reason TEXT, json TEXT, raw BLOB,
//!     PRIMARY KEY (instance_id, sequence));
//! ```
//!
//! Times are RFC 3339 in UTC. What a column means for which kind of event is said by whoever fills it in: this
//! module takes plain values. The file has nothing to do with a store's own.

use rusqlite::{Connection, OpenFlags, params};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Written down once more in the documentation above.
const SCHEMA: &str = "
CREATE TABLE instances (
    id TEXT PRIMARY KEY, execution_id TEXT, name TEXT, version TEXT, status TEXT, parent_id TEXT,
    created TEXT, updated TEXT, completed TEXT, input TEXT, output TEXT, custom_status TEXT, failure TEXT);
CREATE TABLE events (
    instance_id TEXT, sequence INTEGER, timestamp TEXT, event_id INTEGER, type TEXT, name TEXT,
    scheduled_id INTEGER, input TEXT, result TEXT, reason TEXT, json TEXT, raw BLOB,
    PRIMARY KEY (instance_id, sequence));
";

/// Events of one transaction, about.
const EVENTS: usize = 10_000;

/// An instance.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the columns are those of the schema")]
pub struct InstanceRow {
    pub id: String,
    pub execution_id: Option<String>,
    pub name: String,
    pub version: Option<String>,
    pub status: String,
    pub parent_id: Option<String>,
    pub created: Option<String>,
    pub updated: Option<String>,
    pub completed: Option<String>,
    pub input: Option<String>,
    pub output: Option<String>,
    pub custom_status: Option<String>,
    pub failure: Option<String>,
}

/// An event; its sequence is its place among those of its instance, from 0.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the columns are those of the schema")]
pub struct EventRow {
    pub timestamp: Option<String>,
    pub event_id: i32,
    pub kind: String,
    pub name: Option<String>,
    pub scheduled_id: Option<i32>,
    pub input: Option<String>,
    pub result: Option<String>,
    pub reason: Option<String>,
    pub json: String,
    pub raw: Vec<u8>,
}

/// Why an export was not written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is a file already.
    #[error("{} exists; remove it, or export to another file", .0.display())]
    Exists(PathBuf),
    /// SQLite could not write it.
    #[error("failed to write {}: {reason}", .path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: rusqlite::Error,
    },
    /// It could not be synced or given its name.
    #[error("failed to finish {}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
}

/// A file that is being written. It has its name once it is [finished](Self::finish), and is removed if it is
/// dropped before.
#[derive(Debug)]
pub struct Export {
    /// `None` once it is closed.
    connection: Option<Connection>,
    path: PathBuf,
    partial: PathBuf,
    /// Events of the open transaction.
    events: usize,
}

impl Export {
    /// Begins a file that does not exist.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, ExportError> {
        let path = path.as_ref().to_owned();
        if path.exists() {
            return Err(ExportError::Exists(path));
        }
        let mut partial = path.clone().into_os_string();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let open = || -> rusqlite::Result<Connection> {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
            let connection = Connection::open_with_flags(&partial, flags)?;
            // The file is of no use before it is finished, so it is synced once, then.
            connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
            connection.execute_batch(SCHEMA)?;
            connection.execute_batch("BEGIN")?;
            Ok(connection)
        };
        // What an export that was broken off by a crash has left.
        let _ = std::fs::remove_file(&partial);
        match open() {
            Ok(connection) => Ok(Self { connection: Some(connection), path, partial, events: 0 }),
            Err(reason) => {
                let _ = std::fs::remove_file(&partial);
                Err(ExportError::Sqlite { path: partial, reason })
            }
        }
    }

    /// Adds an instance with its events. One that was added before is replaced.
    pub fn add(&mut self, instance: &InstanceRow, events: &[EventRow]) -> Result<(), ExportError> {
        self.events += events.len() + 1;
        let Some(connection) = &self.connection else { return Ok(()) };
        let add = || {
            insert_instance(connection, instance)?;
            insert_events(connection, &instance.id, events)?;
            if self.events >= EVENTS { connection.execute_batch("COMMIT; BEGIN") } else { Ok(()) }
        };
        add().map_err(|reason| ExportError::Sqlite { path: self.partial.clone(), reason })?;
        if self.events >= EVENTS {
            self.events = 0;
        }
        Ok(())
    }

    /// Syncs the file and gives it its name.
    pub fn finish(mut self) -> Result<(), ExportError> {
        let Some(connection) = self.connection.take() else { return Ok(()) };
        let closed = connection.execute_batch("COMMIT").and_then(|()| connection.close().map_err(|(_, reason)| reason));
        let finished = match closed {
            Ok(()) => publish(&self.partial, &self.path)
                .map_err(|reason| ExportError::File { path: self.path.clone(), reason }),
            Err(reason) => Err(ExportError::Sqlite { path: self.partial.clone(), reason }),
        };
        if finished.is_err() {
            let _ = std::fs::remove_file(&self.partial);
        }
        finished
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        if self.connection.take().is_some() {
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

fn insert_instance(connection: &Connection, row: &InstanceRow) -> rusqlite::Result<()> {
    let mut insert = connection
        .prepare_cached("INSERT OR REPLACE INTO instances VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)")?;
    insert.execute(params![
        row.id,
        row.execution_id,
        row.name,
        row.version,
        row.status,
        row.parent_id,
        row.created,
        row.updated,
        row.completed,
        row.input,
        row.output,
        row.custom_status,
        row.failure,
    ])?;
    Ok(())
}

fn insert_events(connection: &Connection, instance: &str, events: &[EventRow]) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM events WHERE instance_id = ?1")?.execute([instance])?;
    let mut insert = connection.prepare_cached("INSERT INTO events VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)")?;
    for (sequence, row) in (0_i64..).zip(events) {
        insert.execute(params![
            instance,
            sequence,
            row.timestamp,
            row.event_id,
            row.kind,
            row.name,
            row.scheduled_id,
            row.input,
            row.result,
            row.reason,
            row.json,
            row.raw,
        ])?;
    }
    Ok(())
}

fn publish(partial: &Path, path: &Path) -> std::io::Result<()> {
    File::open(partial)?.sync_all()?;
    std::fs::rename(partial, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(id: &str) -> InstanceRow {
        InstanceRow { id: id.into(), name: "Echo".into(), status: "COMPLETED".into(), ..Default::default() }
    }

    fn event(kind: &str) -> EventRow {
        EventRow { kind: kind.into(), json: "{}".into(), raw: vec![1, 2], ..Default::default() }
    }

    fn count(path: &Path, what: &str) -> i64 {
        let connection = Connection::open(path).expect("it opens");
        connection.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0)).expect("it counts")
    }

    #[test]
    fn a_finished_file_has_every_row_and_an_instance_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("all.sqlite");
        let mut export = Export::create(&path).expect("it begins");
        for n in 0..300 {
            let events: Vec<_> = (0..50).map(|_| event("TaskScheduled")).collect();
            export.add(&instance(&n.to_string()), &events).expect("it is added");
        }
        export.add(&instance("7"), &[event("Other")]).expect("it is added");
        assert!(!path.exists(), "it has its name only when it is whole");
        export.finish().expect("it is finished");
        assert_eq!(count(&path, "instances"), 300);
        assert_eq!(count(&path, "events"), 299 * 50 + 1);
        assert_eq!(count(&path, "events WHERE instance_id = '7' AND type = 'Other' AND raw = x'0102'"), 1);
        assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 1, "nothing else is left");
    }

    #[test]
    fn one_that_is_given_up_leaves_nothing_and_what_exists_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("all.sqlite");
        let mut export = Export::create(&path).expect("it begins");
        export.add(&instance("a"), &[event("A")]).expect("it is added");
        drop(export);
        assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0);
        std::fs::write(&path, "precious").expect("it is written");
        assert!(matches!(Export::create(&path), Err(ExportError::Exists(_))));
        assert_eq!(std::fs::read_to_string(&path).expect("readable"), "precious");
    }
}
