//! Author code for tests: an async block over the least of a context.

use crate::history::History;
use crate::replay::{Backoff, Code, Completion, End, Outcome, Replay, Retry, WaitId, feed, finish, kind_of_action};
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use duramen_proto::orchestrator_action::OrchestratorActionType;
use duramen_proto::*;

#[derive(Clone, Default)]
pub(super) struct Ctx(pub(super) Rc<RefCell<Replay>>);

impl Ctx {
    pub(super) fn start(&self, name: &str) -> i32 {
        let task = ScheduleTaskAction { name: name.to_string(), ..Default::default() };
        self.0.borrow_mut().ask(OrchestratorActionType::ScheduleTask(task))
    }

    pub(super) fn start_child(&self, name: &str, instance_id: &str) -> i32 {
        let (name, instance_id) = (name.to_string(), instance_id.to_string());
        let child = CreateSubOrchestrationAction { name, instance_id, ..Default::default() };
        self.0.borrow_mut().ask(OrchestratorActionType::CreateSubOrchestration(child))
    }

    pub(super) fn start_timer(&self, seconds: u64) -> i32 {
        let mut replay = self.0.borrow_mut();
        let fire_at = Some(replay.now().plus(Duration::from_secs(seconds)).into());
        replay.ask(OrchestratorActionType::CreateTimer(CreateTimerAction { fire_at }))
    }

    pub(super) fn send(&self, name: &str) {
        let sent = SendEventAction { name: name.to_string(), ..Default::default() };
        self.0.borrow_mut().tell(OrchestratorActionType::SendEvent(sent));
    }

    pub(super) fn retry(&self, id: i32, backoff: Backoff) -> bool {
        let mut replay = self.0.borrow_mut();
        let episode = replay.episode();
        replay.retry(id, episode, Retry { backoff, handler: None })
    }

    pub(super) fn task(&self, id: i32) -> impl Future<Output = Outcome> {
        let replay = Rc::clone(&self.0);
        poll_fn(move |context| replay.borrow_mut().poll_task(id, context.waker()))
    }

    pub(super) async fn call(&self, name: &str) -> String {
        shown(self.task(self.start(name)).await)
    }

    pub(super) fn wait(&self, name: &str) -> WaitId {
        self.0.borrow_mut().wait(name)
    }

    pub(super) fn event(&self, id: WaitId) -> impl Future<Output = String> {
        let replay = Rc::clone(&self.0);
        poll_fn(move |context| replay.borrow_mut().poll_wait(id, context.waker()).map(Option::unwrap_or_default))
    }
}

/// A result, or `!` and the failure's message.
pub(super) fn shown(outcome: Outcome) -> String {
    match outcome {
        Ok(result) => result.unwrap_or_default(),
        Err(failure) => format!("!{}", failure.error_message),
    }
}

type Body = Pin<Box<dyn Future<Output = Completion>>>;

/// A session: code and what it has been fed.
pub(super) struct Script {
    pub(super) ctx: Ctx,
    begin: Option<Box<dyn FnOnce(Ctx) -> Body>>,
    body: Option<Body>,
    pub(super) polls: usize,
}

impl Script {
    /// Code that completes with a text.
    pub(super) fn new<F: Future<Output = String> + 'static>(code: impl FnOnce(Ctx) -> F + 'static) -> Self {
        Self::ending(move |ctx| async move { Completion::Completed(Some(code(ctx).await)) })
    }

    pub(super) fn ending<F: Future<Output = Completion> + 'static>(code: impl FnOnce(Ctx) -> F + 'static) -> Self {
        let begin = Box::new(move |ctx| Box::pin(code(ctx)) as Body);
        Self { ctx: Ctx::default(), begin: Some(begin), body: None, polls: 0 }
    }

    /// One episode. Gives the actions, a line each.
    pub(super) fn episode(&mut self, past: &str, new: &str) -> String {
        shown_actions(&self.end(past, new))
    }

    pub(super) fn end(&mut self, past: &str, new: &str) -> End {
        let replay = Rc::clone(&self.ctx.0);
        for (text, replaying) in [(past, true), (new, false)] {
            for event in History::from_text(text).expect("the test's history parses").events {
                feed(&replay, self, event, replaying);
            }
        }
        finish(&replay)
    }
}

impl Code for Script {
    fn start(&mut self, _: ExecutionStartedEvent) {
        let begin = self.begin.take().expect("started once");
        self.body = Some(begin(self.ctx.clone()));
    }

    fn poll(&mut self) -> Poll<Completion> {
        let Some(body) = &mut self.body else { return Poll::Pending };
        self.polls += 1;
        let polled = body.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if polled.is_ready() {
            self.body = None;
        }
        polled
    }
}

pub(super) fn shown_actions(end: &End) -> String {
    let lines: Vec<String> = end
        .actions
        .iter()
        .map(|action| {
            let kind = action.orchestrator_action_type.as_ref().expect("an action has a type");
            let what = match kind {
                OrchestratorActionType::CompleteOrchestration(done) => shown_completion(done),
                OrchestratorActionType::CreateTimer(timer) => {
                    format!("CreateTimer at {}", timer.fire_at.expect("a time").seconds)
                }
                kind => kind_of_action(kind),
            };
            format!("#{} {what}", action.id)
        })
        .collect();
    lines.join("\n")
}

fn shown_completion(done: &CompleteOrchestrationAction) -> String {
    let status = OrchestrationStatus::try_from(done.orchestration_status).expect("a status").as_str_name();
    let failure = done.failure_details.as_ref().map(|failure| failure.error_message.as_str());
    let carried: String = done
        .carryover_events
        .iter()
        .map(|event| match &event.event_type {
            Some(history_event::EventType::EventRaised(raised)) => format!(" +{}", raised.name),
            other => format!(" +{other:?}"),
        })
        .collect();
    let result = done.result.as_deref().or(failure).unwrap_or_default();
    format!("{} {result}{carried}", status.trim_start_matches("ORCHESTRATION_STATUS_"))
}

/// The first two events of every execution, at 1970-01-01T00:00:00.
pub(super) const START: &str = "#-1 1970-01-01T00:00:00Z OrchestratorStarted\n#0 - ExecutionStarted(Test)\n";

/// An episode with these events, so many seconds after 1970 began.
pub(super) fn at(second: u32, events: &str) -> String {
    let mut text = format!("#-1 1970-01-01T00:{:02}:{:02}Z OrchestratorStarted\n", second / 60, second % 60);
    for event in events.lines() {
        text.push_str(&format!("#-1 - {}\n", event.trim()));
    }
    text
}

/// Events that record actions.
pub(super) fn recorded(actions: &[(i32, &str)]) -> String {
    actions.iter().map(|(id, event)| format!("#{id} - {event}\n")).collect()
}
