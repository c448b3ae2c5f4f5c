//! What the hub has given a worker and its connection has not taken.

use duramen_core::work::{WorkItem, WorkKind};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// A queue that one polls and others fill.
#[derive(Debug, Default)]
pub(super) struct Unsent(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    items: VecDeque<(Instant, WorkItem)>,
    /// The hub gives nothing more.
    ended: Option<End>,
    waker: Option<Waker>,
    /// Items that were taken out because they had waited for too long, by kind, since that was last asked.
    recalled: Vec<WorkKind>,
}

#[derive(Clone, Debug)]
enum End {
    Drained,
    /// For this reason.
    Closed(String),
}

pub(super) enum Next {
    Item(WorkItem),
    /// The worker was drained: the stream ends well.
    Drained,
    /// The hub gives nothing more, for this reason.
    Closed(String),
}

impl Unsent {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn give(&self, items: Vec<WorkItem>) {
        let now = Instant::now();
        self.change(|state| state.items.extend(items.into_iter().map(|item| (now, item))));
    }

    /// What is there already still goes out before.
    pub(super) fn close(&self, reason: &str) {
        self.change(|state| state.ended = Some(End::Closed(reason.to_owned())));
    }

    /// The same for a worker that gets nothing more and has answered everything.
    pub(super) fn drained(&self) {
        self.change(|state| state.ended = Some(End::Drained));
    }

    fn change(&self, by: impl FnOnce(&mut State)) {
        let mut state = self.state();
        by(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Next> {
        let mut state = self.state();
        if let Some((_, item)) = state.items.pop_front() {
            return Poll::Ready(Next::Item(item));
        }
        match state.ended.clone() {
            Some(End::Drained) => return Poll::Ready(Next::Drained),
            Some(End::Closed(reason)) => return Poll::Ready(Next::Closed(reason)),
            None => {}
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Takes out what has waited for longer than this.
    pub(super) fn recall(&self, after: Duration) -> Vec<WorkItem> {
        let mut guard = self.state();
        let state = &mut *guard;
        let mut overdue = Vec::new();
        while let Some((_, item)) = state.items.pop_front_if(|(since, _)| since.elapsed() > after) {
            state.recalled.push(item.work.kind());
            overdue.push(item);
        }
        overdue
    }

    /// The kinds of what was taken out since this was last called.
    pub(super) fn recalled(&self) -> Vec<WorkKind> {
        std::mem::take(&mut self.state().recalled)
    }
}
