use super::{Contents, Tables};
use crate::Damage;
use crate::buffer::Buffer;
use crate::conformance::{Sample, delta};
use crate::rows::{Rows, RowsError, Standing};
use bytes::Bytes;
use duramen_core::checkpoint::{
    Arrived, Change, Checkpoint, CustomStatus, Delta, Head, HistoryParts, Image, PairMark, Part, Place, Purged,
    RunClosed, Sent, Tail, Taken, Task, TaskKey, Text, Timer, TimerKey,
};
use duramen_core::ids::{Epoch, Position, StoreId};
use duramen_proto::OrchestrationStatus;
use proptest::prelude::*;

/// Folds and settles.
fn fold(tables: &mut Tables, deltas: Vec<Delta>) -> Result<(), Damage> {
    let mut buffer = Buffer::default();
    settle(tables, &mut buffer, deltas)
}

fn settle(tables: &Tables, buffer: &mut Buffer, deltas: Vec<Delta>) -> Result<(), Damage> {
    let damage = |error| match error {
        RowsError::Damage(damage) => damage,
        other => panic!("{other}"),
    };
    buffer.fold(Checkpoint { number: 1, deltas }, tables).map_err(damage)?;
    tables.write(buffer.changes(STANDING)).map_err(damage)?;
    buffer.clear();
    Ok(())
}

const STANDING: Standing = Standing { store: StoreId(1), position: Position(1), epoch: Epoch(1) };

/// Tables with the instance `a` of birth 1, whose inbox has the entries 0 and 1 and whose history
/// has one event.
fn some() -> Tables {
    let mut tables = Tables::default();
    let mut sample = Sample::new("a", 1);
    let mut deltas = sample.start(Bytes::from_static(b"<one"));
    deltas.extend(sample.arrive(Bytes::from_static(b"<two")));
    deltas.push(delta(Change::History(HistoryParts { run: 1, parts: vec![here(b"past")], replace: false, first: 0 })));
    fold(&mut tables, deltas).expect("it fits");
    tables
}

fn here(bytes: &'static [u8]) -> Part {
    Place::Here(Bytes::from_static(bytes)).into()
}

fn load(tables: &Tables, id: &str) -> Image {
    tables.load(id).expect("it can be read").expect("it is there")
}

#[test]
fn a_change_about_what_is_not_there_is_damage() {
    let head =
        |birth, id: &str, input| Head { birth, run: birth, id: id.into(), input, begins_run: true, ..Head::default() };
    let text = |place: Place, length| Some(Text { part: Some(place.into()), start: 0, length, run: 2 });
    let mark = |sequence| PairMark { source: 1, target: 2, sequence };
    let history =
        |place: Place| Change::History(HistoryParts { run: 1, parts: vec![place.into()], replace: false, first: 1 });
    let wrong = [
        Change::Head(Box::new(head(2, "a", None))),
        Change::Head(Box::new(head(2, "b", text(Place::Inbox(0), 1)))),
        Change::Head(Box::new(head(2, "b", text(Place::Here(Bytes::from_static(b"12")), 3)))),
        Change::Tail(Box::new(Tail { birth: 2, ..Tail::default() })),
        Change::Tail(Box::new(Tail { birth: 1, output: text(Place::History(1), 1), ..Tail::default() })),
        Change::CustomStatus(CustomStatus { birth: 2, ..CustomStatus::default() }),
        Change::Arrived(Arrived { run: 1, sequence: 1, ..Arrived::default() }),
        Change::Taken(Taken { run: 1, sequences: vec![2] }),
        Change::Taken(Taken { run: 1, sequences: vec![0, 0] }),
        history(Place::Inbox(2)),
        history(Place::History(1)),
        Change::History(HistoryParts { run: 1, parts: vec![here(b"x")], replace: false, first: 2 }),
        Change::History(HistoryParts { run: 1, parts: vec![Part { place: None }], replace: false, first: 1 }),
        Change::Task(Task::default()),
        Change::Task(Task { key: Some(TaskKey { birth: 1, number: 1 }), event: None, ..Task::default() }),
        Change::Task(Task { key: Some(TaskKey { birth: 1, number: 1 }), again: true, ..Task::default() }),
        Change::Task(Task {
            key: Some(TaskKey { birth: 1, number: 1 }),
            run: 1,
            event: Some(Place::History(1).into()),
            ..Task::default()
        }),
        Change::TaskClosed(TaskKey { birth: 1, number: 0 }),
        Change::Timer(Timer::default()),
        Change::TimerClosed(TimerKey { run: 1, number: 0 }),
        Change::Purged(Purged { birth: 2, run: 2 }),
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
    fold(&mut tables, vec![delta(Change::History(HistoryParts { run: 1, parts, replace: true, first: 0 }))])
        .expect("it fits");
    assert_eq!(load(&tables, "a").history, ["<two", "new", "past"]);
}

#[test]
fn a_task_that_is_counted_again_keeps_its_event() {
    let mut tables = some();
    let task = |event, failed_dispatches| {
        let key = Some(TaskKey { birth: 1, number: 3 });
        let again = failed_dispatches > 0;
        vec![delta(Change::Task(Task { key, run: 1, event, failed_dispatches, again, ..Task::default() }))]
    };
    fold(&mut tables, task(Some(Place::History(0).into()), 0)).expect("it fits");
    fold(&mut tables, task(None, 1)).expect("it fits");
    let mut task = load(&tables, "a").tasks.remove(0);
    assert_eq!((task.event.take(), task.failed_dispatches), (Some(here(b"past")), 1));
    // Its run goes, and it stays.
    task = Task { event: Some(here(b"past")), again: true, ..task };
    let closed = vec![delta(Change::Task(task)), delta(Change::RunClosed(RunClosed { run: 1 }))];
    fold(&mut tables, closed).expect("it fits");
    let task = load(&tables, "a").tasks.remove(0);
    assert_eq!((task.event, task.failed_dispatches), (Some(here(b"past")), 1));
}

#[test]
fn payloads_are_shared_and_not_copied() {
    let payload = Bytes::from(vec![b'x'; 100]);
    let mut tables = Tables::default();
    let mut sample = Sample::new("a", 1);
    fold(&mut tables, sample.start(payload.clone())).expect("it fits");
    fold(&mut tables, sample.episode()).expect("it fits");
    assert_eq!(load(&tables, "a").history[0].as_ptr(), payload.as_ptr());
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
    fn rows_are_what_was_written_and_nothing_stays_behind(
        steps in steps(), cuts in any::<u64>(), settles in any::<u64>(),
    ) {
        let mut buffer = Buffer::default();
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
                    vec![delta(Change::Purged(Purged { birth: gone.image.head.birth, run: gone.image.head.run }))]
                }
                // The next generation: a new run of the same birth.
                Step::Reborn(which) => {
                    let run = next;
                    next += 1;
                    on(&mut live, which, &|sample| {
                        let left = sample.image.tasks.iter().filter(|task| task.run == sample.image.head.run);
                        let mut changes: Vec<Delta> =
                            left.map(|task| delta(Change::Task(Task { again: true, ..task.clone() }))).collect();
                        changes.push(delta(Change::RunClosed(RunClosed { run: sample.image.head.run })));
                        sample.image.head.run = run;
                        sample.image.history.clear();
                        sample.image.inbox.clear();
                        sample.image.timers.clear();
                        sample.image.tail.completed = None;
                        sample.image.tail.output = None;
                        [changes, sample.start(event.clone())].concat()
                    })
                }
            });
            // A checkpoint may end here, and it may be settled at once or with those that follow.
            if cuts >> (at % 64) & 1 == 1 {
                let checkpoint = Checkpoint { number: 1, deltas: std::mem::take(&mut deltas) };
                buffer.fold(checkpoint, &tables).expect("it fits");
            }
            if settles >> (at % 64) & 1 == 1 {
                tables.write(buffer.changes(STANDING)).expect("it fits");
                buffer.clear();
            }
        }
        settle(&tables, &mut buffer, deltas).expect("it fits");
        for sample in &live {
            prop_assert_eq!(&load(&tables, &sample.image.head.id), &sample.image);
        }
        prop_assert_eq!(tables.contents().instances.len(), live.len());
        let purge = live.iter().map(|sample| delta(Change::Purged(Purged { birth: sample.image.head.birth, run: sample.image.head.run })));
        fold(&mut tables, purge.collect()).expect("it fits");
        let contents = tables.contents();
        let Contents {
            standing: _, instances, histories, inbox, tasks, timers, outbox, sent, received,
            by_id, by_created, by_completed, by_parent,
        } = &*contents;
        prop_assert!(instances.is_empty() && histories.is_empty() && inbox.is_empty() && tasks.is_empty() && timers.is_empty());
        prop_assert!(outbox.is_empty() && sent.is_empty() && received.is_empty());
        prop_assert!(by_id.is_empty() && by_created.is_empty() && by_completed.is_empty() && by_parent.is_empty());
    }
}

#[test]
fn rows_are_what_was_written() {
    for seed in 0..1_000 {
        crate::conformance::rows_agree(seed, &Tables::default());
    }
}
