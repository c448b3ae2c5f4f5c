//! Events in order, without a lock held while the listener runs.

use crate::{Event, Events, Failure};
use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Hands events to the listener of a backend, one at a time and in the order in which they were put
/// in, whatever threads put them in. A listener may be slow or may put in further events without a
/// deadlock: whoever is delivering takes them along.
#[derive(Default)]
pub struct Outlet {
    listener: OnceLock<Events>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    delivering: bool,
    failed: bool,
}

impl Outlet {
    /// Says where events go. Only the first call counts.
    pub fn listen(&self, events: Events) {
        // A second listener would be a mistake of the caller that changes nothing of the first.
        let _ = self.listener.set(events);
        self.deliver();
    }

    /// Puts events in without delivering them; `deliver` follows once the caller's locks are open.
    /// After [`Event::Failed`] every event is dropped.
    pub fn put(&self, events: impl IntoIterator<Item = Event>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            if waiting.failed {
                return;
            }
            waiting.failed = matches!(event, Event::Failed(_));
            waiting.events.push_back(event);
        }
    }

    /// Why the store failed, if nobody has heard it yet.
    pub fn failure(&self) -> Option<Failure> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting
            .events
            .iter()
            .find_map(|event| if let Event::Failed(failure) = event { Some(failure.clone()) } else { None })
    }

    /// Delivers what was put in, unless another thread (or a caller further up) is doing it.
    pub fn deliver(&self) {
        let Some(listener) = self.listener.get() else { return };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.delivering {
            return;
        }
        while !waiting.events.is_empty() {
            waiting.delivering = true;
            let events = std::mem::take(&mut waiting.events);
            drop(waiting);
            events.into_iter().for_each(|event| listener(event));
            waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.delivering = false;
        }
    }
}
