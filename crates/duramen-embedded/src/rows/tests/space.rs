//! Space: a full disk, what a purge gives back, readers that are in the way.

use super::{Fresh, fresh, purge, settle, some, standing};
use bytes::Bytes;
use duramen_backend::conformance::Sample;
use duramen_backend::rows::{Haste, Rows, RowsError, Thrift, Tidied};

/// An instance with this much in its inbox.
fn large(birth: u64, bytes: usize) -> Sample {
    let mut sample = Sample::new(&format!("large-{birth}"), birth);
    sample.image.inbox.clear();
    drop(sample.start(Bytes::from(vec![b'x'; bytes])));
    sample
}

fn start(sample: &Sample) -> Vec<duramen_core::checkpoint::Delta> {
    let entry = &sample.image.inbox[0];
    let mut again = Sample::new(&sample.image.head.id, entry.birth);
    again.start(entry.event.clone())
}

#[test]
fn a_full_disk_is_said_and_nothing_is_lost() {
    let Fresh { rows, folder: _folder } = fresh();
    let samples = some(&rows);
    let limit = |pages: i64| {
        let writer = rows.writer();
        writer.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).expect("it is set");
    };
    let pages = crate::rows::open::value::<i64>(&rows.writer(), "page_count").expect("it is one");
    limit(pages + 10);
    let sample = large(1_000, 1 << 20);
    for _ in 0..3 {
        let full = settle(&rows, 2, start(&sample)).expect_err("there is no space");
        assert!(matches!(&full, RowsError::Full(failure) if failure.to_string().contains("tables.db")), "{full:?}");
        assert_eq!(rows.standing().expect("it can be read"), Some(standing(1)));
        assert_eq!(rows.load("large-1000").expect("it can be read"), None);
    }
    // A purge still fits, and what did not fit does when there is space.
    settle(&rows, 3, vec![purge(&samples[0])]).expect("it fits");
    limit(1 << 30);
    settle(&rows, 4, start(&sample)).expect("it fits");
    assert_eq!(rows.load("large-1000").expect("it can be read"), Some(sample.image));
    assert_eq!(rows.check().expect("it can be read").problems, Vec::<String>::new());
}

#[test]
fn what_a_purge_leaves_is_given_back() {
    let Fresh { rows, folder: _folder } = fresh();
    rows.set_haste(Haste::Gentle);
    let samples: Vec<_> = (1..=20).map(|birth| large(birth, 1 << 20)).collect();
    settle(&rows, 1, samples.iter().flat_map(start).collect()).expect("it fits");
    assert_eq!(rows.tidy(Thrift::Usual).expect("it can be done"), Tidied::Done);
    let bytes = || std::fs::metadata(rows.path()).expect("it is there").len();
    let before = bytes();
    assert!(before > 40 << 20, "inputs are there as events and as texts: {before}");
    settle(&rows, 2, samples.iter().map(purge).collect()).expect("it fits");
    let free = rows.free_pages().expect("it can be read");
    assert!(free > 5_000, "{free}");
    let mut slices = 0;
    while rows.tidy(Thrift::Usual).expect("it can be done") == Tidied::More {
        slices += 1;
        assert!(slices < 100, "it comes to an end");
    }
    let left = rows.free_pages().expect("it can be read");
    assert!(left <= 1_024, "{left}");
    assert!(bytes() < before / 3, "{before} became {}", bytes());
    assert_eq!(rows.check().expect("it can be read").problems, Vec::<String>::new());
}

#[test]
fn a_log_that_somebody_reads_is_begun_anew_once_he_has_gone() {
    let Fresh { rows, folder: _folder } = fresh();
    some(&rows);
    assert_eq!(rows.checkpoint().expect("it can be moved").left, 0);
    let reader = crate::rows::open::reader(rows.path()).expect("it opens");
    reader.execute_batch("BEGIN; SELECT count(*) FROM instance").expect("it reads");
    settle(&rows, 2, start(&large(100, 1 << 20))).expect("it fits");
    assert_eq!(rows.tidy(Thrift::Usual).expect("it can be done"), Tidied::Later);
    reader.execute_batch("COMMIT").expect("it stops reading");
    assert_eq!(rows.tidy(Thrift::Usual).expect("it can be done"), Tidied::Done);
    let log = rows.path().with_extension("db-wal");
    let bytes = || std::fs::metadata(&log).expect("it is there").len();
    let before = bytes();
    settle(&rows, 3, start(&large(101, 1 << 20))).expect("it fits");
    assert!(bytes() <= before, "the log is written over from its start: {before} became {}", bytes());
}

#[test]
fn a_log_that_became_long_is_cut() {
    let Fresh { rows, folder: _folder } = fresh();
    settle(&rows, 1, (1..=40).flat_map(|birth| start(&large(birth, 1 << 20))).collect()).expect("it fits");
    let log = rows.path().with_extension("db-wal");
    assert!(std::fs::metadata(&log).expect("it is there").len() > 64 << 20);
    assert_eq!(rows.tidy(Thrift::Usual).expect("it can be done"), Tidied::Done);
    assert_eq!(std::fs::metadata(&log).expect("it is there").len(), 0);
}
