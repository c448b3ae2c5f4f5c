//! Damage: found, named, and never taken for a torn end.

use super::{Rig, SIZES, open, open_at, perform};
use crate::disk::Disk;
use crate::journal::header::{BatchHeader, SegmentHeader};
use crate::journal::{FORMAT, Frame, Io, Journal, JournalError, Opening, segment_file};
use bytes::Bytes;
use duramen_core::ids::{Epoch, PartitionId, Position, StoreId};

/// Three batches, and where each begins.
fn three(marked: bool) -> (Rig, Vec<usize>) {
    let mut rig = Rig::new();
    let mut starts = Vec::new();
    for bytes in [40, 700, 90] {
        starts.push(rig.journal.offset as usize);
        rig.write(bytes);
    }
    if marked {
        rig.mark();
    }
    (rig, starts)
}

/// Flips every bit of the batch that can be flipped unseen by nobody: header and body.
fn flips(rig: &Rig, start: usize, check: impl Fn(Result<usize, JournalError>, usize)) {
    let content = rig.disk.read(&segment_file(1)).expect("it is there");
    let (header, _) = BatchHeader::decode(&content[start..]).expect("it is good");
    for bit in start * 8..(start + BatchHeader::BYTES + header.length as usize) * 8 {
        let disk = rig.disk.copy();
        disk.flip(&segment_file(1), bit);
        check(open(&disk).map(|(records, _)| records.len()), bit);
    }
}

#[test]
fn a_flipped_bit_in_a_batch_that_was_synced_is_damage() {
    let (rig, starts) = three(true);
    for start in &starts {
        flips(&rig, *start, |opened, bit| match opened {
            Err(JournalError::Damaged { file, offset, .. }) => {
                assert_eq!((file, offset as usize), (segment_file(1), *start), "bit {bit}");
            }
            other => panic!("bit {bit}: {other:?}"),
        });
    }
}

#[test]
fn a_flipped_bit_in_the_last_batch_without_a_mark_is_a_torn_end() {
    let (rig, starts) = three(false);
    flips(&rig, starts[2], |opened, bit| assert_eq!(opened, Ok(2), "bit {bit}"));
    // Nobody can know better, unless the tables stand there.
    let disk = rig.disk.copy();
    disk.flip(&segment_file(1), starts[2] * 8);
    let error = open_at(&disk, Position(3)).expect_err("the tables know of batch 3");
    assert_eq!(error, JournalError::Beyond { position: 3, last: 2 });
}

#[test]
fn damage_is_found_before_anything_is_changed() {
    let (rig, starts) = three(true);
    let disk = rig.disk.copy();
    disk.flip(&segment_file(1), starts[1] * 8);
    let before = disk.read(&segment_file(1)).expect("it is there");
    assert!(open(&disk).is_err());
    assert_eq!(disk.read(&segment_file(1)).expect("it is there"), before);
}

#[test]
fn a_flipped_bit_in_the_header_of_a_segment_is_damage() {
    let (rig, _) = three(true);
    for bit in 0..44 * 8 {
        let disk = rig.disk.copy();
        disk.flip(&segment_file(1), bit);
        match open(&disk) {
            Err(JournalError::Damaged { file, offset: 0, .. }) => assert_eq!(file, segment_file(1)),
            other => panic!("bit {bit}: {:?}", other.map(|(records, _)| records)),
        }
    }
}

/// Batches over several segments.
fn long() -> Rig {
    let mut rig = Rig::new();
    (0..20).for_each(|_| rig.write(1_500));
    assert!(rig.journal.segments.len() > 4);
    rig
}

#[test]
fn a_missing_segment_is_damage_wherever_it_stood() {
    let rig = long();
    let files = rig.disk.list();
    for (index, file) in files.iter().enumerate() {
        let disk = rig.disk.copy();
        perform(&disk, &[Io::Remove { file: file.clone() }]);
        match open(&disk).map(|(records, _)| records.len()) {
            Err(JournalError::Before { position: 0, first }) if index == 0 => assert!(first > 1),
            Err(JournalError::Damaged { .. }) if index > 0 => {}
            // Nothing but a position of the tables says that there was more.
            Ok(read) if index == files.len() - 1 => assert!(read < 20),
            other => panic!("without {file}: {other:?}"),
        }
    }
    assert_eq!(open(&rig.disk).expect("with all of them").0, rig.records(20));
}

#[test]
fn a_lost_first_batch_is_damage() {
    let rig = long();
    rig.disk.flip(&segment_file(1), 512 * 8);
    match open(&rig.disk).map(|(records, _)| records.len()) {
        Err(JournalError::Damaged { file, offset: 512, .. }) => assert_eq!(file, segment_file(1)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_segment_of_another_store_is_named() {
    let rig = long();
    let header = SegmentHeader { format: FORMAT, store: 8, number: 2, size: SIZES.next };
    perform(
        &rig.disk,
        &[Io::Write { file: segment_file(2), offset: 0, bytes: Bytes::copy_from_slice(&header.encode()) }],
    );
    let error = open(&rig.disk).expect_err("it is not of this store");
    assert_eq!(error, JournalError::Foreign { file: segment_file(2), found: 8, store: 7 });
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let rig = long();
    let header = SegmentHeader { format: FORMAT + 1, store: 7, number: 1, size: SIZES.first };
    let bytes = Bytes::copy_from_slice(&header.encode());
    perform(&rig.disk, &[Io::Write { file: segment_file(1), offset: 0, bytes }]);
    let error = open(&rig.disk).expect_err("it is newer");
    assert!(matches!(&error, JournalError::Newer { file, .. } if *file == segment_file(1)));
    assert!(error.to_string().contains("open the store with the version that wrote it"), "{error}");
}

#[test]
fn a_newer_record_is_refused_by_name() {
    let disk = Disk::new();
    let (mut journal, io) = Journal::create(StoreId(7), SIZES);
    perform(&disk, &io);
    let mut frame = Frame::default();
    frame.lease(PartitionId(0), Epoch(1), &[]);
    // The version of the record stands in its last two bytes of prefix.
    frame.bytes[BatchHeader::BYTES + 6] = 2;
    perform(&disk, &journal.batch(&mut frame).0);
    let mut opening = Opening::new(Position(0), SIZES);
    let read = opening.segment(&segment_file(1), disk.read(&segment_file(1)).expect("it is there"));
    assert!(matches!(read, Err(JournalError::Newer { what, .. }) if what == "a record of kind 1 and version 2"));
}
