//! What a settled instance costs. Not a test: it prints.
//!
//! `cargo test --release -p duramen-embedded -- --ignored --nocapture what_a_settle_costs`, or
//! `how_a_settle_disturbs_syncs`.

use super::fresh;
use crate::rows::Database;
use bytes::Bytes;
use duramen_backend::rows::{Changes, Haste, InstanceChange, InstanceWrite, Rows, RunChange, Standing, Thrift};
use duramen_core::checkpoint::{CustomStatus, Head, Part, Place, Tail, Text};
use duramen_core::ids::{Epoch, Position, StoreId};
use duramen_proto::Timestamp;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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

/// How long the syncs of a small file take while `beside` goes on, as the journal's would.
fn syncs(name: &str, folder: &std::path::Path, beside: impl FnOnce() + Send) {
    let mut file = std::fs::File::create(folder.join("log")).expect("it can be made");
    file.write_all(&vec![0; 64 << 20]).expect("it can be written");
    file.sync_all().expect("it can be synced");
    let mut file = std::fs::OpenOptions::new().write(true).open(folder.join("log")).expect("it is there");
    let done = AtomicBool::new(false);
    let begun = Instant::now();
    let mut took = std::thread::scope(|scope| {
        scope.spawn(|| {
            beside();
            done.store(true, Ordering::Relaxed);
        });
        let mut took: Vec<Duration> = Vec::new();
        while !done.load(Ordering::Relaxed) && took.len() < 30_000 {
            let start = Instant::now();
            file.write_all(&[7; 2_048]).expect("it can be written");
            file.sync_data().expect("it can be synced");
            took.push(start.elapsed());
            std::thread::sleep(Duration::from_micros(200));
        }
        took
    });
    took.sort_unstable();
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize].as_secs_f64() * 1_000.0;
    println!(
        "{name:24} {:5} syncs in {:4.1} s: median {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, longest {:.2} ms",
        took.len(),
        begun.elapsed().as_secs_f64(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

#[test]
#[ignore = "a measurement, which prints"]
fn how_a_settle_disturbs_syncs() {
    let nothing = fresh();
    syncs("alone", nothing.folder.path(), || std::thread::sleep(Duration::from_secs(4)));
    for (name, haste) in [("beside, flat out", Haste::FlatOut), ("beside, gentle", Haste::Gentle)] {
        let fresh = fresh();
        fresh.rows.set_haste(haste);
        syncs(name, fresh.folder.path(), || {
            for number in 0..6 {
                fresh.rows.write(&batch(number)).expect("it is written");
                fresh.rows.tidy(Thrift::Usual).expect("it is tidied");
            }
        });
    }
}
