//! What is written comes back: loads, outstanding work; large, small and strange payloads.

use super::probe::now_and_later;
use super::samples::{checkpoint, delta, event, numbered};
use super::{Probe, Sample, Subject, Test};
use crate::{Hurry, Query};
use bytes::Bytes;
use duramen_core::checkpoint::{
    Change, Delta, Losses, Outstanding, PairMark, Purged, Queued, RunClosed, Sent, Task, Timer, TimerPlace, TimerWindow,
};
use duramen_core::ids::{InstanceId, Slot};
use duramen_core::limits::{INSTANCE_ID_CHARS, PAYLOAD_BYTES, check_instance_id};
use duramen_core::time::Time;
use duramen_proto::OrchestrationStatus;

pub(super) const TESTS: &[Test] = &[
    ("a_load_is_the_fold_of_what_was_written", a_load_is_the_fold_of_what_was_written),
    ("a_new_generation_leaves_the_old_run_behind", a_new_generation_leaves_the_old_run_behind),
    ("what_is_purged_is_gone", what_is_purged_is_gone),
    ("outstanding_work_is_listed_in_order", outstanding_work_is_listed_in_order),
    ("outboxes_come_back", outboxes_come_back),
    ("payloads_of_every_size", payloads_of_every_size),
    ("a_batch_larger_than_a_segment", a_batch_larger_than_a_segment),
    ("ids_of_every_kind", ids_of_every_kind),
];

fn a_load_is_the_fold_of_what_was_written(subject: &Subject) {
    let probe = Probe::new((subject.open)());
    let held = probe.acquire();
    let mut sample = Sample::new("order", 1).with(|head| {
        head.version = Some("2".into());
        head.tags.insert("tier".into(), "gold".into());
    });
    let mut number = 0;
    let mut step = |deltas: Vec<Delta>, sample: &Sample| {
        number += 1;
        let position = probe.append(&held, vec![checkpoint(number, deltas)]);
        probe.await_settled(position);
        assert_eq!(probe.load("order").as_ref(), Some(&sample.image), "after checkpoint {number}");
    };
    let deltas = sample.start(event("<started"));
    step(deltas, &sample);
    let deltas = sample.arrive(event("<raised"));
    step(deltas, &sample);
    for _ in 0..3 {
        let deltas = sample.episode();
        step(deltas, &sample);
        let deltas = sample.arrive(event("<result"));
        step(deltas, &sample);
    }
    // Several steps in one checkpoint.
    let deltas = [sample.episode(), sample.end(OrchestrationStatus::Completed, 77)].concat();
    step(deltas, &sample);
    assert!(probe.load("another").is_none());
    now_and_later(subject, probe, |probe| assert_eq!(probe.load("order").as_ref(), Some(&sample.image)));
}

fn a_new_generation_leaves_the_old_run_behind(subject: &Subject) {
    let probe = Probe::new((subject.open)());
    let held = probe.acquire();
    let mut sample = Sample::new("eternal", 1);
    let first = [sample.start(event("<one")), sample.episode()].concat();
    // What the run leaves behind is written again: the history that holds its event goes.
    let again = Task { again: true, ..sample.image.tasks[0].clone() };
    let mut second = vec![delta(Change::Task(again)), delta(Change::RunClosed(RunClosed { run: 1 }))];
    let image = &mut sample.image;
    image.head.run = 2;
    image.history.clear();
    image.tail.history_events = 0;
    image.timers.clear();
    second.extend(sample.start(event("<two")));
    probe.append(&held, numbered([first, second]));
    assert_eq!(sample.image.tasks.len(), 1, "tasks of a run outlive it");
    now_and_later(subject, probe, |probe| assert_eq!(probe.load("eternal").as_ref(), Some(&sample.image)));
}

fn what_is_purged_is_gone(subject: &Subject) {
    let probe = Probe::new((subject.open)());
    let held = probe.acquire();
    let mut old = Sample::new("again", 1);
    let begun = [old.start(event("<one")), old.episode(), old.arrive(event("<more"))].concat();
    // A new instance takes the id in the checkpoint that purges the old one.
    let mut new = Sample::new("again", 2);
    let replaced = [vec![delta(Change::Purged(Purged { birth: 1, run: 1 }))], new.start(event("<two"))].concat();
    probe.append(&held, numbered([begun, replaced]));
    now_and_later(subject, probe, |probe| {
        assert_eq!(probe.load("again").as_ref(), Some(&new.image));
        let outstanding = probe.acquire().outstanding;
        assert_eq!(outstanding.ready, [new.ready()]);
        assert!(outstanding.tasks.is_empty() && probe.timers(0..=255, EVER).timers.is_empty());
        assert_eq!(probe.list(&Query { limit: 10, ..Query::default() }, || ()), ["again"]);
    });
}

/// All timers.
const EVER: TimerWindow = TimerWindow { after: None, before: Time::MAX };

fn place(timer: &Timer) -> TimerPlace {
    TimerPlace { due: timer.due.map_or(Time::EPOCH, Time::from), key: timer.key.expect("it has one") }
}

fn outstanding_work_is_listed_in_order(subject: &Subject) {
    let probe = Probe::new((subject.open)());
    let held = probe.acquire();
    let mut samples = Vec::new();
    let mut all = Vec::new();
    for birth in [5u64, 3, 9, 1, 7] {
        let mut sample = Sample::new(&format!("i{birth}"), birth);
        let mut deltas =
            [sample.start(event("<")), sample.episode(), sample.arrive(event("<")), sample.episode()].concat();
        if birth != 3 {
            deltas.extend(sample.arrive(event("<waiting")));
        }
        all.push(deltas);
        samples.push(sample);
    }
    probe.append(&held, numbered(all));
    samples.sort_by_key(|sample| sample.image.head.birth);
    let expect = |slots: &[Slot]| {
        let mine = |sample: &&Sample| slots.contains(&InstanceId::from(sample.image.head.id.as_str()).slot());
        let mut expected = Outstanding::default();
        for sample in samples.iter().filter(mine) {
            let head = &sample.image.head;
            if head.birth != 3 {
                expected.ready.push(sample.ready());
            }
            expected.tasks.extend(sample.image.tasks.iter().map(|task| Queued {
                key: task.key.expect("it has one"),
                id: head.id.as_str().into(),
                name: task.name.as_str().into(),
                runs_as: task.runs_as.as_deref().map(Into::into),
                action: task.action,
                held: Losses::of_held(task.losses.as_ref()),
            }));
        }
        expected
    };
    let timers = |slots: &[Slot], window: TimerWindow| {
        let mine = |sample: &&Sample| slots.contains(&InstanceId::from(sample.image.head.id.as_str()).slot());
        let of = |sample: &Sample| {
            let id = sample.image.head.id.clone();
            sample.image.timers.iter().map(|timer| (id.clone(), timer.clone())).collect::<Vec<_>>()
        };
        let mut timers: Vec<_> = samples.iter().filter(mine).flat_map(of).collect();
        timers.retain(|(_, timer)| {
            place(timer).due < window.before && window.after.is_none_or(|after| place(timer) > after)
        });
        timers.sort_by_key(|(_, timer)| place(timer));
        timers
    };
    now_and_later(subject, probe, |probe| {
        for slots in [0..=255, 0..=127, 128..=255] {
            let held = probe.acquire_slots(0, slots.clone());
            let mine = slots.clone().map(Slot).collect::<Vec<_>>();
            assert_eq!(held.outstanding, expect(&mine));
            let all = timers(&mine, EVER);
            let middle = all.get(all.len() / 2).map(|(_, timer)| place(timer));
            let some = TimerWindow { after: middle, before: Time::new(10_000, 0) };
            let first = TimerWindow { after: None, before: middle.map_or(Time::MAX, |middle| middle.due) };
            for window in [EVER, some, first] {
                let due = probe.timers(slots.clone(), window);
                assert_eq!(due.timers, timers(&mine, window));
                assert_eq!(due.next, None, "so few are one page");
                let places = all.iter().map(|(_, timer)| place(timer));
                let mut behind = places.filter(|at| window.after.is_none_or(|after| *at > after)).map(|at| at.due);
                let behind = behind.find(|due| *due >= window.before);
                match behind {
                    Some(behind) => {
                        let beyond = due.beyond.expect("something is behind the stretch");
                        assert!(window.before <= beyond && beyond <= behind, "{beyond:?} {behind:?}");
                    }
                    None => assert!(slots != (0..=255) || due.beyond.is_none(), "nothing is behind the stretch"),
                }
            }
        }
    });
}

fn outboxes_come_back(subject: &Subject) {
    let probe = Probe::new((subject.open)());
    let held = probe.acquire();
    let mark = |source, target, sequence| PairMark { source, target, sequence };
    let sent = |mark, text: &'static str| Sent { mark: Some(mark), message: Bytes::from_static(text.as_bytes()) };
    let out =
        [sent(mark(9, 1, 1), "a"), sent(mark(9, 1, 2), "b"), sent(mark(2, 200, 1), "c"), sent(mark(2, 3, 1), "d")];
    let first = out.iter().cloned().map(|sent| delta(Change::Sent(sent))).collect();
    let second = vec![
        delta(Change::Acknowledged(mark(9, 1, 1))),
        delta(Change::Acknowledged(mark(2, 3, 1))),
        delta(Change::Received(mark(200, 2, 1))),
        delta(Change::Received(mark(200, 2, 5))),
        delta(Change::Received(mark(1, 9, 3))),
    ];
    probe.append(&held, numbered([first, second]));
    now_and_later(subject, probe, |probe| {
        let all = probe.acquire().outstanding;
        assert_eq!(all.outbox, [out[2].clone(), out[1].clone()]);
        assert_eq!(all.sent, [mark(2, 3, 1), mark(2, 200, 1), mark(9, 1, 2)]);
        assert_eq!(all.received, [mark(1, 9, 3), mark(200, 2, 5)]);
        let some = probe.acquire_slots(0, [2]).outstanding;
        assert_eq!((some.outbox, some.received), (vec![out[2].clone()], vec![mark(200, 2, 5)]));
    });
}

fn payloads_of_every_size(subject: &Subject) {
    let probe = Probe::new((subject.open)());
    let held = probe.acquire();
    let sizes = [0, 1, 400, 512, 513, 65_536, PAYLOAD_BYTES];
    let mut samples = Vec::new();
    for (size, number) in sizes.into_iter().zip(1..) {
        let mut sample = Sample::new(&format!("{size} bytes"), number);
        let payload: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        probe.append(&held, vec![checkpoint(number, sample.start(payload.into()))]);
        samples.push(sample);
    }
    now_and_later(subject, probe, |probe| {
        for sample in &samples {
            let id = &sample.image.head.id;
            assert!(probe.load(id).as_ref() == Some(&sample.image), "{id}");
        }
    });
}

fn a_batch_larger_than_a_segment(subject: &Subject) {
    let probe = Probe::new((subject.open)());
    let held = probe.acquire();
    let mut samples: Vec<_> = (1..=40).map(|birth| Sample::new(&format!("i{birth}"), birth)).collect();
    let payload = Bytes::from(vec![7; 300_000]);
    let all = numbered(samples.iter_mut().map(|sample| sample.start(payload.clone())));
    probe.submit(&held, all, Hurry::Busy);
    for number in 1..=40 {
        probe.expect_appended(&held, number);
    }
    // And small ones behind it.
    let small: Vec<_> = samples.iter_mut().map(|sample| sample.arrive(event("<small"))).collect();
    probe.append(&held, small.into_iter().zip(41..).map(|(deltas, number)| checkpoint(number, deltas)).collect());
    now_and_later(subject, probe, |probe| {
        for sample in &samples {
            assert!(probe.load(&sample.image.head.id).as_ref() == Some(&sample.image), "{}", sample.image.head.id);
        }
    });
}

fn ids_of_every_kind(subject: &Subject) {
    let probe = Probe::new((subject.open)());
    let held = probe.acquire();
    // Every character of one byte that the limits allow, and those of two, three and four bytes.
    let mut ids: Vec<_> = (0..=0x7f_u8).map(|byte| format!("a{}z", char::from(byte))).collect();
    ids.extend(["é", "ß", "日本", "🦀", "e\u{301}", "\u{10ffff}", " ", "a b ", "ID", "id"].map(str::to_owned));
    ids.extend([
        "x".repeat(INSTANCE_ID_CHARS),
        "🦀".repeat(INSTANCE_ID_CHARS),
        "%_'\"*".to_owned(),
        "@counter@key".to_owned(),
    ]);
    ids.retain(|id| id.starts_with('@') || check_instance_id(id).is_ok());
    let mut samples: Vec<_> = ids.iter().zip(1..).map(|(id, birth)| Sample::new(id, birth)).collect();
    probe.append(&held, numbered(samples.iter_mut().map(|sample| sample.start(event("<")))));
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    now_and_later(subject, probe, |probe| {
        for sample in &samples {
            assert_eq!(probe.load(&sample.image.head.id).as_ref(), Some(&sample.image));
        }
        assert_eq!(probe.list(&Query { prefix: Some(String::new()), limit: 7, ..Query::default() }, || ()), sorted);
        assert_eq!(probe.list(&Query { prefix: Some("%_".into()), limit: 7, ..Query::default() }, || ()), ["%_'\"*"]);
    });
}
