//! What the store has said reaches the partitions: late, or several things at once.

use crate::hub::Report;
use crate::plan::Fault;
use crate::world::World;
use duramen_core::checkpoint::Outstanding;
use duramen_core::ids::StoreId;
use duramen_core::partition::{Config, Input, Partition};

impl World {
    pub(crate) fn report_step(&mut self) -> bool {
        let (hub, part) = self.any_part();
        if self.rng.percent(30) && self.late_report(hub, part) {
            return true;
        }
        self.next_report(hub, part)
    }

    /// Says something that was held back.
    pub(crate) fn late_report(&mut self, hub: usize, part: usize) -> bool {
        let of = &mut self.hubs[hub].parts[part];
        if !of.loaded.is_empty() {
            let at = self.rng.below(of.loaded.len());
            let (id, image) = of.loaded.remove(at);
            self.handle(hub, part, Input::Loaded(id, image));
            return true;
        }
        if let Some(position) = of.lagging.take() {
            self.handle(hub, part, Input::Settled(position));
            return true;
        }
        false
    }

    pub(crate) fn next_report(&mut self, hub: usize, part: usize) -> bool {
        let of = &mut self.hubs[hub].parts[part];
        if of.stopped {
            return false;
        }
        let Some(report) = of.reports.pop_front() else { return false };
        match report {
            Report::Acquired(outstanding, store) => self.open_part(hub, part, *outstanding, store),
            Report::Committed(mut number, mut position) => {
                // Several may come at once: the last one stands for all.
                while let Some(Report::Committed(next, at)) = of.reports.front() {
                    if !self.rng.percent(50) {
                        break;
                    }
                    (number, position) = (*next, *at);
                    of.reports.pop_front();
                }
                let mut out = Vec::new();
                let id = of.id;
                if let Some(core) = &mut of.core {
                    core.committed(number, position, &mut out);
                }
                self.hubs[hub].dispatcher.committed(id, number);
                self.route(hub, part, out);
            }
            Report::Refused => self.stop_part(hub, part),
            Report::Loaded(id, image) => self.handle(hub, part, Input::Loaded(id, image)),
            Report::Timers(due) => self.handle(hub, part, Input::Timers(due)),
            Report::Settled(position) => {
                if self.happens(Fault::SettleLag, 700) {
                    self.cover.count("fault: SettleLag");
                    self.hubs[hub].parts[part].lagging = Some(position);
                } else {
                    self.hubs[hub].parts[part].lagging = None;
                    self.handle(hub, part, Input::Settled(position));
                }
            }
        }
        true
    }

    fn open_part(&mut self, hub: usize, part: usize, outstanding: Outstanding, store: StoreId) {
        let of = &self.hubs[hub].parts[part];
        let config = Config {
            id: of.id,
            epoch: of.epoch.expect("it was acquired"),
            store,
            slots: of.slots.clone(),
            settings: self.hubs[hub].settings.clone(),
        };
        let (id, epoch) = (config.id, config.epoch);
        self.hubs[hub].dispatcher.opened(id, epoch, self.now);
        let (core, out) = Partition::open(config, outstanding, self.now);
        let of = &mut self.hubs[hub].parts[part];
        of.latest = self.now;
        of.core = Some(core);
        self.route(hub, part, out);
    }

    /// A partition that has lost its lease ends: who waits does not know the outcome.
    fn stop_part(&mut self, hub: usize, part: usize) {
        let of = &mut self.hubs[hub].parts[part];
        of.stopped = true;
        of.core = None;
        of.inputs.clear();
        if self.hubs[hub].parts.iter().all(|part| part.stopped) {
            self.end_hub(hub);
        }
    }
}
