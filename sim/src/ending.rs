//! The end of a run: with faults off, everything that can end does, and nothing is left behind.

use crate::check::{ensure, fail};
use crate::machine::{Machine, Open, Waiting};
use crate::model::decode;
use crate::world::{World, tell};
use crate::{replayed, wellformed};
use duramen_backend::Backend as _;
use duramen_core::ids::InstanceId;
use duramen_core::request::Request;
use duramen_core::work::WorkKind;
use std::collections::BTreeMap;
use std::time::Duration;

/// More than any run needs to come to rest.
const PATIENCE: u64 = 60_000;

impl World {
    pub(crate) fn finish(&mut self) {
        self.quiet = true;
        tell!(self, "faults end");
        while self.hubs.len() > 1 {
            self.end_hub(0);
        }
        // What was written off waits for another process.
        if self.restart_at_end {
            self.crash(None);
        }
        // Workers that hang, filter or forget make place for healthy ones.
        let workers: Vec<u64> = self.hubs[0].workers.keys().copied().collect();
        workers.into_iter().for_each(|worker| {
            self.leave_worker(0, worker);
        });
        self.join_worker();
        self.join_worker();
        self.rest();
        self.retry_all_held();
        self.check_waiting();
        self.wake_everybody();
        self.rest();
        self.retry_all_held();
        self.check_waiting();
        self.end_everybody();
        self.rest();
        for instance in self.durable.instances.values() {
            ensure!(
                instance.tail.completed.is_some(),
                "everything that can end does",
                "{} is {} with {} in its inbox, {} tasks, {} timers",
                instance.head.id,
                instance.tail.status,
                instance.run.inbox.len(),
                instance.tasks.len(),
                instance.run.timers.len()
            );
        }
        self.check_histories();
        self.check_leaks();
        let open = |instance: &crate::model::Instance| {
            instance.run.inbox.len() + instance.tasks.len() + instance.run.timers.len()
        };
        let open: usize = self.durable.instances.values().map(open).sum();
        ensure!(self.store.open_rows() == open, "nothing leaks in the tables", "{} of {open}", self.store.open_rows());
        self.store.close();
        self.compare_recovery();
    }

    /// Runs until nothing moves and nothing is due.
    pub(crate) fn rest(&mut self) {
        let mut turns = 0;
        loop {
            turns += 1;
            if turns > PATIENCE {
                fail("everything comes to rest", self.unrest());
            }
            let mut moved = false;
            for part in 0..self.hubs[0].parts.len() {
                moved |= self.next_report(0, part)
                    | self.late_report(0, part)
                    | self.next_load(0, part)
                    | self.next_input(0, part)
                    | self.tick(0, part)
                    | self.cut(0, part);
            }
            moved |= self.store_step() | self.net_step();
            moved |= self.answer_step() | self.read_lists();
            let busy: Vec<u64> =
                self.hubs[0].workers.iter().filter(|(_, worker)| !worker.items.is_empty()).map(|(id, _)| *id).collect();
            for id in busy {
                self.work(0, id);
                moved = true;
            }
            moved |= self.run_grants(0);
            if moved {
                continue;
            }
            // What is durable is settled at last, and what that sets in motion goes on.
            self.settle_step();
            if self.parts().any(|part| !part.reports.is_empty()) {
                continue;
            }
            let next = self.parts().filter_map(|part| part.core.as_ref().and_then(|core| core.deadline()));
            match next.chain(self.hubs[0].dispatcher.deadline()).min() {
                Some(at) => self.now = self.now.max(at),
                None => return,
            }
        }
    }

    fn unrest(&self) -> String {
        let part = |part: &crate::hub::Part| {
            let core = part.core.as_ref();
            format!(
                "{:?}: {} inputs, deadline {:?}, idle {:?}, {:?}",
                part.id,
                part.inputs.len(),
                core.and_then(|core| core.deadline()),
                core.map(|core| core.idle()),
                core.map(|core| core.footprint())
            )
        };
        self.parts().map(part).collect::<Vec<_>>().join("; ")
    }

    /// Whoever is live at rest waits for something that only another can give.
    fn check_waiting(&mut self) {
        for instance in self.durable.instances.values() {
            let (head, run) = (&instance.head, &instance.run);
            ensure!(
                instance.tasks.is_empty() && run.timers.is_empty(),
                "every activity is run and every timer fires",
                "{}: tasks {:?}, timers {:?}",
                head.id,
                instance.tasks.keys(),
                run.timers.keys()
            );
            if instance.tail.completed.is_some() {
                continue;
            }
            ensure!(
                instance.tail.suspended || run.inbox.is_empty(),
                "no event is left waiting",
                "{}: {:?}",
                head.id,
                run.inbox.values().map(crate::model::kind).collect::<Vec<_>>()
            );
            if instance.tail.suspended || self.causes.garbled.contains(&head.run) || !head.rewinds.is_empty() {
                continue;
            }
            let mut machine = Machine::new(&head.id);
            for event in &run.history {
                if let Err(why) = machine.feed(&decode(event)) {
                    fail("a program meets its own history", format!("{}: {why}", head.id));
                }
            }
            let waits = match &machine.waiting {
                Waiting::Event { timer: None, .. } => true,
                Waiting::All { ids, .. } => {
                    let children = children_of(&run.history);
                    ids.iter().all(|id| {
                        matches!(machine.open.get(id), Some((Open::Child, _)))
                            && children.get(id).and_then(|child| self.durable.instance(child)).is_some_and(|child| {
                                let parent = child.head.parent.as_ref();
                                child.tail.completed.is_none() && parent.is_some_and(|parent| parent.run == head.run)
                            })
                    })
                }
                Waiting::Event { timer: Some(_), .. } | Waiting::Nothing => false,
            };
            ensure!(
                waits,
                "nobody waits for what has happened",
                "{} waits for {:?} with {:?} open, and nothing of it is to come",
                head.id,
                machine.waiting,
                machine.open
            );
            self.cover.count("model: waits for another at the end");
        }
    }

    fn live(&self) -> Vec<InstanceId> {
        let live = self.durable.instances.values().filter(|instance| instance.tail.completed.is_none());
        live.map(|instance| InstanceId::new(instance.head.id.as_str())).collect()
    }

    /// Suspended instances are resumed, and half of the others hear what they wait for.
    fn wake_everybody(&mut self) {
        for id in self.live() {
            let suspended = self.durable.instance(id.as_str()).is_some_and(|instance| instance.tail.suspended);
            if suspended {
                let reason = self.ending_text(&id);
                self.send(Request::Resume { id, reason });
            } else if self.rng.percent(50) {
                for event in 0..3 {
                    let input = self.ending_text(&id);
                    let name = crate::program::event_name(event);
                    self.send(Request::Raise { id: id.clone(), name, input });
                }
            }
        }
    }

    fn ending_text(&mut self, id: &InstanceId) -> Option<String> {
        let text = format!("e{}", self.number());
        self.causes.texts.insert(text.clone(), id.to_string());
        Some(text)
    }

    fn end_everybody(&mut self) {
        for round in 0..20 {
            let live = self.live();
            if live.is_empty() {
                return;
            }
            for id in live {
                let output = self.ending_text(&id);
                self.send(Request::Terminate { id, output, recurse: round % 2 == 0 });
            }
            self.rest();
        }
    }

    fn check_histories(&mut self) {
        for instance in self.durable.instances.values() {
            let (head, run) = (&instance.head, &instance.run);
            if self.causes.garbled.contains(&head.run) {
                continue;
            }
            wellformed::check(&head.id, &run.history, !head.rewinds.is_empty());
            if !head.rewinds.is_empty() {
                continue;
            }
            if replayed::is_ours(&run.history) {
                self.cover.count("model: replayed by the real worker's side");
                replayed::check(instance);
            }
            let mut machine = Machine::new(&head.id);
            let mut by_hub = false;
            for event in &run.history {
                let event = decode(event);
                by_hub |= event.event_id == -1
                    && matches!(event.event_type, Some(duramen_proto::history_event::EventType::ExecutionCompleted(_)));
                if by_hub {
                    break;
                }
                if let Err(why) = machine.feed(&event) {
                    fail(
                        "a program meets its own history",
                        format!("{} at the end: {why}\n{}", head.id, listed(&run.history)),
                    );
                }
            }
        }
    }

    fn check_leaks(&mut self) {
        // What was settled last may still have to be said.
        self.now = self.now.plus(Duration::from_secs(3_600));
        self.rest();
        ensure!(self.lists.is_empty(), "every list is answered", "{} are not", self.lists.len());
        ensure!(self.calls.is_empty(), "every request is answered", "{:?}", self.calls.values().next());
        for part in &self.hubs[0].parts {
            let core = part.core.as_ref().expect("it is open");
            let rest = core.footprint();
            ensure!(core.idle() && rest.is_empty(), "nothing leaks in a partition", "{:?}: {rest:?}", part.id);
        }
        let hub = &self.hubs[0];
        let leases = hub.leases();
        for (id, worker) in &hub.workers {
            // Those of an earlier lease nobody will end.
            let left = worker.sessions.values().find(|(session, _)| leases.contains(&session.epoch));
            ensure!(left.is_none(), "sessions end", "worker {id}: {:?}", left.map(|(session, _)| session));
        }
        let room = hub.workers.values().fold((0, 0), |sum, worker| (sum.0 + worker.room.0, sum.1 + worker.room.1));
        let waiting = [WorkKind::Orchestrator, WorkKind::Activity].map(|kind| hub.dispatcher.waiting(kind));
        ensure!(waiting == [0, 0], "nothing leaks in the dispatcher", "{waiting:?} offers");
        ensure!(hub.dispatcher.booked() == 0, "nothing leaks in the dispatcher", "{} booked", hub.dispatcher.booked());
        let (orchestrators, activities) = hub.dispatcher.room();
        ensure!(
            (orchestrators, activities) == room,
            "no credit of a worker is lost or made",
            "{:?} of {room:?}",
            (orchestrators, activities)
        );
    }
}

pub(crate) fn listed(history: &[bytes::Bytes]) -> String {
    history.iter().map(|event| format!("    {:?}", decode(event))).collect::<Vec<_>>().join("\n")
}

fn children_of(history: &[bytes::Bytes]) -> BTreeMap<i32, String> {
    let mut children = BTreeMap::new();
    for event in history {
        let event = decode(event);
        if let Some(duramen_proto::history_event::EventType::SubOrchestrationInstanceCreated(created)) =
            event.event_type
        {
            children.insert(event.event_id, created.instance_id);
        }
    }
    children
}
