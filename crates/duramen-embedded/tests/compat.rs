//! Stores of every version that was released open for ever.
//!
//! `compat/v1` is a store as a process left it that was killed: some of it settled, in the tables' file
//! and in its log, and the end of it in the journal alone. `compat/v1.txt` is what is in it, in words
//! that were true when it was made. Neither is ever made again once a version of Duramen has been
//! released with it; a new format gets a folder of its own beside it. `v2` has items that are held,
//! and `v3` an index of statuses and ids.
//!
//! ```text
//! rm -r crates/duramen-embedded/tests/compat/v3*
//! cargo test -p duramen-embedded --test compat -- --ignored
//! ```

use bytes::Bytes;
use duramen_backend::conformance::{Probe, Sample, delta};
use duramen_backend::{Backend, Query};
use duramen_core::checkpoint::{
    Change, Checkpoint, Delta, Image, Outstanding, PairMark, Place, RunClosed, Sent, Task, TimerWindow,
};
use duramen_core::ids::Position;
use duramen_core::time::Time;
use duramen_embedded::{Embedded, Options, SegmentSizes, Settling, verify};
use duramen_proto::OrchestrationStatus;
use std::fmt::{Debug, Write};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat")
}

/// Settles when it is asked to.
const OPTIONS: Options = Options {
    sizes: SegmentSizes { first: 8_192, next: 8_192 },
    settling: Settling { bytes: 1 << 30, age: Duration::from_secs(3_600), bound: 1 << 30, reserve: 1 << 20 },
    prepare: 0,
};

fn open(folder: &Path) -> (Arc<Embedded>, Probe) {
    let store = Arc::new(Embedded::open(folder, OPTIONS).unwrap_or_else(|error| panic!("{error}")));
    (store.clone(), Probe::new(store))
}

fn event(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// The newest version of the format.
const NEWEST: u32 = 3;

/// The folder of a version.
fn version(number: u32) -> PathBuf {
    place().join(format!("v{number}"))
}

/// An instance in each state, some in two steps: what is settled, and what comes behind.
fn instances() -> [Vec<Vec<Delta>>; 2] {
    let mut pending = Sample::new("pending", 1);
    let mut parked = Sample::new("parked on a timer", 2);
    let mut finished = Sample::new("finished", 3).child_of("parked on a timer").with(|head| {
        head.version = Some("2.1".into());
        head.tags.insert("tier".into(), "gold".into());
    });
    let mut failed = Sample::new("failed", 4);
    let mut busy = Sample::new("tasks in flight", 5);
    let mut eternal = Sample::new("a second generation", 6);
    let mut late = Sample::new("only in the journal", 7);
    let mut held = Sample::new("held", 8);
    let mut unlucky = Sample::new("held in the journal", 9);
    let settled = vec![
        pending.start(event("<first \u{1f980}")),
        [parked.start(event("<wait")), parked.episode()].concat(),
        [finished.start(event("<sum")), finished.episode(), finished.end(OrchestrationStatus::Completed, 2_000)]
            .concat(),
        [failed.start(event("<fail")), failed.episode(), failed.end(OrchestrationStatus::Failed, 2_001)].concat(),
        [busy.start(event("<work")), busy.episode(), busy.arrive(event(">more")), busy.episode()].concat(),
        [eternal.start(event("<one")), eternal.episode()].concat(),
        messages(),
        // Held, with its activity.
        [held.start(event("<poison")), held.episode(), held.arrive(event(">more"))].concat(),
        (0..3).flat_map(|_| held.lose()).collect(),
        [unlucky.start(event("<unlucky")), unlucky.episode(), unlucky.arrive(event(">more")), unlucky.lose()].concat(),
    ];
    let task = parked.image.tasks.pop().and_then(|task| task.key).expect("its episode opened one");
    let mut again: Vec<_> =
        eternal.image.tasks.iter().map(|task| delta(Change::Task(Task { again: true, ..task.clone() }))).collect();
    again.push(delta(Change::RunClosed(RunClosed { run: 6 })));
    eternal.image.head.run = 60;
    eternal.image.history.clear();
    eternal.image.timers.clear();
    eternal.image.tail.history_events = 0;
    again.extend(eternal.start(event("<two")));
    let behind = vec![
        vec![delta(Change::TaskClosed(task))],
        [busy.arrive(event(">result")), busy.episode(), busy.arrive(event(">waits"))].concat(),
        again,
        [late.start(event("<late")), late.episode()].concat(),
        (0..2).flat_map(|_| unlucky.lose()).collect(),
    ];
    [settled, behind]
}

fn messages() -> Vec<Delta> {
    let mark = |source, target, sequence| PairMark { source, target, sequence };
    let sent = |sequence, text| Change::Sent(Sent { mark: Some(mark(3, 9, sequence)), message: event(text) });
    let changes = [
        sent(1, "gone"),
        sent(2, "to be sent again"),
        Change::Acknowledged(mark(3, 9, 1)),
        Change::Received(mark(9, 3, 4)),
    ];
    changes.map(delta).into()
}

/// A page of text, line by line.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, what: &str, value: impl Debug) {
        writeln!(self.0, "{what}: {value:?}").expect("a text takes every line");
    }
}

/// Everything that can be asked of a store, as far as it was known when a version was made.
fn describe(probe: &Probe, version: u32) -> String {
    let mut text = Text::default();
    for id in probe.list(&Query { limit: 3, ..Query::default() }, || ()) {
        let image = probe.load(&id).expect("it is listed");
        instance(&mut text, &image);
        if version >= 2 {
            text.line("  losses", &image.tail.losses);
            image.tasks.iter().for_each(|task| text.line("  losses of a task", (task.key, &task.losses)));
        }
    }
    for (id, timer) in probe.timers(0..=255, TimerWindow { after: None, before: Time::MAX }).timers {
        text.line("due", (timer.due, id, timer.key));
    }
    let Outstanding { ready, tasks, outbox, received, sent } = probe.acquire().outstanding;
    ready.iter().for_each(|ready| text.line("ready", (ready.id.as_str(), ready.run)));
    tasks.iter().for_each(|task| text.line("queued", (&task.name, task.id.as_str(), task.key)));
    if version >= 2 {
        ready.iter().for_each(|ready| text.line("held", (ready.id.as_str(), &ready.held)));
        tasks.iter().for_each(|task| text.line("held", (task.id.as_str(), task.key, &task.held)));
    }
    outbox.iter().for_each(|sent| text.line("to be sent", (sent.mark, &sent.message)));
    text.line("sent", sent);
    text.line("received", received);
    text.0
}

fn instance(text: &mut Text, image: &Image) {
    let Image { head, tail, custom_status, history, inbox, tasks, timers } = image;
    text.line("instance", &head.id);
    text.line("  birth, run, execution", (head.birth, head.run, &head.execution_id));
    text.line("  name, version, parent", (&head.name, &head.version, head.parent.as_ref().map(|parent| &parent.id)));
    text.line("  tags, created", (&head.tags, head.created));
    text.line("  input", head.input.as_ref().map(|input| (input.start, input.length)));
    text.line("  status, completed", (tail.status, tail.completed));
    text.line("  next", (tail.next_arrival, tail.next_task, tail.next_timer, tail.history_events));
    text.line("  custom status", custom_status.as_ref().map(|status| (&status.value, status.set_by)));
    history.iter().for_each(|event| text.line("  history", event));
    inbox.iter().for_each(|entry| text.line("  inbox", (entry.run, entry.sequence, &entry.event)));
    for task in tasks {
        let Some(Place::Here(event)) = task.event.as_ref().and_then(|part| part.place.as_ref()) else {
            panic!("a loaded task has its event: {task:?}");
        };
        text.line("  task", (task.key, task.run, &task.name, &task.execution_id, event));
    }
    timers.iter().for_each(|timer| text.line("  timer", (timer.key, timer.due, timer.event_id)));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("it can be made");
    for entry in fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("it can be read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else if !entry.path().to_string_lossy().ends_with("-shm") {
            fs::copy(entry.path(), target).expect("it can be copied");
        }
    }
}

#[test]
#[ignore = "makes the data of a version, once"]
fn make() {
    let version = version(NEWEST);
    assert!(!version.exists(), "{} is there; it is not made again", version.display());
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    let (store, probe) = open(folder.path());
    let held = probe.acquire();
    let mut number = 0;
    let mut append = |all: Vec<Vec<Delta>>| {
        all.into_iter().fold(Position(0), |_, deltas| {
            number += 1;
            probe.append(&held, vec![Checkpoint { number, deltas }])
        })
    };
    let [settled, behind] = instances();
    let position = append(settled);
    probe.await_settled(position);
    append(behind);
    copy(folder.path(), &version);
    store.close();
    let (_store, probe) = open(folder.path());
    fs::write(version.with_extension("txt"), describe(&probe, NEWEST)).expect("it can be written");
}

#[test]
fn a_store_of_version_1_opens_and_has_everything() {
    opens_and_has_everything(1, 7);
}

#[test]
fn a_store_of_version_2_opens_and_has_everything() {
    opens_and_has_everything(2, 9);
}

#[test]
fn a_store_of_version_3_opens_and_has_everything() {
    opens_and_has_everything(3, 9);
}

fn opens_and_has_everything(number: u32, instances: u64) {
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    copy(&version(number), folder.path());
    let report = verify(folder.path()).expect("it can be looked at");
    assert!(report.is_whole() && report.durable > report.settled, "{report}");
    let (store, probe) = open(folder.path());
    let expected = fs::read_to_string(version(number).with_extension("txt")).expect("it is there");
    let found = describe(&probe, number);
    assert!(found == expected, "found:\n{found}\nexpected:\n{expected}");
    lists_by_status_and_prefix(&probe);
    // And it goes on from there.
    let held = probe.acquire();
    let mut new = Sample::new("new", u64::from(held.epoch.0) << 40);
    probe.append(&held, vec![Checkpoint { number: 1, deltas: new.start(event("<new")) }]);
    assert_eq!(probe.load("new"), Some(new.image));
    lists_by_status_and_prefix(&probe);
    store.close();
    drop((store, probe));
    let report = verify(folder.path()).expect("it can be looked at");
    assert!(report.is_whole() && report.instances == instances + 1, "{report}");
}

/// An index that is younger than the rows has all of them.
fn lists_by_status_and_prefix(probe: &Probe) {
    for prefix in ["", "f", "p"] {
        let prefix = Query { prefix: Some(prefix.into()), limit: 100, ..Query::default() };
        let rows = probe.page(&prefix).rows;
        assert!(!rows.is_empty());
        for status in [OrchestrationStatus::Running, OrchestrationStatus::Pending, OrchestrationStatus::Failed] {
            let expected: Vec<_> =
                rows.iter().filter(|row| row.tail.status == status as i32).map(|row| row.head.id.clone()).collect();
            let query = Query { statuses: vec![status], limit: 1, ..prefix.clone() };
            assert_eq!(probe.list(&query, || ()), expected, "{query:?}");
        }
    }
}
