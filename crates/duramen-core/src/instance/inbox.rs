//! What waits for the next episode, and which of it an episode takes.

use super::{Entry, Instance};
use crate::checkpoint::{Arrived, Change};
use crate::event::Kind;
use crate::limits::{EPISODE_BYTES, EPISODE_EVENTS};
use crate::partition::Ledger;
use crate::planted::planted;
use alloc::vec::Vec;
use bytes::Bytes;

impl Instance {
    /// Puts an event at the end of the inbox and offers an episode if one is now due.
    pub(crate) fn receive(&mut self, kind: Kind, event: Bytes, ledger: &mut Ledger) {
        planted!(SuspendedEventsLost => if self.tail.suspended && kind == Kind::Raised { return });
        self.put(kind, event, ledger);
        self.change(ledger);
        self.offer_if_due(ledger);
    }

    /// Puts an event at the end of the inbox.
    pub(super) fn put(&mut self, kind: Kind, event: Bytes, ledger: &mut Ledger) {
        let sequence = self.tail.next_arrival;
        self.tail.next_arrival += 1;
        self.tail.terminating |= kind == Kind::Terminated;
        let (birth, run) = (self.head.birth, self.head.run);
        ledger.write(Change::Arrived(Arrived { birth, run, sequence, event: event.clone() }));
        self.inbox.push_back(Entry { sequence, kind, event, number: ledger.number });
    }

    /// Whether a scheduled start is still to come.
    fn is_waiting_to_start(&self) -> bool {
        self.inbox.front().is_some_and(|entry| entry.kind == Kind::Started)
            && self.timers.values().any(|timer| timer.event_id.is_none())
    }

    pub(super) fn has_something_to_take(&self) -> bool {
        if self.fixed.is_some() {
            return true;
        }
        if self.inbox.is_empty() || self.is_waiting_to_start() {
            return false;
        }
        !self.tail.suspended || (self.is_started() && self.inbox.iter().any(|entry| is_control(entry.kind)))
    }

    /// Whether an episode has taken ExecutionStarted of the current run.
    pub(super) fn is_started(&self) -> bool {
        !self.inbox.iter().any(|entry| entry.kind == Kind::Started)
    }

    /// The sequences that the next episode takes, in the order in which the worker gets them:
    /// ExecutionStarted, then suspends and resumes, then the rest as it came. While the instance is
    /// suspended only suspend, resume and terminate are given out. What may not be early holds
    /// nothing of a checkpoint after `durable` (invariant 1); it may then be that there is nothing
    /// to take yet.
    pub(super) fn choose(&self, durable: Option<u64>) -> Vec<u64> {
        let is_durable = |entry: &&Entry| durable.is_none_or(|durable| entry.number <= durable);
        if self.inbox.iter().any(|entry| is_control(entry.kind) && !is_durable(&entry)) {
            return Vec::new();
        }
        let class = |kind: Kind| match kind {
            Kind::Started => 0,
            Kind::Suspended | Kind::Resumed => 1,
            Kind::Terminated | Kind::Raised | Kind::Rewound | Kind::Fired | Kind::Result => 2,
        };
        let is_open = |entry: &&Entry| !self.tail.suspended || is_control(entry.kind);
        let mut entries: Vec<&Entry> = self.inbox.iter().filter(is_open).filter(is_durable).collect();
        if !self.tail.suspended {
            // Stable: within a class the order of arrival stays.
            entries.sort_by_key(|entry| class(entry.kind));
        }
        let mut bytes = 0;
        let fits = |entry: &&&Entry| {
            bytes += entry.event.len();
            bytes <= EPISODE_BYTES || bytes == entry.event.len()
        };
        entries.iter().take(EPISODE_EVENTS).take_while(fits).map(|entry| entry.sequence).collect()
    }

    pub(super) fn entry(&self, sequence: u64) -> &Entry {
        let place = self.inbox.binary_search_by_key(&sequence, |entry| entry.sequence);
        &self.inbox[place.expect("an episode takes what is in the inbox")]
    }
}

/// What reaches the worker of a suspended instance.
fn is_control(kind: Kind) -> bool {
    match kind {
        Kind::Suspended | Kind::Resumed | Kind::Terminated => true,
        Kind::Started | Kind::Raised | Kind::Rewound | Kind::Fired | Kind::Result => false,
    }
}
