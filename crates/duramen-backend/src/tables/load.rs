//! Reading what an owner of slots needs: whole instances, and what was under way.

use super::fold::time;
use super::{Instance, Tables};
use duramen_core::checkpoint::{Arrived, Image, Outstanding, PairMark, Sent, TaskKey};
use duramen_core::ids::{InstanceId, Slot};
use std::ops::RangeInclusive;

/// The keys that the tasks of an instance can have.
pub(super) fn tasks_of(birth: u64) -> RangeInclusive<TaskKey> {
    TaskKey { birth, number: 0 }..=TaskKey { birth, number: u64::MAX }
}

impl Tables {
    /// An instance with all that it has.
    pub fn load(&self, id: &str) -> Option<Image> {
        let birth = *self.by_id.get(id)?;
        let row = self.instances.get(&birth)?;
        let run = row.head.run;
        let of_run = (run, 0)..=(run, u64::MAX);
        let inbox = self.inbox.range(of_run.clone());
        Some(Image {
            head: row.head.clone(),
            tail: row.tail.clone(),
            custom_status: row.custom_status.clone(),
            history: self.runs.get(&run).map(|row| row.history.clone()).unwrap_or_default(),
            inbox: inbox.map(|(&(run, sequence), event)| Arrived { run, sequence, event: event.clone() }).collect(),
            tasks: self.tasks.range(tasks_of(birth)).map(|(_, task)| task.clone()).collect(),
            timers: self.timers.range(of_run).map(|(_, timer)| timer.clone()).collect(),
        })
    }

    /// What is under way in these slots. Its cost is that of all that is under way.
    pub fn outstanding(&self, slots: &[Slot]) -> Outstanding {
        let mut mine = [false; Slot::COUNT];
        slots.iter().for_each(|slot| mine[usize::from(slot.0)] = true);
        let holds = |slot: u32| mine.get(slot as usize).copied().unwrap_or(false);
        let holds_instance = |row: &&Instance| mine[usize::from(InstanceId::new(row.id.clone()).slot().0)];
        let owner = |birth: u64| self.instances.get(&birth).filter(holds_instance);

        let mut ready = Vec::new();
        let mut seen = None;
        for &(run, _) in self.inbox.keys() {
            if seen.replace(run) == Some(run) {
                continue;
            }
            let row = self.runs.get(&run).and_then(|row| owner(row.birth)).filter(|row| row.head.run == run);
            ready.extend(row.map(|row| (row.head.birth, row.head.id.clone())));
        }
        ready.sort_unstable();

        let tasks = self.tasks.iter().filter_map(|(key, task)| Some((owner(key.birth)?.head.id.clone(), task.clone())));
        let timers =
            self.timers.values().filter_map(|timer| Some((owner(timer.birth)?.head.id.clone(), timer.clone())));
        let mut timers: Vec<_> = timers.collect();
        timers.sort_by_key(|(_, timer)| (time(timer.due), timer.key.map(|key| (key.run, key.number))));

        let mark = |(&(source, target), &sequence): (&(u32, u32), &u64)| PairMark { source, target, sequence };
        let message = |(&(source, target, sequence), message): (&(u32, u32, u64), &bytes::Bytes)| Sent {
            mark: Some(PairMark { source, target, sequence }),
            message: message.clone(),
        };
        Outstanding {
            ready,
            tasks: tasks.collect(),
            timers,
            outbox: self.outbox.iter().filter(|(key, _)| holds(key.0)).map(message).collect(),
            received: self.received.iter().filter(|(pair, _)| holds(pair.1)).map(mark).collect(),
            sent: self.sent.iter().filter(|(pair, _)| holds(pair.0)).map(mark).collect(),
        }
    }
}
