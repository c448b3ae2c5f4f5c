//! A settle: one transaction.
//!
//! What goes, goes first, by key; then every kind of row in the order of its keys. Each statement
//! says how many rows it changed, and what should have been there and was not is damage.

use super::codec::{self, Payload, chunks, due, encode_chunk, optional_stamp, rest_of_head, rest_of_tail, stamp};
use super::error::Trouble;
use super::pace::{Pacer, Pacing};
use bytes::Bytes;
use duramen_backend::Damage;
use duramen_backend::rows::{Changes, InstanceChange, InstanceWrite, RowChange, RunChange, Standing};
use duramen_core::checkpoint::{CustomStatus, Head, Losses, Part, Place, Tail, Task, TaskKey, Timer};
use duramen_core::time::Time;
use prost::Message as _;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::collections::BTreeMap;

type Done = Result<(), Trouble>;

/// Writes changes, all or none.
pub(super) fn write(connection: &mut Connection, changes: &Changes, pacing: &Pacing) -> Done {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut settle = Settle { rows: &transaction, pacer: pacing.begin(), chunk: Vec::new() };
    settle.all(changes)?;
    Ok(transaction.commit()?)
}

struct Settle<'a> {
    rows: &'a Transaction<'a>,
    pacer: Pacer<'a>,
    /// For encoding chunks, again and again.
    chunk: Vec<u8>,
}

impl Settle<'_> {
    fn all(&mut self, changes: &Changes) -> Done {
        for (birth, _) in changes.instances.iter().filter(|(_, change)| **change == InstanceChange::Gone) {
            self.purge(*birth)?;
        }
        for (run, _) in changes.runs.iter().filter(|(_, change)| change.closed) {
            self.close_run(*run)?;
        }
        for (birth, change) in &changes.instances {
            match change {
                InstanceChange::Written(write) if write.new => self.new_instance(*birth, write)?,
                InstanceChange::Written(write) => self.instance(*birth, write)?,
                InstanceChange::Gone => {}
            }
        }
        for (run, change) in changes.runs.iter().filter(|(_, change)| !change.closed) {
            self.history(*run, change)?;
        }
        self.inbox(&changes.inbox)?;
        self.tasks(&changes.tasks)?;
        self.timers(&changes.timers)?;
        self.pairs("Sent", SENT, &changes.sent)?;
        self.pairs("Received", RECEIVED, &changes.received)?;
        self.messages(changes)?;
        changes.standing.map_or(Ok(()), |standing| self.standing(standing))
    }

    /// Runs a statement for one row, and says how many it changed.
    fn run(&mut self, sql: &str, params: &[&dyn rusqlite::ToSql]) -> Result<usize, Trouble> {
        let changed = self.rows.prepare_cached(sql)?.execute(params)?;
        self.pacer.row();
        Ok(changed)
    }

    /// Inserts a row whose key must be new.
    fn insert(&mut self, sql: &str, params: &[&dyn rusqlite::ToSql], taken: impl FnOnce() -> Damage) -> Done {
        match self.run(sql, params) {
            Err(Trouble::Sqlite(error)) if is_taken(&error) => Err(taken().into()),
            outcome => outcome.map(|_| ()),
        }
    }

    fn purge(&mut self, birth: u64) -> Done {
        if self.run("DELETE FROM instance WHERE birth = ?1", &[&birth.cast_signed()])? == 0 {
            return Err(Damage::NoInstance { change: "Purged", birth }.into());
        }
        self.run("DELETE FROM task WHERE birth = ?1", &[&birth.cast_signed()])?;
        Ok(())
    }

    fn close_run(&mut self, run: u64) -> Done {
        let run = run.cast_signed();
        self.run("DELETE FROM history WHERE run = ?1", &[&run])?;
        self.run("DELETE FROM inbox WHERE run = ?1", &[&run])?;
        self.run("DELETE FROM timer WHERE run = ?1", &[&run])?;
        Ok(())
    }

    fn new_instance(&mut self, birth: u64, write: &InstanceWrite) -> Done {
        let Some((head, input)) = &write.head else {
            return Err(Damage::NoField { change: "Head", field: "head" }.into());
        };
        let without = (Tail { birth, ..Tail::default() }, None);
        let (tail, output) = write.tail.as_ref().unwrap_or(&without);
        let (set_by, status) = custom_status(write.custom_status.as_ref());
        let columns = HeadColumns::of(head);
        let inserted = self.run(
            "INSERT INTO instance (birth, run, status, created, updated, completed, id, name, version, execution, \
             parent, tags, head, tail, set_by, custom_status, input, output) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
            params![
                birth.cast_signed(),
                columns.run,
                tail.status,
                columns.created,
                optional_stamp(tail.updated),
                optional_stamp(tail.completed),
                head.id,
                head.name,
                head.version,
                head.execution_id,
                columns.parent,
                columns.tags,
                columns.rest,
                rest_of_tail(tail),
                set_by,
                status,
                input.as_ref().map(Payload),
                output.as_ref().map(Payload),
            ],
        );
        match inserted {
            Err(Trouble::Sqlite(error)) if is_taken(&error) => self.taken(birth, &head.id),
            outcome => outcome.map(|_| ()),
        }
    }

    /// Says what stands in the way of a new instance.
    fn taken(&mut self, birth: u64, id: &str) -> Done {
        let other = self
            .rows
            .query_row("SELECT birth FROM instance WHERE id = ?1", [id], |row| row.get::<_, i64>(0))
            .optional()?;
        Err(match other {
            Some(other) => Damage::IdTaken { id: id.to_owned(), birth, other: other.cast_unsigned() }.into(),
            None => Damage::OutOfOrder { change: "Head", number: birth, last: birth }.into(),
        })
    }

    fn instance(&mut self, birth: u64, write: &InstanceWrite) -> Done {
        let key = birth.cast_signed();
        let found = |change, rows: usize| match rows {
            0 => Err(Damage::NoInstance { change, birth }),
            _ => Ok(()),
        };
        if let Some((head, input)) = &write.head {
            let columns = HeadColumns::of(head);
            let rows = self.run(
                "UPDATE instance SET run = ?2, created = ?3, name = ?4, version = ?5, execution = ?6, parent = ?7, \
                 tags = ?8, head = ?9, input = ?10 WHERE birth = ?1",
                params![
                    key,
                    columns.run,
                    columns.created,
                    head.name,
                    head.version,
                    head.execution_id,
                    columns.parent,
                    columns.tags,
                    columns.rest,
                    input.as_ref().map(Payload),
                ],
            )?;
            found("Head", rows)?;
        }
        if let Some((tail, output)) = &write.tail {
            let rows = self.run(
                "UPDATE instance SET status = ?2, updated = ?3, completed = ?4, tail = ?5, output = ?6 \
                 WHERE birth = ?1",
                params![
                    key,
                    tail.status,
                    optional_stamp(tail.updated),
                    optional_stamp(tail.completed),
                    rest_of_tail(tail),
                    output.as_ref().map(Payload),
                ],
            )?;
            found("Tail", rows)?;
        }
        if let Some(status) = &write.custom_status {
            let (set_by, value) = custom_status(Some(status));
            let rows = self.run(
                "UPDATE instance SET set_by = ?2, custom_status = ?3 WHERE birth = ?1",
                params![key, set_by, value],
            )?;
            found("CustomStatus", rows)?;
        }
        Ok(())
    }

    fn history(&mut self, run: u64, change: &RunChange) -> Done {
        if change.events.is_empty() && !change.rewritten {
            return Ok(());
        }
        let key = run.cast_signed();
        if change.rewritten {
            self.run("DELETE FROM history WHERE run = ?1", &[&key])?;
        }
        let last = match change.new || change.rewritten {
            true => 0,
            false => self.history_end(key)?,
        };
        let out_of_order = || Damage::OutOfOrder { change: "History", number: change.first, last };
        if change.first != last {
            return Err(out_of_order().into());
        }
        for (first, events) in chunks(change.first, &change.events) {
            let mut chunk = std::mem::take(&mut self.chunk);
            encode_chunk(events, &mut chunk);
            self.insert(
                "INSERT INTO history (run, first, count, events) VALUES (?1, ?2, ?3, ?4)",
                params![key, first.cast_signed(), events.len() as i64, chunk],
                out_of_order,
            )?;
            self.chunk = chunk;
        }
        Ok(())
    }

    fn history_end(&mut self, run: i64) -> Result<u64, Trouble> {
        let mut statement = self.rows.prepare_cached(HISTORY_END)?;
        let end = statement.query_row([run], |row| row.get::<_, i64>(0)).optional()?;
        Ok(end.unwrap_or(0).cast_unsigned())
    }

    fn inbox(&mut self, changes: &BTreeMap<(u64, u64), RowChange<(u64, Bytes)>>) -> Done {
        for (&(run, sequence), change) in changes {
            let key = [run.cast_signed(), sequence.cast_signed()];
            match change {
                RowChange::New((birth, event)) => self.insert(
                    "INSERT INTO inbox (run, sequence, birth, event) VALUES (?1, ?2, ?3, ?4)",
                    params![key[0], key[1], birth.cast_signed(), &event[..]],
                    taken(sequence),
                )?,
                RowChange::Replaced((birth, event)) => {
                    let rows = self.run(
                        "UPDATE inbox SET birth = ?3, event = ?4 WHERE run = ?1 AND sequence = ?2",
                        params![key[0], key[1], birth.cast_signed(), &event[..]],
                    )?;
                    found(rows, "inbox entry", sequence, run)?;
                }
                RowChange::Gone => {
                    let rows =
                        self.run("DELETE FROM inbox WHERE run = ?1 AND sequence = ?2", params![key[0], key[1]])?;
                    found(rows, "inbox entry", sequence, run)?;
                }
            }
        }
        Ok(())
    }

    fn tasks(&mut self, changes: &BTreeMap<TaskKey, RowChange<Task>>) -> Done {
        for (&TaskKey { birth, number }, change) in changes {
            let key = [birth.cast_signed(), number.cast_signed()];
            let (sql, task) = match change {
                RowChange::New(task) => (NEW_TASK, task),
                RowChange::Replaced(task) => (REPLACED_TASK, task),
                RowChange::Gone => {
                    let rows =
                        self.run("DELETE FROM task WHERE birth = ?1 AND number = ?2", params![key[0], key[1]])?;
                    found(rows, "task", number, birth)?;
                    continue;
                }
            };
            let (place, event) = task_event(task)?;
            let outcome = self.run(
                sql,
                params![
                    key[0],
                    key[1],
                    task.run.cast_signed(),
                    task.losses.as_ref().map_or(0, |losses| losses.all.len()) as i64,
                    place,
                    task.name,
                    task.runs_as,
                    task.version,
                    task.execution_id,
                    event,
                    task.action,
                    optional_stamp(task.losses.as_ref().and_then(|losses| losses.held)),
                    task.losses.as_ref().map(Losses::encode_to_vec),
                ],
            );
            match outcome {
                Err(Trouble::Sqlite(error)) if is_taken(&error) => return Err(taken(number)().into()),
                outcome => found(outcome?, "task", number, birth)?,
            }
        }
        Ok(())
    }

    fn timers(&mut self, changes: &BTreeMap<(u64, u64), RowChange<Timer>>) -> Done {
        for (&(run, number), change) in changes {
            let key = [run.cast_signed(), number.cast_signed()];
            let (sql, timer) = match change {
                RowChange::New(timer) => (NEW_TIMER, timer),
                RowChange::Replaced(timer) => (REPLACED_TIMER, timer),
                RowChange::Gone => {
                    let rows = self.run("DELETE FROM timer WHERE run = ?1 AND number = ?2", params![key[0], key[1]])?;
                    found(rows, "timer", number, run)?;
                    continue;
                }
            };
            let (due, exact) = due(timer);
            let outcome = self.run(sql, params![key[0], key[1], timer.birth.cast_signed(), due, timer.event_id, exact]);
            match outcome {
                Err(Trouble::Sqlite(error)) if is_taken(&error) => return Err(taken(number)().into()),
                outcome => found(outcome?, "timer", number, run)?,
            }
        }
        Ok(())
    }

    /// Numbers of pairs, which only grow.
    fn pairs(&mut self, change: &'static str, sql: Pair, pairs: &BTreeMap<(u32, u32), u64>) -> Done {
        for (&(source, target), &number) in pairs {
            let grown = number > 0 && self.run(sql.grow, params![source, target, number.cast_signed()])? > 0;
            if !grown {
                let last = self.last_of_pair(sql, (source, target))?;
                return Err(Damage::OutOfOrder { change, number, last }.into());
            }
        }
        Ok(())
    }

    fn last_of_pair(&mut self, sql: Pair, (source, target): (u32, u32)) -> Result<u64, Trouble> {
        let mut statement = self.rows.prepare_cached(sql.last)?;
        let last = statement.query_row([source, target], |row| row.get::<_, Option<i64>>(0)).optional()?;
        Ok(last.flatten().unwrap_or(0).cast_unsigned())
    }

    fn messages(&mut self, changes: &Changes) -> Done {
        for (&(source, target, sequence), message) in &changes.outbox {
            self.insert(
                "INSERT INTO outbox (source, target, sequence, message) VALUES (?1, ?2, ?3, ?4)",
                params![source, target, sequence.cast_signed(), &message[..]],
                taken(sequence),
            )?;
        }
        for (&(source, target), &number) in &changes.acknowledged {
            let last = self.last_of_pair(SENT, (source, target))?;
            if number > last {
                return Err(Damage::OutOfOrder { change: "Acknowledged", number, last }.into());
            }
            self.run(
                "DELETE FROM outbox WHERE source = ?1 AND target = ?2 AND sequence <= ?3",
                params![source, target, number.cast_signed()],
            )?;
        }
        Ok(())
    }

    fn standing(&mut self, standing: Standing) -> Done {
        let Standing { store, position, epoch } = standing;
        self.run(
            "INSERT OR REPLACE INTO store (one, id, position, epoch) VALUES (1, ?1, ?2, ?3)",
            params![store.0.cast_signed(), position.0.cast_signed(), epoch.0],
        )?;
        Ok(())
    }
}

pub(super) const HISTORY_END: &str = "SELECT first + count FROM history WHERE run = ?1 ORDER BY first DESC LIMIT 1";
const NEW_TASK: &str = "INSERT INTO task (birth, number, run, failed_dispatches, place, name, runs_as, version, \
     execution, event, action, held, losses) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
const REPLACED_TASK: &str = "UPDATE task SET run = ?3, failed_dispatches = ?4, place = ?5, name = ?6, \
     runs_as = ?7, version = ?8, execution = ?9, event = ?10, action = ?11, held = ?12, losses = ?13 \
     WHERE birth = ?1 AND number = ?2";
const NEW_TIMER: &str = "INSERT INTO timer (run, number, birth, due, event_id, exact) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const REPLACED_TIMER: &str =
    "UPDATE timer SET birth = ?3, due = ?4, event_id = ?5, exact = ?6 WHERE run = ?1 AND number = ?2";

/// A number of a pair of slots: how it grows and what it is.
#[derive(Clone, Copy)]
struct Pair {
    grow: &'static str,
    last: &'static str,
}

const SENT: Pair = Pair {
    grow: "INSERT INTO pair (source, target, sent) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE \
         SET sent = excluded.sent WHERE sent IS NULL OR sent < excluded.sent",
    last: "SELECT sent FROM pair WHERE source = ?1 AND target = ?2",
};
const RECEIVED: Pair = Pair {
    grow: "INSERT INTO pair (source, target, received) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE \
         SET received = excluded.received WHERE received IS NULL OR received < excluded.received",
    last: "SELECT received FROM pair WHERE source = ?1 AND target = ?2",
};

/// The columns of a head that take some making.
struct HeadColumns<'a> {
    run: i64,
    created: i64,
    parent: Option<&'a str>,
    tags: Option<String>,
    rest: Vec<u8>,
}

impl<'a> HeadColumns<'a> {
    fn of(head: &'a Head) -> Self {
        Self {
            run: head.run.cast_signed(),
            created: stamp(head.created.map_or(Time::EPOCH, Time::from)),
            parent: head.parent.as_ref().map(|parent| parent.id.as_str()),
            tags: codec::tags(&head.tags),
            rest: rest_of_head(head),
        }
    }
}

fn custom_status(status: Option<&CustomStatus>) -> (Option<i64>, Option<&str>) {
    (status.map(|status| status.set_by.cast_signed()), status.and_then(|status| status.value.as_deref()))
}

/// Where the event of a task is: at a place of its run's history, or here.
fn task_event(task: &Task) -> Result<(Option<i64>, Option<&[u8]>), Damage> {
    match task.event.as_ref().and_then(|Part { place }| place.as_ref()) {
        Some(Place::History(index)) => Ok((Some(index.cast_signed()), None)),
        Some(Place::Here(event)) => Ok((None, Some(event))),
        Some(Place::Inbox(_)) | None => Err(Damage::NoField { change: "Task", field: "event" }),
    }
}

fn is_taken(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}

fn taken(number: u64) -> impl FnOnce() -> Damage {
    move || Damage::OutOfOrder { change: "a settle", number, last: number }
}

fn found(rows: usize, what: &'static str, number: u64, of: u64) -> Result<(), Damage> {
    if rows == 0 { Err(Damage::NoRow { change: "a settle", what, number, of }) } else { Ok(()) }
}
