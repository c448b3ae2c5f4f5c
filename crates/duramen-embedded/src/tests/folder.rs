//! What is about folders: the lock, errors that name things, what is counted.

use super::{probe, start};
use crate::{Embedded, OpenError, Options};
use duramen_backend::Backend;
use duramen_backend::journal::{JournalError, SegmentHeader, segment_file};
use duramen_backend::recovery::RecoveryError;
use std::fs;
use std::os::unix::fs::FileExt;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("there is a place for temporary files")
}

#[test]
fn a_folder_has_one_owner_at_a_time_and_is_free_after_a_close() {
    let folder = folder();
    let store = Embedded::open(folder.path(), Options::default()).expect("it is free");
    let error = Embedded::open(folder.path(), Options::default()).err().expect("it is not free");
    assert!(matches!(error, OpenError::Locked { .. }));
    let text = error.to_string();
    assert!(text.contains(&folder.path().display().to_string()) && text.contains("stop that process"), "{text}");
    store.close();
    Embedded::open(folder.path(), Options::default()).expect("it is free again").close();
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = folder();
    let path = folder.path().join("file");
    fs::write(&path, "not a folder").expect("it can be written");
    let error = Embedded::open(&path, Options::default()).err().expect("it is a file");
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

#[test]
fn a_folder_of_a_newer_format_is_refused_by_name_and_left_alone() {
    let folder = folder();
    Embedded::open(folder.path(), Options::default()).expect("it opens").close();
    let path = folder.path().join("journal").join(segment_file(1));
    let header = SegmentHeader::decode(&fs::read(&path).expect("it is there")).expect("it is good");
    let newer = SegmentHeader { format: header.format + 1, ..header };
    let file = fs::OpenOptions::new().write(true).open(&path).expect("it is there");
    file.write_all_at(&newer.encode(), 0).expect("it can be written");
    let before = fs::read(&path).expect("it is there");
    let error = Embedded::open(folder.path(), Options::default()).err().expect("it is newer");
    let newer = |source: &RecoveryError| matches!(source, RecoveryError::Journal(JournalError::Newer { .. }));
    assert!(matches!(&error, OpenError::Recovery { source, .. } if newer(source)), "{error:?}");
    assert_eq!(fs::read(&path).expect("it is there"), before);
}

#[test]
fn files_that_are_not_of_the_journal_are_left_alone() {
    let folder = folder();
    Embedded::open(folder.path(), Options::default()).expect("it opens").close();
    for name in ["notes.txt", "1.segment", "0000000000000002.segment.bak"] {
        fs::write(folder.path().join("journal").join(name), "mine").expect("it can be written");
    }
    let unfinished = folder.path().join("journal").join("0000000000000009.new");
    fs::write(&unfinished, "half of a segment").expect("it can be written");
    Embedded::open(folder.path(), Options::default()).expect("it opens").close();
    assert!(folder.path().join("journal").join("notes.txt").exists());
    assert!(!unfinished.exists());
}

#[test]
fn each_append_that_waits_costs_one_sync_and_whole_blocks() {
    let folder = folder();
    let (store, probe) = probe(Embedded::open(folder.path(), Options::default()).expect("it opens"));
    let held = probe.acquire();
    let before = store.counters();
    for number in 1..=5 {
        probe.append(&held, vec![start(number, 10)]);
    }
    let after = store.counters();
    // A pause of more than 100 ms brings a mark in between, which is written and not synced.
    assert_eq!(after.syncs - before.syncs, 5);
    assert!((5..=11).contains(&((after.written_bytes - before.written_bytes) / 512)));
}

#[test]
fn many_appends_share_a_sync() {
    let folder = folder();
    let (store, probe) = probe(Embedded::open(folder.path(), Options::default()).expect("it opens"));
    let held = probe.acquire();
    let before = store.counters().syncs;
    probe.append(&held, (1..=500).map(|number| start(number, 100)).collect());
    assert!(store.counters().syncs - before <= 2, "one append is one batch");
}

#[test]
fn segments_prepared_ahead_are_there_before_the_store_opens() {
    let folder = folder();
    let sizes = crate::SegmentSizes { first: 1 << 14, next: 1 << 15 };
    let store = Embedded::open(folder.path(), Options { sizes, prepare: 3, ..Options::default() }).expect("it opens");
    let mut sizes: Vec<_> = fs::read_dir(folder.path().join("journal"))
        .expect("it is there")
        .map(|entry| entry.and_then(|entry| entry.metadata()).expect("it is there").len())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1 << 14, 1 << 15, 1 << 15, 1 << 15]);
    drop(store);
}
