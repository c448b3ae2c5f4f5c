//! Tables without space, without syncs, and with somebody who reads for a long time.

use super::machine::{BUSY, Machine};
use super::{probe, start};
use crate::rows::Database;
use crate::store::Store;
use crate::{Embedded, Options, Settling};
use duramen_backend::conformance::Probe;
use duramen_backend::{Backend, Event, Hurry};
use duramen_shim::{Chance, Faults};
use rusqlite::{Connection, OpenFlags};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Waits for something that has no event.
pub(super) fn await_that(what: &str, mut so: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < patience, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn open(machine: &Machine) -> (Arc<Store<Database>>, Probe) {
    probe(machine.open(BUSY).expect("it opens"))
}

#[test]
fn without_space_for_the_tables_appends_wait_and_nothing_is_lost() {
    let mut chance = Chance::new(1);
    let machine = Machine::new(&mut chance);
    let (store, probe) = open(&machine);
    let held = probe.acquire();
    machine.tables.set_faults(Faults { capacity: Some(0), ..Faults::default() });
    let mut number = 0;
    while store.counters().unsettled_bytes < BUSY.settling.bound {
        number += 1;
        probe.append(&held, vec![start(number, 3_000)]);
    }
    await_that("settling meets the full disk", || store.counters().no_space);
    let waiting = number + 1..=number + 5;
    for number in waiting.clone() {
        probe.submit(&held, vec![start(number, 3_000)], [Hurry::Idle, Hurry::Busy][number as usize % 2]);
    }
    // The disk has been tried again a few times by then.
    thread::sleep(Duration::from_millis(500));
    assert!(probe.is_silent(), "appends wait, and the store lives");
    machine.tables.set_faults(Faults::default());
    let all = 1..=*waiting.end();
    waiting.for_each(|number| {
        probe.expect_appended(&held, number);
    });
    let is_whole = |probe: &Probe| all.clone().all(|number| probe.load(&format!("i{number}")).is_some());
    assert!(is_whole(&probe));
    await_that("there is space again", || probe.is_silent() && !probe.is_short());
    assert!(!store.counters().no_space);

    // A store that is closed meanwhile writes what waits to the journal, which has space, and ends.
    machine.tables.set_faults(Faults { capacity: Some(0), ..Faults::default() });
    let mut last = *all.end();
    while store.counters().unsettled_bytes < BUSY.settling.bound {
        last += 1;
        probe.append(&held, vec![start(last, 3_000)]);
    }
    probe.submit(&held, vec![start(last + 1, 3_000)], Hurry::Busy);
    store.close();
    let next = machine.end(&mut chance);
    let (_store, probe) = open(&next);
    assert!((1..=last + 1).all(|number| probe.load(&format!("i{number}")).is_some()));
}

#[test]
fn tables_that_cannot_be_synced_stop_the_store() {
    for syncs in [true, false] {
        let mut chance = Chance::new(2);
        let machine = Machine::new(&mut chance);
        let (store, probe) = open(&machine);
        let held = probe.acquire();
        probe.append(&held, vec![start(1, 100)]);
        machine.tables.set_faults(Faults { fail_syncs: syncs, fail_writes: !syncs, ..Faults::default() });
        let position = probe.append(&held, vec![start(2, 100)]);
        store.settle(position);
        let Event::Failed(failure) = probe.next() else { panic!("it goes on") };
        assert!(failure.what.contains("tables.db") && failure.reason.contains("disk I/O error"), "{failure}");
        probe.submit(&held, vec![start(3, 100)], Hurry::Idle);
        let next = machine.end(&mut chance);
        store.close();
        assert!(probe.is_silent(), "nothing is acknowledged any more");
        let (_store, probe) = open(&next);
        assert!([1, 2].iter().all(|number| probe.load(&format!("i{number}")).is_some()));
    }
}

/// What makes one content of SQLite's log different from the one before.
fn salt(log: &Path) -> Vec<u8> {
    fs::read(log).ok().and_then(|bytes| bytes.get(16..24).map(<[u8]>::to_vec)).unwrap_or_default()
}

#[test]
fn a_long_reader_stops_nothing_and_the_log_begins_anew_soon_after_it() {
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    let settling = Settling { bytes: 1 << 14, age: Duration::from_millis(20), ..Settling::default() };
    let (store, probe) =
        probe(Embedded::open(folder.path(), Options { settling, ..Options::default() }).expect("it opens"));
    let held = probe.acquire();
    let settled = |number| {
        let position = probe.append(&held, vec![start(number, 20_000)]);
        probe.await_settled(position);
    };
    (1..=5).for_each(settled);
    let reader = Connection::open_with_flags(folder.path().join("tables.db"), OpenFlags::SQLITE_OPEN_READ_ONLY);
    let reader = reader.expect("it is there");
    reader.execute_batch("BEGIN").expect("it can be read");
    let count = || reader.query_row("SELECT count(*) FROM instance", [], |row| row.get::<_, i64>(0));
    assert_eq!(count().expect("it can be read"), 5);
    (6..=105).for_each(settled);
    assert_eq!(count().expect("it can be read"), 5, "the reader sees what it saw");
    let log = folder.path().join("tables.db-wal");
    let size = || fs::metadata(&log).map_or(0, |metadata| metadata.len());
    let (long, before) = (size(), salt(&log));
    assert!(long > 100 * 20_000, "the log grows while somebody reads what is before it: {long} bytes");
    reader.execute_batch("COMMIT").expect("it can end");
    let ended = Instant::now();
    let mut number = 105;
    while salt(&log) == before {
        assert!(ended.elapsed() < Duration::from_secs(10), "the log goes on growing");
        number += 1;
        settled(number);
        thread::sleep(Duration::from_millis(50));
    }
    // Written over from its beginning, it grows no more.
    (number + 1..=number + 30).for_each(settled);
    assert!(size() <= long + (number - 105) * 200_000, "{} bytes after {long}", size());
    store.close();
}
