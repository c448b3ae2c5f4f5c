//! Torn ends: cut, and gone on from.

use super::{Rig, open, perform};
use crate::disk::Fate;
use crate::journal::segment_file;

#[test]
fn a_file_cut_at_any_byte_of_its_last_batches_keeps_those_before() {
    let mut rig = Rig::new();
    let mut ends = Vec::new();
    for bytes in [10, 300, 0, 450, 600] {
        rig.write(bytes);
        // Without the zeros behind it: they are not missed.
        ends.push(rig.journal.offset as usize);
    }
    let file = segment_file(1);
    let starts: Vec<_> = std::iter::once(512).chain(ends.iter().copied()).collect();
    let content = rig.disk.read(&file).expect("it is there");
    for cut in 512..=rig.journal.offset as usize {
        let disk = rig.disk.copy();
        disk.cut(&file, cut);
        let whole = |index: &usize| content[cut.min(ends[*index])..ends[*index]].iter().all(|byte| *byte == 0);
        let batches = (0..ends.len()).take_while(|index| cut > starts[*index] && whole(index)).count();
        let (records, opened) = open(&disk).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        assert_eq!(records, rig.records(batches), "cut at {cut}");
        // It goes on from there, and the next opening finds both.
        let mut again = Rig { disk, journal: opened.journal, written: rig.written[..batches].to_vec() };
        again.write(700);
        again.disk.crash(|_, _| Fate::Lost);
        let again_read = open(&again.disk.boot()).unwrap_or_else(|error| panic!("cut at {cut}, then written: {error}"));
        assert_eq!(again_read.0, again.records(batches + 1), "cut at {cut}, then written");
    }
}

#[test]
fn an_unsynced_batch_may_come_or_go_in_any_mixture_of_its_sectors() {
    for mixture in 0..3u32.pow(5) {
        let mut rig = Rig::new();
        rig.write(100);
        let mut frame = super::frame(super::payload(9, 2_300));
        let (io, position) = rig.journal.batch(&mut frame);
        perform(&rig.disk, &io[..io.len() - 1]);
        let mut left = mixture;
        rig.disk.crash(|_, _| {
            let fate = [Fate::Kept, Fate::Lost, Fate::Torn][left as usize % 3];
            left /= 3;
            fate
        });
        let disk = rig.disk.boot();
        let (records, opened) = open(&disk).expect("a torn end is no damage");
        let mut expected = rig.records(1);
        if mixture == 0 {
            expected.push((position, super::payload(9, 2_300)));
            assert!(opened.torn.is_none());
        }
        assert_eq!(records, expected, "mixture {mixture}");
        // Whatever was left of it has no say in what comes in its place.
        let mut again = Rig { disk: disk.clone(), journal: opened.journal, written: Vec::new() };
        again.write(10);
        again.disk.crash(|_, _| Fate::Lost);
        let (records, _) = open(&again.disk.boot()).expect("a new batch stands there");
        assert_eq!(records.len(), expected.len() + 1, "mixture {mixture}");
        assert_eq!(records.last(), again.records(1).last(), "mixture {mixture}");
    }
}

#[test]
fn an_end_that_was_read_from_the_cache_is_on_disk_before_it_is_believed() {
    let mut rig = Rig::new();
    rig.write(100);
    let mut frame = super::frame(super::payload(1, 600));
    let (io, _) = rig.journal.batch(&mut frame);
    // Written and not synced; then the process ends and the cache lives on.
    perform(&rig.disk, &io[..io.len() - 1]);
    rig.disk.kill();
    let disk = rig.disk.boot();
    let (believed, opened) = open(&disk).expect("it opens");
    assert_eq!(believed.len(), 2);
    let mut again = Rig { disk, journal: opened.journal, written: Vec::new() };
    again.write(50);
    again.disk.crash(|_, _| Fate::Lost);
    let (records, _) = open(&again.disk.boot()).expect("it opens");
    assert_eq!(records[..2], believed);
    assert_eq!(records.len(), 3);
}

#[test]
fn a_mark_that_was_not_synced_is_carried_along_into_the_next_segment() {
    let mut rig = Rig::new();
    rig.write(2_000);
    let io = rig.journal.mark(false);
    perform(&rig.disk, &io);
    // Does not fit behind it.
    rig.write(3_000);
    rig.disk.crash(|_, _| Fate::Lost);
    let (records, _) = open(&rig.disk.boot()).expect("it opens");
    assert_eq!(records, rig.records(2));
}

/// An unsynced mark is lost and the unsynced batch behind it is kept. The next life ends with a mark
/// that is the same to the byte; the batch must not come back behind it.
#[test]
fn what_was_cut_off_does_not_come_back_behind_a_mark_that_looks_the_same() {
    let mut rig = Rig::new();
    rig.write(100);
    let at = rig.journal.offset as usize / 512;
    let io = rig.journal.mark(false);
    perform(&rig.disk, &io);
    let (io, _) = rig.journal.batch(&mut super::frame(super::payload(1, 600)));
    perform(&rig.disk, &io[..io.len() - 1]);
    rig.disk.crash(|_, sector| if sector == Some(at) { Fate::Lost } else { Fate::Kept });
    let disk = rig.disk.boot();
    let (records, mut opened) = open(&disk).expect("it opens");
    assert_eq!(records, rig.records(1));
    assert_eq!(opened.torn.expect("something was cut off").batch, 2);
    perform(&disk, &opened.journal.mark(true));
    assert_eq!(open(&disk).expect("it opens").0, rig.records(1));
}

#[test]
fn a_batch_that_follows_another_one_of_the_same_number_is_not_believed() {
    let (mut one, mut two) = (Rig::new(), Rig::new());
    one.write(10);
    two.write(10);
    let file = segment_file(1);
    one.write(20);
    // The same size, another content.
    two.written.push(Default::default());
    two.write(20);
    let at = one.journal.offset;
    one.write(30);
    let bytes = one.disk.read(&file).expect("it is there").slice(at as usize..one.journal.offset as usize);
    perform(&two.disk, &[crate::journal::Io::Write { file, offset: at, bytes }]);
    assert_eq!(open(&two.disk).expect("it opens").0.len(), 2);
}

#[test]
fn a_batch_in_another_segment_than_it_was_written_to_is_not_believed() {
    let mut rig = Rig::new();
    rig.write(3_000);
    rig.write(1_000);
    let plan = rig.journal.plan_next();
    perform(&rig.disk, &plan.io);
    let content = rig.disk.read(&segment_file(2)).expect("it is there").slice(512..);
    let zeros = vec![0; content.len()].into();
    perform(
        &rig.disk,
        &[
            crate::journal::Io::Write { file: segment_file(3), offset: 512, bytes: content },
            crate::journal::Io::Write { file: segment_file(2), offset: 512, bytes: zeros },
        ],
    );
    assert_eq!(open(&rig.disk).expect("it opens").0, rig.records(1));
}
