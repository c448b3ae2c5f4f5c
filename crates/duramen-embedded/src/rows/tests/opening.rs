//! Files that are not what they should be.

use super::{Fresh, fresh, some, standing};
use crate::rows::{Database, DatabaseError, FILE};
use duramen_backend::rows::{Changes, Rows, RowsError};
use std::fs;

fn refused(folder: &tempfile::TempDir) -> DatabaseError {
    let before = fs::read(folder.path().join(FILE)).expect("it is there");
    let error = Database::open(folder.path()).expect_err("it is not opened");
    assert!(error.to_string().contains("tables.db"), "{error}");
    assert_eq!(fs::read(folder.path().join(FILE)).expect("it is there"), before, "it is left alone");
    error
}

/// The folder of tables that were closed.
fn closed() -> tempfile::TempDir {
    let Fresh { rows, folder } = fresh();
    some(&rows);
    drop(rows);
    assert!(!folder.path().join("tables.db-wal").exists(), "the last one to close moves the log into the file");
    folder
}

fn execute(folder: &tempfile::TempDir, sql: &str) {
    let connection = rusqlite::Connection::open(folder.path().join(FILE)).expect("it opens");
    connection.execute_batch(sql).expect("it can be done");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    for text in ["x", &"no database ".repeat(1_000)] {
        let folder = tempfile::tempdir().expect("there is a place for temporary files");
        fs::write(folder.path().join(FILE), text).expect("it can be written");
        let error = refused(&folder);
        assert!(matches!(error, DatabaseError::NoDatabase { .. }), "{error}");
    }
}

#[test]
fn an_empty_file_is_a_new_one() {
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    fs::write(folder.path().join(FILE), "").expect("it can be written");
    let rows = Database::open(folder.path()).expect("it opens");
    assert_eq!(rows.standing().expect("it can be read"), None);
}

#[test]
fn a_file_that_was_cut_off_is_damaged() {
    let folder = closed();
    let path = folder.path().join(FILE);
    let bytes = fs::read(&path).expect("it is there");
    fs::write(&path, &bytes[..bytes.len() / 2]).expect("it can be written");
    let error = refused(&folder);
    assert!(matches!(error, DatabaseError::Damaged { .. }), "{error}");
}

#[test]
fn a_database_of_another_program_is_refused() {
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    execute(&folder, "CREATE TABLE theirs (a)");
    let error = refused(&folder);
    assert!(matches!(error, DatabaseError::Foreign { found: 0, .. }), "{error}");
}

#[test]
fn a_newer_schema_is_refused_with_what_to_do() {
    let folder = closed();
    execute(&folder, "PRAGMA user_version = 99");
    let error = refused(&folder);
    assert!(matches!(error, DatabaseError::Newer { found: 99, known: 3, .. }), "{error}");
    assert!(error.to_string().contains("open the store with the version that wrote it"), "{error}");
    assert!(matches!(Database::look(folder.path()), Err(DatabaseError::Newer { .. })));
}

#[test]
fn to_look_at_changes_nothing() {
    let folder = closed();
    let rows = Database::look(folder.path()).expect("it opens");
    assert!(rows.load("order-01").expect("it can be read").is_some());
    assert_eq!(rows.check().expect("it can be read").problems, Vec::<String>::new());
    let changes = Changes { standing: Some(standing(2)), ..Changes::default() };
    assert!(matches!(rows.write(&changes), Err(RowsError::Failed(_))));
    assert_eq!(rows.standing().expect("it can be read"), Some(standing(1)));
    let nothing = tempfile::tempdir().expect("there is a place for temporary files");
    assert!(matches!(Database::look(nothing.path()), Err(DatabaseError::Missing { .. })));
    assert!(!nothing.path().join(FILE).exists());
}

#[test]
fn settings_are_what_they_were_set_to() {
    let Fresh { rows, folder: _folder } = fresh();
    let writer = rows.writer();
    let value = |pragma| crate::rows::open::value::<rusqlite::types::Value>(&writer, pragma).expect("it is one");
    let integer = |pragma| match value(pragma) {
        rusqlite::types::Value::Integer(value) => value,
        other => panic!("{pragma} is {other:?}"),
    };
    assert_eq!(value("journal_mode"), "wal".to_owned().into());
    assert_eq!(integer("synchronous"), 2);
    assert_eq!(integer("auto_vacuum"), 2);
    assert_eq!(integer("page_size"), 8_192);
    assert_eq!(integer("wal_autocheckpoint"), 0);
    assert_eq!(integer("application_id"), 0x4475_7261);
    assert_eq!(integer("user_version"), 3);
}

#[test]
fn damage_in_the_middle_is_found_by_a_check() {
    let folder = closed();
    let path = folder.path().join(FILE);
    let mut bytes = fs::read(&path).expect("it is there");
    // The root of the instances' table is the third page or so; every second page from there is wiped.
    for page in bytes.chunks_mut(8_192).skip(3).step_by(2) {
        page.fill(0x5a);
    }
    fs::write(&path, bytes).expect("it can be written");
    let rows = Database::look(folder.path()).expect("its first page is sound");
    match rows.check() {
        Ok(found) => assert!(!found.problems.is_empty()),
        Err(error) => assert!(error.to_string().contains("tables.db"), "{error}"),
    }
}
