//! The history of an instance's current run, as far as it is in memory.
//!
//! While a worker holds the session of an instance, it has seen what is in the history: the hub needs
//! it again only for a worker that has not, for a client that asks for it, and to rewind. So the oldest
//! events leave memory once they are settled. What is needed of them one by one stays: ExecutionStarted,
//! and children that have no result yet. Who needs all of them has the instance loaded first
//! (`Partition::residence_with_history`); indexes count from the first event, in memory or not.

use super::ending::{Children, OpenChild};
use crate::event;
use alloc::vec::Vec;
use bytes::Bytes;
use duramen_proto::ExecutionStartedEvent;
use duramen_proto::history_event::EventType;

#[derive(Debug, Default)]
pub(crate) struct History {
    /// Events in front of `events` that are only in the tables.
    gone: usize,
    events: Vec<Bytes>,
    /// ExecutionStarted, if it is among those that are gone.
    started: Option<Bytes>,
    /// Children that were made and have no result in what is gone.
    children: Children,
    /// Events that are known to be settled.
    settled: usize,
    /// A checkpoint, and how many events there were with it: they are settled when it is.
    mark: Option<(u64, usize)>,
}

impl From<Vec<Bytes>> for History {
    fn from(events: Vec<Bytes>) -> Self {
        Self { events, ..Self::default() }
    }
}

impl History {
    /// Events of the run, in memory or not.
    pub(crate) fn len(&self) -> usize {
        self.gone + self.events.len()
    }

    pub(crate) fn push(&mut self, event: Bytes) {
        self.events.push(event);
    }

    /// The last event, which is always in memory.
    pub(crate) fn last(&self) -> Option<&Bytes> {
        self.events.last()
    }

    /// How many events are not in memory.
    pub(crate) fn gone(&self) -> usize {
        self.gone
    }

    /// The events that are in memory.
    pub(crate) fn in_memory(&self) -> &[Bytes] {
        &self.events
    }

    /// All events. The caller has seen to it that they are in memory.
    pub(crate) fn whole(&self) -> &[Bytes] {
        assert!(self.gone == 0, "{} events of a history are only in the tables", self.gone);
        &self.events
    }

    /// ExecutionStarted, if an episode has taken it.
    pub(super) fn started(&self) -> Option<ExecutionStartedEvent> {
        self.started.iter().chain(&self.events).find_map(|event| match event::decode_type(event) {
            EventType::ExecutionStarted(started) => Some(started),
            _ => None,
        })
    }

    /// Children of the run without a result, in the order in which they were made.
    pub(super) fn open_children(&self) -> Vec<OpenChild> {
        let mut children = self.children.clone();
        for (index, event) in (self.gone..).zip(&self.events) {
            children.see(index, event);
        }
        children.in_order()
    }

    /// Lets the oldest events go if more than two chunks that are settled are in memory, but for one
    /// chunk of them. `settled` and `number` are the last checkpoint that is settled and the one that
    /// is being made.
    pub(crate) fn let_go(&mut self, chunk: usize, settled: u64, number: u64) {
        let chunk = chunk.max(1);
        if let Some((_, events)) = self.mark.take_if(|(number, _)| *number <= settled) {
            self.settled = events;
        }
        if self.mark.is_none() {
            self.mark = Some((number, self.len()));
        }
        if self.settled <= self.gone + 2 * chunk {
            return;
        }
        let leaving = self.settled - chunk - self.gone;
        for (index, event) in (self.gone..).zip(self.events.drain(..leaving)) {
            if matches!(event::decode_type(&event), EventType::ExecutionStarted(_)) {
                self.started = Some(event);
            } else {
                self.children.see(index, &event);
            }
        }
        self.gone += leaving;
    }

    /// Takes back what is only in the tables, from the history as it is settled.
    pub(crate) fn take_back(&mut self, mut stored: Vec<Bytes>) {
        assert!(stored.len() >= self.gone, "events leave memory once they are settled");
        debug_assert!(
            stored[self.gone..].iter().zip(&self.events).all(|(stored, here)| stored == here),
            "what is settled is what was in memory (invariant 11)"
        );
        stored.truncate(self.gone);
        stored.append(&mut self.events);
        *self = stored.into();
    }
}
