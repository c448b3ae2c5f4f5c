//! Lists: every filter, every order, every page size.

use super::probe::now_and_later;
use super::samples::{checkpoint, delta, event, numbered};
use super::{Probe, Sample, Subject, Test};
use crate::{Order, Query};
use duramen_core::checkpoint::{Change, Head, Purged};
use duramen_core::time::Time;
use duramen_proto::OrchestrationStatus;
use std::collections::BTreeSet;

pub(super) const TESTS: &[Test] = &[
    ("every_filter_lets_through_what_it_should", every_filter_lets_through_what_it_should),
    ("pages_stay_sound_while_rows_change", pages_stay_sound_while_rows_change),
];

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
        Query { prefix: Some("order".into()), statuses: vec![OrchestrationStatus::Failed], ..any() },
        Query {
            prefix: Some("o".into()),
            statuses: vec![OrchestrationStatus::Running, OrchestrationStatus::Pending],
            created_to: time(998),
            ..any()
        },
        Query {
            prefix: Some("pay".into()),
            statuses: vec![OrchestrationStatus::Completed, OrchestrationStatus::Failed],
            ..any()
        },
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
        let mine = |head: &mut Head| {
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
                write(vec![delta(Change::Purged(Purged { birth: base + new, run: base + new }))]);
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
