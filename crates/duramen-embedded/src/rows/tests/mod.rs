mod opening;
mod plans;
mod prefixes;
mod shell;
mod space;
mod speed;

use crate::rows::Database;
use bytes::Bytes;
use duramen_backend::buffer::Buffer;
use duramen_backend::conformance::{Sample, delta, rows_agree, rows_find_damage};
use duramen_backend::rows::{Rows, RowsError, Standing};
use duramen_core::checkpoint::{Change, Checkpoint, Delta, Purged, Timer, TimerKey, TimerWindow};
use duramen_core::ids::{Epoch, Position, Slot, StoreId};
use duramen_core::time::Time;
use duramen_proto::{OrchestrationStatus, Timestamp};

/// Tables in a folder that goes away with them.
struct Fresh {
    rows: Database,
    folder: tempfile::TempDir,
}

fn fresh() -> Fresh {
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    Fresh { rows: Database::open(folder.path()).expect("it opens"), folder }
}

fn standing(position: u64) -> Standing {
    Standing { store: StoreId(1), position: Position(position), epoch: Epoch(1) }
}

/// Folds changes and writes them.
fn settle(rows: &Database, position: u64, deltas: Vec<Delta>) -> Result<(), RowsError> {
    let mut buffer = Buffer::default();
    buffer.fold(Checkpoint { number: 1, deltas }, rows)?;
    rows.write(buffer.changes(standing(position)))
}

fn purge(sample: &Sample) -> Delta {
    delta(Change::Purged(Purged { birth: sample.image.head.birth, run: sample.image.head.run }))
}

/// Tables with some instances in every state that a list can ask for.
fn some(rows: &Database) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut deltas = Vec::new();
    for birth in 1..=40 {
        let mut sample = Sample::new(&format!("order-{birth:02}"), birth).child_of("parent");
        deltas.extend(sample.start(Bytes::from_static(b"<\"Tokyo\"")));
        if birth % 2 == 0 {
            deltas.extend(sample.episode());
        }
        if birth % 4 == 0 {
            deltas.extend(sample.end(OrchestrationStatus::Completed, 2_000 + birth as i64));
        }
        samples.push(sample);
    }
    settle(rows, 1, deltas).expect("it fits");
    samples
}

#[test]
fn rows_are_those_of_memory() {
    for seed in 0..60 {
        eprintln!("seed {seed}");
        rows_agree(seed, &fresh().rows);
    }
}

#[test]
fn damage_is_found_and_changes_nothing() {
    let folders = std::cell::RefCell::new(Vec::new());
    rows_find_damage(|| {
        let Fresh { rows, folder } = fresh();
        folders.borrow_mut().push(folder);
        rows
    });
}

#[test]
fn what_was_settled_is_there_after_opening_again() {
    let Fresh { rows, folder } = fresh();
    let samples = some(&rows);
    drop(rows);
    let rows = Database::open(folder.path()).expect("it opens");
    assert_eq!(rows.standing().expect("it can be read"), Some(standing(1)));
    for sample in samples {
        assert_eq!(rows.load(&sample.image.head.id).expect("it can be read"), Some(sample.image));
    }
}

/// Times that the index cannot tell apart come back as they were, each once.
#[test]
fn timers_of_any_time_come_back_as_they_were() {
    let Fresh { rows, folder: _folder } = fresh();
    let mut sample = Sample::new("a", 1);
    let mut deltas = sample.start(Bytes::from_static(b"<"));
    let dues = [
        None,
        Some(Timestamp { seconds: 0, nanos: 0 }),
        Some(Timestamp { seconds: 5, nanos: -1 }),
        Some(Timestamp { seconds: 253_402_300_799, nanos: 999_999_999 }),
        Some(Timestamp { seconds: 253_402_300_799, nanos: 0 }),
        Some(Timestamp { seconds: i64::MAX, nanos: 7 }),
        Some(Timestamp { seconds: i64::MIN, nanos: 7 }),
        Some(Timestamp { seconds: -1, nanos: 1 }),
    ];
    let timer = |(number, due)| Timer { key: Some(TimerKey { run: 1, number }), birth: 1, due, event_id: None };
    sample.image.timers = (0..).zip(dues).map(timer).collect();
    deltas.extend(sample.image.timers.iter().map(|timer| delta(Change::Timer(timer.clone()))));
    settle(&rows, 1, deltas).expect("it fits");
    assert_eq!(rows.load("a").expect("it can be read"), Some(sample.image.clone()));
    let slots: Vec<_> = (0..=255).map(Slot).collect();
    let due = |before| {
        let due = rows.timers(&slots, TimerWindow { after: None, before }).expect("it can be read");
        (due.timers.len(), due.beyond)
    };
    assert_eq!(due(Time::MAX), (8, None));
    assert_eq!(due(Time::EPOCH), (2, Some(Time::EPOCH)));
    let (all, beyond) = due(Time::new(9_000_000_000, 0));
    assert_eq!(all, 5);
    assert!(beyond.is_some_and(|beyond| beyond > Time::new(9_000_000_000, 0)));
}
