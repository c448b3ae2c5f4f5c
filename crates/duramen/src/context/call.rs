//! A call of an activity or of another orchestrator.

use super::shared::Shared;
use super::timer::fire_at;
use crate::callee::Output;
use crate::json::JsonError;
use crate::{RetryPolicy, TaskFailed, failure};
use duramen_core::limits::{check_instance_id, check_name};
use duramen_proto::orchestrator_action::OrchestratorActionType;
use duramen_proto::{CreateTimerAction, TaskFailureDetails};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// A task that runs, and the way to set options on it. Options count only in the episode in which
/// the call was made: set them before anything is awaited.
///
/// Awaiting it gives the result, or [`TaskFailed`]. Dropping it does not stop the task; nobody hears
/// its result then.
#[must_use = "the task runs, but nobody hears how it ends: await the call, or drop it if that is meant"]
pub struct Call<O> {
    shared: Rc<Shared>,
    state: State,
    asked_in: u64,
    kind: &'static str,
    name: String,
    timer: Option<i32>,
    output: PhantomData<fn() -> O>,
}

enum State {
    Running(i32),
    /// It could not be made, or an option could not be set.
    Failed(Box<TaskFailureDetails>),
    Done,
}

pub(super) struct Parts<'a> {
    pub(super) shared: &'a Rc<Shared>,
    pub(super) kind: &'static str,
    pub(super) name: String,
}

impl<O> Call<O> {
    #[track_caller]
    pub(super) fn new(
        parts: Parts<'_>,
        input: Result<String, JsonError>,
        action: impl FnOnce(String) -> OrchestratorActionType,
    ) -> Self {
        let Parts { shared, kind, name } = parts;
        shared.step(if kind == "activity" { "call_activity" } else { "call_sub_orchestrator" });
        let mut replay = shared.replay.borrow_mut();
        let failed = |error_type: &str, message: String| {
            let details = failure::details(error_type, message);
            State::Failed(Box::new(TaskFailureDetails { is_non_retriable: true, ..details }))
        };
        let state = match (check_name(kind, &name), input) {
            (Ok(()), Ok(input)) => State::Running(replay.ask(action(input))),
            (Err(problem), _) => failed("InvalidName", problem.to_string()),
            (_, Err(error)) => failed("InvalidInput", format!("the input for {kind} {name} cannot be sent: {error}")),
        };
        let asked_in = replay.episode();
        drop(replay);
        Self { shared: Rc::clone(shared), state, asked_in, kind, name, timer: None, output: PhantomData }
    }

    /// Tries again after a failure.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        let State::Running(id) = self.state else { return self };
        let shared = Rc::downgrade(&self.shared);
        let panicked = move |panic| {
            if let Some(shared) = shared.upgrade() {
                shared.panicked.replace(Some(panic));
            }
        };
        match policy.into_retry(self.label(id), panicked) {
            Ok(retry) => {
                let set = self.shared.replay.borrow_mut().retry(id, self.asked_in, retry);
                if !set {
                    self.too_late("retry");
                }
            }
            Err(error) => self.fail("InvalidRetryPolicy", error.to_string()),
        }
        self
    }

    /// Asks for this version of the function.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        let version = version.into();
        self.amend("version", |action| match action {
            OrchestratorActionType::ScheduleTask(task) => task.version = Some(version),
            OrchestratorActionType::CreateSubOrchestration(child) => child.version = Some(version),
            _ => {}
        });
        self
    }

    /// Gives the child this id. Retries use it again. An activity has no id: there it is an error.
    pub fn instance_id(mut self, instance_id: impl Into<String>) -> Self {
        if self.kind == "activity" {
            let problem = format!("activity {} has no instance id; only sub-orchestrators have one", self.name);
            self.fail("InvalidOption", problem);
            return self;
        }
        let instance_id = instance_id.into();
        if let Err(error) = check_instance_id(&instance_id) {
            self.fail("InvalidOption", error.to_string());
            return self;
        }
        self.amend("instance_id", |action| {
            if let OrchestratorActionType::CreateSubOrchestration(child) = action {
                child.instance_id = instance_id;
            }
        });
        self
    }

    /// Adds a tag.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let (key, value) = (key.into(), value.into());
        // The protocol allows a tag without a name.
        if let (false, Err(error)) = (key.is_empty(), check_name("tag", &key)) {
            self.fail("InvalidOption", error.to_string());
            return self;
        }
        self.amend("tag", |action| match action {
            OrchestratorActionType::ScheduleTask(task) => drop(task.tags.insert(key, value)),
            OrchestratorActionType::CreateSubOrchestration(child) => drop(child.tags.insert(key, value)),
            _ => {}
        });
        self
    }

    /// Stops waiting after so long, with all its attempts; the call then fails, and
    /// [`TaskFailed::is_timeout`] says why. The task itself goes on.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        if !matches!(self.state, State::Running(_)) {
            return self;
        }
        let shared = Rc::clone(&self.shared);
        let mut replay = shared.replay.borrow_mut();
        if replay.episode() == self.asked_in {
            let fire_at = Some(fire_at(replay.now(), timeout));
            self.timer = Some(replay.ask(OrchestratorActionType::CreateTimer(CreateTimerAction { fire_at })));
        } else {
            drop(replay);
            self.too_late("timeout");
        }
        self
    }

    fn amend(&mut self, option: &'static str, change: impl FnOnce(&mut OrchestratorActionType)) {
        let State::Running(id) = self.state else { return };
        let shared = Rc::clone(&self.shared);
        let mut replay = shared.replay.borrow_mut();
        match replay.amend(id, self.asked_in) {
            Some(action) => change(action),
            None => {
                drop(replay);
                self.too_late(option);
            }
        }
    }

    fn too_late(&mut self, option: &str) {
        let problem = format!(
            "option {option} of {} {} was set after the episode that made the call; set options before awaiting anything",
            self.kind, self.name
        );
        self.fail("InvalidOption", problem);
    }

    fn fail(&mut self, error_type: &str, message: String) {
        let mut replay = self.shared.replay.borrow_mut();
        if let State::Running(id) = self.state {
            replay.withdraw(id, self.asked_in);
        }
        if let Some(timer) = self.timer.take() {
            replay.withdraw(timer, self.asked_in);
        }
        drop(replay);
        let details = failure::details(error_type, message);
        self.state = State::Failed(Box::new(TaskFailureDetails { is_non_retriable: true, ..details }));
    }

    fn label(&self, id: i32) -> String {
        format!("{} {} (#{id})", self.kind, self.name)
    }

    fn forget(&mut self) {
        let mut replay = self.shared.replay.borrow_mut();
        if let State::Running(id) = self.state {
            replay.forget_task(id);
        }
        if let Some(timer) = self.timer.take() {
            replay.forget_task(timer);
        }
        self.state = State::Done;
    }
}

impl<O: Output> Future for Call<O> {
    type Output = Result<O, TaskFailed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let id = match &mut this.state {
            State::Running(id) => *id,
            State::Failed(details) => {
                let details = std::mem::take(&mut **details);
                this.state = State::Done;
                return Poll::Ready(Err(TaskFailed::new(format!("{} {}", this.kind, this.name), details)));
            }
            State::Done => return Poll::Pending,
        };
        let polled = this.shared.replay.borrow_mut().poll_task(id, cx.waker());
        let outcome = match polled {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => {
                let Some(timer) = this.timer else { return Poll::Pending };
                if this.shared.replay.borrow_mut().poll_task(timer, cx.waker()).is_pending() {
                    return Poll::Pending;
                }
                Err(Box::new(failure::details(
                    failure::TIMED_OUT,
                    "it took longer than the time given to it".to_string(),
                )))
            }
        };
        this.forget();
        let failed = |details| TaskFailed::new(this.label(id), details);
        Poll::Ready(match outcome {
            Ok(text) => O::from_result(text.as_deref()).map_err(|error| {
                let message = format!("the result does not fit: {error}");
                failed(TaskFailureDetails { is_non_retriable: true, ..failure::details("InvalidOutput", message) })
            }),
            Err(details) => Err(failed(*details)),
        })
    }
}

impl<O> Drop for Call<O> {
    fn drop(&mut self) {
        self.forget();
    }
}

impl<O> fmt::Debug for Call<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("kind", &self.kind).field("name", &self.name).finish_non_exhaustive()
    }
}
