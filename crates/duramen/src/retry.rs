//! When a failed task is tried again.

use crate::TaskFailed;
use crate::worker::panics::guard;
use duramen_core::replay::{Attempt, Backoff, BadBackoff, Retry, RetryHandler};
use duramen_proto::TaskFailureDetails;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

/// How often a failed task is tried again, and after which pauses. The pauses are durable timers;
/// each attempt is an action of its own in the history.
///
/// The pause after attempt n (from 0) is `first × coefficientⁿ`, at most the longest pause, without
/// jitter, as in DTFx. A failure that is non-retriable ends it.
#[derive(Clone)]
pub struct RetryPolicy {
    backoff: Backoff,
    handler: Option<Rc<Decide>>,
}

type Decide = dyn Fn(&RetryContext<'_>) -> bool;

/// What a retry handler knows.
#[derive(Debug)]
pub struct RetryContext<'a> {
    /// Why the last attempt failed.
    pub last_failure: &'a TaskFailed,
    /// How many attempts there have been.
    pub attempts: u32,
    /// Time since the first attempt began.
    pub total_time: Duration,
}

impl RetryPolicy {
    /// At most `max_attempts` in all, with pauses of `pause`.
    pub fn fixed(max_attempts: u32, pause: Duration) -> Self {
        let backoff = Backoff {
            max_attempts,
            first: pause,
            coefficient: 1.0,
            max_interval: pause.max(Duration::from_secs(3_600)),
            timeout: None,
        };
        Self { backoff, handler: None }
    }

    /// At most `max_attempts` in all; the first pause is `first`, and each is twice as long as the
    /// one before, up to an hour.
    pub fn exponential(max_attempts: u32, first: Duration) -> Self {
        let mut policy = Self::fixed(max_attempts, first);
        policy.backoff.coefficient = 2.0;
        policy
    }

    /// By what each pause is longer than the one before; at least 1.
    #[must_use]
    pub fn coefficient(mut self, coefficient: f64) -> Self {
        self.backoff.coefficient = coefficient;
        self
    }

    /// The longest pause; an hour unless set.
    #[must_use]
    pub fn max_interval(mut self, longest: Duration) -> Self {
        self.backoff.max_interval = longest;
        self
    }

    /// No attempt begins later than this after the first.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.backoff.timeout = Some(timeout);
        self
    }

    /// Has the author decide, within the limits. The decision is part of the orchestrator, so it
    /// depends on nothing but what it is given.
    #[must_use]
    pub fn when(mut self, decide: impl Fn(&RetryContext<'_>) -> bool + 'static) -> Self {
        self.handler = Some(Rc::new(decide));
        self
    }

    /// `panicked` hears of a panic in the author's decision, which ends the attempts.
    pub(crate) fn into_retry(
        self,
        task: String,
        panicked: impl Fn(Box<TaskFailureDetails>) + 'static,
    ) -> Result<Retry, BadBackoff> {
        self.backoff.check()?;
        let handler = self.handler.map(|decide| {
            Box::new(move |attempt: &Attempt<'_>| {
                let last_failure = &TaskFailed::new(task.clone(), attempt.failure.clone());
                let context = RetryContext { last_failure, attempts: attempt.attempts, total_time: attempt.elapsed };
                guard(|| decide(&context)).unwrap_or_else(|panic| {
                    panicked(panic);
                    false
                })
            }) as RetryHandler
        });
        Ok(Retry { backoff: self.backoff, handler })
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy").field("backoff", &self.backoff).field("handler", &self.handler.is_some()).finish()
    }
}
