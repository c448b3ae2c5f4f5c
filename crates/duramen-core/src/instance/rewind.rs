//! Rewinding a failed instance: the history without its failures, and everything open in it opened
//! again.

use super::{Instance, task_event};
use crate::checkpoint::{Change, HistoryParts, Place, Rewind, Task};
use crate::event::{self, Kind};
use crate::ids::InstanceId;
use crate::message::{Body, RewindChild};
use crate::partition::Ledger;
use crate::planted::planted;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use duramen_proto::history_event::EventType;
use duramen_proto::{HistoryEvent, OrchestrationStatus, TaskScheduledEvent};

impl Instance {
    /// Rewinds; the caller has seen that it has failed.
    pub(crate) fn rewind(&mut self, reason: Option<String>, ledger: &mut Ledger) {
        // Later than the last episode and no later than the next: it is shown between them.
        let at = self.next_episode_time(ledger.now);
        let before = core::mem::replace(&mut self.head.execution_id, ledger.numbers.execution_id());
        self.head.rewinds.push(Rewind { at: Some(at.into()), reason: reason.clone(), before });
        self.execution_id = self.head.execution_id.as_str().into();
        let held = self.session.take();
        planted!(SessionSurvivesRewind => self.session = held);
        self.advanced = ledger.number;
        let events = self.history_without_failures();
        let encoded = events.iter().map(|event| Bytes::from(prost::Message::encode_to_vec(event)));
        self.history = encoded.collect::<Vec<_>>().into();
        self.tail.history_events = self.history.len() as u64;
        self.tail.completed = None;
        self.tail.output = None;
        self.set_status(OrchestrationStatus::Running);
        // The input's text has moved with ExecutionStarted.
        let started = events.iter().position(|event| matches!(event.event_type, Some(EventType::ExecutionStarted(_))));
        self.head.input = started.and_then(|index| {
            let (start, length) = event::locate(&self.history.whole()[index], event::Payload::Input)?;
            let part = Some(Place::History(index as u64).into());
            Some(crate::checkpoint::Text { part, start, length, run: self.head.run })
        });
        self.head.begins_run = false;
        self.write_left_behind(ledger);
        let parts = self.history.whole().iter().map(|event| Place::Here(event.clone()).into()).collect();
        ledger.write(Change::History(HistoryParts { run: self.head.run, parts, replace: true, first: 0 }));
        ledger.write(Change::Head(Box::new(self.head.clone())));
        self.reopen(&events, reason.clone(), ledger);
        self.receive(Kind::Rewound, event::rewound(ledger.now, reason), ledger);
    }

    /// The history as clients see it: with the rewinds of this run, which workers are not shown, each in front of
    /// the episode that followed it.
    pub(crate) fn shown_history(&self) -> Vec<Bytes> {
        if self.head.rewinds.is_empty() {
            return self.history.whole().to_vec();
        }
        let mut shown = Vec::with_capacity(self.history.len() + self.head.rewinds.len());
        let rewinds = self.head.rewinds.iter();
        let mut rewinds = rewinds.map(|rewind| (Time::from(rewind.at.unwrap_or_default()), &rewind.reason)).peekable();
        for event in self.history.whole() {
            let HistoryEvent { timestamp, event_type, .. } = event::decode(event);
            if let (Some(EventType::OrchestratorStarted(_)), Some(began)) = (event_type, timestamp.map(Time::from)) {
                while let Some((at, reason)) = rewinds.next_if(|(at, _)| *at <= began) {
                    // One of a generation before is older than all of this one's history.
                    if !shown.is_empty() {
                        shown.push(event::rewound(at, reason.clone()));
                    }
                }
            }
            shown.push(event.clone());
        }
        shown.extend(rewinds.map(|(at, reason)| event::rewound(at, reason.clone())));
        shown
    }

    /// The history without TaskFailed and their TaskScheduled, SubOrchestrationInstanceFailed and
    /// ExecutionCompleted, and with the new execution id.
    fn history_without_failures(&self) -> Vec<HistoryEvent> {
        let mut kept: Vec<Option<HistoryEvent>> = Vec::with_capacity(self.history.len());
        // Where the last TaskScheduled of an id stands: a retry of Python uses the id again.
        let mut scheduled: BTreeMap<i32, usize> = BTreeMap::new();
        for event in self.history.whole() {
            let mut event = event::decode(event);
            match &mut event.event_type {
                Some(EventType::TaskScheduled(_)) => {
                    scheduled.insert(event.event_id, kept.len());
                }
                Some(EventType::TaskFailed(failed)) => {
                    if let Some(index) = scheduled.remove(&failed.task_scheduled_id) {
                        kept[index] = None;
                    }
                    continue;
                }
                Some(EventType::SubOrchestrationInstanceFailed(_) | EventType::ExecutionCompleted(_)) => continue,
                Some(EventType::ExecutionStarted(started)) => {
                    started.orchestration_instance = Some(event::instance_of(&self.id, &self.head.execution_id));
                }
                _ => {}
            }
            kept.push(Some(event));
        }
        kept.into_iter().flatten().collect()
    }

    /// Opens again what the history has no result of: tasks, timers and children.
    fn reopen(&mut self, events: &[HistoryEvent], reason: Option<String>, ledger: &mut Ledger) {
        let mut tasks: Vec<(i32, (usize, &TaskScheduledEvent))> = Vec::new();
        let mut timers: Vec<(i32, duramen_proto::Timestamp)> = Vec::new();
        for (index, event) in events.iter().enumerate() {
            match &event.event_type {
                Some(EventType::TaskScheduled(scheduled)) => tasks.push((event.event_id, (index, scheduled))),
                Some(EventType::TaskCompleted(done)) => close(&mut tasks, done.task_scheduled_id),
                Some(EventType::TimerCreated(timer)) => {
                    timers.push((event.event_id, timer.fire_at.unwrap_or_default()))
                }
                Some(EventType::TimerFired(fired)) => close(&mut timers, fired.timer_id),
                _ => {}
            }
        }
        for (action, (index, scheduled)) in tasks {
            let event = self.history.whole()[index].clone();
            // One that was left behind and still runs is taken back as it is.
            let runs = self.tasks.values().any(|task| task.run == self.head.run && *task_event(task) == event);
            if !runs {
                let task = Task { event: Some(Place::Here(event).into()), ..self.new_task(action, scheduled) };
                self.open_task(task, Place::History(index as u64).into(), ledger);
            }
        }
        for (id, due) in timers {
            self.open_timer(due.into(), Some(id), ledger);
        }
        for child in self.history.open_children() {
            let again = self.start_child(child.action, &child.created, false, ledger.now);
            let id = InstanceId::new(child.created.instance_id);
            if let Some(failure) = self.refusal_of_child(&id, child.action, again.depth, ledger) {
                // It could not be made before, and cannot now.
                self.put(Kind::Result, event::child_failed(ledger.now, child.action, Some(failure)), ledger);
                continue;
            }
            let body = RewindChild { again: Some(again), reason: reason.clone() };
            ledger.send(self.slot(), id, Body::RewindChild(body));
        }
    }
}

/// Takes out the oldest entry of an id: pairs are matched in order.
fn close<T>(open: &mut Vec<(i32, T)>, id: i32) {
    if let Some(index) = open.iter().position(|(open, _)| *open == id) {
        open.remove(index);
    }
}
