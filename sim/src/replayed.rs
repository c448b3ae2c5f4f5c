//! The worker's side as the core has it, over the histories that the hub's side wrote: it must ask
//! for just what they hold.

use crate::check::{ensure, fail};
use crate::ending::listed;
use crate::model::{Instance, decode, kind};
use crate::program::{ChildId, Input, Step, event_name, name_of, steps};
use bytes::Bytes;
use duramen_core::replay::{Code, Completion, Outcome, Replay, WaitId, feed, finish};
use duramen_proto::history_event::EventType;
use duramen_proto::orchestrator_action::OrchestratorActionType as Action;
use duramen_proto::{
    CreateSubOrchestrationAction, CreateTimerAction, ExecutionStartedEvent, OrchestrationInstance, OrchestrationStatus,
    OrchestratorAction, ScheduleTaskAction, SendEventAction, TaskFailureDetails, TerminateOrchestrationAction,
};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::task::{Poll, Waker};
use std::time::Duration;

const TERMINATED: i32 = OrchestrationStatus::Terminated as i32;
const CHECK: &str = "the real worker's side asks for what the history holds";

/// Whether a history is one that this worker's side can have made: it gives no id twice.
pub(crate) fn is_ours(history: &[Bytes]) -> bool {
    let mut ids = BTreeSet::new();
    history.iter().map(decode).all(|event| {
        let task = matches!(event.event_type, Some(EventType::TaskScheduled(_)));
        !task || ids.insert(event.event_id)
    })
}

/// Runs an instance that has ended over its whole history.
pub(crate) fn check(instance: &Instance) {
    let (head, history) = (&instance.head, &instance.run.history);
    let Some(EventType::ExecutionCompleted(was)) = history.last().map(decode).and_then(|event| event.event_type) else {
        fail(CHECK, format!("{} has not ended", head.id))
    };
    let by_hub =
        history.last().is_some_and(|last| decode(last).event_id == -1) && was.orchestration_status == TERMINATED;
    // What the hub writes when it ends an instance by itself no worker has answered.
    let begins = |event: &Bytes| matches!(kind(event), EventType::OrchestratorStarted(_));
    let answered = if by_hub { history.iter().rposition(begins).unwrap_or_default() } else { history.len() };
    let replay = RefCell::new(Replay::new());
    let mut program = Program::new(&head.id, &replay);
    for event in &history[..answered] {
        feed(&replay, &mut program, decode(event), true);
    }
    let is_terminate = |action: &OrchestratorAction| {
        matches!(action.orchestrator_action_type, Some(Action::TerminateOrchestration(_)))
    };
    let mut actions = finish(&replay).actions;
    // Of a termination that an orchestrator asks for nothing is recorded.
    actions.retain(|action| !is_terminate(action));
    if by_hub {
        return ensure!(actions.is_empty(), CHECK, "{}: the history lacks {actions:?}\n{}", head.id, listed(history));
    }
    let last = actions.pop().and_then(|action| action.orchestrator_action_type);
    let Some(Action::CompleteOrchestration(said)) = last else {
        fail(CHECK, format!("{}: it ends with {last:?} after {actions:?}", head.id))
    };
    ensure!(actions.is_empty(), CHECK, "{}: the history lacks {actions:?}", head.id);
    let failed = |failure: &Option<TaskFailureDetails>| failure.as_ref().map(|failure| failure.error_message.clone());
    ensure!(
        said.orchestration_status == was.orchestration_status
            && said.result == was.result
            && failed(&said.failure_details) == failed(&was.failure_details),
        CHECK,
        "{}: it ends with {said:?}, and the history with {was:?}\n{}",
        head.id,
        listed(history)
    );
}

/// What the program waits for.
enum Waiting {
    Nothing,
    All { ids: BTreeSet<i32>, attempts: u32, tolerate: bool, failed: Option<String> },
    Event { wait: WaitId, timer: Option<i32> },
}

/// A random program as author code.
struct Program<'a> {
    id: String,
    replay: &'a RefCell<Replay>,
    input: Option<Input>,
    steps: std::vec::IntoIter<Step>,
    waiting: Waiting,
    /// What was asked for and has no outcome yet, and how often it was tried.
    open: BTreeMap<i32, u32>,
    children: BTreeSet<i32>,
    digest: u64,
}

impl Code for Program<'_> {
    fn start(&mut self, started: ExecutionStartedEvent) {
        let text = started.input.unwrap_or_default();
        let input = Input::parse(&text).unwrap_or_else(|| fail(CHECK, format!("the input {text:?} is none of ours")));
        self.digest = input.seed;
        self.steps = steps(&input).into_iter();
        self.input = Some(input);
        // The ids of the programs begin at 1.
        let mut replay = self.replay.borrow_mut();
        let none = replay.ask(Action::CreateTimer(CreateTimerAction::default()));
        let episode = replay.episode();
        replay.withdraw(none, episode);
    }

    fn poll(&mut self) -> Poll<Completion> {
        loop {
            if let Some(completion) = self.hear() {
                return Poll::Ready(completion);
            }
            if !matches!(self.waiting, Waiting::Nothing) {
                return Poll::Pending;
            }
            match self.steps.next() {
                None => return Poll::Ready(Completion::Completed(Some(format!("{:016x}", self.digest)))),
                Some(Step::Fail) => return Poll::Ready(failure("as the program says")),
                Some(Step::Again { .. }) => return Poll::Ready(self.again()),
                Some(step) => self.take(step),
            }
        }
    }
}

fn failure(why: &str) -> Completion {
    let details =
        TaskFailureDetails { error_type: "Sim".into(), error_message: why.into(), ..TaskFailureDetails::default() };
    Completion::Failed(Box::new(details))
}

impl<'a> Program<'a> {
    fn new(id: &str, replay: &'a RefCell<Replay>) -> Self {
        Self {
            id: id.to_owned(),
            replay,
            input: None,
            steps: Vec::new().into_iter(),
            waiting: Waiting::Nothing,
            open: BTreeMap::new(),
            children: BTreeSet::new(),
            digest: 0,
        }
    }

    fn mix(&mut self, text: &str) {
        for byte in text.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Takes what has come of what was asked for: one thing at a time, as it comes.
    fn hear(&mut self) -> Option<Completion> {
        while let Some((id, outcome)) = self.outcome() {
            let tried = self.open.remove(&id).unwrap_or_default();
            if let Some(why) = self.ended(id, tried, outcome) {
                return Some(failure(&why));
            }
        }
        if let Waiting::Event { wait, timer } = self.waiting {
            if timer.is_some_and(|timer| !self.open.contains_key(&timer)) {
                self.replay.borrow_mut().forget_wait(wait);
                self.waiting = Waiting::Nothing;
                return None;
            }
            let polled = self.replay.borrow_mut().poll_wait(wait, Waker::noop());
            if let Poll::Ready(input) = polled {
                self.mix(input.as_deref().unwrap_or("none"));
                self.waiting = Waiting::Nothing;
            }
        }
        None
    }

    fn outcome(&self) -> Option<(i32, Outcome)> {
        let mut replay = self.replay.borrow_mut();
        self.open.keys().find_map(|id| match replay.poll_task(*id, Waker::noop()) {
            Poll::Ready(outcome) => Some((*id, outcome)),
            Poll::Pending => None,
        })
    }

    /// Why the program fails, if it does.
    fn ended(&mut self, id: i32, tried: u32, outcome: Outcome) -> Option<String> {
        let child = self.children.contains(&id);
        let timer = !child && matches!(&outcome, Ok(None));
        match &outcome {
            Ok(result) if !timer => self.mix(result.as_deref().unwrap_or("none")),
            Ok(_) | Err(_) => {}
        }
        let Waiting::All { ids, attempts, tolerate, failed } = &mut self.waiting else { return None };
        if !ids.remove(&id) {
            return None;
        }
        if outcome.is_err() {
            if !child && tried < *attempts {
                let again = schedule(self.replay, &self.id);
                ids.insert(again);
                self.open.insert(again, tried + 1);
                return None;
            }
            *failed = Some(if child { "a child failed" } else { "an activity failed" }.to_owned());
        }
        if !ids.is_empty() {
            return None;
        }
        let why = failed.take().filter(|_| !*tolerate);
        self.waiting = Waiting::Nothing;
        why
    }

    fn again(&self) -> Completion {
        let input = self.input.as_ref().map(|input| Input { generation: input.generation + 1, ..input.clone() }.text());
        Completion::ContinuedAsNew { input, new_version: None }
    }

    fn ask(&mut self, action: Action) -> i32 {
        let id = self.replay.borrow_mut().ask(action);
        self.open.insert(id, 1);
        id
    }

    fn timer(&mut self, ms: u64) -> i32 {
        let due = self.replay.borrow().now().plus(Duration::from_millis(ms));
        self.ask(Action::CreateTimer(CreateTimerAction { fire_at: Some(due.into()) }))
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Activities { count, attempts, tolerate } => {
                let ids: BTreeSet<i32> = (0..count).map(|_| schedule(self.replay, &self.id)).collect();
                self.open.extend(ids.iter().map(|id| (*id, 1)));
                self.waiting = Waiting::All { ids, attempts, tolerate, failed: None };
            }
            Step::Timer { ms } => {
                let ids = [self.timer(ms)].into();
                self.waiting = Waiting::All { ids, attempts: 1, tolerate: false, failed: None };
            }
            Step::Event { name, timeout_ms } => {
                let timer = timeout_ms.map(|ms| self.timer(ms));
                let wait = self.replay.borrow_mut().wait(&event_name(name));
                self.waiting = Waiting::Event { wait, timer };
            }
            Step::Child { id, forget, tolerate } => {
                let instance_id = match id {
                    ChildId::Hub | ChildId::Derived => String::new(),
                    ChildId::Name(name) => name_of(name),
                };
                let create = CreateSubOrchestrationAction { instance_id, name: "Program".into(), ..Default::default() };
                let child = self.ask(Action::CreateSubOrchestration(create));
                self.children.insert(child);
                if !forget {
                    self.waiting = Waiting::All { ids: [child].into(), attempts: 1, tolerate, failed: None };
                }
            }
            Step::Send { to, name } => self.send(name_of(to), name),
            Step::SendSelf { name } => self.send(self.id.clone(), name),
            Step::Terminate { to, .. } if name_of(to) == self.id => {}
            Step::Terminate { to, recurse } => {
                let action = TerminateOrchestrationAction { instance_id: name_of(to), reason: None, recurse };
                self.replay.borrow_mut().tell(Action::TerminateOrchestration(action));
            }
            Step::LeaveActivity => {
                let id = schedule(self.replay, &self.id);
                self.open.insert(id, 1);
            }
            Step::LeaveTimer { ms } => {
                self.timer(ms);
            }
            Step::Status(status) => self.replay.borrow_mut().set_custom_status(Some(status)),
            Step::Fail | Step::Again { .. } => unreachable!("the caller ends with these"),
        }
    }

    fn send(&self, to: String, name: usize) {
        let instance = Some(OrchestrationInstance { instance_id: to, execution_id: None });
        let sent = SendEventAction { instance, name: event_name(name), data: None };
        self.replay.borrow_mut().tell(Action::SendEvent(sent));
    }
}

fn schedule(replay: &RefCell<Replay>, id: &str) -> i32 {
    let input = Some(id.to_owned());
    let task = ScheduleTaskAction { name: "Act".into(), input, ..ScheduleTaskAction::default() };
    replay.borrow_mut().ask(Action::ScheduleTask(task))
}
