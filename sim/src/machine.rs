//! The worker's side, written anew and simply: a program run over a history.
//!
//! Events go in one at a time; actions come out. An action that the history already has is matched
//! with its event and is no new one.

use crate::program::{ChildId, Input, Step, event_name, name_of, steps};
use duramen_core::time::Time;
use duramen_proto::history_event::EventType;
use duramen_proto::orchestrator_action::OrchestratorActionType as Action;
use duramen_proto::{
    CompleteOrchestrationAction, CreateSubOrchestrationAction, CreateTimerAction, EventRaisedEvent, HistoryEvent,
    OrchestrationInstance, OrchestrationStatus, OrchestratorAction, ScheduleTaskAction, SendEventAction,
    TaskFailureDetails, TerminateOrchestrationAction,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// What the program waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    Nothing,
    /// For results of actions.
    All {
        ids: BTreeSet<i32>,
        attempts: u32,
        tolerate: bool,
        failed: Option<String>,
    },
    Event {
        name: String,
        timer: Option<i32>,
    },
}

/// What an action that is open was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Open {
    Activity,
    Child,
    Timer,
}

#[derive(Clone, Debug)]
pub(crate) struct Machine {
    id: String,
    execution: String,
    input: Option<Input>,
    steps: Vec<Step>,
    next_step: usize,
    now: Option<Time>,
    next_id: i32,
    /// Actions that the history does not have yet.
    emitted: Vec<OrchestratorAction>,
    pub(crate) open: BTreeMap<i32, (Open, u32)>,
    tries: BTreeMap<i32, u32>,
    pub(crate) waiting: Waiting,
    pub(crate) suspended: bool,
    held: VecDeque<HistoryEvent>,
    raised: VecDeque<EventRaisedEvent>,
    digest: u64,
    status: Option<String>,
    pub(crate) finished: bool,
    pub(crate) terminated: bool,
}

impl Machine {
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            execution: String::new(),
            input: None,
            steps: Vec::new(),
            next_step: 0,
            now: None,
            next_id: 0,
            emitted: Vec::new(),
            open: BTreeMap::new(),
            tries: BTreeMap::new(),
            waiting: Waiting::Nothing,
            suspended: false,
            held: VecDeque::new(),
            raised: VecDeque::new(),
            digest: 7,
            status: None,
            finished: false,
            terminated: false,
        }
    }

    /// Actions that are new; they count as known to the history from now on.
    pub(crate) fn take_new(&mut self) -> Vec<OrchestratorAction> {
        std::mem::take(&mut self.emitted)
    }

    /// Drops what leaves no trace in a history, once the past has gone in.
    pub(crate) fn past_is_over(&mut self) {
        let traceless = |action: &OrchestratorAction| {
            matches!(action.orchestrator_action_type, Some(Action::TerminateOrchestration(_)))
        };
        self.emitted.retain(|action| !traceless(action));
    }

    pub(crate) fn unmatched(&self) -> usize {
        self.emitted.len()
    }

    pub(crate) fn status(&self) -> Option<String> {
        self.status.clone()
    }

    /// Takes one event. An error says how history and program differ.
    pub(crate) fn feed(&mut self, event: &HistoryEvent) -> Result<(), String> {
        let Some(kind) = &event.event_type else { return Err("an event without a type".into()) };
        match kind {
            EventType::OrchestratorStarted(_) => {
                let now = Time::from(event.timestamp.unwrap_or_default());
                if self.now.is_some_and(|before| before >= now) {
                    return Err(format!("episode time {now:?} after {:?}", self.now));
                }
                self.now = Some(now);
                Ok(())
            }
            EventType::ExecutionSuspended(_) => {
                self.suspended = true;
                Ok(())
            }
            EventType::ExecutionResumed(_) => {
                self.suspended = false;
                while !self.suspended
                    && let Some(held) = self.held.pop_front()
                {
                    self.process(&held)?;
                }
                Ok(())
            }
            EventType::ExecutionTerminated(terminated) => {
                if !self.finished {
                    self.terminated = true;
                    self.complete(OrchestrationStatus::Terminated, terminated.input.clone(), None, Vec::new());
                }
                Ok(())
            }
            EventType::TaskScheduled(_)
            | EventType::SubOrchestrationInstanceCreated(_)
            | EventType::TimerCreated(_)
            | EventType::EventSent(_)
            | EventType::ExecutionCompleted(_) => self.meet(event.event_id, kind),
            _ if self.suspended => {
                self.held.push_back(event.clone());
                Ok(())
            }
            _ => self.process(event),
        }
    }

    /// An action's event of the past meets the action that the program asks for.
    fn meet(&mut self, id: i32, kind: &EventType) -> Result<(), String> {
        let same = |action: &OrchestratorAction| {
            action.id == id
                && match (&action.orchestrator_action_type, kind) {
                    (Some(Action::ScheduleTask(asked)), EventType::TaskScheduled(was)) => {
                        asked.name == was.name && asked.input == was.input
                    }
                    (Some(Action::CreateSubOrchestration(asked)), EventType::SubOrchestrationInstanceCreated(was)) => {
                        asked.name == was.name && (asked.instance_id.is_empty() || asked.instance_id == was.instance_id)
                    }
                    (Some(Action::CreateTimer(_)), EventType::TimerCreated(_)) => true,
                    (Some(Action::SendEvent(asked)), EventType::EventSent(was)) => {
                        asked.name == was.name
                            && asked.instance.as_ref().is_some_and(|to| to.instance_id == was.instance_id)
                    }
                    (Some(Action::CompleteOrchestration(asked)), EventType::ExecutionCompleted(was)) => {
                        asked.orchestration_status == was.orchestration_status && asked.result == was.result
                    }
                    _ => false,
                }
        };
        match self.emitted.iter().position(same) {
            Some(place) => {
                self.emitted.remove(place);
                Ok(())
            }
            None => Err(format!("history has #{id} {kind:?}, and the program asked for {:?}", self.emitted)),
        }
    }

    fn process(&mut self, event: &HistoryEvent) -> Result<(), String> {
        match event.event_type.as_ref().expect("it has a type") {
            EventType::ExecutionStarted(started) => {
                if self.input.is_some() {
                    return Err("a second ExecutionStarted".into());
                }
                let text = started.input.clone().unwrap_or_default();
                let input = Input::parse(&text).ok_or_else(|| format!("the input {text:?} is none of ours"))?;
                self.execution =
                    started.orchestration_instance.as_ref().and_then(|at| at.execution_id.clone()).unwrap_or_default();
                self.steps = steps(&input);
                self.digest = input.seed;
                self.input = Some(input);
            }
            EventType::TaskCompleted(done) => {
                self.close(done.task_scheduled_id, Open::Activity)?;
                self.mix(done.result.as_deref().unwrap_or("none"));
                self.succeeded(done.task_scheduled_id);
            }
            EventType::TaskFailed(failed) => {
                self.close(failed.task_scheduled_id, Open::Activity)?;
                self.task_failed(failed.task_scheduled_id);
            }
            EventType::SubOrchestrationInstanceCompleted(done) => {
                self.close(done.task_scheduled_id, Open::Child)?;
                self.mix(done.result.as_deref().unwrap_or("none"));
                self.succeeded(done.task_scheduled_id);
            }
            EventType::SubOrchestrationInstanceFailed(failed) => {
                self.close(failed.task_scheduled_id, Open::Child)?;
                self.failed(failed.task_scheduled_id, "a child failed");
            }
            EventType::TimerFired(fired) => {
                self.close(fired.timer_id, Open::Timer)?;
                let due = Time::from(fired.fire_at.unwrap_or_default());
                if self.now.is_none_or(|now| now < due) {
                    return Err(format!("a timer of {due:?} in an episode of {:?}", self.now));
                }
                match &self.waiting {
                    Waiting::Event { timer: Some(timer), .. } if *timer == fired.timer_id => {
                        self.waiting = Waiting::Nothing;
                    }
                    _ => self.succeeded(fired.timer_id),
                }
            }
            EventType::EventRaised(raised) => self.raised.push_back(raised.clone()),
            other => return Err(format!("no worker knows {other:?}")),
        }
        self.advance();
        Ok(())
    }

    fn close(&mut self, id: i32, kind: Open) -> Result<(), String> {
        match self.open.get_mut(&id) {
            Some((was, count)) if *was == kind && *count > 0 => {
                *count -= 1;
                if *count == 0 {
                    self.open.remove(&id);
                }
                Ok(())
            }
            was => Err(format!("a result of #{id} as {kind:?}, which is {was:?}")),
        }
    }

    fn opened(&mut self, id: i32, kind: Open) {
        self.open.entry(id).or_insert((kind, 0)).1 += 1;
    }

    fn mix(&mut self, text: &str) {
        for byte in text.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn succeeded(&mut self, id: i32) {
        if let Waiting::All { ids, tolerate, failed, .. } = &mut self.waiting
            && ids.remove(&id)
            && ids.is_empty()
        {
            let stop = failed.take().filter(|_| !*tolerate);
            self.waiting = Waiting::Nothing;
            if let Some(why) = stop {
                self.fail(&why);
            }
        }
    }

    fn task_failed(&mut self, id: i32) {
        let tried = self.tries.get(&id).copied().unwrap_or(1);
        if let Waiting::All { ids, attempts, .. } = &self.waiting
            && ids.contains(&id)
            && tried < *attempts
        {
            let again = if self.input.as_ref().is_some_and(Input::repeats_ids) { id } else { self.new_id() };
            if let Waiting::All { ids, .. } = &mut self.waiting {
                ids.remove(&id);
                ids.insert(again);
            }
            self.tries.insert(again, tried + 1);
            self.schedule(again);
            return;
        }
        self.failed(id, "an activity failed");
    }

    fn failed(&mut self, id: i32, why: &str) {
        if let Waiting::All { ids, failed, .. } = &mut self.waiting
            && ids.contains(&id)
        {
            *failed = Some(why.to_owned());
        }
        self.succeeded(id);
    }

    fn emit(&mut self, id: i32, action: Action) {
        self.emitted.push(OrchestratorAction { id, orchestrator_action_type: Some(action) });
    }

    fn new_id(&mut self) -> i32 {
        self.next_id += 1;
        self.next_id
    }

    fn schedule(&mut self, id: i32) {
        let task = ScheduleTaskAction {
            name: "Act".into(),
            input: Some(format!("{}#{id}", self.id)),
            ..ScheduleTaskAction::default()
        };
        self.opened(id, Open::Activity);
        self.emit(id, Action::ScheduleTask(task));
    }

    fn timer(&mut self, ms: u64) -> i32 {
        let id = self.new_id();
        let due = self.now.unwrap_or_default().plus(Duration::from_millis(ms));
        self.opened(id, Open::Timer);
        self.emit(id, Action::CreateTimer(CreateTimerAction { fire_at: Some(due.into()) }));
        id
    }

    fn wait_for(&mut self, ids: BTreeSet<i32>, attempts: u32, tolerate: bool) {
        self.waiting = Waiting::All { ids, attempts, tolerate, failed: None };
    }

    fn fail(&mut self, why: &str) {
        let failure = TaskFailureDetails {
            error_type: "Sim".into(),
            error_message: why.to_owned(),
            ..TaskFailureDetails::default()
        };
        self.complete(OrchestrationStatus::Failed, None, Some(failure), Vec::new());
    }

    fn complete(
        &mut self,
        status: OrchestrationStatus,
        result: Option<String>,
        failure: Option<TaskFailureDetails>,
        carryover_events: Vec<HistoryEvent>,
    ) {
        self.finished = true;
        self.waiting = Waiting::Nothing;
        let id = self.new_id();
        let completion = CompleteOrchestrationAction {
            orchestration_status: status.into(),
            result,
            failure_details: failure,
            carryover_events,
            ..CompleteOrchestrationAction::default()
        };
        self.emit(id, Action::CompleteOrchestration(completion));
    }

    fn advance(&mut self) {
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

    fn run(&mut self, step: Step, input: &Input) {
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

    fn send(&mut self, to: String, name: usize) {
        let id = self.new_id();
        let sent = SendEventAction {
            instance: Some(OrchestrationInstance { instance_id: to, execution_id: None }),
            name: event_name(name),
            data: Some(format!("s-{}-{id}", self.execution)),
        };
        self.emit(id, Action::SendEvent(sent));
    }
}
