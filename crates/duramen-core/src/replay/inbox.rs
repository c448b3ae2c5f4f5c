//! External events: those that nobody has waited for yet, and those who wait.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::task::{Poll, Waker};
use duramen_proto::history_event::EventType;
use duramen_proto::{EventRaisedEvent, HistoryEvent};

/// Names a wait for an external event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitId(u64);

#[derive(Debug)]
struct Raised {
    /// Its place in the order of arrival, which it keeps when a waiter gives it back.
    number: u64,
    key: String,
    event: HistoryEvent,
}

#[derive(Debug)]
struct Wait {
    id: WaitId,
    key: String,
    got: Option<Raised>,
    waker: Option<Waker>,
}

/// Names are compared without case; the first event goes to the first who waits.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    next_event: u64,
    next_wait: u64,
    buffered: VecDeque<Raised>,
    waits: Vec<Wait>,
}

impl Inbox {
    /// An event arrived. Gives whom to wake.
    pub(super) fn raise(&mut self, event: HistoryEvent) -> Option<Waker> {
        let name = match &event.event_type {
            Some(EventType::EventRaised(raised)) => &raised.name,
            _ => return None,
        };
        let raised = Raised { number: self.next_event, key: name.to_lowercase(), event };
        self.next_event += 1;
        self.deliver(raised)
    }

    fn deliver(&mut self, raised: Raised) -> Option<Waker> {
        if let Some(wait) = self.waits.iter_mut().find(|wait| wait.got.is_none() && wait.key == raised.key) {
            wait.got = Some(raised);
            return wait.waker.take();
        }
        let at = self.buffered.partition_point(|other| other.number < raised.number);
        self.buffered.insert(at, raised);
        None
    }

    /// Begins to wait, and takes an event that is already there.
    pub(super) fn wait(&mut self, name: &str) -> WaitId {
        let id = WaitId(self.next_wait);
        self.next_wait += 1;
        let key = name.to_lowercase();
        let place = self.buffered.iter().position(|raised| raised.key == key);
        let got = place.and_then(|place| self.buffered.remove(place));
        self.waits.push(Wait { id, key, got, waker: None });
        id
    }

    /// Whether the event for this wait is there.
    pub(super) fn is_ready(&self, id: WaitId) -> bool {
        self.waits.iter().any(|wait| wait.id == id && wait.got.is_some())
    }

    /// The payload, once; the wait is over then.
    pub(super) fn poll(&mut self, id: WaitId, waker: &Waker) -> Poll<Option<String>> {
        let Some(at) = self.waits.iter().position(|wait| wait.id == id) else { return Poll::Pending };
        let wait = &mut self.waits[at];
        let Some(raised) = wait.got.take() else {
            wait.waker = Some(waker.clone());
            return Poll::Pending;
        };
        self.waits.remove(at);
        match raised.event.event_type {
            Some(EventType::EventRaised(EventRaisedEvent { input, .. })) => Poll::Ready(input),
            _ => Poll::Ready(None),
        }
    }

    /// Ends a wait whose future was dropped. What it got and did not read goes back into line.
    pub(super) fn forget(&mut self, id: WaitId) -> Option<Waker> {
        let at = self.waits.iter().position(|wait| wait.id == id)?;
        let wait = self.waits.remove(at);
        wait.got.and_then(|raised| self.deliver(raised))
    }

    /// Whether anyone waits.
    pub(super) fn has_waits(&self) -> bool {
        !self.waits.is_empty()
    }

    /// What nobody has read, in order of arrival.
    pub(super) fn take_unread(&mut self) -> Vec<HistoryEvent> {
        let mut unread: Vec<Raised> = self.buffered.drain(..).collect();
        unread.extend(self.waits.drain(..).filter_map(|wait| wait.got));
        unread.sort_by_key(|raised| raised.number);
        unread.into_iter().map(|raised| raised.event).collect()
    }
}
