//! Durable timers.

use super::shared::Shared;
use duramen_core::time::Time;
use duramen_proto::orchestrator_action::OrchestratorActionType;
use duramen_proto::{CreateTimerAction, Timestamp};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// When a timer fires: after a [`Duration`], or at a [`SystemTime`]. A time in the past fires at
/// once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FireAt {
    /// So long after [`super::OrchestrationContext::current_time`].
    After(Duration),
    /// At this time.
    At(SystemTime),
}

impl From<Duration> for FireAt {
    fn from(after: Duration) -> Self {
        Self::After(after)
    }
}

impl From<SystemTime> for FireAt {
    fn from(at: SystemTime) -> Self {
        Self::At(at)
    }
}

/// A timer that runs. Dropping it cancels it.
#[must_use = "a timer that is not awaited is cancelled when it is dropped"]
pub struct Timer {
    shared: Rc<Shared>,
    id: i32,
}

impl Timer {
    #[track_caller]
    pub(super) fn new(shared: &Rc<Shared>, at: FireAt) -> Self {
        shared.step("create_timer");
        let mut replay = shared.replay.borrow_mut();
        let fire_at = Some(match at {
            FireAt::After(after) => fire_at(replay.now(), after),
            FireAt::At(at) => from_system(at).into(),
        });
        let id = replay.ask(OrchestratorActionType::CreateTimer(CreateTimerAction { fire_at }));
        drop(replay);
        Self { shared: Rc::clone(shared), id }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.replay.borrow_mut().poll_task(self.id, cx.waker()).map(drop)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.shared.replay.borrow_mut().forget_task(self.id);
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("id", &self.id).finish_non_exhaustive()
    }
}

pub(super) fn fire_at(now: Time, after: Duration) -> Timestamp {
    now.plus(after).into()
}

pub(super) fn to_system(time: Time) -> SystemTime {
    let seconds = Duration::from_secs(time.seconds().unsigned_abs());
    let whole = if time.seconds() < 0 { UNIX_EPOCH.checked_sub(seconds) } else { UNIX_EPOCH.checked_add(seconds) };
    whole.and_then(|whole| whole.checked_add(Duration::from_nanos(u64::from(time.nanos())))).unwrap_or(UNIX_EPOCH)
}

fn from_system(at: SystemTime) -> Time {
    match at.duration_since(UNIX_EPOCH) {
        Ok(since) => Time::EPOCH.plus(since),
        Err(_) => Time::EPOCH,
    }
}
