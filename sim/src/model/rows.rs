//! What the backend has to give when it is asked.

use super::{State, kind};
use duramen_core::checkpoint::{Arrived, Image, Outstanding, PairMark, Queued, Ready, Sent, Timer, TimerWindow};
use duramen_core::time::Time;
use duramen_proto::history_event::EventType;

impl State {
    /// What the backend has to give for an instance.
    pub(crate) fn image(&self, id: &str) -> Option<Image> {
        let instance = self.instance(id)?;
        let run = instance.head.run;
        Some(Image {
            head: instance.head.clone(),
            tail: instance.tail.clone(),
            custom_status: instance.custom.clone(),
            history: instance.run.history.clone(),
            inbox: instance
                .run
                .inbox
                .iter()
                .map(|(sequence, event)| Arrived {
                    birth: instance.head.birth,
                    run,
                    sequence: *sequence,
                    event: event.clone(),
                })
                .collect(),
            tasks: instance.tasks.values().cloned().collect(),
            timers: instance.run.timers.values().cloned().collect(),
        })
    }

    /// What the backend has to give to an owner of these slots.
    pub(crate) fn outstanding(&self, mine: impl Fn(u32) -> bool) -> Outstanding {
        let mut outstanding = Outstanding::default();
        for (birth, instance) in &self.instances {
            let id = &instance.head.id;
            if !mine(u32::from(duramen_core::ids::InstanceId::new(id.as_str()).slot().0)) {
                continue;
            }
            if !instance.run.inbox.is_empty() {
                outstanding.ready.push(Ready {
                    birth: *birth,
                    run: instance.head.run,
                    id: id.as_str().into(),
                    name: instance.head.name.as_str().into(),
                    version: instance.head.version.as_deref().map(Into::into),
                    terminating: instance
                        .run
                        .inbox
                        .values()
                        .any(|event| matches!(kind(event), EventType::ExecutionTerminated(_))),
                    held: duramen_core::checkpoint::Losses::of_held(instance.tail.losses.as_ref()),
                });
            }
            outstanding.tasks.extend(instance.tasks.values().map(|task| Queued {
                key: task.key.unwrap_or_default(),
                id: id.as_str().into(),
                name: task.name.as_str().into(),
                runs_as: task.runs_as.as_deref().map(Into::into),
                action: task.action,
                held: duramen_core::checkpoint::Losses::of_held(task.losses.as_ref()),
            }));
        }
        let mark = |source: u32, target: u32, sequence: u64| PairMark { source, target, sequence };
        for ((source, target, sequence), message) in &self.outbox {
            if mine(*source) {
                outstanding
                    .outbox
                    .push(Sent { mark: Some(mark(*source, *target, *sequence)), message: message.clone() });
            }
        }
        for ((source, target), sequence) in &self.received {
            if mine(*target) {
                outstanding.received.push(mark(*source, *target, *sequence));
            }
        }
        for ((source, target), sequence) in &self.sent {
            if mine(*source) {
                outstanding.sent.push(mark(*source, *target, *sequence));
            }
        }
        outstanding
    }

    /// The timers that the backend has to give for a stretch in these slots.
    pub(crate) fn timers(&self, mine: impl Fn(u32) -> bool, window: TimerWindow) -> Vec<(String, Timer)> {
        let place = |timer: &Timer| (Time::from(timer.due.unwrap_or_default()), timer.key.unwrap_or_default());
        let mut timers = Vec::new();
        for instance in self.instances.values() {
            let id = &instance.head.id;
            if mine(u32::from(duramen_core::ids::InstanceId::new(id.as_str()).slot().0)) {
                timers.extend(instance.run.timers.values().map(|timer| (id.clone(), timer.clone())));
            }
        }
        let after = window.after.map(|after| (after.due, after.key));
        timers.retain(|(_, timer)| place(timer).0 < window.before && after.is_none_or(|after| place(timer) > after));
        timers.sort_by_key(|(_, timer)| place(timer));
        timers
    }
}
