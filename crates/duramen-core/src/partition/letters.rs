//! Applying messages from instances to instances.

use super::residence::Residence;
use super::{Ledger, Partition};
use crate::checkpoint::Parent;
use crate::event::{self, Kind};
use crate::ids::{InstanceId, Run, Slot};
use crate::instance::{Beginning, Instance};
use crate::message::{Body, Message, RewindChild, RunResult, StartChild};
use crate::partition::ledger::Letter;
use crate::planted::{self, Bug};
use alloc::format;
use duramen_proto::OrchestrationStatus;
use duramen_proto::history_event::EventType;

impl Partition {
    /// Delivers what instances have said to each other, and what that makes them say.
    pub(super) fn deliver_letters(&mut self) {
        while let Some(letter) = self.ledger.letters.pop_front() {
            self.deliver(letter);
        }
    }

    /// Delivers a message in this checkpoint if its target is here and nothing of its pair is ahead
    /// of it; else puts it behind the others of the pair.
    pub(super) fn deliver(&mut self, letter: Letter) {
        let Letter { from, to, message } = letter;
        let pair = (from, to.slot());
        let new = matches!(&message.body, Some(Body::StartChild(start)) if start.fresh);
        let reachable = new || !self.is_away(&to, &message);
        if self.owns(pair.1) && (self.outbox.is_empty(pair) || planted::has(Bug::MessageOvertakes)) && reachable {
            self.apply(message);
        } else {
            self.queue(pair, &message);
        }
    }

    /// Whether the target of a message has to be loaded before it can be applied.
    pub(super) fn is_away(&self, to: &InstanceId, message: &Message) -> bool {
        let residence = match &message.body {
            Some(Body::RewindChild(_)) => self.residence_with_history(to),
            Some(Body::StartChild(_) | Body::Result(_) | Body::Raised(_) | Body::Terminate(_) | Body::End(_))
            | None => self.residence(to),
        };
        residence == Residence::Elsewhere
    }

    /// Applies a message to its target, which is in memory or does not exist.
    pub(super) fn apply(&mut self, message: Message) {
        let Message { to, body: Some(body) } = message else { return };
        let to = InstanceId::new(to);
        match body {
            Body::StartChild(start) => self.start_child(to, start),
            Body::RewindChild(rewind) => self.rewind_child(to, rewind),
            Body::Result(RunResult { run, event }) => self.with(&to, |instance, ledger| {
                if instance.waits_for(Run(run)) {
                    instance.receive(Kind::Result, event, ledger);
                }
            }),
            Body::Raised(event) => self.with(&to, |instance, ledger| {
                if !instance.ended() {
                    instance.receive(Kind::Raised, event, ledger);
                }
            }),
            Body::Terminate(terminate) => self.with(&to, |instance, ledger| {
                instance.terminate(terminate.output, terminate.recurse, ledger);
            }),
            Body::End(end) => self.with(&to, |instance, ledger| {
                let child = instance.head.parent.as_ref().is_some_and(|parent| parent.run == end.parent_run);
                if child && !instance.ended() {
                    instance.end_with_children(end.output, ledger);
                }
            }),
        }
    }

    /// Does something with an instance, if there is one.
    pub(super) fn with(&mut self, id: &InstanceId, act: impl FnOnce(&mut Instance, &mut Ledger)) {
        if let Some(birth) = self.by_id.get(id)
            && let Some(instance) = self.instances.get_mut(birth)
        {
            act(instance, &mut self.ledger);
        }
    }

    fn start_child(&mut self, id: InstanceId, start: StartChild) {
        if let Some(birth) = self.by_id.get(&id).copied() {
            let live = self.instances.get(&birth).filter(|instance| !instance.ended());
            if let Some(live) = live {
                let status = live.status().as_str_name();
                let message = format!(
                    "sub-orchestration {id:?} cannot start: an orchestration instance already exists under its id ({status})"
                );
                return self.refuse_child(id.slot(), start.parent, message);
            }
            // A retried child has the id of the one that failed.
            self.remove(birth);
        }
        let EventType::ExecutionStarted(started) = event::decode_type(&start.started) else {
            unreachable!("a child begins with ExecutionStarted")
        };
        let beginning = Beginning { id, started, execution_id: None, parent: start.parent, depth: start.depth };
        let instance = Instance::begin(beginning, &mut self.ledger);
        self.keep(instance);
    }

    fn refuse_child(&mut self, from: Slot, parent: Option<Parent>, message: alloc::string::String) {
        let Some(parent) = parent else { return };
        let failure = event::failure("OrchestrationAlreadyExists", message);
        let event = event::child_failed(self.ledger.now, parent.task_scheduled_id, Some(failure));
        let body = Body::Result(RunResult { run: parent.run, event });
        self.ledger.send(from, InstanceId::new(parent.id), body);
    }

    /// A rewound parent has no result of this child: a missing one is made again, a failed one
    /// rewound, one that ended otherwise says its result once more, a live one just goes on.
    fn rewind_child(&mut self, id: InstanceId, rewind: RewindChild) {
        let Some(again) = rewind.again else { return };
        let Some(birth) = self.by_id.get(&id).copied() else { return self.start_child(id, again) };
        let Some(instance) = self.instances.get_mut(&birth) else { return };
        if instance.head.parent != again.parent {
            return self.start_child(id, again);
        }
        match instance.status() {
            OrchestrationStatus::Failed => {
                instance.owe_result(&mut self.ledger);
                instance.rewind(rewind.reason, &mut self.ledger);
            }
            OrchestrationStatus::Completed | OrchestrationStatus::Canceled | OrchestrationStatus::Terminated => {
                instance.repeat_result(&mut self.ledger);
            }
            OrchestrationStatus::Running
            | OrchestrationStatus::ContinuedAsNew
            | OrchestrationStatus::Pending
            | OrchestrationStatus::Suspended => instance.owe_result(&mut self.ledger),
        }
    }
}
