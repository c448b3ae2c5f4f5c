//! What a settled instance costs. Not a test: it prints.
//!
//! `cargo test --release -p duramen-embedded -- --ignored --nocapture what_a_settle_costs`

use super::fresh;
use crate::rows::Database;
use bytes::Bytes;
use duramen_backend::rows::{Changes, Haste, InstanceChange, InstanceWrite, Rows, RunChange, Standing};
use duramen_core::checkpoint::{CustomStatus, Head, Part, Place, Tail, Text};
use duramen_core::ids::{Epoch, Position, StoreId};
use duramen_proto::Timestamp;
use std::time::Instant;

const BATCH: u64 = 20_000;
const BATCHES: u64 = 10;

/// Finished instances as `hello-cities` leaves them: one row, and one history of 20 events in 1.5 KB.
fn batch(number: u64) -> Changes {
    let mut changes = Changes {
        standing: Some(Standing { store: StoreId(1), position: Position(number + 1), epoch: Epoch(1) }),
        ..Changes::default()
    };
    for n in number * BATCH..(number + 1) * BATCH {
        let birth = (1 << 40) + n * 7;
        let at = Some(Timestamp { seconds: 1_700_000_000 + (n / 5_000) as i64, nanos: (n % 5_000) as i32 * 200_000 });
        // Ids that clients draw come in no order.
        let drawn = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ n.rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let text = |place, start, length| Some(Text { part: Some(Part::from(place)), start, length, run: birth });
        let head = Head {
            birth,
            run: birth,
            id: format!("{drawn:016x}{:016x}", drawn.wrapping_mul(31)),
            execution_id: format!("{:016x}{birth:016x}", 77),
            name: "HelloCities".into(),
            created: at,
            input: text(Place::Inbox(0), 40, 6),
            begins_run: true,
            ..Head::default()
        };
        let tail = Tail {
            birth,
            status: 1,
            updated: at,
            completed: at,
            output: text(Place::History(19), 10, 60),
            next_arrival: 7,
            history_events: 20,
            next_task: 5,
            episode_time: at,
            episodes: 6,
            begun: true,
            ..Tail::default()
        };
        let events = (0..20).map(|at| Bytes::from(vec![at; 75])).collect();
        let write = InstanceWrite {
            new: true,
            head: Some((head, Some(Bytes::from_static(b"\"all\"")))),
            tail: Some((tail, Some(Bytes::from_static(b"[\"Hello Tokyo!\",\"Hello Seattle!\",\"Hello London!\"]")))),
            custom_status: Some(CustomStatus { birth, value: Some("\"done\"".into()), set_by: birth }),
        };
        changes.instances.insert(birth, InstanceChange::Written(Box::new(write)));
        changes.runs.insert(birth, RunChange { new: true, events, ..RunChange::default() });
    }
    changes
}

/// Nanoseconds that this thread was on a processor.
fn on_cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("this is Linux");
    stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("the first is the time on a processor")
}

fn cost(name: &str, rows: &Database) {
    let (mut writing, mut moving) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    let mut log = 0;
    for number in 0..BATCHES {
        let changes = batch(number);
        let start = on_cpu();
        rows.write(&changes).expect("it is written");
        let written = on_cpu();
        let moved = rows.checkpoint().expect("it is moved");
        let end = on_cpu();
        log = moved.pages;
        writing.push(written - start);
        moving.push(end - written);
    }
    let micros = |nanos: u64| nanos as f64 / 1_000.0 / BATCH as f64;
    let middle = |all: &[u64]| micros(all.iter().sum::<u64>() / all.len() as u64);
    println!(
        "{name:32} write {:5.2} µs (first {:5.2}, last {:5.2}), moving {:5.2} µs, log of the last {:6} pages, wall {:.1} s, file {} MB",
        middle(&writing),
        micros(writing[0]),
        micros(*writing.last().expect("there are some")),
        middle(&moving),
        log,
        begun.elapsed().as_secs_f64(),
        std::fs::metadata(rows.path()).expect("it is there").len() >> 20,
    );
}

#[test]
#[ignore = "a measurement, which prints"]
fn what_a_settle_costs() {
    let variants: [(&str, &str); 6] = [
        ("as it is", ""),
        ("without instance_by_id", "DROP INDEX instance_by_id"),
        ("without instance_by_status", "DROP INDEX instance_by_status"),
        ("without instance_by_completed", "DROP INDEX instance_by_completed"),
        ("without history_by_run", "DROP INDEX history_by_run"),
        ("as it is, again", ""),
    ];
    for (name, change) in variants {
        let fresh = fresh();
        fresh.rows.writer().execute_batch(change).expect("it can be changed");
        fresh.rows.set_haste(Haste::FlatOut);
        cost(name, &fresh.rows);
    }
}
