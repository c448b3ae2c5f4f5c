//! What may count against an item, and when it is cleared.

use super::{Judge, State, place};
use crate::check::ensure;
use bytes::Bytes;
use duramen_core::checkpoint::{LossCause, Losses, Place, Task};
use duramen_core::partition::HeldKey;
use duramen_core::time::Time;
use duramen_proto::TaskFailureDetails;
use std::time::Duration;

/// No limit of a plan is shorter.
const SHORTEST_LIMIT: Duration = Duration::from_secs(5);

/// Whether an operator has failed it.
pub(super) fn is_poisoned(failure: &TaskFailureDetails) -> bool {
    failure.error_type == "PoisonedWorkItem"
}

impl Judge<'_> {
    /// What counts against an item only grows, by what has happened, until it is cleared.
    pub(super) fn losses(
        &mut self,
        item: &(String, HeldKey),
        (before, after): (Option<&Losses>, Option<&Losses>),
        cleared: bool,
    ) {
        let before = before.map(|losses| losses.all.as_slice()).unwrap_or_default();
        let all = after.map(|losses| losses.all.as_slice()).unwrap_or_default();
        let goes_on = all.starts_with(before);
        ensure!(goes_on || cleared, "what counts stays until it is answered", "{item:?}: {before:?} became {all:?}");
        for loss in all.iter().skip(if goes_on { before.len() } else { 0 }) {
            let (given, lost) = (loss.given.unwrap_or_default(), loss.lost.unwrap_or_default());
            let explained = match loss.cause() {
                LossCause::Disconnected => self.causes.vanished.contains(&loss.worker),
                LossCause::WrittenOff => self.causes.wrote_off.contains(&loss.worker),
                LossCause::Overdue => Time::from(lost).since(Time::from(given)) >= SHORTEST_LIMIT,
                LossCause::Unknown => false,
            };
            ensure!(explained, "a dispatch counts that was lost", "{item:?}: {loss:?}");
        }
        let held = after.is_some_and(|losses| losses.held.is_some());
        let hold_after = self.causes.hold_after;
        ensure!(
            held == (all.len() >= hold_after),
            "an item is held when so many dispatches count",
            "{item:?}: {after:?} with {hold_after}"
        );
    }
}

impl State {
    /// What counts against an item of an instance.
    pub(crate) fn losses(&self, id: &str, key: HeldKey) -> Option<&Losses> {
        let instance = self.instance(id)?;
        match key {
            HeldKey::Episode(run) if run.0 == instance.head.run => instance.tail.losses.as_ref(),
            HeldKey::Task(birth, number) if birth.0 == instance.head.birth => {
                instance.tasks.get(&number)?.losses.as_ref()
            }
            HeldKey::Episode(_) | HeldKey::Task(..) => None,
        }
    }

    /// The task of an instance with this event.
    pub(crate) fn task_of(&self, id: &str, execution: &str, event: &Bytes) -> Option<&Task> {
        let is = |task: &&Task| {
            task.execution_id == execution && matches!(place(task.event.as_ref()), Place::Here(here) if here == event)
        };
        self.instance(id)?.tasks.values().find(is)
    }

    /// Everything that is held.
    pub(crate) fn held(&self) -> Vec<(String, HeldKey)> {
        let mut all = Vec::new();
        for (birth, instance) in &self.instances {
            let is_held = |losses: Option<&Losses>| losses.is_some_and(|losses| losses.held.is_some());
            let id = || instance.head.id.clone();
            if is_held(instance.tail.losses.as_ref()) {
                all.push((id(), HeldKey::Episode(duramen_core::ids::Run(instance.head.run))));
            }
            let tasks = instance.tasks.iter().filter(|(_, task)| is_held(task.losses.as_ref()));
            all.extend(tasks.map(|(number, _)| (id(), HeldKey::Task(duramen_core::ids::Run(*birth), *number))));
        }
        all
    }
}
