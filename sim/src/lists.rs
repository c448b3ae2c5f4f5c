//! Clients' lists, page by page while everything goes on: hints, but none of them out of the air.

use crate::check::{ensure, fail};
use crate::model::Facet;
use crate::program::name_of;
use crate::world::{World, tell};
use duramen_backend::{Backend as _, Order, Page, Query, QueryId};
use duramen_core::checkpoint::Row;
use duramen_core::request::{PurgeOne, Request, Seen};
use duramen_proto::OrchestrationStatus;
use std::collections::BTreeSet;

/// A list that a client reads.
pub(crate) struct List {
    query: Query,
    /// The place in the model's log when it was begun.
    since: u64,
    /// Births of the rows that were shown.
    seen: BTreeSet<u64>,
    /// A page is asked for.
    asked: bool,
}

impl List {
    fn wants(&self, id: &str, facet: &Facet) -> bool {
        let statuses = &self.query.statuses;
        facet.exists
            && (statuses.is_empty() || statuses.iter().any(|status| *status as i32 == facet.status))
            && self.query.prefix.as_ref().is_none_or(|prefix| id.starts_with(prefix))
            && (self.query.order != Order::Completed || facet.ended)
    }
}

impl World {
    /// A client begins a list or reads the next page of one.
    pub(crate) fn list_step(&mut self) {
        let waiting = self.lists.iter().find(|(_, list)| !list.asked).map(|(id, _)| *id);
        match waiting {
            Some(id) => self.ask_for_page(id),
            None => self.begin_list(),
        }
    }

    fn begin_list(&mut self) {
        use OrchestrationStatus as S;
        let statuses = match self.rng.below(4) {
            0 => vec![S::Running, S::Suspended],
            1 => vec![S::Completed],
            _ => vec![],
        };
        let prefix = match self.rng.below(4) {
            0 => Some("order-".to_owned()),
            1 => Some(name_of(self.rng.below(crate::plan::NAMES))),
            _ => None,
        };
        let ended = prefix.is_none() && self.rng.percent(30);
        let order = if ended { Order::Completed } else { Order::Created };
        let query = Query { statuses, prefix, order, limit: 1 + self.rng.below(20), ..Query::default() };
        let id = self.number();
        tell!(self, "client {id}: lists {:?} {:?}", query.statuses, query.prefix);
        let since = self.durable.ever.sequence;
        self.lists.insert(id, List { query, since, seen: BTreeSet::new(), asked: false });
        self.ask_for_page(id);
    }

    fn ask_for_page(&mut self, id: u64) {
        let list = self.lists.get_mut(&id).expect("it is read");
        list.asked = true;
        let query = list.query.clone();
        self.store.query(QueryId(id), query);
        self.take_events();
    }

    /// A page comes: what it shows was so since the list was begun; and once it is over, it has shown
    /// everything that was so all the time.
    pub(crate) fn listed(&mut self, id: u64, page: Page) {
        let Some(mut list) = self.lists.remove(&id) else { return };
        for row in &page.rows {
            self.check_row(&mut list, row);
        }
        if !self.quiet && self.rng.percent(30) {
            self.purge_shown(&page.rows);
        }
        let full = page.rows.len() == list.query.limit;
        ensure!(full || page.next.is_none(), "a page is full while there is more", "{} rows", page.rows.len());
        match page.next {
            Some(next) => {
                list.query.after = Some(next);
                list.asked = false;
                self.lists.insert(id, list);
            }
            None => self.check_complete(&list),
        }
        self.cover.count("reply: page");
    }

    /// As retention does it: what a list has shown to have ended is purged, if it still is what was shown.
    fn purge_shown(&mut self, rows: &[Row]) {
        for row in rows {
            let Some(seen) = Seen::of(&row.head, &row.tail) else { continue };
            self.cover.count("model: a purge of what a list has shown");
            self.send(Request::Purge(PurgeOne { id: row.head.id.as_str().into(), seen: Some(seen) }));
        }
    }

    fn check_row(&self, list: &mut List, row: &Row) {
        let (head, tail) = (&row.head, &row.tail);
        let shown = |facet: &Facet| {
            facet.birth == head.birth
                && facet.status == tail.status
                && facet.ended == tail.completed.is_some()
                && list.wants(&head.id, facet)
        };
        let facets = self.durable.facets_since(&head.id, list.since);
        ensure!(
            facets.iter().any(shown),
            "what a list shows was true",
            "{head:?} {tail:?}; the instance was {facets:?}"
        );
        let moves = list.query.order == Order::Completed;
        ensure!(
            list.seen.insert(head.birth) || moves,
            "a list shows an instance once",
            "{} in {:?}",
            head.id,
            list.query
        );
    }

    fn check_complete(&self, list: &List) {
        for (id, log) in &self.durable.ever.facets {
            let facets = self.durable.facets_since(id, list.since);
            let birth = facets.first().unwrap_or_else(|| fail("every id was something", format!("{log:?}"))).birth;
            let always = facets.iter().all(|facet| facet.birth == birth && list.wants(id, facet));
            ensure!(
                !always || list.seen.contains(&birth),
                "a list shows what was durable when it was asked for",
                "{id} was {facets:?}, and {:?} has shown {:x?}",
                list.query,
                list.seen
            );
        }
    }

    /// At the end every list is read to its end.
    pub(crate) fn read_lists(&mut self) -> bool {
        let waiting: Vec<u64> = self.lists.iter().filter(|(_, list)| !list.asked).map(|(id, _)| *id).collect();
        waiting.iter().for_each(|id| self.ask_for_page(*id));
        !waiting.is_empty()
    }
}
