//! What the code may wait for: activities, children and timers, with their further attempts.

use super::machine::Outcome;
use super::retry::Retry;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::task::{Poll, Waker};
use core::time::Duration;
use duramen_proto::OrchestratorAction;
use duramen_proto::orchestrator_action::OrchestratorActionType;

/// What a completion may belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Activity,
    Child,
    Timer,
}

#[derive(Debug)]
struct Task {
    kind: Kind,
    outcome: Option<Outcome>,
    waker: Option<Waker>,
    retry: Option<Box<Retrying>>,
    /// Its future was dropped; it is here only because it is tried again.
    forgotten: bool,
}

#[derive(Debug)]
struct Retrying {
    retry: Retry,
    attempts: u32,
    first_at: Time,
    /// The action as it was sent; each attempt is a copy under an id of its own.
    template: Option<OrchestratorActionType>,
}

/// An action that belongs to the attempts of an earlier one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Link {
    /// The timer between two attempts.
    Pause(i32),
    /// A further attempt.
    Attempt(i32),
}

/// What follows from the end of a task.
pub(super) enum Ended {
    /// Nobody is there for the result, or nobody has looked for it yet.
    Silent,
    Wake(Waker),
    /// The task is tried again after a pause: a timer for it, please.
    Pause(Duration, Link),
    /// The pause is over: this action again, please.
    Again(Box<OrchestratorActionType>, Link),
}

/// Tasks by the id of the action that asked for them.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    by_id: BTreeMap<i32, Task>,
    /// Tasks whose future lives and that have not ended.
    open: usize,
    links: BTreeMap<i32, Link>,
    /// Whether any task is tried again, so that those who have none pay nothing for it.
    has_retries: bool,
}

impl Tasks {
    pub(super) fn add(&mut self, id: i32, kind: Kind) {
        self.by_id.insert(id, Task { kind, outcome: None, waker: None, retry: None, forgotten: false });
        self.open += 1;
    }

    pub(super) fn link(&mut self, id: i32, link: Link) {
        self.links.insert(id, link);
    }

    /// Whether somebody waits for one of them, or may.
    pub(super) fn are_open(&self) -> bool {
        self.open > 0
    }

    pub(super) fn retry(&mut self, id: i32, retry: Retry, first_at: Time) -> bool {
        let Some(task) = self.by_id.get_mut(&id) else { return false };
        self.has_retries = true;
        task.retry = Some(Box::new(Retrying { retry, attempts: 1, first_at, template: None }));
        true
    }

    /// The outcome of a task, once. Afterwards the task is unknown.
    pub(super) fn poll(&mut self, id: i32, waker: &Waker) -> Poll<Outcome> {
        let Some(task) = self.by_id.get_mut(&id) else { return Poll::Pending };
        if task.outcome.is_none() {
            match &mut task.waker {
                Some(old) => old.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
            return Poll::Pending;
        }
        let outcome = self.by_id.remove(&id).and_then(|task| task.outcome);
        outcome.map_or(Poll::Pending, Poll::Ready)
    }

    /// The future of a task was dropped.
    pub(super) fn forget(&mut self, id: i32) {
        let Some(task) = self.by_id.get_mut(&id) else { return };
        if task.outcome.is_none() {
            self.open -= 1;
            if task.retry.is_some() {
                task.forgotten = true;
                task.waker = None;
                return;
            }
        }
        self.by_id.remove(&id);
    }

    /// Something ended. A result for which nobody is there is dropped, as is a second one.
    pub(super) fn end(&mut self, id: i32, kind: Kind, outcome: Outcome, now: Time) -> Ended {
        let owner = match (self.links.get(&id), kind) {
            (Some(&Link::Pause(owner)), Kind::Timer) => {
                self.links.remove(&id);
                let template = self.by_id.get(&owner).and_then(|task| task.retry.as_ref()?.template.clone());
                return template.map_or(Ended::Silent, |action| Ended::Again(Box::new(action), Link::Attempt(owner)));
            }
            (Some(&Link::Attempt(owner)), _) => {
                self.links.remove(&id);
                owner
            }
            _ => id,
        };
        let Some(task) = self.by_id.get_mut(&owner) else { return Ended::Silent };
        if task.kind != kind || task.outcome.is_some() {
            return Ended::Silent;
        }
        if let (Err(failure), Some(retrying)) = (&outcome, task.retry.as_mut())
            && let Some(pause) = retrying.retry.next(failure, retrying.attempts, retrying.first_at, now)
        {
            retrying.attempts += 1;
            return Ended::Pause(pause, Link::Pause(owner));
        }
        if task.forgotten {
            self.by_id.remove(&owner);
            return Ended::Silent;
        }
        task.outcome = Some(outcome);
        self.open -= 1;
        task.waker.take().map_or(Ended::Silent, Ended::Wake)
    }

    /// An action is in the history: its attempts will be copies of it.
    pub(super) fn recorded(&mut self, id: i32, action: Option<OrchestratorActionType>) {
        if let Some(retrying) = self.retrying(id) {
            retrying.template = action;
        }
    }

    /// Actions are about to leave: their attempts will be copies of them.
    pub(super) fn leaving(&mut self, actions: &[OrchestratorAction]) {
        if self.has_retries {
            for action in actions {
                if let Some(retrying) = self.retrying(action.id) {
                    retrying.template.clone_from(&action.orchestrator_action_type);
                }
            }
        }
    }

    fn retrying(&mut self, id: i32) -> Option<&mut Retrying> {
        if !self.has_retries {
            return None;
        }
        self.by_id.get_mut(&id)?.retry.as_deref_mut()
    }
}
