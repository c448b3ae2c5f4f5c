//! SQLite's own promises under the shim, and that they are seen to be broken when they are not given.

use crate::{Chance, Faults, Shim};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Result};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("there is a place for temporary files")
}

fn open(folder: &Path, synchronous: &str) -> Result<Connection> {
    let connection = Connection::open(folder.join("counter.db"))?;
    connection.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    // So small that the log is reset again and again.
    connection.query_row("PRAGMA wal_autocheckpoint=20", [], |_| Ok(()))?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS counter (one INTEGER PRIMARY KEY, value INTEGER NOT NULL);
         CREATE TABLE IF NOT EXISTS filler (value INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
         INSERT OR IGNORE INTO counter VALUES (1, 0);",
    )?;
    Ok(connection)
}

fn value(connection: &Connection) -> Result<i64> {
    connection.query_row("SELECT value FROM counter", [], |row| row.get(0))
}

/// Commits the next value, with something that takes space beside it.
fn count(connection: &mut Connection, next: i64, size: i64) -> Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute("UPDATE counter SET value = ?", [next])?;
    transaction.execute("INSERT INTO filler VALUES (?, zeroblob(?))", [next, size])?;
    transaction.execute("DELETE FROM filler WHERE value < ?", [next - 10])?;
    transaction.commit()
}

/// What the file holds, or why it is not a whole database any more.
fn look(folder: &Path) -> Result<i64, String> {
    let look = || {
        let connection = Connection::open(folder.join("counter.db"))?;
        let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        let made = "SELECT count(*) FROM sqlite_schema WHERE name = 'counter'";
        let is_made = connection.query_row(made, [], |row| row.get::<_, i64>(0))? > 0;
        let value = if is_made { value(&connection).optional()? } else { None };
        Ok((verdict, value.unwrap_or(0)))
    };
    match look() {
        Ok((verdict, value)) if verdict == "ok" => Ok(value),
        Ok((verdict, _)) => Err(verdict),
        Err::<_, rusqlite::Error>(error) => Err(error.to_string()),
    }
}

/// How the lives of one seed went.
#[derive(Debug, Default)]
struct Story {
    /// The highest value whose commit was acknowledged when a life ended, and what was there afterwards.
    lives: Vec<(i64, Result<i64, String>)>,
}

impl Story {
    fn has_lost(&self) -> bool {
        self.lives.iter().any(|(acknowledged, found)| found.as_ref().map_or(true, |found| found < acknowledged))
    }
}

/// Some lives of a database, each ended after a random operation, by the power or by a signal.
fn live(seed: i64, synchronous: &str) -> Story {
    let mut chance = Chance::new(seed as u64);
    let mut story = Story::default();
    let mut home = folder();
    let mut shim = Shim::new(home.path()).expect("it is there");
    for _ in 0..4 {
        shim.end_after(chance.draw(150), || {});
        let connection = open(home.path(), synchronous);
        let mut acknowledged = story.lives.last().and_then(|(_, found)| found.as_ref().ok().copied()).unwrap_or(0);
        if let Ok(mut connection) = connection {
            while count(&mut connection, acknowledged + 1, 1 + chance.draw(6_000) as i64).is_ok() {
                acknowledged += 1;
            }
        }
        assert!(shim.has_ended(), "seed {seed}: nothing else makes it stop");
        let next = folder();
        let killed = chance.draw(3) == 0;
        shim = if killed {
            shim.kill(next.path(), || {}).expect("it can be copied")
        } else {
            shim.crash(next.path(), |below| chance.draw(below), || {}).expect("it can be written")
        };
        home = next;
        let found = look(home.path());
        let broken = found.is_err();
        story.lives.push((acknowledged, found));
        if broken {
            break;
        }
    }
    story
}

#[test]
fn what_was_synced_is_there_after_every_crash() {
    let (mut lives, mut values) = (0, 0);
    for seed in 0..150 {
        let story = live(seed, "FULL");
        assert!(!story.has_lost(), "seed {seed}: {story:?}");
        // A commit that was not acknowledged may be there, and only that one.
        for (acknowledged, found) in &story.lives {
            assert!(found.as_ref().is_ok_and(|found| *found <= acknowledged + 1), "seed {seed}: {story:?}");
            values += acknowledged;
        }
        lives += story.lives.len();
    }
    assert!(lives == 600 && values > 2_000, "the workload does next to nothing: {lives} lives, {values} values");
}

#[test]
fn commits_that_were_not_synced_are_seen_to_be_lost() {
    let lost = |synchronous| (0..60).filter(|seed| live(*seed, synchronous).has_lost()).count();
    let (off, normal) = (lost("OFF"), lost("NORMAL"));
    assert!(off > 20, "{off} of 60 seeds lost a commit without any sync");
    assert!(normal > 20, "{normal} of 60 seeds lost a commit with no sync for each");
}

#[test]
fn a_seed_gives_the_same_story_again() {
    let told = |seed| format!("{:?}", live(seed, "OFF"));
    assert!((0..10).all(|seed| told(seed) == told(seed)));
}

#[test]
fn faults_come_as_sqlite_knows_them_and_go() {
    let home = folder();
    let shim = Shim::new(home.path()).expect("it is there");
    let mut connection = open(home.path(), "FULL").expect("it opens");
    count(&mut connection, 1, 10).expect("nothing fails");
    let code = |result: Result<()>| result.expect_err("it fails").sqlite_error_code();
    shim.set_faults(Faults { fail_writes: true, ..Faults::default() });
    assert_eq!(code(count(&mut connection, 2, 10)), Some(ErrorCode::SystemIoFailure));
    shim.set_faults(Faults { capacity: Some(60_000), ..Faults::default() });
    assert_eq!(code(count(&mut connection, 2, 100_000)), Some(ErrorCode::DiskFull));
    shim.set_faults(Faults { slow_syncs: Some(Duration::from_millis(20)), ..Faults::default() });
    let begun = Instant::now();
    count(&mut connection, 2, 10).expect("it is only slow");
    assert!(begun.elapsed() >= Duration::from_millis(20));
    shim.set_faults(Faults { fail_syncs: true, ..Faults::default() });
    assert_eq!(code(count(&mut connection, 3, 10)), Some(ErrorCode::SystemIoFailure));
    shim.set_faults(Faults::default());
    assert_eq!(value(&connection).expect("it can be read"), 2);
}

/// What a killed process had written and not synced is still to lose for the next one.
#[test]
fn a_kill_leaves_the_page_cache_and_its_risk() {
    let home = folder();
    let shim = Shim::new(home.path()).expect("it is there");
    let mut connection = open(home.path(), "OFF").expect("it opens");
    count(&mut connection, 1, 10).expect("nothing fails");
    let (next, shown, last) = (folder(), folder(), folder());
    let killed = shim.kill(next.path(), || {}).expect("it can be copied");
    count(&mut connection, 2, 10).expect_err("the process is dead");
    drop(connection);
    // Looking closes the database, which syncs it; so what is looked at is another copy.
    killed.kill(shown.path(), || {}).expect("it can be copied");
    assert_eq!(look(shown.path()), Ok(1));
    // Draws of 0 keep the names, and nothing of what was not synced.
    killed.crash(last.path(), |_| 0, || {}).expect("it can be written");
    assert_ne!(look(last.path()), Ok(1));
}

#[test]
fn two_parts_of_a_machine_end_at_one_moment() {
    let home = folder();
    let shim = Shim::new(home.path()).expect("it is there");
    let mut connection = open(home.path(), "FULL").expect("it opens");
    let ended = Arc::new(AtomicBool::new(false));
    let other = ended.clone();
    shim.end_after(2, move || other.store(true, Ordering::Relaxed));
    let mut next = 1;
    while count(&mut connection, next, 10).is_ok() {
        assert!(!ended.load(Ordering::Relaxed), "nothing is acknowledged behind the end");
        next += 1;
    }
    assert!(ended.load(Ordering::Relaxed) && shim.has_ended());
}

#[test]
fn what_is_not_watched_is_left_alone() {
    let (home, other) = (folder(), folder());
    let shim = Shim::new(home.path()).expect("it is there");
    shim.set_faults(Faults { fail_writes: true, ..Faults::default() });
    open(home.path(), "FULL").expect_err("nothing can be written");
    let mut connection = open(other.path(), "FULL").expect("it opens");
    count(&mut connection, 1, 10).expect("nothing fails");
    assert_eq!(look(other.path()), Ok(1));
}
