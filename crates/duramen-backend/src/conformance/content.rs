//! What is written comes back: loads, outstanding work, lists; large, small and strange payloads.

use super::samples::{checkpoint, delta};
use super::{Probe, Sample, Subject, Test};
use crate::{Hurry, Order, Query};
use bytes::Bytes;
use duramen_core::checkpoint::{Change, Checkpoint, Delta, Outstanding, PairMark, Purged, RunClosed, Sent};
use duramen_core::ids::{InstanceId, Slot};
use duramen_core::limits::{INSTANCE_ID_CHARS, PAYLOAD_BYTES, check_instance_id};
use duramen_core::time::Time;
use duramen_proto::OrchestrationStatus;
use std::collections::BTreeSet;

pub(super) const TESTS: &[Test] = &[
    ("a_load_is_the_fold_of_what_was_written", a_load_is_the_fold_of_what_was_written),
    ("a_new_generation_leaves_the_old_run_behind", a_new_generation_leaves_the_old_run_behind),
    ("what_is_purged_is_gone", what_is_purged_is_gone),
    ("outstanding_work_is_listed_in_order", outstanding_work_is_listed_in_order),
    ("outboxes_come_back", outboxes_come_back),
    ("every_filter_lets_through_what_it_should", every_filter_lets_through_what_it_should),
    ("pages_stay_sound_while_rows_change", pages_stay_sound_while_rows_change),
    ("payloads_of_every_size", payloads_of_every_size),
    ("a_batch_larger_than_a_segment", a_batch_larger_than_a_segment),
    ("ids_of_every_kind", ids_of_every_kind),
];

/// Runs a check twice: on the store as it is, and once it has been opened again.
fn now_and_later(subject: &Subject, probe: Probe, check: impl Fn(&Probe)) {
    check(&probe);
    probe.backend.close();
    drop(probe);
    let probe = Probe::new((subject.open)());
    check(&probe);
    probe.backend.close();
}

fn numbered(all: impl IntoIterator<Item = Vec<Delta>>) -> Vec<Checkpoint> {
    all.into_iter().zip(1..).map(|(deltas, number)| checkpoint(number, deltas)).collect()
}

fn event(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

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
    let mut second = vec![delta(Change::RunClosed(RunClosed { run: 1 }))];
    let image = &mut sample.image;
    image.head.run = 2;
    image.history.clear();
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
    let replaced = [vec![delta(Change::Purged(Purged { birth: 1 }))], new.start(event("<two"))].concat();
    probe.append(&held, numbered([begun, replaced]));
    now_and_later(subject, probe, |probe| {
        assert_eq!(probe.load("again").as_ref(), Some(&new.image));
        let outstanding = probe.acquire().outstanding;
        assert_eq!(outstanding.ready, [(2, "again".to_owned())]);
        assert!(outstanding.tasks.is_empty() && outstanding.timers.is_empty());
        assert_eq!(probe.list(&Query { limit: 10, ..Query::default() }, || ()), ["again"]);
    });
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
                expected.ready.push((head.birth, head.id.clone()));
            }
            expected.tasks.extend(sample.image.tasks.iter().map(|task| (head.id.clone(), task.clone())));
            expected.timers.extend(sample.image.timers.iter().map(|timer| (head.id.clone(), timer.clone())));
        }
        expected
            .timers
            .sort_by_key(|(_, timer)| (timer.due.map(Time::from), timer.key.map(|key| (key.run, key.number))));
        expected
    };
    now_and_later(subject, probe, |probe| {
        for slots in [0..=255, 0..=127, 128..=255] {
            let held = probe.acquire_slots(0, slots.clone());
            assert_eq!(held.outstanding, expect(&slots.map(Slot).collect::<Vec<_>>()));
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

/// A store of instances that differ in all that a query can look at.
fn populate(probe: &Probe) -> Vec<Sample> {
    let held = probe.acquire();
    let mut samples = Vec::new();
    let mut all = Vec::new();
    for birth in 1..=30u64 {
        let mut sample = Sample::new(&format!("{}-{birth:02}", ["order", "orders", "pay"][birth as usize % 3]), birth)
            .with(|head| {
                head.name = ["Greet", "Charge"][birth as usize % 2].into();
                head.tags.insert("tier".into(), ["gold", "silver", "tin"][birth as usize / 3 % 3].into());
                // Two of each moment, so that the birth decides.
                head.created = Some(Time::new(1_000 - birth as i64 / 2, 0).into());
            });
        if birth % 5 == 0 {
            sample = sample.child_of(["order-03", "nobody"][birth as usize / 5 % 2]);
        }
        let mut deltas = sample.start(event(&format!("<input {birth}")));
        if birth % 2 == 0 {
            deltas.extend(sample.episode());
        }
        if birth % 4 == 0 {
            let status = if birth % 8 == 0 { OrchestrationStatus::Failed } else { OrchestrationStatus::Completed };
            deltas.extend(sample.end(status, 2_000 - birth as i64 / 8));
        }
        all.push(deltas);
        samples.push(sample);
    }
    probe.append(&held, numbered(all));
    samples
}

fn every_filter_lets_through_what_it_should(subject: &Subject) {
    let probe = Probe::new((subject.open)());
    let samples = populate(&probe);
    let time = |seconds| Some(Time::new(seconds, 0));
    let any = Query::default;
    let queries = [
        any(),
        Query { statuses: vec![OrchestrationStatus::Running, OrchestrationStatus::Failed], ..any() },
        Query { created_from: time(990), ..any() },
        Query { created_to: time(990), ..any() },
        Query { created_from: time(988), created_to: time(995), ..any() },
        Query { completed_from: time(1_998), ..any() },
        Query { completed_to: time(1_998), ..any() },
        Query { prefix: Some("order".into()), ..any() },
        Query { prefix: Some("orders".into()), name: Some("Greet".into()), ..any() },
        Query { prefix: Some("none".into()), ..any() },
        Query { name: Some("Charge".into()), ..any() },
        Query { tag: Some(("tier".into(), "gold".into())), ..any() },
        Query { tag: Some(("level".into(), "gold".into())), ..any() },
        Query { parent: Some("order-03".into()), ..any() },
        Query { parent: Some("order-03".into()), prefix: Some("pay".into()), ..any() },
        Query { order: Order::Completed, ..any() },
        Query { order: Order::Completed, completed_from: time(1_997), completed_to: time(2_000), ..any() },
        Query { order: Order::Completed, prefix: Some("order-".into()), ..any() },
        Query { statuses: vec![OrchestrationStatus::Suspended], ..any() },
    ];
    now_and_later(subject, probe, |probe| {
        for query in &queries {
            let expected = expected(query, &samples);
            for limit in [1, 2, 7, 30, 100] {
                let query = Query { limit, ..query.clone() };
                assert_eq!(probe.list(&query, || ()), expected, "{query:?}");
            }
        }
        rows_show_texts(probe, &samples);
    });
}

/// The same filters, said in another way.
fn expected(query: &Query, samples: &[Sample]) -> Vec<String> {
    let created = |sample: &Sample| Time::from(sample.image.head.created.expect("samples have one"));
    let completed = |sample: &Sample| sample.image.tail.completed.map(Time::from);
    let mut rows: Vec<_> = samples.iter().collect();
    rows.retain(|sample| query.order == Order::Created || completed(sample).is_some());
    if !query.statuses.is_empty() {
        rows.retain(|sample| {
            query.statuses.contains(&OrchestrationStatus::try_from(sample.image.tail.status).expect("it is one"))
        });
    }
    for (bound, from) in [(query.created_from, true), (query.created_to, false)] {
        rows.retain(|sample| bound.is_none_or(|bound| (created(sample) >= bound) == from));
    }
    for (bound, from) in [(query.completed_from, true), (query.completed_to, false)] {
        rows.retain(|sample| bound.is_none_or(|bound| completed(sample).is_some_and(|at| (at >= bound) == from)));
    }
    let prefix = query.prefix.clone().unwrap_or_default();
    rows.retain(|sample| sample.image.head.id.starts_with(&prefix));
    rows.retain(|sample| query.name.as_ref().is_none_or(|name| sample.image.head.name == *name));
    rows.retain(|sample| query.tag.as_ref().is_none_or(|(key, value)| sample.image.head.tags.get(key) == Some(value)));
    rows.retain(|sample| {
        let parent = sample.image.head.parent.as_ref().map(|parent| &parent.id);
        query.parent.as_ref().is_none_or(|id| parent == Some(id))
    });
    match (query.order, &query.prefix) {
        (Order::Completed, _) => rows.sort_by_key(|sample| (completed(sample), sample.image.head.id.clone())),
        (Order::Created, Some(_)) => rows.sort_by_key(|sample| sample.image.head.id.clone()),
        (Order::Created, None) => rows.sort_by_key(|sample| (created(sample), sample.image.head.birth)),
    }
    rows.into_iter().map(|sample| sample.image.head.id.clone()).collect()
}

fn rows_show_texts(probe: &Probe, samples: &[Sample]) {
    for row in probe.page(&Query { limit: 100, ..Query::default() }).rows {
        let sample = samples.iter().find(|sample| sample.image.head.id == row.head.id).expect("it was written");
        let (head, tail) = (&sample.image.head, &sample.image.tail);
        assert_eq!((&row.head, &row.tail, &row.custom_status), (head, tail, &sample.image.custom_status));
        assert_eq!(row.input, Some(event(&format!("input {}", head.birth))));
        let ended = tail.completed.map(|_| sample.image.history.last().expect("it has ended").clone());
        assert_eq!(row.output, ended.as_ref().map(|event| event.slice(1..)));
        assert_eq!(row.last_event, ended);
    }
}

/// What stays is seen once; what comes behind the cursor is seen; what comes before it is not.
fn pages_stay_sound_while_rows_change(subject: &Subject) {
    let stay = |order| match order {
        Order::Created => 1..=40u64,
        Order::Completed => 21..=40,
    };
    for (order, prefix) in [(Order::Created, None), (Order::Created, Some("i")), (Order::Completed, None)] {
        let probe = Probe::new((subject.open)());
        let held = probe.acquire();
        let mut number = 0;
        let mut write = |deltas| {
            number += 1;
            probe.append(&held, vec![checkpoint(number, deltas)]);
        };
        let tag = format!("{order:?}-{}", prefix.unwrap_or("all"));
        let mine = |head: &mut duramen_core::checkpoint::Head| {
            head.tags.insert("test".into(), tag.clone());
        };
        // Births of one test do not meet those of another on the same store.
        let base = held.epoch.0 as u64 * 10_000;
        let name = |n: u64| format!("i{}-{n:03}", held.epoch.0);
        for n in 1..=40 {
            let mut sample = Sample::new(&name(n), base + n).with(mine);
            let mut deltas = sample.start(event("<"));
            if n > 20 {
                deltas.extend(sample.end(OrchestrationStatus::Completed, 5_000 + n as i64));
            }
            write(deltas);
        }
        let query = Query {
            order,
            prefix: prefix.map(Into::into),
            tag: Some(("test".into(), tag.clone())),
            limit: 3,
            ..Query::default()
        };
        let mut new = 100;
        let seen = probe.list(&query, || {
            // One instance comes at the end, and then goes again every second time.
            new += 1;
            if new > 120 {
                return;
            }
            let mut sample = Sample::new(&name(new), base + new).with(mine);
            write([sample.start(event("<")), sample.end(OrchestrationStatus::Completed, 6_000 + new as i64)].concat());
            if new % 2 == 0 {
                write(vec![delta(Change::Purged(Purged { birth: base + new }))]);
            }
        });
        let unique: BTreeSet<_> = seen.iter().collect();
        assert_eq!(unique.len(), seen.len(), "nothing is seen twice: {seen:?}");
        assert!(stay(order).all(|n| unique.contains(&name(n))), "what stays is seen: {seen:?}");
        assert!(unique.contains(&name(101)), "what comes behind the cursor is seen: {seen:?}");
        assert!(!unique.contains(&name(102)), "what is gone is not: {seen:?}");
        probe.backend.close();
    }
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
