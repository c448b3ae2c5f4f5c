//! Lists of instances.
//!
//! Each query walks one index in the order of its list. Filters that the index does not cover are
//! looked at row by row, without touching what is large; what matches is read whole afterwards.

use super::codec::{self, last_before, stamp, time};
use super::error::Trouble;
use super::read::{BARE, LISTED, instance_of, last_event};
use duramen_backend::rows::QUERY_SCAN;
use duramen_backend::{Cursor, Order, Page, Query};
use duramen_core::checkpoint::Row;
use duramen_core::time::Time;
use duramen_proto::OrchestrationStatus;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::time::{Duration, Instant};

/// How long one page is looked for: a read that goes on keeps the log of the tables from being reset.
const LOOK: Duration = Duration::from_millis(500);

/// What a filter looks at.
const COLUMNS: &str = "birth, status, created, completed, id, name, parent, tags";

/// A walk along an index.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) sql: String,
    pub(super) parameters: Vec<Value>,
}

pub(super) fn page(rows: &Connection, query: &Query) -> Result<Page, Trouble> {
    let Some(walk) = walk(rows, query)? else { return Ok(Page::default()) };
    let begun = Instant::now();
    let mut statement = rows.prepare_cached(&walk.sql)?;
    let mut candidates = statement.query(params_from_iter(walk.parameters))?;
    let mut page = Page::default();
    let mut last: Option<Cursor> = None;
    let mut last_shown = None;
    let mut looked_at = 0;
    while let Some(row) = candidates.next()? {
        let candidate = Candidate::of(row)?;
        // The clock is looked at now and then, and only once there is somewhere to go on from.
        if looked_at == QUERY_SCAN || (looked_at % 64 == 63 && begun.elapsed() > LOOK) {
            page.next = last;
            break;
        }
        looked_at += 1;
        let matches = candidate.matches(query)?;
        if matches && page.rows.len() == query.limit.max(1) {
            page.next = last_shown;
            break;
        }
        let at = candidate.cursor(query);
        if matches {
            page.rows.extend(if query.bare { bare(rows, candidate.birth)? } else { listed(rows, candidate.birth)? });
            last_shown = Some(at.clone());
        }
        last = Some(at);
    }
    Ok(page)
}

fn listed(rows: &Connection, birth: i64) -> Result<Option<Row>, Trouble> {
    let mut statement = rows.prepare_cached(LISTED)?;
    let mut found = statement.query([birth])?;
    let Some(row) = found.next()? else { return Ok(None) };
    let mut row = instance_of(row)?;
    if row.tail.completed.is_some() {
        row.last_event = last_event(rows, row.head.run)?;
    }
    Ok(Some(row))
}

/// The same without what is large.
fn bare(rows: &Connection, birth: i64) -> Result<Option<Row>, Trouble> {
    let mut statement = rows.prepare_cached(BARE)?;
    let mut found = statement.query([birth])?;
    let Some(row) = found.next()? else { return Ok(None) };
    Ok(Some(Row { custom_status: None, ..instance_of(row)? }))
}

/// The walk of a query from its cursor on; `None` if there is nothing on it, or the cursor is of
/// another order.
pub(super) fn walk(rows: &Connection, query: &Query) -> Result<Option<Walk>, Trouble> {
    let walk = match (query.order, &query.prefix, &query.parent) {
        (Order::Completed, _, _) => completed(query),
        (Order::Created, Some(prefix), _) if leaves_out_completed(query) => {
            let statuses = statuses(rows, query)?;
            ids(query, prefix, statuses.iter().map(|status| uncompleted(*status)))
        }
        (Order::Created, Some(prefix), _) => ids(query, prefix, ["INDEXED BY instance_by_id WHERE".to_owned()]),
        (Order::Created, None, Some(parent)) => children(query, parent),
        (Order::Created, None, None) => created(query, &statuses(rows, query)?),
    };
    Ok(walk)
}

fn completed(query: &Query) -> Option<Walk> {
    let start = match &query.after {
        None => (query.completed_from.map_or(i64::MIN, stamp), None),
        Some(Cursor::Completed(at, id)) => (stamp(*at), Some(id.clone())),
        Some(Cursor::Created(..) | Cursor::Id(_)) => return None,
    };
    let end = query.completed_to.map_or(i64::MAX, last_before);
    // No id is below the empty one, so `>=` begins with the whole of a moment.
    let compare = if start.1.is_some() { ">" } else { ">=" };
    Some(Walk {
        sql: format!(
            "SELECT {COLUMNS} FROM instance INDEXED BY instance_by_completed \
             WHERE completed IS NOT NULL AND (completed, id) {compare} (?1, ?2) AND completed <= ?3 \
             ORDER BY completed, id"
        ),
        parameters: vec![start.0.into(), start.1.unwrap_or_default().into(), end.into()],
    })
}

/// One stretch of ids for each way into an index, merged as they are read.
fn ids(query: &Query, prefix: &str, ways: impl IntoIterator<Item = String>) -> Option<Walk> {
    let (compare, start) = match &query.after {
        Some(Cursor::Id(id)) if id.as_str() >= prefix => (">", id.clone()),
        None | Some(Cursor::Id(_)) => (">=", prefix.to_owned()),
        Some(Cursor::Created(..) | Cursor::Completed(..)) => return None,
    };
    let stretch = |way| format!("SELECT {COLUMNS} FROM instance {way} id {compare} ?1 AND id < ?2");
    let stretches: Vec<_> = ways.into_iter().map(stretch).collect();
    // Every text is below every blob.
    let end = prefix_end(prefix).map_or(Value::Blob(Vec::new()), Value::Text);
    (!stretches.is_empty()).then(|| Walk {
        sql: format!("{} ORDER BY id", stretches.join(" UNION ALL ")),
        parameters: vec![start.into(), end],
    })
}

/// The first text behind all that begin with a prefix, if there is one. Texts are ordered byte by byte, and UTF-8
/// keeps the order of its characters.
fn prefix_end(prefix: &str) -> Option<String> {
    let kept = prefix.trim_end_matches(char::MAX);
    let last = kept.chars().next_back()?;
    // The range of characters leaves out what is none.
    let next = (last..=char::MAX).nth(1)?;
    Some(format!("{}{next}", &kept[..kept.len() - last.len_utf8()]))
}

/// Whether only statuses are asked for that `instance_unless_completed` has.
fn leaves_out_completed(query: &Query) -> bool {
    !query.statuses.is_empty() && !query.statuses.contains(&OrchestrationStatus::Completed)
}

/// The way to the ids of one status. SQLite takes an index of some rows only where its condition is said again.
fn uncompleted(status: i32) -> String {
    format!("INDEXED BY instance_unless_completed WHERE status <> 1 AND status = {status} AND")
}

fn children(query: &Query, parent: &str) -> Option<Walk> {
    let (start, end) = created_bounds(query)?;
    Some(Walk {
        sql: format!(
            "SELECT {COLUMNS} FROM instance INDEXED BY instance_by_parent \
             WHERE parent = ?4 AND (created, birth) > (?1, ?2) AND created <= ?3 ORDER BY created, birth"
        ),
        parameters: vec![start.0.into(), start.1.into(), end.into(), parent.to_owned().into()],
    })
}

/// One stretch of the index for each status, merged as they are read.
fn created(query: &Query, statuses: &[i32]) -> Option<Walk> {
    let (start, end) = created_bounds(query)?;
    let stretch = |status: &i32| {
        format!(
            "SELECT {COLUMNS} FROM instance INDEXED BY instance_by_status \
             WHERE status = {status} AND (created, birth) > (?1, ?2) AND created <= ?3"
        )
    };
    let stretches: Vec<_> = statuses.iter().map(stretch).collect();
    (!stretches.is_empty()).then(|| Walk {
        sql: format!("{} ORDER BY created, birth", stretches.join(" UNION ALL ")),
        parameters: vec![start.0.into(), start.1.into(), end.into()],
    })
}

/// The place behind which a list by creation begins, and the last stamp in it.
fn created_bounds(query: &Query) -> Option<((i64, i64), i64)> {
    let start = match &query.after {
        None => (query.created_from.map_or(i64::MIN, stamp), -1),
        Some(Cursor::Created(at, birth)) => (stamp(*at), birth.cast_signed()),
        Some(Cursor::Id(_) | Cursor::Completed(..)) => return None,
    };
    Some((start, query.created_to.map_or(i64::MAX, last_before)))
}

pub(super) const NEXT_STATUS: &str = "SELECT min(status) FROM instance WHERE status > ?1";

/// The statuses that there are and that are asked for. Each costs one look into the index.
fn statuses(rows: &Connection, query: &Query) -> Result<Vec<i32>, Trouble> {
    let mut statement = rows.prepare_cached(NEXT_STATUS)?;
    let mut found = Vec::new();
    let mut last = i64::from(i32::MIN) - 1;
    while let Some(status) = statement.query_row([last], |row| row.get::<_, Option<i32>>(0))? {
        found.push(status);
        last = status.into();
    }
    found.retain(|status| query.statuses.is_empty() || query.statuses.iter().any(|wanted| *wanted as i32 == *status));
    Ok(found)
}

/// What a filter looks at, in a row that is being read.
struct Candidate<'a> {
    birth: i64,
    status: i32,
    created: i64,
    completed: Option<i64>,
    id: &'a str,
    name: &'a str,
    parent: Option<&'a str>,
    tags: Option<&'a str>,
}

impl<'a> Candidate<'a> {
    fn of(row: &'a rusqlite::Row<'_>) -> Result<Self, Trouble> {
        Ok(Self {
            birth: row.get(0)?,
            status: row.get(1)?,
            created: row.get(2)?,
            completed: row.get(3)?,
            id: row.get_ref(4)?.as_str()?,
            name: row.get_ref(5)?.as_str()?,
            parent: row.get_ref(6)?.as_str_or_null()?,
            tags: row.get_ref(7)?.as_str_or_null()?,
        })
    }

    fn matches(&self, query: &Query) -> Result<bool, Trouble> {
        let from = |from: Option<Time>, at: i64| from.is_none_or(|from| at >= stamp(from));
        let to = |to: Option<Time>, at: i64| to.is_none_or(|to| at <= last_before(to));
        let ended = |bound: Option<Time>, is: &dyn Fn(Option<Time>, i64) -> bool| {
            bound.is_none() || self.completed.is_some_and(|at| is(bound, at))
        };
        let cheap = (query.statuses.is_empty() || query.statuses.iter().any(|status| *status as i32 == self.status))
            && from(query.created_from, self.created)
            && to(query.created_to, self.created)
            && ended(query.completed_from, &from)
            && ended(query.completed_to, &to)
            && query.prefix.as_ref().is_none_or(|prefix| self.id.starts_with(prefix.as_str()))
            && query.name.as_ref().is_none_or(|name| self.name == name)
            && query.parent.as_ref().is_none_or(|parent| self.parent == Some(parent));
        match &query.tag {
            Some((key, value)) if cheap => Ok(codec::tags_of(self.tags)?.get(key) == Some(value)),
            Some(_) | None => Ok(cheap),
        }
    }

    fn cursor(&self, query: &Query) -> Cursor {
        match (query.order, &query.prefix) {
            (Order::Completed, _) => Cursor::Completed(self.completed.map_or(Time::EPOCH, time), self.id.to_owned()),
            (Order::Created, Some(_)) => Cursor::Id(self.id.to_owned()),
            (Order::Created, None) => Cursor::Created(time(self.created), self.birth.cast_unsigned()),
        }
    }
}
