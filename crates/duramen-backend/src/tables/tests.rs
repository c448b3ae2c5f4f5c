use super::Tables;
use crate::Damage;
use crate::buffer::Buffer;
use crate::conformance::{Sample, delta};
use crate::rows::{Rows, RowsError, Standing};
use bytes::Bytes;
use duramen_core::checkpoint::{
    Arrived, Change, Checkpoint, CustomStatus, Delta, Head, HistoryParts, Image, Loss, Losses, PairMark, Part, Place,
    Purged, RunClosed, Sent, Tail, Taken, Task, TaskKey, Text, Timer, TimerKey,
};
use duramen_core::ids::{Epoch, Position, StoreId};

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
    let once = || Some(Losses { all: vec![Loss { worker: "w".into(), ..Loss::default() }], held: None });
    let task = |event, losses: Option<Losses>| {
        let key = Some(TaskKey { birth: 1, number: 3 });
        let again = losses.is_some();
        vec![delta(Change::Task(Task { key, run: 1, event, losses, again, ..Task::default() }))]
    };
    fold(&mut tables, task(Some(Place::History(0).into()), None)).expect("it fits");
    fold(&mut tables, task(None, once())).expect("it fits");
    let mut task = load(&tables, "a").tasks.remove(0);
    assert_eq!((task.event.take(), task.losses.clone()), (Some(here(b"past")), once()));
    // Its run goes, and it stays.
    task = Task { event: Some(here(b"past")), again: true, ..task };
    let closed = vec![delta(Change::Task(task)), delta(Change::RunClosed(RunClosed { run: 1 }))];
    fold(&mut tables, closed).expect("it fits");
    let task = load(&tables, "a").tasks.remove(0);
    assert_eq!((task.event, task.losses), (Some(here(b"past")), once()));
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

/// Whatever happens, and however it is settled: a load gives what was written, and once everything is
/// purged nothing is left.
#[test]
fn rows_are_what_was_written_and_nothing_stays_behind() {
    for seed in 0..1_000 {
        crate::conformance::rows_agree(seed, &Tables::default());
    }
}
