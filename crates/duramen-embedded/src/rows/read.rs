//! Reading what an owner of slots needs: whole instances, and what was under way.

use super::codec::{self, Chunk, custom_status, due_of, payload_of, stamp, time};
use super::error::Trouble;
use bytes::Bytes;
use duramen_backend::Damage;
use duramen_backend::rows::{SharedTexts, SlotSet, Standing, TIMER_PAGE};
use duramen_core::checkpoint::{
    Arrived, DueTimers, Head, Image, Losses, Outstanding, PairMark, Parent, Part, Place, Queued, Ready, Row, Sent,
    Tail, Task, TaskKey, Timer, TimerKey, TimerPlace, TimerWindow,
};
use duramen_core::ids::{Epoch, InstanceId, Position, Slot, StoreId};
use prost::Message;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;

type Found<T> = Result<T, Trouble>;

pub(super) const INSTANCE: &str = "SELECT birth, run, status, id, name, version, execution, parent, tags, head, tail, set_by, custom_status \
     FROM instance WHERE id = ?1";
pub(super) const BARE: &str = "SELECT birth, run, status, id, name, version, execution, parent, tags, head, tail, NULL, NULL \
                                FROM instance WHERE birth = ?1";
pub(super) const LISTED: &str = "SELECT birth, run, status, id, name, version, execution, parent, tags, head, tail, set_by, custom_status, \
     input, output FROM instance WHERE birth = ?1";
pub(super) const HISTORY: &str = "SELECT first, events FROM history WHERE run = ?1 ORDER BY first";
pub(super) const CHUNK: &str =
    "SELECT first, events FROM history WHERE run = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1";
const ARRIVED: &str = "SELECT event FROM inbox WHERE run = ?1 AND sequence = ?2";
pub(super) const INBOX: &str = "SELECT sequence, birth, event FROM inbox WHERE run = ?1 ORDER BY sequence";
const TASK: &str = "SELECT birth, number, run, losses, place, name, runs_as, version, execution, event, action \
     FROM task WHERE birth = ?1 AND number = ?2";
pub(super) const TASKS: &str = "SELECT birth, number, run, losses, place, name, runs_as, version, \
     execution, event, action FROM task WHERE birth = ?1 ORDER BY number";
pub(super) const TIMERS: &str =
    "SELECT run, number, birth, due, event_id, exact FROM timer WHERE run = ?1 ORDER BY number";
pub(super) const DUE: &str = "SELECT run, number, birth, due, event_id, exact FROM timer \
     WHERE (due, run, number) > (?1, ?2, ?3) ORDER BY due, run, number";
pub(super) const WITH_INBOX: &str = "SELECT DISTINCT birth FROM inbox";
pub(super) const READY: &str = "SELECT run, id, name, version, tail FROM instance WHERE birth = ?1";
pub(super) const QUEUED: &str = "SELECT task.birth, number, instance.id, task.name, runs_as, action, losses \
     FROM task CROSS JOIN instance ON instance.birth = task.birth ORDER BY task.birth, number";
pub(super) const OUTBOX: &str =
    "SELECT source, target, sequence, message FROM outbox ORDER BY source, target, sequence";
const PAIRS: &str = "SELECT source, target, sent, received FROM pair ORDER BY source, target";
const ID: &str = "SELECT id FROM instance WHERE birth = ?1";

pub(super) fn standing(rows: &Connection) -> Found<Option<Standing>> {
    let standing = rows.query_row("SELECT id, position, epoch FROM store", [], |row| {
        let (store, position) = (row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned());
        Ok(Standing { store: StoreId(store), position: Position(position), epoch: Epoch(row.get(2)?) })
    });
    Ok(standing.optional()?)
}

pub(super) fn arrived(rows: &Connection, run: u64, sequence: u64) -> Found<Option<Bytes>> {
    let mut statement = rows.prepare_cached(ARRIVED)?;
    let mut found = statement.query(params![run.cast_signed(), sequence.cast_signed()])?;
    found.next()?.map(|row| bytes(row, 0)).transpose()
}

/// The event at a place of a history.
pub(super) fn event(rows: &Connection, run: u64, index: u64) -> Found<Option<Bytes>> {
    let mut statement = rows.prepare_cached(CHUNK)?;
    let mut found = statement.query(params![run.cast_signed(), index.cast_signed()])?;
    let Some(row) = found.next()? else { return Ok(None) };
    let (first, mut chunk) = (row.get::<_, i64>(0)?.cast_unsigned(), Chunk::decode(row.get_ref(1)?.as_blob()?)?);
    let at = usize::try_from(index - first).unwrap_or(usize::MAX);
    Ok((at < chunk.events.len()).then(|| chunk.events.swap_remove(at)))
}

/// The last event of a history.
pub(super) fn last_event(rows: &Connection, run: u64) -> Found<Option<Bytes>> {
    let mut statement = rows.prepare_cached(CHUNK)?;
    let mut found = statement.query(params![run.cast_signed(), i64::MAX])?;
    let Some(row) = found.next()? else { return Ok(None) };
    Ok(Chunk::decode(row.get_ref(1)?.as_blob()?)?.events.pop())
}

pub(super) fn task(rows: &Connection, key: TaskKey) -> Found<Option<Task>> {
    let mut statement = rows.prepare_cached(TASK)?;
    let mut found = statement.query(params![key.birth.cast_signed(), key.number.cast_signed()])?;
    found.next()?.map(task_of).transpose()
}

pub(super) fn load(rows: &Connection, id: &str) -> Found<Option<Image>> {
    let mut statement = rows.prepare_cached(INSTANCE)?;
    let mut found = statement.query([id])?;
    let Some(row) = found.next()? else { return Ok(None) };
    let Row { head, tail, custom_status, .. } = instance_of(row)?;
    let (birth, run) = (head.birth, head.run);
    let history = history(rows, run)?;
    let mut tasks = all(rows, TASKS, birth, task_of)?;
    for task in &mut tasks {
        resolve(rows, task, (run, &history))?;
    }
    Ok(Some(Image {
        head,
        tail,
        custom_status,
        inbox: all(rows, INBOX, run, |row| {
            let (sequence, birth) = (row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned());
            Ok(Arrived { run, sequence, birth, event: bytes(row, 2)? })
        })?,
        timers: all(rows, TIMERS, run, timer_of)?,
        tasks,
        history,
    }))
}

/// The events of a history. Those of one chunk share its memory.
fn history(rows: &Connection, run: u64) -> Found<Vec<Bytes>> {
    let mut statement = rows.prepare_cached(HISTORY)?;
    let mut found = statement.query([run.cast_signed()])?;
    let mut history = Vec::new();
    while let Some(row) = found.next()? {
        let first = row.get::<_, i64>(0)?.cast_unsigned();
        if first != history.len() as u64 {
            return Err(Damage::OutOfOrder { change: "History", number: first, last: history.len() as u64 }.into());
        }
        history.append(&mut Chunk::decode(bytes(row, 1)?)?.events);
    }
    Ok(history)
}

/// Gives a task its event, if that stands in a history.
fn resolve(rows: &Connection, task: &mut Task, (run, history): (u64, &[Bytes])) -> Found<()> {
    let Some(Part { place: Some(Place::History(index)) }) = task.event else { return Ok(()) };
    let here = match task.run == run {
        true => history.get(usize::try_from(index).unwrap_or(usize::MAX)).cloned(),
        false => event(rows, task.run, index)?,
    };
    let event = here.ok_or(Damage::NoRow { change: "Task", what: "history event", number: index, of: task.run })?;
    task.event = Some(Place::Here(event).into());
    Ok(())
}

/// Its cost is that of all that is under way.
pub(super) fn outstanding(rows: &Connection, slots: &[Slot]) -> Found<Outstanding> {
    let mine = SlotSet::new(slots);
    let mut texts = SharedTexts::default();
    let (ready, tasks) = (ready(rows, &mine, &mut texts)?, queued(rows, &mine, &mut texts)?);
    let mut outstanding = Outstanding { ready, tasks, ..Outstanding::default() };
    let mut statement = rows.prepare_cached(OUTBOX)?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let (source, target) = (row.get(0)?, row.get(1)?);
        if mine.holds(source) {
            let mark = PairMark { source, target, sequence: row.get::<_, i64>(2)?.cast_unsigned() };
            outstanding.outbox.push(Sent { mark: Some(mark), message: bytes(row, 3)? });
        }
    }
    let mut statement = rows.prepare_cached(PAIRS)?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let (source, target): (u32, u32) = (row.get(0)?, row.get(1)?);
        let mark = |sequence: i64| PairMark { source, target, sequence: sequence.cast_unsigned() };
        let (sent, received) = (row.get::<_, Option<i64>>(2)?, row.get::<_, Option<i64>>(3)?);
        outstanding.sent.extend(sent.filter(|_| mine.holds(source)).map(mark));
        outstanding.received.extend(received.filter(|_| mine.holds(target)).map(mark));
    }
    Ok(outstanding)
}

fn ready(rows: &Connection, mine: &SlotSet, texts: &mut SharedTexts) -> Found<Vec<Ready>> {
    let mut births = Vec::new();
    let mut statement = rows.prepare_cached(WITH_INBOX)?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        births.push(row.get::<_, i64>(0)?);
    }
    births.sort_unstable();
    let mut ready = Vec::new();
    let mut statement = rows.prepare_cached(READY)?;
    for birth in births {
        let mut found = statement.query([birth])?;
        let Some(row) = found.next()? else { continue };
        let id = row.get_ref(1)?.as_str()?;
        if mine.holds_instance(id) {
            let (birth, run) = (birth.cast_unsigned(), row.get::<_, i64>(0)?.cast_unsigned());
            let Tail { terminating, losses, .. } = Tail::decode(row.get_ref(4)?.as_blob()?)?;
            let held = Losses::of_held(losses.as_ref());
            let (name, version) = (texts.share(row.get_ref(2)?.as_str()?), shared(row, 3, texts)?);
            ready.push(Ready { birth, run, id: InstanceId::new(id), name, version, terminating, held });
        }
    }
    Ok(ready)
}

fn queued(rows: &Connection, mine: &SlotSet, texts: &mut SharedTexts) -> Found<Vec<Queued>> {
    let mut queued: Vec<Queued> = Vec::new();
    let mut statement = rows.prepare_cached(QUEUED)?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let id = row.get_ref(2)?.as_str()?;
        if mine.holds_instance(id) {
            let key =
                TaskKey { birth: row.get::<_, i64>(0)?.cast_unsigned(), number: row.get::<_, i64>(1)?.cast_unsigned() };
            // Those of one instance follow each other.
            let id = match queued.last() {
                Some(last) if last.key.birth == key.birth => last.id.clone(),
                Some(_) | None => InstanceId::new(id),
            };
            let (name, runs_as, action) = (texts.share(row.get_ref(3)?.as_str()?), shared(row, 4, texts)?, row.get(5)?);
            let held = Losses::of_held(losses_of(row.get_ref(6)?)?.as_ref());
            queued.push(Queued { key, id, name, runs_as, action, held });
        }
    }
    Ok(queued)
}

fn shared(row: &rusqlite::Row<'_>, column: usize, texts: &mut SharedTexts) -> Found<Option<Arc<str>>> {
    Ok(row.get_ref(column)?.as_str_or_null()?.map(|text| texts.share(text)))
}

pub(super) fn timers(rows: &Connection, slots: &[Slot], window: TimerWindow) -> Found<DueTimers> {
    let mine = SlotSet::new(slots);
    let after = match window.after {
        Some(TimerPlace { due, key }) => (stamp(due), key.run.cast_signed(), key.number.cast_signed()),
        None => (i64::MIN, -1, -1),
    };
    let end = codec::last_before(window.before);
    let mut statement = rows.prepare_cached(DUE)?;
    let mut found = statement.query(params![after.0, after.1, after.2])?;
    let mut owner = rows.prepare_cached(ID)?;
    let mut due = DueTimers::default();
    let mut last = None;
    let mut looked_at = 0;
    while let Some(row) = found.next()? {
        let at: i64 = row.get(3)?;
        if looked_at == TIMER_PAGE && at <= end {
            due.next = last;
            break;
        }
        looked_at += 1;
        let timer = timer_of(row)?;
        let id: Option<String> = owner.query_row([timer.birth.cast_signed()], |row| row.get(0)).optional()?;
        let id = id.filter(|id| mine.holds_instance(id));
        if at > end {
            // One of other slots comes earlier than the first of these, and is as good after a long look.
            if id.is_some() || looked_at >= TIMER_PAGE {
                due.beyond = Some(time(at));
                break;
            }
            continue;
        }
        last = Some(TimerPlace { due: time(at), key: timer.key.unwrap_or_default() });
        due.timers.extend(id.map(|id| (id, timer)));
    }
    Ok(due)
}

/// A row of `instance` as a list shows it, without its history. `input` and `output` are read if they
/// were selected.
pub(super) fn instance_of(row: &rusqlite::Row<'_>) -> Found<Row> {
    let (birth, run) = (row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned());
    let parent: Option<String> = row.get(7)?;
    let rest = Head::decode(bytes(row, 9)?)?;
    let head = Head {
        birth,
        run,
        id: row.get(3)?,
        name: row.get(4)?,
        version: row.get(5)?,
        execution_id: row.get(6)?,
        parent: rest.parent.map(|link| Parent { id: parent.unwrap_or_default(), ..link }),
        tags: codec::tags_of(row.get_ref(8)?.as_str_or_null()?)?,
        ..rest
    };
    let tail = Tail { birth, status: row.get(2)?, ..Tail::decode(bytes(row, 10)?)? };
    let texts = row.as_ref().column_count() > 13;
    Ok(Row {
        head,
        tail,
        custom_status: custom_status(birth, row.get(11)?, row.get(12)?),
        input: if texts { payload_of(row.get_ref(13)?)? } else { None },
        output: if texts { payload_of(row.get_ref(14)?)? } else { None },
        last_event: None,
    })
}

fn task_of(row: &rusqlite::Row<'_>) -> Found<Task> {
    let place = match row.get::<_, Option<i64>>(4)? {
        Some(index) => Place::History(index.cast_unsigned()),
        None => Place::Here(bytes(row, 9)?),
    };
    Ok(Task {
        key: Some(TaskKey {
            birth: row.get::<_, i64>(0)?.cast_unsigned(),
            number: row.get::<_, i64>(1)?.cast_unsigned(),
        }),
        run: row.get::<_, i64>(2)?.cast_unsigned(),
        execution_id: row.get(8)?,
        event: Some(place.into()),
        losses: losses_of(row.get_ref(3)?)?,
        version: row.get(7)?,
        name: row.get(5)?,
        runs_as: row.get(6)?,
        again: false,
        action: row.get(10)?,
    })
}

fn losses_of(value: ValueRef<'_>) -> Found<Option<Losses>> {
    Ok(value.as_blob_or_null()?.map(Losses::decode).transpose()?)
}

fn timer_of(row: &rusqlite::Row<'_>) -> Found<Timer> {
    let (run, number) = (row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned());
    Ok(Timer {
        key: Some(TimerKey { run, number }),
        birth: row.get::<_, i64>(2)?.cast_unsigned(),
        due: due_of(row.get(3)?, row.get_ref(5)?.as_blob_or_null()?)?,
        event_id: row.get(4)?,
    })
}

/// All rows below a run or birth.
fn all<T>(rows: &Connection, sql: &str, of: u64, read: impl Fn(&rusqlite::Row<'_>) -> Found<T>) -> Found<Vec<T>> {
    let mut statement = rows.prepare_cached(sql)?;
    let mut found = statement.query([of.cast_signed()])?;
    let mut all = Vec::new();
    while let Some(row) = found.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

fn bytes(row: &rusqlite::Row<'_>, column: usize) -> Found<Bytes> {
    Ok(Bytes::copy_from_slice(row.get_ref(column)?.as_blob()?))
}
