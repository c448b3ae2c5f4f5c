//! Trying a failed task again, after a durable timer.

use crate::time::Time;
use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;
use duramen_proto::TaskFailureDetails;

/// How long to pause before each further attempt, and when to stop. The formula is DTFx's:
/// `first × coefficientⁿ` after attempt n (from 0), at most `max_interval`, without jitter.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    /// Attempts in all, the first included.
    pub max_attempts: u32,
    /// The pause after the first attempt.
    pub first: Duration,
    /// By what each pause is longer than the one before.
    pub coefficient: f64,
    /// The longest pause.
    pub max_interval: Duration,
    /// No attempt begins later than this after the first; `None` sets no end.
    pub timeout: Option<Duration>,
}

/// Why a [`Backoff`] cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBackoff {
    /// No attempt is allowed.
    #[error("a retry policy needs at least one attempt")]
    Attempts,
    /// The first pause is zero.
    #[error("the first pause of a retry policy must be longer than zero")]
    First,
    /// Pauses would become shorter, or the coefficient is no number.
    #[error("the coefficient of a retry policy must be at least 1")]
    Coefficient,
    /// The longest pause is shorter than the first.
    #[error("the longest pause of a retry policy must be at least the first pause")]
    MaxInterval,
    /// The policy would end before its first pause.
    #[error("the time limit of a retry policy must be at least the first pause")]
    Timeout,
}

impl Backoff {
    /// Checks the values against each other (the rules are .NET's).
    pub fn check(&self) -> Result<(), BadBackoff> {
        if self.max_attempts == 0 {
            Err(BadBackoff::Attempts)
        } else if self.first.is_zero() {
            Err(BadBackoff::First)
        } else if self.coefficient.is_nan() || self.coefficient < 1.0 {
            Err(BadBackoff::Coefficient)
        } else if self.max_interval < self.first {
            Err(BadBackoff::MaxInterval)
        } else if self.timeout.is_some_and(|timeout| timeout < self.first) {
            Err(BadBackoff::Timeout)
        } else {
            Ok(())
        }
    }

    /// The pause after attempt `n`, from 0.
    pub fn pause(&self, n: u32) -> Duration {
        let limit = self.max_interval.as_secs_f64();
        let mut seconds = self.first.as_secs_f64();
        for _ in 0..n {
            // Without this a coefficient of 1 would loop once for each attempt.
            if seconds >= limit || self.coefficient == 1.0 {
                break;
            }
            seconds *= self.coefficient;
        }
        if seconds >= limit {
            self.max_interval
        } else {
            Duration::try_from_secs_f64(seconds).unwrap_or(self.max_interval)
        }
    }
}

/// What is known when an attempt has failed.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// Why it failed.
    pub failure: &'a TaskFailureDetails,
    /// How many attempts there have been, this one included.
    pub attempts: u32,
    /// Time since the first attempt began.
    pub elapsed: Duration,
}

/// Says whether to try again.
pub type RetryHandler = Box<dyn FnMut(&Attempt<'_>) -> bool>;

/// A backoff and, if wanted, the author's own decision. The decision is deterministic code.
pub struct Retry {
    /// The pauses and limits.
    pub backoff: Backoff,
    /// Asked only while the limits allow another attempt.
    pub handler: Option<RetryHandler>,
}

impl Retry {
    /// The pause before the next attempt, or `None` when there is none.
    pub(super) fn next(
        &mut self,
        failure: &TaskFailureDetails,
        attempts: u32,
        first_at: Time,
        now: Time,
    ) -> Option<Duration> {
        let elapsed = now.since(first_at);
        let over = failure.is_non_retriable
            || attempts >= self.backoff.max_attempts
            || self.backoff.timeout.is_some_and(|timeout| elapsed >= timeout);
        if over {
            return None;
        }
        let attempt = Attempt { failure, attempts, elapsed };
        let wanted = self.handler.as_mut().is_none_or(|handler| handler(&attempt));
        wanted.then(|| self.backoff.pause(attempts - 1))
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry").field("backoff", &self.backoff).field("handler", &self.handler.is_some()).finish()
    }
}
