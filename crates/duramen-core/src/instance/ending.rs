//! How an instance ends: by its worker's answer, or by the hub.

use super::{Entry, Instance, offer_of, task_item};
use crate::checkpoint::{Change, HistoryParts, Part, Place, Taken, Task, TaskKey, Text, TimerKey};
use crate::dispatch::{Offer, Withdrawn};
use crate::event::{self, Kind, Payload};
use crate::ids::{InstanceId, Run};
use crate::message::{Body, End, RunResult, Terminate};
use crate::partition::{Effect, Ledger};
use crate::planted::planted;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use duramen_proto::history_event::EventType;
use duramen_proto::{
    OrchestrationStatus, SubOrchestrationInstanceCompletedEvent, SubOrchestrationInstanceCreatedEvent,
    TaskFailureDetails,
};

/// How it ended. ExecutionCompleted is the last event of the history already.
pub(super) struct Ending {
    pub(super) status: OrchestrationStatus,
    pub(super) failure: Option<TaskFailureDetails>,
    /// Without its worker's doing.
    pub(super) by_hub: bool,
}

/// A child that the history has no result of.
#[derive(Clone, Debug)]
pub(super) struct OpenChild {
    pub(super) action: i32,
    pub(super) created: SubOrchestrationInstanceCreatedEvent,
}

/// Children of a run that have no result, as far as its history has been seen. A retried child has the
/// same id as the one that failed, so pairs are matched in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Children(BTreeMap<i32, (usize, OpenChild)>);

impl Children {
    /// Looks at the next event of the history.
    pub(super) fn see(&mut self, index: usize, event: &Bytes) {
        let decoded = event::decode(event);
        match decoded.event_type {
            Some(EventType::SubOrchestrationInstanceCreated(created)) => {
                let action = decoded.event_id;
                self.0.insert(action, (index, OpenChild { action, created }));
            }
            Some(EventType::SubOrchestrationInstanceCompleted(done)) => {
                self.0.remove(&done.task_scheduled_id);
            }
            Some(EventType::SubOrchestrationInstanceFailed(failed)) => {
                self.0.remove(&failed.task_scheduled_id);
            }
            _ => {}
        }
    }

    /// In the order in which they were made.
    pub(super) fn in_order(self) -> Vec<OpenChild> {
        let mut open: Vec<(usize, OpenChild)> = self.0.into_values().collect();
        open.sort_by_key(|(index, _)| *index);
        open.into_iter().map(|(_, child)| child).collect()
    }
}

impl Instance {
    pub(super) fn end(&mut self, ending: Ending, ledger: &mut Ledger) {
        self.set_status(ending.status);
        // It goes with this end: a rewound instance is another matter.
        let recurse = core::mem::take(&mut self.tail.terminate_children);
        self.tail.suspended = false;
        self.tail.completed = Some(ledger.now.into());
        let last = self.history.len() - 1;
        let completed = self.history.last().expect("ExecutionCompleted is there");
        self.tail.output = event::locate(completed, Payload::Output).map(|(start, length)| Text {
            part: Some(Place::History(last as u64).into()),
            start,
            length,
            run: self.head.run,
        });
        self.tail.terminating = false;
        self.change(ledger);
        self.close_timers_by_name(ledger);
        self.drop_inbox(ledger);
        let held = self.session.take();
        planted!(SessionSurvivesRewind => self.session = held);
        self.terminating = None;
        self.tell_parent(&ending, ledger);
        if ending.status == OrchestrationStatus::Terminated {
            self.close_tasks(ledger);
            if recurse {
                let output = self.output();
                for child in self.history.open_children() {
                    let body = Terminate { output: output.clone(), recurse: true };
                    ledger.send(self.slot(), InstanceId::new(child.created.instance_id), Body::Terminate(body));
                }
            }
        }
        ledger.moved.push(self.birth());
        debug_assert!(ending.by_hub || self.episode.is_none(), "an answer ends the episode that it answers");
    }

    /// Ends the instance at once, without its worker: TERMINATED, with the given output. What it
    /// has not heard goes; a late answer of its worker is stale.
    pub(crate) fn end_by_hub(&mut self, output: Option<String>, ledger: &mut Ledger) {
        // The worker is still busy with it, but owes nothing any more.
        if let Some(token) = self.episode.take() {
            ledger.revoke(token);
        }
        if let Some(worker) = self.session.take() {
            ledger.out.push(Effect::EndSession(worker, self.run()));
        }
        self.fixed = None;
        ledger.forget_late(&self.item());
        if core::mem::take(&mut self.offered) {
            let (name, version) = (self.name.clone(), self.version.clone());
            ledger.out.push(Effect::Withdrawn(Withdrawn { item: self.item(), name, version }));
        }
        self.clear_losses(ledger);
        let time = self.next_episode_time(ledger.now);
        self.tail.episode_time = Some(time.into());
        let here = |event: Bytes| (event.clone(), Place::Here(event));
        let there = |entry: &Entry| (entry.event.clone(), Place::Inbox(entry.sequence));
        let started = self.inbox.iter().find(|entry| entry.kind == Kind::Started).map(there);
        let asked = self.inbox.iter().rev().find(|entry| entry.kind == Kind::Terminated).map(there);
        let recurse = self.tail.terminate_children;
        let asked = asked.unwrap_or_else(|| here(event::terminated(ledger.now, output.clone(), recurse)));
        let completed = event::execution_completed(-1, ledger.now, OrchestrationStatus::Terminated, output, None);
        let first = here(event::orchestrator_started(time));
        let events = [first].into_iter().chain(started).chain([asked, here(completed)]);
        self.append_history(events.collect(), ledger);
        self.end(Ending { status: OrchestrationStatus::Terminated, failure: None, by_hub: true }, ledger);
    }

    fn append_history(&mut self, events: Vec<(Bytes, Place)>, ledger: &mut Ledger) {
        let first = self.history.len() as u64;
        let mut parts: Vec<Part> = Vec::with_capacity(events.len());
        for (event, place) in events {
            self.history.push(event);
            parts.push(place.into());
        }
        self.tail.history_events = self.history.len() as u64;
        ledger.write(Change::History(HistoryParts { run: self.head.run, parts, replace: false, first }));
    }

    /// Ends the instance because another takes its id: its children end too, before whatever the
    /// new run sends them.
    pub(crate) fn end_replaced(&mut self, ledger: &mut Ledger) {
        let reason = Some(String::from("replaced by a new instance under the same id"));
        self.end_with_children(reason, ledger);
    }

    /// Ends at once, and so on down.
    pub(crate) fn end_with_children(&mut self, output: Option<String>, ledger: &mut Ledger) {
        let children = self.history.open_children();
        self.tail.terminate_children = false;
        self.end_by_hub(output.clone(), ledger);
        for child in children {
            let body = End { output: output.clone(), parent_run: self.head.run };
            ledger.send(self.slot(), InstanceId::new(child.created.instance_id), Body::End(body));
        }
    }

    /// Sends the result to whoever waits for it.
    fn tell_parent(&mut self, ending: &Ending, ledger: &mut Ledger) {
        if core::mem::replace(&mut self.tail.parent_told, true) {
            return;
        }
        planted!(ParentNotTold => if ending.status == OrchestrationStatus::Terminated { return });
        let Some(parent) = &self.head.parent else { return };
        let id = parent.task_scheduled_id;
        let event = if ending.status == OrchestrationStatus::Completed {
            let completed = SubOrchestrationInstanceCompletedEvent { task_scheduled_id: id, result: self.output() };
            event::inbound(ledger.now, EventType::SubOrchestrationInstanceCompleted(completed))
        } else {
            let failure = ending.failure.clone().unwrap_or_else(|| {
                let why = self.output().unwrap_or_default();
                let message = alloc::format!("sub-orchestration {:?} was terminated: {why}", self.head.id);
                event::failure("OrchestrationTerminated", message)
            });
            event::child_failed(ledger.now, id, Some(failure))
        };
        let body = RunResult { run: parent.run, event };
        ledger.send(self.slot(), InstanceId::new(parent.id.as_str()), Body::Result(body));
    }

    /// Sends the result once more, to a parent that was rewound and has lost it.
    pub(crate) fn repeat_result(&mut self, ledger: &mut Ledger) {
        self.owe_result(ledger);
        let failure = self.failure();
        self.tell_parent(&Ending { status: self.status(), failure, by_hub: true }, ledger);
    }

    /// The parent has lost what it knew of this child, if it knew anything.
    pub(crate) fn owe_result(&mut self, ledger: &mut Ledger) {
        if core::mem::take(&mut self.tail.parent_told) {
            ledger.touch(self);
        }
    }

    /// Closes the timers without a change: the change that closes the run covers them.
    pub(super) fn close_timers(&mut self, ledger: &mut Ledger) {
        for timer in core::mem::take(&mut self.timers).values() {
            ledger.close_timer(timer);
        }
    }

    fn close_timers_by_name(&mut self, ledger: &mut Ledger) {
        for number in self.timers.keys() {
            ledger.write(Change::TimerClosed(TimerKey { run: self.head.run, number: *number }));
        }
        self.close_timers(ledger);
    }

    fn drop_inbox(&mut self, ledger: &mut Ledger) {
        if !self.inbox.is_empty() {
            let sequences = self.inbox.drain(..).map(|entry| entry.sequence).collect();
            ledger.write(Change::Taken(Taken { run: self.head.run, sequences }));
        }
    }

    /// Closes every task: queued ones do not start, running ones become stale.
    fn close_tasks(&mut self, ledger: &mut Ledger) {
        for (number, task) in core::mem::take(&mut self.tasks) {
            ledger.write(Change::TaskClosed(TaskKey { birth: self.head.birth, number }));
            self.recall_task(&task, ledger);
        }
    }

    fn recall_task(&self, task: &Task, ledger: &mut Ledger) {
        planted!(ReplacedActivityAnswers => return);
        let key = (self.birth(), task.key.unwrap_or_default().number);
        let item = task_item(self.id.clone(), task);
        ledger.forget_late(&item);
        ledger.let_loose(&item);
        ledger.returns.remove(&key);
        if let Some(token) = ledger.running.get(&key).copied()
            && let Some(out) = ledger.recall(token)
        {
            return ledger.out.push(Effect::Freed(out.worker, out.item.kind()));
        }
        let Offer { item, name, version, .. } = offer_of(self.id.clone(), task, 0);
        // Its offer may wait for a checkpoint itself.
        ledger.hold(Effect::Withdrawn(Withdrawn { item, name, version }));
    }

    /// Forgets all that the partition's indexes have of it, before it is purged.
    pub(crate) fn forget(&mut self, ledger: &mut Ledger) {
        self.close_timers(ledger);
        for task in core::mem::take(&mut self.tasks).into_values() {
            self.recall_task(&task, ledger);
        }
        ledger.write(Change::Purged(crate::checkpoint::Purged { birth: self.head.birth, run: self.head.run }));
    }

    /// Whether the run is the one that a result is for.
    pub(crate) fn waits_for(&self, run: Run) -> bool {
        !self.ended() && self.run() == run
    }
}
