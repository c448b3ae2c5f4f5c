//! What a client is shown of an instance.

use super::Instance;
use crate::event::{self, Kind};
use crate::partition::Ledger;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use duramen_proto::history_event::EventType;
use duramen_proto::{OrchestrationState, OrchestrationStatus, TaskFailureDetails};

impl Instance {
    /// The protocol's state, with input, output, custom status and failure. All who wait for it share it.
    pub(crate) fn state(&self) -> Arc<OrchestrationState> {
        let (output, failure_details) = self.outcome();
        Arc::new(OrchestrationState {
            instance_id: self.head.id.clone(),
            name: self.head.name.clone(),
            version: self.head.version.clone(),
            orchestration_status: self.tail.status,
            scheduled_start_timestamp: self.head.scheduled,
            created_timestamp: self.head.created,
            last_updated_timestamp: self.tail.updated,
            input: self.started_event().input,
            output,
            custom_status: self.custom_status.as_ref().and_then(|status| status.value.clone()),
            failure_details,
            execution_id: Some(self.execution_id.to_string()),
            completed_timestamp: self.tail.completed,
            parent_instance_id: self.head.parent.as_ref().map(|parent| parent.id.clone()),
            tags: self.head.tags.clone(),
        })
    }

    fn outcome(&self) -> (Option<String>, Option<TaskFailureDetails>) {
        match self.history.last().filter(|_| self.ended()).map(event::decode_type) {
            Some(EventType::ExecutionCompleted(completed)) => (completed.result, completed.failure_details),
            _ => (None, None),
        }
    }

    pub(super) fn output(&self) -> Option<String> {
        self.outcome().0
    }

    pub(super) fn failure(&self) -> Option<TaskFailureDetails> {
        self.outcome().1
    }

    /// Suspends; nothing happens to one that is suspended or has ended.
    pub(crate) fn suspend(&mut self, reason: Option<String>, ledger: &mut Ledger) {
        if self.ended() || self.tail.suspended {
            return;
        }
        self.tail.suspended = true;
        self.set_status(OrchestrationStatus::Suspended);
        ledger.moved.push(self.birth());
        self.receive(Kind::Suspended, event::suspended(ledger.now, reason), ledger);
    }

    /// Resumes; nothing happens to one that is not suspended.
    pub(crate) fn resume(&mut self, reason: Option<String>, ledger: &mut Ledger) {
        if self.ended() || !self.tail.suspended {
            return;
        }
        self.tail.suspended = false;
        self.set_status(if self.tail.begun { OrchestrationStatus::Running } else { OrchestrationStatus::Pending });
        self.receive(Kind::Resumed, event::resumed(ledger.now, reason), ledger);
    }

    /// Terminates: through the worker if one has ever run it and may be given it again, else at once.
    pub(crate) fn terminate(&mut self, output: Option<String>, recurse: bool, ledger: &mut Ledger) {
        if self.ended() {
            return;
        }
        self.tail.terminate_children |= recurse;
        if self.tail.begun && !self.is_held() {
            self.receive(Kind::Terminated, event::terminated(ledger.now, output, recurse), ledger);
            self.watch_termination(ledger);
        } else {
            self.end_by_hub(output, ledger);
        }
    }

    /// Gives the worker its time to answer a termination. The time runs anew after a restart.
    pub(crate) fn watch_termination(&mut self, ledger: &mut Ledger) {
        if self.terminating.is_none() && self.inbox.iter().any(|entry| entry.kind == Kind::Terminated) {
            let at = ledger.now.plus(crate::limits::TERMINATE_PATIENCE);
            self.terminating = Some(at);
            ledger.wakes.insert((at, crate::partition::Wake::Terminate(self.id.clone(), self.birth())));
        }
    }

    /// The worker has had its time: ends the instance if the termination still waits.
    pub(crate) fn end_if_unanswered(&mut self, ledger: &mut Ledger) {
        // An earlier termination that was answered may have left its wake.
        if self.ended() || self.terminating.is_none_or(|at| at > ledger.now) {
            return;
        }
        let asked = self.inbox.iter().rev().find(|entry| entry.kind == Kind::Terminated);
        if let Some(EventType::ExecutionTerminated(terminated)) = asked.map(|entry| event::decode_type(&entry.event)) {
            self.end_by_hub(terminated.input, ledger);
        }
    }

    /// A timer is due.
    pub(crate) fn fire(&mut self, number: u64, ledger: &mut Ledger) {
        let Some(timer) = self.timers.remove(&number) else { return };
        ledger.write(crate::checkpoint::Change::TimerClosed(timer.key.unwrap_or_default()));
        match timer.event_id {
            Some(id) => {
                let fired = event::timer_fired(ledger.now, id, timer.due.unwrap_or_default());
                self.receive(Kind::Fired, fired, ledger);
            }
            None => {
                self.change(ledger);
                self.offer_if_due(ledger);
            }
        }
    }
}
