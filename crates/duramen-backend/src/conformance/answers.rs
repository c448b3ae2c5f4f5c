//! Numbers, epochs, the order of answers, positions.

use super::samples::{checkpoint, start};
use super::{Probe, Subject, Test};
use crate::Hurry;

pub(super) const TESTS: &[Test] = &[
    ("numbers_have_no_gap_and_no_repeat", numbers_have_no_gap_and_no_repeat),
    ("an_old_epoch_is_refused", an_old_epoch_is_refused),
    ("epochs_never_repeat", epochs_never_repeat),
    ("answers_come_in_order", answers_come_in_order),
    ("positions_only_grow", positions_only_grow),
    ("what_is_submitted_before_a_close_is_done", what_is_submitted_before_a_close_is_done),
];

fn numbers_have_no_gap_and_no_repeat(subject: &Subject) {
    let probe = Probe::new((subject.open)());
    let held = probe.acquire();
    probe.append(&held, vec![start(1, "a")]);
    for wrong in [1, 0, 3] {
        probe.submit(&held, vec![start(wrong, "wrong")], Hurry::Idle);
        probe.expect_refused(&held, wrong);
    }
    // A refusal in the middle keeps its turn and takes nothing along but what hangs on it.
    probe.submit(&held, vec![start(2, "b"), start(4, "gap"), start(3, "c")], Hurry::Busy);
    probe.expect_appended(&held, 2);
    probe.expect_refused(&held, 4);
    probe.expect_appended(&held, 3);
    assert!(probe.load("wrong").is_none() && probe.load("gap").is_none());
    assert!(probe.load("a").is_some() && probe.load("c").is_some());
}

fn an_old_epoch_is_refused(subject: &Subject) {
    let probe = Probe::new((subject.open)());
    let old = probe.acquire_slots(1, 0..=99);
    let other = probe.acquire_slots(2, 100..=255);
    probe.append(&old, vec![start(1, "a")]);
    let new = probe.acquire_slots(3, [99]);
    assert!(new.epoch > other.epoch && other.epoch > old.epoch);
    probe.submit(&old, vec![start(2, "late")], Hurry::Busy);
    probe.submit(&other, vec![checkpoint(1, Vec::new())], Hurry::Busy);
    probe.expect_refused(&old, 2);
    probe.expect_appended(&other, 1);
    probe.append(&new, vec![checkpoint(1, Vec::new())]);
    assert!(probe.load("late").is_none());
    // An epoch is bound to its partition.
    let stolen = super::probe::Held { partition: old.partition, ..new };
    probe.submit(&stolen, vec![checkpoint(2, Vec::new())], Hurry::Busy);
    probe.expect_refused(&stolen, 2);
}

fn epochs_never_repeat(subject: &Subject) {
    let mut last = None;
    let mut store = None;
    for life in 0..3 {
        let probe = Probe::new((subject.open)());
        for _ in 0..=life {
            let held = probe.acquire();
            assert!(last.is_none_or(|last| held.epoch > last), "{:?} after {last:?}", held.epoch);
            assert_eq!(*store.get_or_insert(held.store), held.store, "a store keeps its number");
            last = Some(held.epoch);
        }
        probe.backend.close();
        // A lease of the life before does not count in this one.
        let probe = Probe::new((subject.open)());
        let dead = super::probe::Held {
            partition: duramen_core::ids::PartitionId(0),
            epoch: last.expect("one was given"),
            store: store.expect("one was given"),
            outstanding: Default::default(),
        };
        probe.submit(&dead, vec![checkpoint(1, Vec::new())], Hurry::Busy);
        probe.expect_refused(&dead, 1);
        probe.backend.close();
    }
}

fn answers_come_in_order(subject: &Subject) {
    let probe = Probe::new((subject.open)());
    let one = probe.acquire_slots(1, 0..=127);
    let two = probe.acquire_slots(2, 128..=255);
    let mut next = [1, 1];
    let mut hurry = [Hurry::Busy, Hurry::Idle, Hurry::Busy].into_iter().cycle();
    for round in 0..200u64 {
        for (held, next) in [&one, &two].into_iter().zip(&mut next) {
            let count = round % 3 + 1;
            let numbers = *next..*next + count;
            *next += count;
            let checkpoints = numbers.map(|number| checkpoint(number, Vec::new())).collect();
            probe.submit(held, checkpoints, hurry.next().expect("it is a cycle"));
        }
    }
    let mut seen = [0, 0];
    let mut last = None;
    while seen != [next[0] - 1, next[1] - 1] {
        match probe.next() {
            crate::Event::Appended { partition, number, position, .. } => {
                let seen = &mut seen[partition.0 as usize - 1];
                assert_eq!(number, *seen + 1, "of partition {partition:?}");
                *seen = number;
                assert!(last.is_none_or(|last| position >= last));
                last = Some(position);
            }
            other => panic!("expected Appended, got {other:?}"),
        }
    }
}

fn positions_only_grow(subject: &Subject) {
    let mut last = duramen_core::ids::Position(0);
    for _ in 0..3 {
        let probe = Probe::new((subject.open)());
        let held = probe.acquire();
        for number in 1..=20 {
            let position = probe.append(&held, vec![checkpoint(number, Vec::new())]);
            assert!(position > last, "{position:?} after {last:?}");
            last = position;
            if number % 5 == 0 {
                probe.await_settled(position);
                probe.await_settled(position);
            }
        }
        probe.backend.close();
    }
}

fn what_is_submitted_before_a_close_is_done(subject: &Subject) {
    let probe = Probe::new((subject.open)());
    let held = probe.acquire();
    for number in 1..=50 {
        probe.submit(&held, vec![start(number, &format!("i{number}"))], Hurry::Busy);
    }
    probe.backend.close();
    let probe = Probe::new((subject.open)());
    for number in 1..=50 {
        assert!(probe.load(&format!("i{number}")).is_some(), "i{number}");
    }
    probe.backend.close();
}
