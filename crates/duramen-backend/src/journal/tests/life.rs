//! The life of segments: made ahead, filled, recycled.

use super::{Rig, open, open_at, perform};
use crate::disk::{Disk, Fate};
use crate::journal::{Io, JournalError, is_unfinished, segment_file};
use duramen_core::ids::Position;

#[test]
fn a_batch_that_does_not_fit_gets_a_segment_of_its_own_size() {
    let mut rig = Rig::new();
    for bytes in [100, 50_000, 100, 20_000, 20_000, 100] {
        rig.write(bytes);
    }
    assert_eq!(open(&rig.disk).expect("it opens").0, rig.records(6));
}

#[test]
fn a_segment_made_ahead_is_used_next_and_one_that_is_too_small_is_passed_over() {
    let mut rig = Rig::new();
    rig.write(2_000);
    let plan = rig.journal.plan_ahead().expect("the first is more than half full");
    perform(&rig.disk, &plan.io);
    rig.journal.prepared(plan);
    assert!(rig.journal.plan_ahead().is_none(), "one is ready");
    rig.write(3_000);
    assert!(rig.disk.list().iter().eq([&segment_file(1), &segment_file(2)]));
    // One that is being made while a larger one comes into use stays empty.
    let plan = rig.journal.plan_next();
    rig.write(20_000);
    perform(&rig.disk, &plan.io);
    rig.journal.prepared(plan);
    rig.write(100);
    let (records, opened) = open(&rig.disk).expect("it opens");
    assert_eq!(records, rig.records(4));
    let mut again = Rig { journal: opened.journal, ..rig };
    again.write(9_000);
    assert_eq!(open(&again.disk).expect("it opens").0, again.records(5));
}

#[test]
fn ready_segments_stay_ready_over_an_opening() {
    let mut rig = Rig::new();
    rig.write(100);
    for _ in 0..2 {
        let plan = rig.journal.plan_next();
        perform(&rig.disk, &plan.io);
        rig.journal.prepared(plan);
    }
    let (_, opened) = open(&rig.disk).expect("it opens");
    let mut again = Rig { journal: opened.journal, ..rig };
    (0..3).for_each(|_| again.write(6_000));
    assert_eq!(again.disk.list().len(), 4);
    assert_eq!(open(&again.disk).expect("it opens").0, again.records(4));
}

/// Takes all out of use that may be, and says what does it.
fn recycle(rig: &mut Rig, settled: Position) -> Vec<Io> {
    let mut io = Vec::new();
    while let Some(recycling) = rig.journal.recycle(settled) {
        io.extend(recycling.io.iter().cloned());
        rig.journal.recycled(recycling);
    }
    io
}

/// A journal that has been recycled up to a position several times.
fn recycled() -> (Rig, Position) {
    let mut rig = Rig::new();
    let mut settled = Position(0);
    for round in 0..6 {
        (0..8).for_each(|_| rig.write(1_500));
        settled = rig.written[rig.written.len() - 3 - round % 2].0;
        let io = recycle(&mut rig, settled);
        assert!(!io.is_empty());
        perform(&rig.disk, &io);
    }
    (rig, settled)
}

#[test]
fn recycled_segments_are_used_again_and_what_they_held_counts_for_nothing() {
    let (mut rig, settled) = recycled();
    assert!(rig.disk.list().len() < 8, "{:?}", rig.disk.list());
    let kept = |rig: &Rig, records: &[(Position, bytes::Bytes)]| {
        let all = rig.records(rig.written.len());
        assert!(all.ends_with(records));
        assert!(records[0].0.0 <= settled.0 + 1, "what is not settled is kept");
    };
    kept(&rig, &open_at(&rig.disk, settled).expect("it opens").0);
    let opened = open_at(&rig.disk, settled).expect("it opens again").1;
    assert!(opened.torn.is_none(), "what a segment held before is no torn end");
    let zeros =
        opened.io.iter().filter(|io| matches!(io, Io::Write { bytes, .. } if bytes.iter().all(|byte| *byte == 0)));
    assert_eq!(zeros.count(), 0, "and is not written over when the store is opened");
    rig.journal = opened.journal;
    (0..8).for_each(|_| rig.write(1_500));
    rig.disk.crash(|_, _| Fate::Lost);
    kept(&rig, &open_at(&rig.disk.boot(), settled).expect("it opens").0);
}

#[test]
fn a_position_that_the_journal_does_not_reach_names_both() {
    let (rig, settled) = recycled();
    let last = rig.journal.end().0;
    let error = open_at(&rig.disk, Position(last + 1)).expect_err("the tables are ahead");
    assert_eq!(error, JournalError::Beyond { position: last + 1, last });
    let first = open_at(&rig.disk, settled).expect("it opens").0[0].0.0;
    let error = open(&rig.disk).expect_err("batches are missing");
    assert_eq!(error, JournalError::Before { position: 0, first });
}

#[test]
fn a_segment_with_anything_unsettled_is_never_recycled_nor_is_the_last_that_is_synced() {
    let mut rig = Rig::new();
    (0..8).for_each(|_| rig.write(1_500));
    let before = rig.journal.segments[0].last;
    assert!(recycle(&mut rig, Position(before - 1)).is_empty());
    let io = recycle(&mut rig, Position(u64::MAX));
    perform(&rig.disk, &io);
    assert_eq!(rig.journal.segments.len(), 1, "the current one stays");
    let end = rig.journal.end();
    assert!(open_at(&rig.disk, end).expect("it opens").0.last().is_some_and(|(position, _)| *position == end));
}

#[test]
fn a_crash_at_any_moment_of_recycling_loses_nothing_that_is_not_settled() {
    for moment in 0.. {
        let mut rig = Rig::new();
        (0..12).for_each(|_| rig.write(1_500));
        let settled = Position(9);
        let io = recycle(&mut rig, settled);
        if moment > io.len() {
            return;
        }
        perform(&rig.disk, &io[..moment]);
        for fate in [Fate::Kept, Fate::Lost, Fate::Torn] {
            let disk = rig.disk.copy();
            disk.crash(|_, _| fate);
            let (records, _) =
                open_at(&disk.boot(), settled).unwrap_or_else(|error| panic!("moment {moment}, {fate:?}: {error}"));
            assert!(rig.records(12).ends_with(&records));
            assert!(records[0].0 <= Position(10), "moment {moment}, {fate:?}");
        }
    }
}

#[test]
fn a_crash_while_a_segment_is_made_leaves_no_half_of_one() {
    for moment in 0.. {
        let mut rig = Rig::new();
        rig.write(3_000);
        let plan = rig.journal.plan_next();
        if moment > plan.io.len() {
            return;
        }
        perform(&rig.disk, &plan.io[..moment]);
        for fate in [Fate::Kept, Fate::Lost, Fate::Torn] {
            let disk: Disk = rig.disk.copy();
            disk.crash(|_, _| fate);
            let disk = disk.boot();
            let (records, opened) = open(&disk).unwrap_or_else(|error| panic!("moment {moment}, {fate:?}: {error}"));
            assert_eq!(records, rig.records(1));
            let unfinished: Vec<_> = disk.list().into_iter().filter(|file| is_unfinished(file)).collect();
            assert!(unfinished.len() <= 1);
            let mut again = Rig { disk, journal: opened.journal, written: rig.written.clone() };
            again.write(3_000);
            assert_eq!(open(&again.disk).expect("it opens").0, again.records(2));
        }
    }
}

#[test]
fn the_last_batch_that_is_synced_is_never_recycled() {
    let mut rig = Rig::new();
    rig.write(3_000);
    let settled = rig.journal.end();
    // The next batch is on its way into the next segment when everything before it is settled.
    let (io, _) = rig.journal.batch(&mut super::frame(super::payload(1, 3_000)));
    perform(&rig.disk, &io[..io.len() - 2]);
    let io = recycle(&mut rig, settled);
    perform(&rig.disk, &io);
    rig.disk.crash(|_, _| Fate::Lost);
    let (records, opened) = open_at(&rig.disk.boot(), settled).expect("it opens");
    assert_eq!(records, rig.records(1));
    assert_eq!(opened.journal.end(), settled);
}
