//! Disks that are full, syncs that fail, and marks.

use super::conforms::open;
use super::space::await_that;
use super::{probe, start};
use crate::store::Store;
use duramen_backend::conformance::{Held, Probe};
use duramen_backend::disk::{Disk, Fate, Faults};
use duramen_backend::journal::{BatchHeader, segment_file};
use duramen_backend::{Backend, Event, Hurry};
use std::thread;
use std::time::{Duration, Instant};

/// Fills a disk with appends until one of them waits; gives its number. Space is said to be short when the next segment
/// cannot be made ahead, and until the one in use is full appends go on.
fn fill(disk: &Disk, probe: &Probe, held: &Held) -> u64 {
    disk.set_faults(Faults { capacity: Some(1 << 17), ..Faults::default() });
    let mut number = 0;
    loop {
        number += 1;
        assert!(number < 100, "the disk is full long before");
        probe.submit(held, vec![start(number, 5_000)], Hurry::Idle);
        let submitted = Instant::now();
        let mut answered = false;
        await_that("it is answered, or waits for space", || {
            answered = answered || matches!(probe.try_next(), Some(Event::Appended { number: n, .. }) if n == number);
            answered || (probe.is_short() && submitted.elapsed() > Duration::from_secs(2))
        });
        if !answered {
            return number;
        }
    }
}

#[test]
fn on_a_full_disk_appends_wait_and_the_caller_does_not() {
    let disk = Disk::new();
    let (store, probe) = probe(open(&disk));
    let held = probe.acquire();
    let waiting = fill(&disk, &probe, &held);
    probe.submit(&held, vec![start(waiting + 1, 10)], Hurry::Idle);
    assert!((1..waiting).all(|number| probe.load(&format!("i{number}")).is_some()), "it is read");
    assert!(probe.is_silent());
    disk.set_faults(Faults::default());
    (waiting..=waiting + 1).for_each(|number| {
        probe.expect_appended(&held, number);
    });
    await_that("there is space again", || probe.is_silent() && !probe.is_short());
    assert!(!store.counters().no_space);
}

#[test]
fn a_store_that_is_closed_on_a_full_disk_keeps_what_it_has_acknowledged() {
    let disk = Disk::new();
    let (store, probe) = probe(open(&disk));
    let held = probe.acquire();
    let waiting = fill(&disk, &probe, &held);
    probe.submit(&held, vec![start(waiting + 1, 10)], Hurry::Idle);
    store.close();
    let Event::Failed(failure) = probe.next() else { panic!("it says what becomes of what waited") };
    assert!(failure.what.contains(".new") && failure.reason.contains("no space left"), "{failure}");
    // With space again, everything that was acknowledged is there, and it goes on.
    disk.crash(|_, _| Fate::Lost);
    let (store, probe) = super::probe(open(&disk));
    assert!((1..waiting).all(|number| probe.load(&format!("i{number}")).is_some()));
    let held = probe.acquire();
    probe.append(&held, (1..=20).map(|n| start_at(n, 1_000 + n)).collect());
    store.close();
}

fn start_at(number: u64, birth: u64) -> duramen_core::checkpoint::Checkpoint {
    duramen_core::checkpoint::Checkpoint { number, ..start(birth, 5_000) }
}

/// Waits until the journal in the first segment ends with an empty batch.
fn await_mark(disk: &Disk) {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        let bytes = disk.read(&segment_file(1)).expect("it is there");
        let headers = (512..bytes.len()).step_by(512).filter_map(|at| BatchHeader::decode(&bytes[at..]));
        if headers.last().is_some_and(|(header, _)| header.length == 0) {
            return;
        }
        assert!(Instant::now() < patience, "no mark was written");
        thread::yield_now();
    }
}

#[test]
fn after_a_time_of_quiet_damage_to_the_last_batch_is_known_as_damage() {
    for hurry in [Hurry::Idle, Hurry::Busy] {
        let disk = Disk::new();
        let (store, probe) = probe(open(&disk));
        let held = probe.acquire();
        await_mark(&disk);
        let syncs = disk.syncs();
        probe.submit(&held, vec![start(1, 10)], hurry);
        probe.expect_appended(&held, 1);
        await_mark(&disk);
        assert_eq!(disk.syncs() - syncs, 1, "a mark is not synced");
        disk.kill();
        drop((store, probe));
        // The batch lies behind that of the lease and its mark.
        disk.flip(&segment_file(1), (512 * 3 + 80) * 8);
        let files = crate::files::Files::new(crate::files::Place::Simulated(disk.boot()));
        let error = Store::open("simulated".as_ref(), files, disk.tables(), crate::Options::default()).err();
        let text = error.expect("it is damaged").to_string();
        assert!(text.contains("0000000000000001.segment is damaged at byte 1536"), "{text}");
    }
}

#[test]
fn a_segment_that_cannot_be_made_ahead_is_made_when_it_is_needed() {
    let disk = Disk::new();
    let (store, probe) = probe(open(&disk));
    let held = probe.acquire();
    // No space for a segment of 64 KiB beside the first; there is when it is needed.
    disk.set_faults(Faults { capacity: Some(40_000), ..Faults::default() });
    probe.append(&held, vec![start(1, 9_000)]);
    probe.append(&held, vec![start(2, 1_000)]);
    disk.set_faults(Faults::default());
    for number in 3..=20 {
        probe.append(&held, vec![start(number, 9_000)]);
    }
    store.close();
    let (_store, probe) = super::probe(open(&disk));
    assert!((1..=20).all(|number| probe.load(&format!("i{number}")).is_some()));
}

#[test]
fn many_threads_append_and_each_is_answered_in_order() {
    let disk = Disk::new();
    let (store, probe) = probe(open(&disk));
    let leases: Vec<_> = (0..4).map(|partition| probe.acquire_slots(partition, [partition as u8])).collect();
    thread::scope(|scope| {
        for held in &leases {
            let store = &store;
            scope.spawn(move || {
                for number in 1..=200 {
                    let hurry = if number % 2 == 0 { Hurry::Idle } else { Hurry::Busy };
                    let birth = u64::from(held.partition.0) * 1_000 + number;
                    store.append(held.partition, held.epoch, vec![start_at(number, birth)], hurry);
                }
            });
        }
    });
    let mut seen = [0; 4];
    while seen != [200; 4] {
        match probe.next() {
            Event::Appended { partition, number, .. } => {
                let seen = &mut seen[partition.0 as usize];
                *seen += 1;
                assert_eq!(number, *seen);
            }
            other => panic!("{other:?}"),
        }
    }
    store.close();
    disk.crash(|_, _| Fate::Lost);
    let (_store, probe) = super::probe(open(&disk));
    assert!(
        (0..4)
            .all(|partition| (1..=200).all(|number| probe.load(&format!("i{}", partition * 1_000 + number)).is_some()))
    );
}
