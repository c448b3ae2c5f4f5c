//! Crashes before, between and after write and sync.

use super::samples::{checkpoint, start};
use super::{Fate, Faults, Probe, Subject, Test};
use crate::Hurry;
use bytes::Bytes;

pub(super) const TESTS: &[Test] = &[
    ("a_crash_after_the_sync_loses_nothing", a_crash_after_the_sync_loses_nothing),
    ("a_crash_between_write_and_sync", a_crash_between_write_and_sync),
    ("a_crash_before_the_write", a_crash_before_the_write),
    ("after_a_failed_sync_nothing_is_accepted", after_a_failed_sync_nothing_is_accepted),
    ("what_was_believed_stays", what_was_believed_stays),
    ("what_was_believed_after_a_failed_sync_stays", what_was_believed_after_a_failed_sync_stays),
];

const FATES: [Fate; 3] = [Fate::Kept, Fate::Lost, Fate::Torn];

fn with_faults(subject: &Subject, test: impl Fn(&Faults)) {
    if let Some(faults) = &subject.faults {
        test(faults);
    }
}

/// Whether each of these instances is there, in a store that is opened for it.
fn there(subject: &Subject, faults: &Faults, ids: &[String]) -> Vec<bool> {
    let probe = Probe::new((subject.open)());
    let there = ids.iter().map(|id| probe.load(id).is_some()).collect();
    // A store that is dropped stops cleanly, and these tests are about other ends.
    (faults.kill)();
    there
}

fn a_crash_after_the_sync_loses_nothing(subject: &Subject) {
    with_faults(subject, |faults| {
        let mut ids = Vec::new();
        for (life, fate) in FATES.into_iter().cycle().take(9).enumerate() {
            let probe = Probe::new((subject.open)());
            let held = probe.acquire();
            for number in 1..=3 {
                let id = format!("{life}-{number}");
                let birth = life as u64 * 100 + number;
                let event = Bytes::from(vec![b'x'; 700 * number as usize]);
                probe.append(&held, vec![checkpoint(number, super::Sample::new(&id, birth).start(event))]);
                ids.push(id);
            }
            (faults.crash)(fate);
            assert!(there(subject, faults, &ids).iter().all(|there| *there), "after {fate:?}");
            (faults.crash)(fate);
        }
    });
}

fn a_crash_between_write_and_sync(subject: &Subject) {
    with_faults(subject, |faults| {
        for (life, fate) in FATES.into_iter().enumerate() {
            let probe = Probe::new((subject.open)());
            let held = probe.acquire();
            let (kept, lost) = (format!("kept-{life}"), format!("unsure-{life}"));
            let birth = life as u64 * 10;
            probe.append(
                &held,
                vec![checkpoint(1, super::Sample::new(&kept, birth + 1).start(Bytes::from_static(b"<")))],
            );
            (faults.fail_syncs)();
            let large = Bytes::from(vec![b'y'; 5_000]);
            probe.submit(&held, vec![checkpoint(2, super::Sample::new(&lost, birth + 2).start(large))], Hurry::Busy);
            probe.expect_failed();
            (faults.crash)(fate);
            // The failed sync had taken the pages from the cache's list of what to write.
            let now = there(subject, faults, &[kept.clone(), lost.clone()]);
            assert!(now[0], "what was acknowledged is there after {fate:?}");
            (faults.crash)(Fate::Lost);
            assert_eq!(there(subject, faults, &[kept, lost]), now, "what was believed once stays after {fate:?}");
        }
    });
}

fn a_crash_before_the_write(subject: &Subject) {
    with_faults(subject, |faults| {
        let probe = Probe::new((subject.open)());
        let held = probe.acquire();
        probe.append(&held, vec![start(1, "kept")]);
        (faults.fail_writes)();
        probe.submit(&held, vec![start(2, "lost")], Hurry::Idle);
        probe.expect_failed();
        (faults.crash)(Fate::Kept);
        assert_eq!(there(subject, faults, &["kept".into(), "lost".into()]), [true, false]);
    });
}

fn after_a_failed_sync_nothing_is_accepted(subject: &Subject) {
    with_faults(subject, |faults| {
        let probe = Probe::new((subject.open)());
        let held = probe.acquire();
        probe.append(&held, vec![start(1, "kept")]);
        (faults.fail_syncs)();
        probe.submit(&held, vec![start(2, "unsure")], Hurry::Idle);
        probe.expect_failed();
        probe.submit(&held, vec![start(3, "late")], Hurry::Idle);
        probe.submit(&held, vec![start(4, "later")], Hurry::Busy);
        probe.backend.close();
        assert!(probe.is_silent(), "nothing follows a failure");
        (faults.crash)(Fate::Kept);
        let there = there(subject, faults, &["kept".into(), "late".into(), "later".into()]);
        assert_eq!(there, [true, false, false]);
    });
}

/// Kill, open, run on, and only then lose power: whatever the second life has seen must be on disk,
/// or what it did on top of it hangs in the air.
fn what_was_believed_stays(subject: &Subject) {
    with_faults(subject, |faults| {
        let probe = Probe::new((subject.open)());
        let held = probe.acquire();
        probe.append(&held, vec![start(1, "first")]);
        // Written, and the page cache believes that it is synced. Then the process dies.
        (faults.fail_syncs)();
        probe.submit(&held, vec![start(2, "in the cache")], Hurry::Busy);
        probe.expect_failed();
        (faults.kill)();

        let probe = Probe::new((subject.open)());
        assert!(probe.load("in the cache").is_some(), "a process cannot tell the cache from the disk");
        let held = probe.acquire();
        probe.append(&held, vec![checkpoint(1, super::Sample::new("on top", 9).start(Bytes::from_static(b"<")))]);
        (faults.crash)(Fate::Lost);
        let now = there(subject, faults, &["first".into(), "in the cache".into(), "on top".into()]);
        assert_eq!(now, [true, true, true]);
    });
}

/// The same when the process that had believed it did nothing more, and when its own opening met a
/// sync that failed.
fn what_was_believed_after_a_failed_sync_stays(subject: &Subject) {
    with_faults(subject, |faults| {
        let probe = Probe::new((subject.open)());
        let held = probe.acquire();
        (faults.fail_syncs)();
        probe.submit(&held, vec![start(1, "unsure")], Hurry::Busy);
        probe.expect_failed();
        (faults.kill)();
        for _ in 0..2 {
            assert_eq!(there(subject, faults, &["unsure".into()]), [true]);
            (faults.crash)(Fate::Lost);
        }
    });
}
