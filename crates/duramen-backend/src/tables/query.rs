//! Lists of instances.

use super::write::time;
use super::{Contents, Instance};
use crate::rows::QUERY_SCAN;
use crate::{Cursor, Order, Page, Query};
use duramen_core::checkpoint::Row;
use duramen_core::time::Time;
use std::ops::Bound;

impl Contents {
    pub(super) fn page(&self, query: &Query) -> Page {
        let mut page = Page::default();
        let limit = query.limit.max(1);
        let mut last = None;
        for (looked_at, row) in self.candidates(query).enumerate() {
            if looked_at == QUERY_SCAN {
                page.next = last;
                break;
            }
            if matches(query, row) {
                if page.rows.len() == limit {
                    page.next = page.rows.last().map(|row| {
                        cursor(query, &row.head.id, time(row.head.created), row.head.birth, time(row.tail.completed))
                    });
                    break;
                }
                page.rows.push(if query.bare { bare(row) } else { self.row(row) });
            }
            last = Some(cursor(query, &row.id, time(row.head.created), row.head.birth, time(row.tail.completed)));
        }
        page
    }

    /// The instances among which a query looks, in its order, behind its cursor.
    fn candidates<'a>(&'a self, query: &'a Query) -> Box<dyn Iterator<Item = &'a Instance> + 'a> {
        let instance = |birth: &u64| self.instances.get(birth);
        match (query.order, &query.prefix, &query.parent) {
            (Order::Completed, _, _) => {
                let start = match &query.after {
                    None => Bound::Included((query.completed_from.unwrap_or(Time::new(i64::MIN, 0)), "".into())),
                    Some(Cursor::Completed(at, id)) => Bound::Excluded((*at, id.as_str().into())),
                    Some(_) => return Box::new(std::iter::empty()),
                };
                let end = query.completed_to.unwrap_or(Time::new(i64::MAX, 0));
                let rows = self.by_completed.range((start, Bound::Unbounded));
                Box::new(rows.take_while(move |((at, _), _)| *at < end).filter_map(move |(_, birth)| instance(birth)))
            }
            (Order::Created, Some(prefix), _) => {
                let start = match &query.after {
                    None => Bound::Included(prefix.as_str()),
                    Some(Cursor::Id(id)) if id.as_str() < prefix.as_str() => Bound::Included(prefix.as_str()),
                    Some(Cursor::Id(id)) => Bound::Excluded(id.as_str()),
                    Some(_) => return Box::new(std::iter::empty()),
                };
                let rows = self.by_id.range::<str, _>((start, Bound::Unbounded));
                Box::new(
                    rows.take_while(|(id, _)| id.starts_with(prefix.as_str()))
                        .filter_map(move |(_, birth)| instance(birth)),
                )
            }
            (Order::Created, None, parent) => {
                let start = match &query.after {
                    None => Bound::Included((query.created_from.unwrap_or(Time::new(i64::MIN, 0)), 0)),
                    Some(Cursor::Created(at, birth)) => Bound::Excluded((*at, *birth)),
                    Some(_) => return Box::new(std::iter::empty()),
                };
                let end = query.created_to.unwrap_or(Time::new(i64::MAX, 0));
                let Some(parent) = parent else {
                    let rows = self.by_created.range((start, Bound::Unbounded));
                    return Box::new(
                        rows.take_while(move |(at, _)| *at < end).filter_map(move |(_, birth)| instance(birth)),
                    );
                };
                let children = self.by_parent.range((parent.as_str().into(), 0)..=(parent.as_str().into(), u64::MAX));
                let mut rows: Vec<_> = children.filter_map(|(_, birth)| instance(birth)).collect();
                rows.sort_by_key(|row| place(row));
                rows.retain(|row| match start {
                    Bound::Excluded(start) => place(row) > start,
                    Bound::Included(start) => place(row) >= start,
                    Bound::Unbounded => true,
                });
                Box::new(rows.into_iter())
            }
        }
    }

    fn row(&self, row: &Instance) -> Row {
        let ended = row.tail.completed.is_some();
        Row {
            head: row.head.clone(),
            tail: row.tail.clone(),
            custom_status: row.custom_status.clone(),
            input: row.input.clone(),
            output: row.output.clone(),
            last_event: self.histories.get(&row.head.run).filter(|_| ended).and_then(|history| history.last().cloned()),
        }
    }
}

/// Without its payloads.
fn bare(row: &Instance) -> Row {
    let (head, tail) = (row.head.clone(), row.tail.clone());
    Row { head, tail, custom_status: None, input: None, output: None, last_event: None }
}

fn place(row: &Instance) -> (Time, u64) {
    (time(row.head.created), row.head.birth)
}

fn cursor(query: &Query, id: &str, created: Time, birth: u64, completed: Time) -> Cursor {
    match (query.order, &query.prefix) {
        (Order::Completed, _) => Cursor::Completed(completed, id.to_owned()),
        (Order::Created, Some(_)) => Cursor::Id(id.to_owned()),
        (Order::Created, None) => Cursor::Created(created, birth),
    }
}

fn matches(query: &Query, row: &Instance) -> bool {
    let (head, tail) = (&row.head, &row.tail);
    let created = time(head.created);
    let completed = tail.completed.map(Time::from);
    (query.statuses.is_empty() || query.statuses.iter().any(|status| *status as i32 == tail.status))
        && query.created_from.is_none_or(|from| created >= from)
        && query.created_to.is_none_or(|to| created < to)
        && query.completed_from.is_none_or(|from| completed.is_some_and(|at| at >= from))
        && query.completed_to.is_none_or(|to| completed.is_some_and(|at| at < to))
        && query.prefix.as_ref().is_none_or(|prefix| head.id.starts_with(prefix.as_str()))
        && query.name.as_ref().is_none_or(|name| head.name == *name)
        && query.tag.as_ref().is_none_or(|(key, value)| head.tags.get(key) == Some(value))
        && query.parent.as_ref().is_none_or(|id| head.parent.as_ref().is_some_and(|parent| parent.id == *id))
}
