//! A store is looked at: whole ones are whole, each kind of damage is named, and no byte changes.

use super::lives::story::{Author, State};
use super::probe;
use super::space::await_that;
use crate::{Embedded, OpenError, Options, Report, SegmentSizes, Settling, verify};
use duramen_backend::Backend;
use duramen_backend::journal::{BatchHeader, segment_file};
use duramen_core::checkpoint::Checkpoint;
use duramen_core::ids::Position;
use duramen_shim::Chance;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Small segments, and no settle but those that somebody asks for.
pub(super) const ASKED: Options = Options {
    sizes: SegmentSizes { first: 1 << 14, next: 1 << 15 },
    settling: Settling { bytes: 1 << 30, age: Duration::from_secs(3_600), bound: 1 << 30, reserve: 1 << 20 },
    prepare: 0,
};

pub(super) fn folder() -> TempDir {
    tempfile::tempdir().expect("there is a place for temporary files")
}

/// Every file below a folder.
pub(super) fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            files.extend(content(&path));
        } else {
            match fs::read(&path) {
                Ok(bytes) => drop(files.insert(path, bytes)),
                // A store that is open takes segments out of use meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }
    files
}

/// The folder as it is now, as a process that is killed would leave it.
pub(super) fn killed(from: &Path) -> TempDir {
    let to = folder();
    for (path, bytes) in content(from) {
        let path = to.path().join(path.strip_prefix(from).expect("it is below"));
        if path.extension().is_some_and(|extension| extension == "db-shm") {
            continue;
        }
        fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
        fs::write(path, bytes).expect("it can be written");
    }
    to
}

/// A store with some of its work settled and some in the journal alone, as a killed process left it.
fn some(state: &mut State) -> TempDir {
    let place = folder();
    let (store, probe) = probe(Embedded::open(place.path(), ASKED).expect("it opens"));
    let held = probe.acquire();
    let mut chance = Chance::new(7);
    let mut author = Author::new(State::default(), held.epoch, &mut chance);
    let mut position = Position(0);
    for number in (1..200).step_by(5) {
        let checkpoints: Vec<Checkpoint> = (number..number + 5).map(|number| author.checkpoint(number)).collect();
        position = probe.append(&held, checkpoints);
        if number == 151 {
            probe.await_settled(position);
        }
    }
    let first = place.path().join("journal").join(segment_file(1));
    await_that("what is settled is recycled", || !first.exists());
    assert!(store.counters().settled_position < position.0);
    *state = author.state.clone();
    let left = killed(place.path());
    store.close();
    left
}

fn look(folder: &Path) -> Report {
    let before = content(folder);
    let report = verify(folder).unwrap_or_else(|error| panic!("it can be looked at: {error}"));
    let after = content(folder);
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after), "no file comes or goes");
    assert!(before == after, "no byte changes");
    report
}

#[test]
fn a_whole_store_is_whole_and_stays_as_it_is() {
    let mut state = State::default();
    let left = some(&mut state);
    let report = look(left.path());
    assert!(report.is_whole(), "{report}");
    assert!(report.settled > 0 && report.durable > report.settled, "{report}");
    assert!(report.instances > 20 && report.segments > 1 && report.store.is_some(), "{report:?}");
    // Opened and closed, all of it is in the tables, and there is no log.
    let store = Embedded::open(left.path(), ASKED).expect("it opens");
    let (store, probe) = probe(store);
    super::lives::compare(&probe, &state);
    assert!(matches!(verify(left.path()), Err(OpenError::Locked { .. })), "somebody has it open");
    store.close();
    drop((store, probe));
    let report = look(left.path());
    assert!(report.is_whole() && report.instances == state.instances.len() as u64, "{report}");
    assert_eq!(fs::metadata(left.path().join("tables.db-wal")).map_or(0, |metadata| metadata.len()), 0);
}

#[test]
fn a_folder_without_a_store_is_none_and_a_new_store_is_whole() {
    let place = folder();
    let error = verify(place.path()).expect_err("there is none");
    assert!(error.to_string().contains(&place.path().display().to_string()), "{error}");
    Embedded::open(place.path(), ASKED).expect("it opens").close();
    let report = look(place.path());
    assert!(report.is_whole() && report.instances == 0, "{report}");
}

/// What was done to the tables, and words that the report then has to hold.
const MUTILATIONS: [(&str, &[&str]); 16] = [
    (
        "DELETE FROM history WHERE run = (SELECT run FROM instance WHERE status = 0 ORDER BY birth LIMIT 1)",
        &["history of 0"],
    ),
    ("UPDATE history SET count = count + 1 WHERE rowid = 3", &["holds", "events and says"]),
    ("UPDATE history SET first = first + 1 WHERE rowid = 3", &["comes after event"]),
    ("UPDATE history SET run = 5 WHERE rowid = 3", &["history (run 5) belongs to no instance"]),
    ("UPDATE history SET events = x'ff' WHERE rowid = 3", &["cannot be read"]),
    ("DELETE FROM instance WHERE birth = (SELECT min(birth) FROM inbox)", &["inbox (run", "belongs to no instance"]),
    ("UPDATE inbox SET sequence = sequence + 1000", &["and the next one is to be"]),
    ("INSERT INTO timer VALUES (3, 1, 2, 5, 1, NULL)", &["timer (run 3, number 1) belongs to no instance"]),
    (
        "UPDATE task SET number = 1000 WHERE birth = (SELECT birth FROM task LIMIT 1) AND number = (SELECT number FROM task LIMIT 1)",
        &["has task"],
    ),
    ("UPDATE task SET birth = 77 WHERE number = (SELECT max(number) FROM task)", &["task (birth 77"]),
    ("UPDATE task SET place = 100000 WHERE place IS NOT NULL", &["has no event"]),
    ("UPDATE pair SET sent = NULL", &["higher than what was ever sent"]),
    ("UPDATE instance SET tail = x'ff' WHERE birth = (SELECT min(birth) FROM instance)", &["tail that cannot be read"]),
    ("UPDATE store SET position = position + 100000", &["tables stand at batch", "the journal ends with batch"]),
    ("UPDATE store SET epoch = 0", &["under a lease that was never given"]),
    ("UPDATE store SET id = 5", &["belong to the store 0000000000000005"]),
];

#[test]
fn each_damage_to_the_tables_is_named() {
    let left = some(&mut State::default());
    for (mutilation, words) in MUTILATIONS {
        let copy = killed(left.path());
        let tables = Connection::open(copy.path().join("tables.db")).expect("it is there");
        let changed = tables.execute(mutilation, []).expect("it can be done");
        assert!(changed > 0, "{mutilation} changes nothing");
        drop(tables);
        let report = look(copy.path());
        let text = report.to_string();
        assert!(!report.is_whole() && words.iter().all(|word| text.contains(word)), "{mutilation}: {text}");
        assert!(text.contains(&copy.path().display().to_string()), "{text}");
    }
}

#[test]
fn each_damage_to_files_is_named() {
    let left = some(&mut State::default());
    let damaged = |damage: &dyn Fn(&Path), words: &[&str]| {
        let copy = killed(left.path());
        damage(copy.path());
        let report = look(copy.path());
        let text = report.to_string();
        assert!(!report.is_whole() && words.iter().all(|word| text.contains(word)), "{words:?}: {text}");
    };
    let segments = |folder: &Path| content(&folder.join("journal")).into_keys().collect::<Vec<_>>();
    let flip = |path: &Path, at: usize| {
        let mut bytes = fs::read(path).expect("it is there");
        bytes[at] ^= 4;
        fs::write(path, bytes).expect("it can be written");
    };
    // The last segment that was written to, and its first batch.
    let last = |folder: &Path| {
        // One that is used again holds batches of its earlier number.
        let is_written = |path: &PathBuf| {
            let bytes = fs::read(path).expect("it is there");
            let batch = BatchHeader::decode(&bytes[512..]);
            batch.is_some_and(|(batch, _)| path.ends_with(segment_file(batch.segment)))
        };
        segments(folder).into_iter().rfind(is_written).expect("one was written to")
    };
    damaged(&|folder| flip(&last(folder), 600), &[".segment is damaged at byte", "cannot be read"]);
    damaged(&|folder| flip(&last(folder), 3), &["does not begin with the header of a segment"]);
    // All before it, and with them what is not settled.
    let before_last = |folder: &Path| {
        let last = last(folder);
        segments(folder)
            .iter()
            .filter(|path| **path < last)
            .for_each(|path| fs::remove_file(path).expect("it is there"));
    };
    damaged(&before_last, &["the tables stand at batch", "the journal begins with batch"]);
    damaged(
        &|folder| segments(folder).iter().for_each(|path| fs::remove_file(path).expect("it is there")),
        &["there is no journal"],
    );
    damaged(&|folder| fs::write(folder.join("tables.db"), "text").expect("it can be written"), &["no SQLite database"]);
    // A page of an index, of the log that a killed process left.
    let index = |folder: &Path| {
        drop(
            Connection::open(folder.join("tables.db"))
                .expect("it is there")
                .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"),
        );
        let tables = Connection::open(folder.join("tables.db")).expect("it is there");
        let root: i64 = tables
            .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'instance_by_id'", [], |row| row.get(0))
            .expect("it is there");
        drop(tables);
        flip(&folder.join("tables.db"), (root as usize - 1) * 8_192 + 8_000);
    };
    damaged(&index, &["tables.db", "restore the store from a backup"]);
}

#[test]
fn tables_that_are_lost_are_missed() {
    let left = some(&mut State::default());
    fs::remove_file(left.path().join("tables.db")).expect("it is there");
    fs::remove_file(left.path().join("tables.db-wal")).expect("it is there");
    let report = look(left.path());
    let text = report.to_string();
    assert!(
        !report.is_whole() && text.contains("tables stand at batch 0, and the journal begins with batch"),
        "{text}"
    );
}
