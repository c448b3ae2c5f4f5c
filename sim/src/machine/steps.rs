//! What the steps of a program ask for.

use super::{Machine, Open, Waiting};
use crate::program::{ChildId, Input, Step, event_name, name_of};
use duramen_proto::history_event::EventType;
use duramen_proto::orchestrator_action::OrchestratorActionType as Action;
use duramen_proto::{
    CreateSubOrchestrationAction, CreateTimerAction, HistoryEvent, OrchestrationInstance, OrchestrationStatus,
    ScheduleTaskAction, SendEventAction, TerminateOrchestrationAction,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

impl Machine {
    pub(super) fn schedule(&mut self, id: i32) {
        let task = ScheduleTaskAction {
            name: "Act".into(),
            input: Some(format!("{}#{id}", self.id)),
            ..ScheduleTaskAction::default()
        };
        self.opened(id, Open::Activity);
        self.emit(id, Action::ScheduleTask(task));
    }

    pub(super) fn timer(&mut self, ms: u64) -> i32 {
        let id = self.new_id();
        let due = self.now.unwrap_or_default().plus(Duration::from_millis(ms));
        self.opened(id, Open::Timer);
        self.emit(id, Action::CreateTimer(CreateTimerAction { fire_at: Some(due.into()) }));
        id
    }

    pub(super) fn advance(&mut self) {
        let Some(input) = self.input.clone() else { return };
        loop {
            if let Waiting::Event { name, .. } = &self.waiting
                && let Some(place) = self.raised.iter().position(|raised| raised.name.eq_ignore_ascii_case(name))
            {
                let raised = self.raised.remove(place).expect("it was just found");
                self.mix(raised.input.as_deref().unwrap_or("none"));
                self.waiting = Waiting::Nothing;
            }
            if self.finished || self.waiting != Waiting::Nothing {
                return;
            }
            let Some(step) = self.steps.get(self.next_step).cloned() else {
                let output = format!("{:016x}", self.digest);
                return self.complete(OrchestrationStatus::Completed, Some(output), None, Vec::new());
            };
            self.next_step += 1;
            self.run(step, &input);
        }
    }

    pub(super) fn run(&mut self, step: Step, input: &Input) {
        match step {
            Step::Activities { count, attempts, tolerate } => {
                let ids: BTreeSet<i32> = (0..count).map(|_| self.new_id()).collect();
                ids.iter().for_each(|id| self.schedule(*id));
                self.wait_for(ids, attempts, tolerate);
            }
            Step::Timer { ms } => {
                let id = self.timer(ms);
                self.wait_for([id].into(), 1, false);
            }
            Step::Event { name, timeout_ms } => {
                let name = event_name(name);
                let timer = timeout_ms.map(|ms| self.timer(ms));
                self.waiting = Waiting::Event { name, timer };
            }
            Step::Child { id, forget, tolerate } => {
                let action = self.new_id();
                let instance_id = match id {
                    ChildId::Hub => String::new(),
                    ChildId::Name(name) => name_of(name),
                    ChildId::Derived => format!("{}:{action:04x}", self.id),
                };
                let child = Input {
                    mark: format!("k-{}-{action}", self.execution),
                    seed: input.child_seed(action as u64),
                    depth: input.depth - 1,
                    generation: 0,
                };
                let tags =
                    if forget { [("FireAndForget".to_owned(), "true".to_owned())].into() } else { BTreeMap::new() };
                let create = CreateSubOrchestrationAction {
                    instance_id,
                    name: "Program".into(),
                    input: Some(child.text()),
                    tags,
                    ..CreateSubOrchestrationAction::default()
                };
                self.emit(action, Action::CreateSubOrchestration(create));
                self.opened(action, Open::Child);
                if !forget {
                    self.wait_for([action].into(), 1, tolerate);
                }
            }
            Step::Send { to, name } => self.send(name_of(to), name),
            Step::SendSelf { name } => self.send(self.id.clone(), name),
            Step::Status(status) => self.status = Some(status),
            Step::Terminate { to, recurse } => {
                let to = name_of(to);
                if to != self.id {
                    let id = self.new_id();
                    let terminate = TerminateOrchestrationAction {
                        instance_id: to,
                        reason: Some(format!("t-{}-{id}", self.execution)),
                        recurse,
                    };
                    self.emit(id, Action::TerminateOrchestration(terminate));
                }
            }
            Step::LeaveActivity => {
                let id = self.new_id();
                self.schedule(id);
            }
            Step::LeaveTimer { ms } => {
                self.timer(ms);
            }
            Step::Again { carry } => {
                let raised = std::mem::take(&mut self.raised);
                let carried = raised.into_iter().filter(|_| carry).map(|raised| HistoryEvent {
                    event_id: -1,
                    timestamp: self.now.map(Into::into),
                    event_type: Some(EventType::EventRaised(raised)),
                });
                let next = Input { generation: input.generation + 1, ..input.clone() };
                let carried = carried.collect();
                self.complete(OrchestrationStatus::ContinuedAsNew, Some(next.text()), None, carried);
            }
            Step::Fail => self.fail("as the program says"),
        }
    }

    pub(super) fn send(&mut self, to: String, name: usize) {
        let id = self.new_id();
        let sent = SendEventAction {
            instance: Some(OrchestrationInstance { instance_id: to, execution_id: None }),
            name: event_name(name),
            data: Some(format!("s-{}-{id}", self.execution)),
        };
        self.emit(id, Action::SendEvent(sent));
    }
}
