//! When an idle loop has to look again.

use super::retain::Retain;
use super::{Driver, Phase};
use crate::clock::Clock;
use crate::hub::Shared;
use crate::pool::{Pool, Task};
use duramen_core::time::Time;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the wall clock is looked at while something is due: it can jump.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The same for what has time.
const LOOK_RARELY: Duration = Duration::from_secs(600);

impl Driver {
    /// Has the pool wake the loop in time.
    pub(super) fn set_timer(&mut self, shared: &Arc<Shared>) {
        let now = Instant::now();
        let by_clock = match &shared.options.clock {
            Clock::Wall => self.deadline().map(|due| now + due.since(shared.options.clock.now()).min(LOOK_EVERY)),
            Clock::Virtual(_) => self.nudge(now).into_iter().chain(self.is_behind().then_some(now)).min(),
        };
        let by_patience = match &self.phase {
            Phase::Draining { until, .. } => Some(*until),
            Phase::Opening { .. } | Phase::Running | Phase::Stopped(_) => None,
        };
        // Whoever moves a virtual clock wakes the loop.
        let looks = matches!((&self.phase, &shared.options.clock), (Phase::Running, Clock::Wall));
        let by_age = self.retain.as_ref().filter(|_| looks).and_then(Retain::due);
        let by_age = by_age.map(|due| now + due.since(shared.options.clock.now()).min(LOOK_RARELY));
        if let Some(at) = by_clock.into_iter().chain(by_patience).chain(by_age).min() {
            let task: Arc<dyn Task> = Arc::clone(shared) as Arc<dyn Task>;
            Pool::get().set_timer(&task, Some(at));
        }
    }

    fn deadline(&self) -> Option<Time> {
        match self.phase {
            Phase::Running | Phase::Draining { .. } => {
                let partitions = self.slices.iter().filter_map(|slice| slice.partition.deadline());
                partitions.chain(self.dispatcher.deadline()).min()
            }
            Phase::Opening { .. } | Phase::Stopped(_) => None,
        }
    }

    /// Whether something is due by now.
    fn is_behind(&self) -> bool {
        self.deadline().is_some_and(|due| due <= self.now)
    }

    /// A checkpoint that stays open for episodes does so for a moment of real time, also on a virtual
    /// clock: an episode that never returns would keep it open for ever. The clock does not move by it.
    fn nudge(&mut self, now: Instant) -> Option<Instant> {
        let due = self.slices.iter().filter_map(|slice| slice.partition.turn_deadline()).min()?;
        let at = match self.nudge {
            Some((at, known)) if known == due => at,
            _ => now + due.since(self.now),
        };
        self.nudge = Some((at, due));
        Some(at)
    }

    /// Moves a virtual clock to the earliest deadline if that is the only thing that a client can still
    /// be waiting for. Says whether it moved.
    pub(super) fn skip_time(&mut self, shared: &Shared) -> bool {
        let Clock::Virtual(clock) = &shared.options.clock else {
            return false;
        };
        if !matches!(self.phase, Phase::Running) || !self.pending.has_waits() || !self.is_quiet() {
            return false;
        }
        let Some(due) = self.slices.iter().filter_map(|slice| slice.partition.awaited()).min() else {
            return false;
        };
        clock.reach(due);
        true
    }

    /// Whether nothing is under way: with a worker, on its way to disk, or asked of the backend.
    pub(super) fn is_quiet(&self) -> bool {
        self.arrived.is_empty()
            && self.unsynced.checkpoints == 0
            && !self.pending.has_queries()
            && self.slices.iter().all(|slice| slice.mail.is_empty() && slice.partition.idle())
    }
}
