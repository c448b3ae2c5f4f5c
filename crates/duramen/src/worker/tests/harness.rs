//! The smallest hub: one instance, its history, and a worker.

use crate::App;
use crate::worker::{Link, Worker, WorkerOptions};
use bytes::Bytes;
use duramen_core::ids::{Epoch, Run, Token};
use duramen_core::work::{ActivityWork, Answer, OrchestratorWork, Session, Work, WorkItem};
use duramen_proto::history_event::EventType;
use duramen_proto::orchestrator_action::OrchestratorActionType;
use duramen_proto::*;
use prost::Message;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Long enough that only a hang reaches it.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Hub {
    pub(super) link: Link,
    answers: Receiver<Answer>,
    tokens: u64,
    worker: Worker,
    runtime: Runtime,
}

/// One execution, as a hub keeps it.
pub(super) struct Instance {
    pub(super) id: &'static str,
    pub(super) name: String,
    pub(super) session: Session,
    pub(super) history: Vec<HistoryEvent>,
    pub(super) inbox: Vec<EventType>,
    /// Seconds since 1970 of the next episode.
    pub(super) now: i64,
    /// Whether the worker is trusted to hold the session.
    pub(super) warm: bool,
    pub(super) open: BTreeMap<i32, OrchestratorActionType>,
    pub(super) custom_status: Option<String>,
    pub(super) completion: Option<CompleteOrchestrationAction>,
}

impl Hub {
    pub(super) fn new(app: App) -> Self {
        Self::with(app, |_| {})
    }

    pub(super) fn with(app: App, change: impl FnOnce(&mut WorkerOptions)) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        let mut options = WorkerOptions { threads: 1, stuck_after: Duration::ZERO, ..Default::default() };
        change(&mut options);
        let worker = Worker::start(app, options, runtime.handle().clone());
        let (send, answers) = channel();
        worker.attach(move |batch| batch.into_iter().for_each(|answer| send.send(answer).unwrap()));
        Self { link: worker.link(), answers, tokens: 0, worker, runtime }
    }

    pub(super) fn token(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    pub(super) fn answer(&self) -> Answer {
        self.answers.recv_timeout(PATIENCE).expect("an answer")
    }

    /// Hands out an episode, and gives the answer without applying it.
    pub(super) fn ask(&mut self, item: OrchestratorWork) -> OrchestratorResponse {
        let token = self.token();
        self.link.deliver(vec![WorkItem { token, work: Work::Orchestrator(item) }]);
        match self.answer() {
            Answer::Orchestrator(answered, response) if answered == token => response,
            other => panic!("{other:?}"),
        }
    }

    /// Hands out an activity.
    pub(super) fn begin_activity(&mut self, id: i32, task: ScheduleTaskAction) {
        let token = self.token();
        let ScheduleTaskAction { name, version, input, tags, .. } = task;
        let scheduled =
            EventType::TaskScheduled(TaskScheduledEvent { name, version, input, tags, ..Default::default() });
        let work = ActivityWork {
            instance: "i".into(),
            execution_id: "e".into(),
            orchestration_version: None,
            scheduled: Bytes::from(event(id, 0, scheduled).encode_to_vec()),
        };
        self.link.deliver(vec![WorkItem { token, work: Work::Activity(work) }]);
    }

    /// Runs an activity.
    pub(super) fn run_activity(&mut self, id: i32, task: ScheduleTaskAction) -> EventType {
        self.begin_activity(id, task);
        match self.answer() {
            Answer::Activity(_, ActivityResponse { result, failure_details: None, .. }) => {
                EventType::TaskCompleted(TaskCompletedEvent { task_scheduled_id: id, result })
            }
            Answer::Activity(_, ActivityResponse { failure_details, .. }) => {
                EventType::TaskFailed(TaskFailedEvent { task_scheduled_id: id, failure_details })
            }
            other => panic!("{other:?}"),
        }
    }

    /// One episode with what is in the inbox.
    pub(super) fn episode(&mut self, instance: &mut Instance) -> Vec<OrchestratorAction> {
        let item = instance.item();
        let mut response = self.ask(item.clone());
        if response.requires_history {
            response = self.ask(OrchestratorWork { past: Some(instance.past()), ..item.clone() });
        }
        instance.apply(&item, response)
    }

    /// Runs an instance until it ends or only the outside could wake it. Time jumps to timers.
    pub(super) fn drive(&mut self, instance: &mut Instance) {
        while instance.completion.is_none() && self.step(instance) {}
    }

    /// One thing happens, and one episode. Gives whether there was anything.
    pub(super) fn step(&mut self, instance: &mut Instance) -> bool {
        let goes_on = instance.completion.is_none() && (!instance.inbox.is_empty() || self.progress(instance));
        if goes_on {
            self.episode(instance);
        }
        goes_on
    }

    pub(super) fn shutdown(self) -> Result<(), crate::Error> {
        let outcome = self.runtime.block_on(self.worker.shutdown());
        // Without waiting for activities that are left.
        self.runtime.shutdown_background();
        outcome
    }

    pub(super) fn shutdown_keeping_answers(self) -> Receiver<Answer> {
        self.runtime.block_on(self.worker.shutdown()).expect("nothing is left");
        self.answers
    }

    fn progress(&mut self, instance: &mut Instance) -> bool {
        let first = instance.open.iter().find(|(_, action)| matches!(action, OrchestratorActionType::ScheduleTask(_)));
        if let Some((&id, OrchestratorActionType::ScheduleTask(task))) = first {
            let done = self.run_activity(id, task.clone());
            instance.open.remove(&id);
            instance.inbox.push(done);
            return true;
        }
        instance.fire_next_timer()
    }

    /// Starts and drives an instance.
    pub(super) fn run(&mut self, name: &str, input: &str) -> Instance {
        let mut instance = Instance::new(name, Some(input));
        self.drive(&mut instance);
        instance
    }
}

impl Instance {
    pub(super) fn new(name: &str, input: Option<&str>) -> Self {
        let session = Session { epoch: Epoch(1), run: Run(7), rewinds: 0, episodes: 0 };
        let started =
            ExecutionStartedEvent { name: name.to_string(), input: input.map(str::to_string), ..Default::default() };
        Self {
            id: "i",
            name: name.to_string(),
            session,
            history: Vec::new(),
            inbox: vec![EventType::ExecutionStarted(started)],
            now: 1_000,
            warm: true,
            open: BTreeMap::new(),
            custom_status: None,
            completion: None,
        }
    }

    pub(super) fn past(&self) -> Vec<Bytes> {
        encode(&self.history)
    }

    /// The next item, with everything in the inbox.
    pub(super) fn item(&mut self) -> OrchestratorWork {
        let started = EventType::OrchestratorStarted(OrchestratorStartedEvent {});
        let new: Vec<HistoryEvent> = std::iter::once(started)
            .chain(self.inbox.drain(..))
            .map(|kind| event(if matches!(kind, EventType::ExecutionStarted(_)) { 0 } else { -1 }, self.now, kind))
            .collect();
        self.now += 1;
        OrchestratorWork {
            instance: self.id.into(),
            execution_id: "e".into(),
            name: self.name.as_str().into(),
            version: None,
            session: self.session,
            past: (!self.warm).then(|| self.past()),
            new: encode(&new),
            trace: Bytes::new(),
        }
    }

    pub(super) fn apply(&mut self, item: &OrchestratorWork, response: OrchestratorResponse) -> Vec<OrchestratorAction> {
        assert!(!response.requires_history);
        self.session.episodes += 1;
        self.history.extend(item.new.iter().map(|bytes| HistoryEvent::decode(&**bytes).unwrap()));
        self.custom_status.clone_from(&response.custom_status);
        for action in &response.actions {
            self.record(action.id, action.orchestrator_action_type.clone().unwrap());
        }
        response.actions
    }

    fn record(&mut self, id: i32, action: OrchestratorActionType) {
        let recorded = match action.clone() {
            OrchestratorActionType::ScheduleTask(task) => EventType::TaskScheduled(TaskScheduledEvent {
                name: task.name,
                version: task.version,
                input: task.input,
                tags: task.tags,
                ..Default::default()
            }),
            OrchestratorActionType::CreateTimer(timer) => {
                EventType::TimerCreated(TimerCreatedEvent { fire_at: timer.fire_at })
            }
            OrchestratorActionType::CreateSubOrchestration(child) => {
                EventType::SubOrchestrationInstanceCreated(SubOrchestrationInstanceCreatedEvent {
                    instance_id: child.instance_id,
                    name: child.name,
                    version: child.version,
                    input: child.input,
                    tags: child.tags,
                    ..Default::default()
                })
            }
            OrchestratorActionType::SendEvent(sent) => EventType::EventSent(EventSentEvent {
                instance_id: sent.instance.unwrap().instance_id,
                name: sent.name,
                input: sent.data,
            }),
            OrchestratorActionType::CompleteOrchestration(completion) => {
                self.completion = Some(completion);
                return;
            }
            other => panic!("{other:?}"),
        };
        self.history.push(event(id, self.now, recorded));
        if !matches!(action, OrchestratorActionType::SendEvent(_)) {
            self.open.insert(id, action);
        }
    }

    /// Puts the firing of the earliest timer into the inbox.
    pub(super) fn fire_next_timer(&mut self) -> bool {
        let timers = self.open.iter().filter_map(|(id, action)| match action {
            OrchestratorActionType::CreateTimer(timer) => Some((timer.fire_at.unwrap(), *id)),
            _ => None,
        });
        let Some((fire_at, timer_id)) = timers.min_by_key(|(at, id)| (at.seconds, at.nanos, *id)) else { return false };
        self.open.remove(&timer_id);
        self.now = self.now.max(fire_at.seconds);
        self.inbox.push(EventType::TimerFired(TimerFiredEvent { fire_at: Some(fire_at), timer_id }));
        true
    }

    pub(super) fn raise(&mut self, name: &str, input: &str) {
        let (name, input) = (name.to_string(), Some(input.to_string()));
        self.inbox.push(EventType::EventRaised(EventRaisedEvent { name, input }));
    }

    pub(super) fn output(&self) -> &str {
        let completion = self.completion.as_ref().expect("it has ended");
        let status = OrchestrationStatus::try_from(completion.orchestration_status);
        assert_eq!(status, Ok(OrchestrationStatus::Completed), "{completion:?}");
        completion.result.as_deref().expect("an output")
    }

    pub(super) fn failure(&self) -> &TaskFailureDetails {
        let completion = self.completion.as_ref().expect("it has ended");
        assert_eq!(completion.orchestration_status, i32::from(OrchestrationStatus::Failed), "{completion:?}");
        completion.failure_details.as_ref().expect("a failure")
    }
}

pub(super) fn event(event_id: i32, seconds: i64, kind: EventType) -> HistoryEvent {
    let timestamp = Some(Timestamp { seconds, nanos: 0 });
    HistoryEvent { event_id, timestamp, event_type: Some(kind) }
}

pub(super) fn encode(events: &[HistoryEvent]) -> Vec<Bytes> {
    events.iter().map(|event| Bytes::from(event.encode_to_vec())).collect()
}
