use super::{Damage, Tables};
use crate::conformance::{Sample, delta};
use bytes::Bytes;
use duramen_core::checkpoint::{
    Arrived, Change, Checkpoint, CustomStatus, Delta, Head, HistoryParts, PairMark, Part, Place, Purged, RunClosed,
    Sent, Tail, Taken, Task, TaskKey, Text, Timer, TimerKey,
};
use duramen_proto::OrchestrationStatus;
use proptest::prelude::*;

fn fold(tables: &mut Tables, deltas: Vec<Delta>) -> Result<(), Damage> {
    tables.fold(Checkpoint { number: 1, deltas })
}

/// Tables with the instance `a` of birth 1, whose inbox has the entries 0 and 1 and whose history
/// has one event.
fn some() -> Tables {
    let mut tables = Tables::default();
    let mut sample = Sample::new("a", 1);
    let mut deltas = sample.start(Bytes::from_static(b"<one"));
    deltas.extend(sample.arrive(Bytes::from_static(b"<two")));
    deltas.push(delta(Change::History(HistoryParts { run: 1, parts: vec![here(b"past")], replace: false })));
    fold(&mut tables, deltas).expect("it fits");
    tables
}

fn here(bytes: &'static [u8]) -> Part {
    Place::Here(Bytes::from_static(bytes)).into()
}

#[test]
fn a_change_about_what_is_not_there_is_damage() {
    let head = |birth, id: &str, input| Head { birth, run: birth, id: id.into(), input, ..Head::default() };
    let text = |place: Place, length| Some(Text { part: Some(place.into()), start: 0, length });
    let mark = |sequence| PairMark { source: 1, target: 2, sequence };
    let history = |place: Place| Change::History(HistoryParts { run: 1, parts: vec![place.into()], replace: false });
    let wrong = [
        Change::Head(Box::new(head(2, "a", None))),
        Change::Head(Box::new(head(2, "b", text(Place::Inbox(0), 1)))),
        Change::Head(Box::new(head(2, "b", text(Place::Here(Bytes::from_static(b"12")), 3)))),
        Change::Tail(Box::new(Tail { birth: 2, ..Tail::default() })),
        Change::Tail(Box::new(Tail { birth: 1, output: text(Place::History(1), 1), ..Tail::default() })),
        Change::CustomStatus(CustomStatus { birth: 2, ..CustomStatus::default() }),
        Change::Arrived(Arrived { run: 2, ..Arrived::default() }),
        Change::Arrived(Arrived { run: 1, sequence: 1, ..Arrived::default() }),
        Change::Taken(Taken { run: 1, sequences: vec![2] }),
        Change::Taken(Taken { run: 1, sequences: vec![0, 0] }),
        history(Place::Inbox(2)),
        history(Place::History(1)),
        Change::History(HistoryParts { run: 2, parts: vec![here(b"x")], replace: false }),
        Change::History(HistoryParts { run: 1, parts: vec![Part { place: None }], replace: false }),
        Change::RunClosed(RunClosed { run: 2 }),
        Change::Task(Task::default()),
        Change::Task(Task { key: Some(TaskKey { birth: 2, number: 1 }), event: Some(here(b"x")), ..Task::default() }),
        Change::Task(Task {
            key: Some(TaskKey { birth: 1, number: 1 }),
            run: 1,
            event: Some(Place::History(1).into()),
            ..Task::default()
        }),
        Change::TaskClosed(TaskKey { birth: 1, number: 0 }),
        Change::Timer(Timer { key: Some(TimerKey { run: 2, number: 0 }), ..Timer::default() }),
        Change::Timer(Timer::default()),
        Change::TimerClosed(TimerKey { run: 1, number: 0 }),
        Change::Purged(Purged { birth: 2 }),
        Change::Sent(Sent::default()),
        Change::Sent(Sent { mark: Some(mark(0)), ..Sent::default() }),
        Change::Acknowledged(mark(1)),
        Change::Received(mark(0)),
    ];
    for change in wrong {
        let mut tables = some();
        let deltas = vec![delta(change.clone())];
        let damage = fold(&mut tables, deltas).expect_err(&format!("{change:?} does not fit"));
        assert!(!damage.to_string().is_empty());
    }
    let newer = fold(&mut some(), vec![Delta { change: None }]);
    assert_eq!(newer, Err(Damage::UnknownChange { number: 1 }));
}

#[test]
fn a_new_history_is_made_of_parts_of_the_old_one() {
    let mut tables = some();
    let parts = vec![Place::Inbox(1).into(), here(b"new"), Place::History(0).into()];
    fold(&mut tables, vec![delta(Change::History(HistoryParts { run: 1, parts, replace: true }))]).expect("it fits");
    assert_eq!(tables.load("a").expect("it is there").history, ["<two", "new", "past"]);
}

#[test]
fn a_task_that_is_counted_again_keeps_its_event() {
    let mut tables = some();
    let task = |event, failed_dispatches| {
        let key = Some(TaskKey { birth: 1, number: 3 });
        vec![delta(Change::Task(Task { key, run: 1, event, failed_dispatches, ..Task::default() }))]
    };
    fold(&mut tables, task(Some(Place::History(0).into()), 0)).expect("it fits");
    fold(&mut tables, vec![delta(Change::RunClosed(RunClosed { run: 1 }))]).expect("it fits");
    fold(&mut tables, task(None, 1)).expect("it fits");
    let task = tables.load("a").expect("it is there").tasks.remove(0);
    assert_eq!((task.event, task.failed_dispatches), (Some(here(b"past")), 1));
}

#[test]
fn payloads_are_shared_and_not_copied() {
    let payload = Bytes::from(vec![b'x'; 100]);
    let mut tables = Tables::default();
    let mut sample = Sample::new("a", 1);
    fold(&mut tables, sample.start(payload.clone())).expect("it fits");
    fold(&mut tables, sample.episode()).expect("it fits");
    assert_eq!(tables.load("a").expect("it is there").history[0].as_ptr(), payload.as_ptr());
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Start,
    Arrive(usize),
    Episode(usize),
    End(usize),
    Purge(usize),
    Reborn(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = any::<prop::sample::Index>().prop_map(|index| index.index(1 << 16));
    let step = prop_oneof![
        2 => Just(Step::Start),
        3 => which.clone().prop_map(Step::Arrive),
        3 => which.clone().prop_map(Step::Episode),
        1 => which.clone().prop_map(Step::End),
        1 => which.clone().prop_map(Step::Purge),
        1 => which.prop_map(Step::Reborn),
    ];
    prop::collection::vec(step, 1..60)
}

/// Does something to one of the instances, if there are any.
fn on(live: &mut [Sample], which: usize, act: &dyn Fn(&mut Sample) -> Vec<Delta>) -> Vec<Delta> {
    let count = live.len().max(1);
    live.get_mut(which % count).map(act).unwrap_or_default()
}

proptest! {
    /// Whatever happens, and however it is cut into checkpoints: a load gives what was written, and
    /// once everything is purged no row is left.
    #[test]
    fn rows_are_what_was_written_and_nothing_stays_behind(steps in steps(), cuts in any::<u64>()) {
        let mut tables = Tables::default();
        let mut live: Vec<Sample> = Vec::new();
        let mut next = 1;
        let mut deltas = Vec::new();
        for (at, step) in steps.into_iter().enumerate() {
            let event = Bytes::from(format!("<{at}"));
            deltas.extend(match step {
                Step::Start => {
                    let mut sample = Sample::new(&format!("i{next}"), next).child_of("parent");
                    next += 1;
                    let deltas = sample.start(event);
                    live.push(sample);
                    deltas
                }
                Step::Arrive(which) => on(&mut live, which, &|sample| sample.arrive(event.clone())),
                Step::Episode(which) => on(&mut live, which, &Sample::episode),
                Step::End(which) => on(&mut live, which, &|sample| sample.end(OrchestrationStatus::Completed, at as i64)),
                Step::Purge(_) if live.is_empty() => Vec::new(),
                Step::Purge(which) => {
                    let gone = live.swap_remove(which % live.len());
                    vec![delta(Change::Purged(Purged { birth: gone.image.head.birth }))]
                }
                // The next generation: a new run of the same birth.
                Step::Reborn(which) => {
                    let run = next;
                    next += 1;
                    on(&mut live, which, &|sample| {
                        let closed = delta(Change::RunClosed(RunClosed { run: sample.image.head.run }));
                        sample.image.head.run = run;
                        sample.image.history.clear();
                        sample.image.inbox.clear();
                        sample.image.timers.clear();
                        sample.image.tail.completed = None;
                        sample.image.tail.output = None;
                        [vec![closed], sample.start(event.clone())].concat()
                    })
                }
            });
            if cuts >> (at % 64) & 1 == 1 {
                fold(&mut tables, std::mem::take(&mut deltas)).expect("it fits");
            }
        }
        fold(&mut tables, deltas).expect("it fits");
        for sample in &live {
            let loaded = tables.load(&sample.image.head.id);
            prop_assert_eq!(loaded.as_ref(), Some(&sample.image));
        }
        prop_assert_eq!(tables.len(), live.len());
        let purge = live.iter().map(|sample| delta(Change::Purged(Purged { birth: sample.image.head.birth })));
        fold(&mut tables, purge.collect()).expect("it fits");
        let Tables { instances, runs, inbox, tasks, timers, outbox, sent, received, by_id, by_created, by_completed, by_parent } = &tables;
        prop_assert!(instances.is_empty() && runs.is_empty() && inbox.is_empty() && tasks.is_empty() && timers.is_empty());
        prop_assert!(outbox.is_empty() && sent.is_empty() && received.is_empty());
        prop_assert!(by_id.is_empty() && by_created.is_empty() && by_completed.is_empty() && by_parent.is_empty());
    }
}
