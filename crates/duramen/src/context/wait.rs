//! Waiting for an external event.

use super::shared::Shared;
use super::timer::fire_at;
use crate::callee::Output;
use crate::{TaskFailed, failure};
use duramen_core::limits::check_name;
use duramen_core::replay::WaitId;
use duramen_proto::orchestrator_action::OrchestratorActionType;
use duramen_proto::{CreateTimerAction, TaskFailureDetails};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// A wait for an external event. Awaiting it gives the event's data; it fails when the data does not
/// fit, or the time given to it is over. Dropped, it leaves the event to the next who waits.
#[must_use = "nobody waits for the event unless this is awaited"]
pub struct EventWait<T> {
    shared: Rc<Shared>,
    id: WaitId,
    name: String,
    timer: Option<i32>,
    data: PhantomData<fn() -> T>,
}

impl<T> EventWait<T> {
    #[track_caller]
    pub(super) fn new(shared: &Rc<Shared>, name: &str) -> Self {
        shared.step("wait_for_event");
        let id = shared.replay.borrow_mut().wait(name);
        Self { shared: Rc::clone(shared), id, name: name.to_string(), timer: None, data: PhantomData }
    }

    /// Stops waiting after so long; [`TaskFailed::is_timeout`] says that this was why. No timer is
    /// made when the event is already there.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        let mut replay = self.shared.replay.borrow_mut();
        if !replay.is_wait_ready(self.id) {
            let fire_at = Some(fire_at(replay.now(), timeout));
            self.timer = Some(replay.ask(OrchestratorActionType::CreateTimer(CreateTimerAction { fire_at })));
        }
        drop(replay);
        self
    }

    fn failed(&self, error_type: &str, message: String, is_non_retriable: bool) -> TaskFailed {
        let details = TaskFailureDetails { is_non_retriable, ..failure::details(error_type, message) };
        TaskFailed::new(format!("waiting for event {}", self.name), details)
    }
}

impl<T: Output> Future for EventWait<T> {
    type Output = Result<T, TaskFailed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let polled = this.shared.replay.borrow_mut().poll_wait(this.id, cx.waker());
        if let Err(problem) = check_name("event", &this.name) {
            return Poll::Ready(Err(this.failed("InvalidName", problem.to_string(), true)));
        }
        if let Poll::Ready(data) = polled {
            return Poll::Ready(T::from_result(data.as_deref()).map_err(|error| {
                this.failed("InvalidInput", format!("the event's data does not fit: {error}"), true)
            }));
        }
        let Some(timer) = this.timer else { return Poll::Pending };
        let fired = this.shared.replay.borrow_mut().poll_task(timer, cx.waker());
        fired
            .map(|_| Err(this.failed(failure::TIMED_OUT, "it did not come in the time given to it".to_string(), false)))
    }
}

impl<T> Drop for EventWait<T> {
    fn drop(&mut self) {
        let mut replay = self.shared.replay.borrow_mut();
        if let Some(timer) = self.timer {
            replay.forget_task(timer);
        }
        let next = replay.forget_wait(self.id);
        drop(replay);
        if let Some(waker) = next {
            waker.wake();
        }
    }
}

impl<T> fmt::Debug for EventWait<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventWait").field("name", &self.name).finish_non_exhaustive()
    }
}
