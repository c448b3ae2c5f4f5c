//! Faults of the machine and of its clock.

use crate::plan::Fault;
use crate::world::{World, tell};
use std::time::Duration;

impl World {
    pub(crate) fn fault_step(&mut self) -> bool {
        match self.rng.below(8) {
            0 => self.crash_step(),
            1 => self.takeover_step(),
            2 => self.jump(),
            3 if self.hubs.len() > 1 && self.rng.percent(30) => {
                let old = self.rng.below(self.hubs.len() - 1);
                self.end_hub(old);
                true
            }
            _ => self.worker_fault(),
        }
    }

    fn crash_step(&mut self) -> bool {
        if self.happens(Fault::ProcessCrash, 500) {
            self.cover.count("fault: ProcessCrash");
            tell!(self, "the process dies");
            self.crash(None);
        } else if self.happens(Fault::PowerLoss, 500) {
            self.cover.count("fault: PowerLoss");
            let torn = self.plan.has(Fault::TornSectors);
            if torn {
                self.cover.count("fault: TornSectors");
            }
            tell!(self, "the power goes");
            self.crash(Some(torn));
        } else {
            return false;
        }
        true
    }

    fn takeover_step(&mut self) -> bool {
        let open = self.hubs[self.owner()].is_open();
        if !open || self.hubs.len() > 2 || !self.happens(Fault::Takeover, 300) {
            return false;
        }
        self.cover.count("fault: Takeover");
        tell!(self, "another takes over");
        self.start_hub();
        true
    }

    fn jump(&mut self) -> bool {
        let by = Duration::from_millis(*self.rng.pick(&[30, 5_000, 70_000, 4_000_000]));
        if self.happens(Fault::ClockForward, 300) {
            self.cover.count("fault: ClockForward");
            tell!(self, "the clock jumps forward by {by:?}");
            self.now = self.now.plus(by);
        } else if self.happens(Fault::ClockBack, 400) {
            self.cover.count("fault: ClockBack");
            tell!(self, "the clock jumps back by {by:?}");
            let since = self.now.since(duramen_core::time::Time::EPOCH);
            self.now = duramen_core::time::Time::EPOCH.plus(since - by);
        } else {
            return false;
        }
        true
    }
}
