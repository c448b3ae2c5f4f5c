//! Whether the rows fit each other.

use super::Database;
use super::codec::Chunk;
use super::error::Trouble;
use super::read;
use duramen_backend::rows::{RowsError, Standing};
use duramen_core::checkpoint::{Head, Tail};
use prost::Message;
use rusqlite::{Connection, params};

/// What was found in the tables.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) standing: Option<Standing>,
    pub(crate) instances: u64,
    /// What does not fit, with the table and the row.
    pub(crate) problems: Vec<String>,
}

/// Problems of one kind that are named; a table that is wholly wrong has a million.
const NAMED: usize = 100;

/// Rows that must not be there, each a query that gives a table, what names the row, and what is wrong.
const MISFITS: [&str; 9] = [
    "SELECT DISTINCT 'history', 'run ' || run, 'belongs to no instance' FROM history
         WHERE run NOT IN (SELECT run FROM instance)",
    "SELECT 'inbox', 'run ' || inbox.run || ', sequence ' || sequence, 'belongs to no instance with that run'
         FROM inbox LEFT JOIN instance USING (birth) WHERE instance.run IS NOT inbox.run",
    "SELECT 'timer', 'run ' || timer.run || ', number ' || number, 'belongs to no instance with that run'
         FROM timer LEFT JOIN instance USING (birth) WHERE instance.run IS NOT timer.run",
    "SELECT 'task', 'birth ' || task.birth || ', number ' || number, 'belongs to no instance'
         FROM task LEFT JOIN instance USING (birth) WHERE instance.birth IS NULL",
    "SELECT 'task', 'birth ' || birth || ', number ' || number, 'has no event' FROM task
         WHERE event IS NULL AND NOT EXISTS (
             SELECT 1 FROM history WHERE history.run = task.run AND place >= first AND place < first + count)",
    "SELECT 'outbox', source || ' to ' || target || ', sequence ' || sequence, 'is higher than what was ever sent'
         FROM outbox LEFT JOIN pair USING (source, target) WHERE sequence > ifnull(sent, 0)",
    "SELECT 'instance', 'birth ' || birth, 'has a run before its birth' FROM instance WHERE run < birth",
    "SELECT 'instance', 'birth ' || birth, 'was made under a lease that was never given' FROM instance
         WHERE (max(birth, run) >> 40) > (SELECT epoch FROM store)",
    "SELECT 'store', 'one', 'is missing, though there are instances' FROM instance
         WHERE NOT EXISTS (SELECT 1 FROM store) LIMIT 1",
];

impl Database {
    /// Reads the whole file, as one read: it is for a store that nobody works on.
    pub(crate) fn check(&self) -> Result<Checked, RowsError> {
        self.read("check", |rows| {
            let mut problems = whole(rows)?;
            if !problems.is_empty() {
                // Nothing is to be said of rows in pages that are not sound.
                return Ok(Checked { problems, ..Checked::default() });
            }
            for misfit in MISFITS {
                problems.extend(misfits(rows, misfit)?);
            }
            let instances = instances(rows, &mut problems)?;
            Ok(Checked { standing: read::standing(rows)?, instances, problems })
        })
    }
}

/// What SQLite itself finds: pages, indexes against rows, constraints.
fn whole(rows: &Connection) -> Result<Vec<String>, Trouble> {
    let mut statement = rows.prepare(&format!("PRAGMA integrity_check({NAMED})"))?;
    let found = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    Ok(found.into_iter().filter(|line| line != "ok").collect())
}

fn misfits(rows: &Connection, misfit: &str) -> Result<Vec<String>, Trouble> {
    let mut statement =
        rows.prepare(&format!("{misfit} {}", if misfit.contains("LIMIT") { "" } else { "LIMIT 100" }))?;
    let text = |row: &rusqlite::Row<'_>| {
        let (table, place, what): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(format!("{table} ({place}) {what}"))
    };
    Ok(statement.query_map([], text)?.collect::<Result<_, _>>()?)
}

/// Holds each instance against what is below it, and counts them.
fn instances(rows: &Connection, problems: &mut Vec<String>) -> Result<u64, Trouble> {
    let mut statement = rows.prepare("SELECT birth, run, id, head, tail FROM instance ORDER BY birth")?;
    let mut found = statement.query([])?;
    let mut count = 0;
    while let Some(row) = found.next()? {
        count += 1;
        let (birth, run, id): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let mut wrong = Vec::new();
        if let Err(error) = Head::decode(row.get_ref(3)?.as_blob()?) {
            wrong.push(format!("has a head that cannot be read ({error})"));
        }
        match Tail::decode(row.get_ref(4)?.as_blob()?) {
            Ok(tail) => below(rows, (birth, run), &tail, &mut wrong)?,
            Err(error) => wrong.push(format!("has a tail that cannot be read ({error})")),
        }
        if problems.len() < NAMED {
            problems.extend(wrong.into_iter().map(|wrong| format!("instance (birth {birth}, id {id:?}) {wrong}")));
        }
    }
    Ok(count)
}

/// The counters in a tail, against the rows that they count.
fn below(rows: &Connection, (birth, run): (i64, i64), tail: &Tail, wrong: &mut Vec<String>) -> Result<(), Trouble> {
    let mut statement =
        rows.prepare_cached("SELECT first, count, events FROM history WHERE run = ?1 ORDER BY first")?;
    let mut found = statement.query([run])?;
    let mut next = 0;
    while let Some(row) = found.next()? {
        let (first, count): (i64, i64) = (row.get(0)?, row.get(1)?);
        if first != next {
            wrong.push(format!("has a history whose chunk at {first} comes after event {next}"));
        }
        match Chunk::decode(row.get_ref(2)?.as_blob()?) {
            Ok(chunk) if chunk.events.len() as i64 == count => {}
            Ok(chunk) => {
                let events = chunk.events.len();
                wrong.push(format!("has a history whose chunk at {first} holds {events} events and says {count}"));
            }
            Err(error) => wrong.push(format!("has a history whose chunk at {first} cannot be read ({error})")),
        }
        next = first + count;
    }
    if next.cast_unsigned() != tail.history_events {
        wrong.push(format!("has a history of {next} events and says {}", tail.history_events));
    }
    let counters = [
        ("inbox", "SELECT max(sequence) FROM inbox WHERE run = ?1", run, tail.next_arrival),
        ("task", "SELECT max(number) FROM task WHERE birth = ?1", birth, tail.next_task),
        ("timer", "SELECT max(number) FROM timer WHERE run = ?1", run, tail.next_timer),
    ];
    for (table, sql, of, next) in counters {
        let last: Option<i64> = rows.prepare_cached(sql)?.query_row(params![of], |row| row.get(0))?;
        if let Some(last) = last.filter(|last| last.cast_unsigned() >= next) {
            wrong.push(format!("has {table} {last}, and the next one is to be {next}"));
        }
    }
    Ok(())
}
