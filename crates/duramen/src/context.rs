//! What an orchestrator can do.

mod call;
mod determinism;
mod join;
mod shared;
mod timer;
mod wait;

pub use call::Call;
pub use join::{All, Any};
pub use timer::{FireAt, Timer};
pub use wait::EventWait;

pub(crate) use shared::{Shared, Start};

use crate::callee::{ActivityCallee, OrchestratorCallee, Output};
use crate::{Error, json};
use call::Parts;
use duramen_core::time::Time;
use duramen_proto::orchestrator_action::OrchestratorActionType;
use duramen_proto::{CreateSubOrchestrationAction, OrchestrationInstance, ScheduleTaskAction, SendEventAction};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

/// The first argument of an orchestrator: its way to everything durable.
///
/// The code of an orchestrator runs again over its history, so it must ask for the same things in
/// the same order each time: time, randomness and ids come from here, and whatever touches the world
/// is an activity. The context is not `Send`: it cannot go into a spawned task.
///
/// ```compile_fail
/// # use duramen::prelude::*;
/// #[orchestrator]
/// async fn wrong(ctx: OrchestrationContext, _: ()) -> Result<()> {
///     tokio::spawn(async move { ctx.create_timer(std::time::Duration::from_secs(1)).await });
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct OrchestrationContext(Rc<Shared>);

impl OrchestrationContext {
    pub(crate) fn new(shared: Rc<Shared>) -> Self {
        Self(shared)
    }

    /// Calls an activity. Calling is starting: the activity runs whether or not the call is awaited.
    ///
    /// ```
    /// # use duramen::prelude::*;
    /// # #[activity]
    /// # async fn say_hello(_: ActivityContext, name: String) -> Result<String> { Ok(name) }
    /// # #[orchestrator]
    /// # async fn cities(ctx: OrchestrationContext, _: ()) -> Result<()> {
    /// let tokyo = ctx.call_activity(SayHello, "Tokyo").await?;              // by its token: typed
    /// let total: u64 = ctx.call_activity("Sum", vec![1, 2, 3]).await?;      // by name, in any language
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn call_activity<I, O: Output>(&self, callee: impl ActivityCallee<I, O>, input: I) -> Call<O> {
        let name = callee.name().to_string();
        let parts = Parts { shared: &self.0, kind: "activity", name: name.clone() };
        Call::new(parts, callee.encode(input), |input| {
            let input = Some(input);
            OrchestratorActionType::ScheduleTask(ScheduleTaskAction { name, input, ..Default::default() })
        })
    }

    /// Starts another orchestrator as a child of this one. Its failure or termination is a failure
    /// of the call.
    #[track_caller]
    pub fn call_sub_orchestrator<I, O: Output>(&self, callee: impl OrchestratorCallee<I, O>, input: I) -> Call<O> {
        let name = callee.name().to_string();
        let parts = Parts { shared: &self.0, kind: "orchestrator", name: name.clone() };
        let version = self.0.start().default_version.as_deref().map(str::to_string);
        Call::new(parts, callee.encode(input), |input| {
            let input = Some(input);
            OrchestratorActionType::CreateSubOrchestration(CreateSubOrchestrationAction {
                name,
                version,
                input,
                ..Default::default()
            })
        })
    }

    /// A durable timer, for a [`Duration`] from now or until a [`SystemTime`]. It may be years long,
    /// and costs nothing while it runs. Dropping it cancels it.
    #[track_caller]
    pub fn create_timer(&self, at: impl Into<FireAt>) -> Timer {
        Timer::new(&self.0, at.into())
    }

    /// Waits for an external event. Names are compared without case. Events that came before anyone
    /// waited are kept, and go to the first who waits.
    #[track_caller]
    pub fn wait_for_event<T: Output>(&self, name: &str) -> EventWait<T> {
        EventWait::new(&self.0, name)
    }

    /// Sends an event to another instance. One that does not exist or has ended does not get it.
    #[track_caller]
    pub fn send_event<T: Serialize + ?Sized>(&self, instance_id: &str, name: &str, data: &T) -> Result<(), Error> {
        let data = Some(json::to_text(data)?);
        self.0.step("send_event");
        let instance = Some(OrchestrationInstance { instance_id: instance_id.to_string(), execution_id: None });
        let name = name.to_string();
        self.0.replay.borrow_mut().tell(OrchestratorActionType::SendEvent(SendEventAction { instance, name, data }));
        Ok(())
    }

    /// Has the orchestrator begin anew with another input and an empty history, once this code
    /// returns; external events that were not read go along.
    ///
    /// What the code returns then does not matter, unless it is another error. Where no value is at
    /// hand, return what this gives: `Err(ctx.continue_as_new(next))?`.
    pub fn continue_as_new<T: Serialize>(&self, input: T) -> ContinuedAsNew {
        *self.0.continued.borrow_mut() = Some((json::to_text(&input), None));
        ContinuedAsNew
    }

    /// [`continue_as_new`](Self::continue_as_new), with another version of the orchestrator.
    pub fn continue_as_new_version<T: Serialize>(&self, input: T, version: &str) -> ContinuedAsNew {
        *self.0.continued.borrow_mut() = Some((json::to_text(&input), Some(version.to_string())));
        ContinuedAsNew
    }

    /// The time, the same each time the code runs over its history. It stands still within an
    /// episode.
    pub fn current_time(&self) -> SystemTime {
        timer::to_system(self.time())
    }

    fn time(&self) -> Time {
        self.0.replay.borrow().now()
    }

    /// A UUID, the same each time the code runs over its history.
    pub fn new_guid(&self) -> uuid::Uuid {
        let number = self.0.guids.replace(self.0.guids.get() + 1);
        determinism::guid(&self.0.start().instance_id, self.time(), number)
    }

    /// A random number, the same each time the code runs over its history. Not for secrets: who
    /// knows the instance's id and start can tell what comes.
    pub fn random(&self) -> u64 {
        let number = self.0.randoms.replace(self.0.randoms.get() + 1);
        let started_at = self.0.replay.borrow().started_at();
        determinism::random(&self.0.start().instance_id, started_at, number)
    }

    /// Shows a value to whoever looks at the instance. The last one of an episode counts.
    pub fn set_custom_status<T: Serialize + ?Sized>(&self, status: &T) -> Result<(), Error> {
        let status = json::to_text(status)?;
        self.0.replay.borrow_mut().set_custom_status(Some(status));
        Ok(())
    }

    /// Whether the code runs over what has happened before. It may not decide anything by this but
    /// what to log; `tracing` is silent then without being asked.
    pub fn is_replaying(&self) -> bool {
        self.0.replay.borrow().is_replaying()
    }

    /// The id of this instance.
    pub fn instance_id(&self) -> &str {
        &self.0.start().instance_id
    }

    /// The orchestrator's name, as it was started.
    pub fn name(&self) -> &str {
        &self.0.start().name
    }

    /// The version with which it was started.
    pub fn version(&self) -> Option<&str> {
        self.0.start().version.as_deref()
    }

    /// The id of the instance that called this one.
    pub fn parent_instance_id(&self) -> Option<&str> {
        self.0.start().parent_instance_id.as_deref()
    }

    /// The input, read by hand.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, Error> {
        json::from_text(self.0.start().input.as_deref())
            .map_err(|error| Error::bad_input("orchestrator", &self.0.start().name, &error))
    }

    /// Waits for all. The results come in the order of the iterator; when something failed, the
    /// error is that of the first in that order, and comes when all have ended.
    pub fn all<F, T, E>(&self, tasks: impl IntoIterator<Item = F>) -> All<F, T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        All::new(tasks)
    }

    /// Waits for the first, and gives its place in the iterator with what it gave. When several are
    /// there at once, it is the first in that order. The others are dropped, unless only lent:
    /// `ctx.any(calls.iter_mut())` leaves them for later.
    pub fn any<F: Future + Unpin>(&self, tasks: impl IntoIterator<Item = F>) -> Any<F> {
        Any::new(tasks)
    }
}

impl fmt::Debug for OrchestrationContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrchestrationContext")
            .field("instance_id", &self.0.start().instance_id)
            .field("name", &self.0.start().name)
            .finish_non_exhaustive()
    }
}

/// What [`OrchestrationContext::continue_as_new`] gives, to be returned where no value is at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the orchestrator continues as new")]
pub struct ContinuedAsNew;

/// A [`Duration`] of so many seconds.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
