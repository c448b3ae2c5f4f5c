//! Reading what an owner of slots needs: whole instances, and what was under way.

use super::Contents;
use super::write::time;
use crate::Damage;
use crate::buffer::tasks_of;
use crate::rows::{SharedTexts, SlotSet, TIMER_PAGE, marks};
use duramen_core::checkpoint::{
    Arrived, DueTimers, Image, Losses, Outstanding, PairMark, Part, Place, Queued, Ready, Sent, Task, Timer,
    TimerPlace, TimerWindow,
};
use duramen_core::ids::{InstanceId, Slot};

impl Contents {
    pub(super) fn load(&self, id: &str) -> Result<Option<Image>, Damage> {
        let Some(row) = self.by_id.get(id).and_then(|birth| self.instances.get(birth)) else { return Ok(None) };
        let (birth, run) = (row.head.birth, row.head.run);
        let of_run = (run, 0)..=(run, u64::MAX);
        let arrived = |(&(run, sequence), (birth, event)): (&(u64, u64), &(u64, bytes::Bytes))| {
            let (birth, event) = (*birth, event.clone());
            Arrived { birth, run, sequence, event }
        };
        Ok(Some(Image {
            head: row.head.clone(),
            tail: row.tail.clone(),
            custom_status: row.custom_status.clone(),
            history: self.histories.get(&run).cloned().unwrap_or_default(),
            inbox: self.inbox.range(of_run.clone()).map(arrived).collect(),
            tasks: self
                .tasks
                .range(tasks_of(birth))
                .map(|(_, task)| self.with_event(task))
                .collect::<Result<_, _>>()?,
            timers: self.timers.range(of_run).map(|(_, timer)| timer.clone()).collect(),
        }))
    }

    /// A task with its event, which may stand in the history of its run.
    fn with_event(&self, task: &Task) -> Result<Task, Damage> {
        let Some(Part { place: Some(Place::History(index)) }) = task.event else { return Ok(task.clone()) };
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        let event = self.histories.get(&task.run).and_then(|history| history.get(at));
        let event =
            event.ok_or(Damage::NoRow { change: "Task", what: "history event", number: index, of: task.run })?;
        Ok(Task { event: Some(Place::Here(event.clone()).into()), ..task.clone() })
    }

    /// Its cost is that of all that is under way.
    pub(super) fn outstanding(&self, slots: &[Slot]) -> Outstanding {
        let mine = SlotSet::new(slots);
        let owner = |birth: u64| self.instances.get(&birth).filter(|row| mine.holds_instance(&row.id));

        let mut births: Vec<u64> = self.inbox.iter().map(|(_, (birth, _))| *birth).collect();
        births.sort_unstable();
        births.dedup();
        let mut texts = SharedTexts::default();
        let ready = births.into_iter().filter_map(owner).map(|row| Ready {
            birth: row.head.birth,
            run: row.head.run,
            id: InstanceId::new(row.id.clone()),
            name: texts.share(&row.head.name),
            version: row.head.version.as_deref().map(|version| texts.share(version)),
            terminating: row.tail.terminating,
            held: Losses::of_held(row.tail.losses.as_ref()),
        });
        let ready = ready.collect();
        let tasks = self.tasks.iter().filter_map(|(key, task)| {
            let id = InstanceId::new(owner(key.birth)?.id.clone());
            let held = Losses::of_held(task.losses.as_ref());
            let name = texts.share(&task.name);
            let runs_as = task.runs_as.as_deref().map(|version| texts.share(version));
            Some(Queued { key: *key, id, name, runs_as, action: task.action, held })
        });
        let tasks = tasks.collect();
        let message = |(&(source, target, sequence), message): (&(u32, u32, u64), &bytes::Bytes)| Sent {
            mark: Some(PairMark { source, target, sequence }),
            message: message.clone(),
        };
        Outstanding {
            ready,
            tasks,
            outbox: self.outbox.iter().filter(|(key, _)| mine.holds(key.0)).map(message).collect(),
            received: marks(&self.received, |pair| mine.holds(pair.1)),
            sent: marks(&self.sent, |pair| mine.holds(pair.0)),
        }
    }

    /// Looks at all timers: there are few in memory, and no index.
    pub(super) fn due_timers(&self, slots: &[Slot], window: TimerWindow) -> DueTimers {
        let place = |timer: &Timer| TimerPlace { due: time(timer.due), key: timer.key.unwrap_or_default() };
        let mine = SlotSet::new(slots);
        let owner = |timer: &Timer| self.instances.get(&timer.birth).filter(|row| mine.holds_instance(&row.id));
        let mut due: Vec<_> = self.timers.values().map(|timer| (place(timer), timer)).collect();
        due.retain(|(at, _)| window.after.is_none_or(|after| *at > after));
        due.sort_by_key(|(at, _)| *at);
        let behind = due.split_off(due.partition_point(|(at, _)| at.due < window.before));
        let next = (due.len() > TIMER_PAGE).then(|| due[TIMER_PAGE - 1].0);
        due.truncate(TIMER_PAGE);
        let beyond = behind.iter().find(|(_, timer)| owner(timer).is_some()).map(|(at, _)| at.due);
        let timers = due.into_iter().filter_map(|(_, timer)| Some((owner(timer)?.head.id.clone(), timer.clone())));
        DueTimers { timers: timers.collect(), next, beyond: beyond.filter(|_| next.is_none()) }
    }
}
