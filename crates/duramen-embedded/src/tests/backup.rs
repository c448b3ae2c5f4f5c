//! Copies of a store that is at work, and what comes of them.

use super::lives::compare;
use super::lives::story::{Author, LEDGER, State};
use super::machine::BUSY;
use super::probe;
use super::verify::{ASKED, content, folder, killed};
use crate::{BackupError, EPOCHS_LEFT_OUT, Embedded, restore, verify};
use duramen_backend::conformance::Probe;
use duramen_backend::{Backend, Hurry};
use duramen_shim::Chance;
use rusqlite::Connection;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Compares a store with the one of these states that it must be in, and gives its number.
fn find(folder: &Path, states: &[State]) -> usize {
    let (store, probe) = probe(Embedded::open(folder, ASKED).expect("it opens"));
    let noted = probe.load(LEDGER).map_or(0, |image| image.tail.episodes);
    let at = states.iter().position(|state| state.count == noted).expect("it is one of them");
    compare(&probe, &states[at]);
    store.close();
    at
}

fn newest_epoch(folder: &Path) -> u32 {
    let (store, probe) = probe(Embedded::open(folder, ASKED).expect("it opens"));
    let epoch = probe.acquire().epoch.0;
    store.close();
    epoch
}

#[test]
fn a_backup_of_a_store_at_work_has_all_that_was_acknowledged_before_it() {
    let (home, copies) = (folder(), folder());
    let (store, probe) = probe(Embedded::open(home.path(), BUSY).expect("it opens"));
    let held = probe.acquire();
    let (acknowledged, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let copies = copies.path();
    let (states, taken) = std::thread::scope(|scope| {
        let backups = scope.spawn(|| {
            let mut taken = Vec::new();
            for number in 0..4 {
                while acknowledged.load(Ordering::SeqCst) < 40 * (number + 1) {
                    std::thread::yield_now();
                }
                let before = acknowledged.load(Ordering::SeqCst);
                let to = copies.join(format!("backup-{number}"));
                let mut last = crate::Progress::default();
                store.backup(&to, |progress| last = progress).unwrap_or_else(|error| panic!("{error}"));
                assert!(last.copied > 0 && last.copied == last.total, "{last:?}");
                taken.push((to, before));
            }
            done.store(true, Ordering::SeqCst);
            taken
        });
        let mut chance = Chance::new(3);
        let mut author = Author::new(State::default(), held.epoch, &mut chance);
        let mut states = vec![author.state.clone()];
        let mut number = 0;
        while !done.load(Ordering::SeqCst) || number < 300 {
            number += 1;
            let checkpoint = author.checkpoint(number);
            states.push(author.state.clone());
            probe.submit(&held, vec![checkpoint], Hurry::Idle);
            probe.expect_appended(&held, number);
            acknowledged.store(number as usize, Ordering::SeqCst);
        }
        (states, backups.join().expect("they are made"))
    });
    store.close();
    drop((store, probe));
    for (backup, before) in taken {
        let report = verify(&backup).expect("it can be looked at");
        assert!(report.is_whole(), "{report}");
        let restored = copies.join("restored");
        restore(&backup, &restored, |_| ()).unwrap_or_else(|error| panic!("{error}"));
        assert!(verify(&restored).expect("it can be looked at").is_whole());
        assert!(find(&restored, &states) >= before, "a backup lacks what was acknowledged before it");
        assert!(newest_epoch(&restored) > EPOCHS_LEFT_OUT, "it gives out epochs that the original gives out");
        fs::remove_dir_all(&restored).expect("it is there");
    }
    assert_eq!(find(home.path(), &states), states.len() - 1, "the original goes on");
}

/// The journal of the store goes on being recycled once a copy is made.
#[test]
fn segments_stay_for_a_copy_and_go_after_it() {
    let (home, copies) = (folder(), folder());
    let (store, probe) = probe(Embedded::open(home.path(), ASKED).expect("it opens"));
    let held = probe.acquire();
    let mut number = 0;
    let mut work = |probe: &Probe| {
        for _ in 0..40 {
            number += 1;
            let position = probe.append(&held, vec![super::start(number, 4_000)]);
            probe.await_settled(position);
        }
    };
    let segments = || content(&home.path().join("journal")).len();
    work(&probe);
    let mut most = 0;
    let first = AtomicBool::new(true);
    store
        .backup(copies.path().join("backup"), |_| {
            // While a piece is copied, the store works and settles.
            if first.swap(false, Ordering::SeqCst) {
                work(&probe);
                most = segments();
            }
        })
        .expect("it is made");
    assert!(most >= 7, "{most} segments stay while 160 kB are written into such of 32 kB");
    work(&probe);
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while segments() > 6 {
        assert!(std::time::Instant::now() < patience, "{} segments are kept", segments());
        std::thread::yield_now();
    }
    store.close();
    assert!(verify(copies.path().join("backup")).expect("it can be looked at").is_whole());
}

#[test]
fn a_closed_store_is_restored_as_it_is_and_one_that_is_not_whole_is_not() {
    let (home, place) = (folder(), folder());
    let (store, probe) = probe(Embedded::open(home.path(), ASKED).expect("it opens"));
    let held = probe.acquire();
    probe.append(&held, (1..=30).map(|number| super::start(number, 2_000)).collect());
    let open = restore(home.path(), place.path().join("open"), |_| ());
    assert!(matches!(open, Err(BackupError::Open(crate::OpenError::Locked { .. }))));
    let left = killed(home.path());
    store.close();
    let to = place.path().join("restored");
    restore(left.path(), &to, |_| ()).unwrap_or_else(|error| panic!("{error}"));
    let (restored, probe) = super::probe(Embedded::open(&to, ASKED).expect("it opens"));
    assert!((1..=30).all(|number| probe.load(&format!("i{number}")).is_some()));
    restored.close();

    let again = restore(left.path(), &to, |_| ()).expect_err("there is one");
    assert!(again.to_string().contains("is not empty"), "{again}");
    let tables = Connection::open(left.path().join("tables.db")).expect("it is there");
    tables.execute("UPDATE store SET position = position + 1000", []).expect("it can be done");
    drop(tables);
    let damaged = restore(left.path(), place.path().join("another"), |_| ()).expect_err("it is damaged");
    assert!(matches!(damaged, BackupError::NotWhole { .. }) && damaged.to_string().contains("the journal ends with"));
    assert!(!place.path().join("another").exists() && !place.path().join("another.part").exists());
}

#[test]
fn a_backup_goes_where_nothing_is() {
    let (home, place) = (folder(), folder());
    let store = Arc::new(Embedded::open(home.path(), ASKED).expect("it opens"));
    let taken = place.path().join("taken");
    fs::create_dir(&taken).expect("it can be made");
    store.backup(&taken, |_| ()).expect("an empty folder is as good as none");
    let error = store.backup(&taken, |_| ()).expect_err("there is a backup");
    assert!(matches!(error, BackupError::Target { .. }), "{error}");
    fs::create_dir(place.path().join("half.part")).expect("it can be made");
    let error = store.backup(place.path().join("half"), |_| ()).expect_err("there is a part");
    assert!(error.to_string().contains("remove it and try again"), "{error}");
    store.close();
}
