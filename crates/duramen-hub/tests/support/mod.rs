//! A worker that follows a script, and a store with a slow disk.

#![expect(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod counting;
pub(crate) mod slow;

use duramen_backend::{Memory, MemoryOptions};
use duramen_core::ids::Run;
use duramen_core::request::{OnExisting, Reply, Request, Start, Until, Wait};
use duramen_core::work::{Announcement, Answer, OrchestratorWork, Work, WorkItem};
use duramen_hub::{Attachment, Hub, WorkerLink};
use duramen_proto::history_event::EventType;
use duramen_proto::orchestrator_action::OrchestratorActionType;
use duramen_proto::{
    ActivityResponse, CompleteOrchestrationAction, CreateInstanceRequest, HistoryEvent, OrchestrationInstance,
    OrchestrationState, OrchestrationStatus, OrchestratorAction, OrchestratorResponse, ScheduleTaskAction,
    SendEventAction,
};
use prost::Message;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// How long a test waits for what must come: long enough for a machine with much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Fails a test that hangs.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it does not hang")
}

/// The store as it is opened again after its hub has stopped.
pub(crate) fn reopened(store: &Memory) -> Arc<Memory> {
    Arc::new(Memory::open(store.disk().clone(), MemoryOptions::default()).expect("the store opens again"))
}

/// An orchestrator's history, its newest events included.
pub(crate) struct Episode {
    pub(crate) instance: String,
    pub(crate) name: String,
    pub(crate) events: Vec<HistoryEvent>,
}

impl Episode {
    /// Events raised so far.
    pub(crate) fn raised(&self) -> usize {
        self.events.iter().filter(|event| matches!(event.event_type, Some(EventType::EventRaised(_)))).count()
    }

    /// Whether it has never answered: its actions are still to be asked for.
    pub(crate) fn is_first(&self) -> bool {
        self.starts().count() == 1
    }

    fn starts(&self) -> impl DoubleEndedIterator<Item = &HistoryEvent> {
        let started = |event: &&HistoryEvent| matches!(event.event_type, Some(EventType::OrchestratorStarted(_)));
        self.events.iter().filter(started)
    }

    /// The result of the first activity that has one.
    pub(crate) fn result(&self) -> Option<String> {
        self.events.iter().find_map(|event| match &event.event_type {
            Some(EventType::TaskCompleted(completed)) => completed.result.clone(),
            _ => None,
        })
    }

    /// Whether a timer has fired.
    pub(crate) fn fired(&self) -> bool {
        self.events.iter().any(|event| matches!(event.event_type, Some(EventType::TimerFired(_))))
    }

    /// The time that the episode shows.
    pub(crate) fn now(&self) -> duramen_proto::Timestamp {
        self.starts().next_back().and_then(|event| event.timestamp).expect("an episode has a time")
    }
}

type Orchestrator = dyn FnMut(&Episode) -> Option<Vec<OrchestratorAction>> + Send;
type Activity = dyn FnMut(&HistoryEvent) -> Option<String> + Send;

/// What a worker does with an item: answer, or keep it for ever.
pub(crate) struct Script {
    pub(crate) orchestrator: Box<Orchestrator>,
    pub(crate) activity: Box<Activity>,
}

impl Script {
    /// Orchestrators as given, and activities that return `"done"`.
    pub(crate) fn new(orchestrator: impl FnMut(&Episode) -> Option<Vec<OrchestratorAction>> + Send + 'static) -> Self {
        Self { orchestrator: Box::new(orchestrator), activity: Box::new(|_| Some("\"done\"".into())) }
    }
}

/// A worker on a thread of its own. Dropping it takes it away from the hub.
pub(crate) struct Worker {
    pub(crate) attachment: Arc<Attachment>,
    to: Sender<Told>,
    /// Items that the script kept.
    kept: Receiver<WorkItem>,
    /// Why the hub closed the link.
    closed: Receiver<String>,
    /// Sessions that the hub ended.
    ended: Receiver<Run>,
}

enum Told {
    Items(Vec<WorkItem>),
    Ended(Run),
    Stop,
}

struct Link {
    to: Sender<Told>,
    closed: Sender<String>,
    ended: Sender<Run>,
}

impl WorkerLink for Link {
    fn deliver(&self, items: Vec<WorkItem>) {
        let _ = self.to.send(Told::Items(items));
    }

    fn end_session(&self, run: Run) {
        let _ = self.to.send(Told::Ended(run));
        let _ = self.ended.send(run);
    }

    fn drained(&self) {
        self.closed("drained");
    }

    fn closed(&self, reason: &str) {
        let _ = self.closed.send(reason.to_owned());
        let _ = self.to.send(Told::Stop);
    }
}

impl Worker {
    /// One that has room for `room` items of each kind.
    pub(crate) fn attach(hub: &Hub, room: usize, in_process: bool, script: Script) -> Self {
        let (to, items) = channel();
        let (closed, why) = channel();
        let (keep, kept) = channel();
        let (end, ended) = channel();
        let announcement = Announcement {
            in_process,
            sessions: in_process,
            orchestrators: room,
            activities: room,
            ..Announcement::default()
        };
        let attachment = Arc::new(hub.attach(Box::new(Link { to: to.clone(), closed, ended: end }), announcement));
        let answers = Arc::clone(&attachment);
        std::thread::spawn(move || work(&answers, &items, &keep, script));
        Self { attachment, to, kept, closed: why, ended }
    }
}

impl Worker {
    /// The next item that the script keeps.
    pub(crate) fn kept(&self) -> WorkItem {
        self.kept.recv_timeout(PATIENCE).expect("the worker gets an item that it keeps")
    }

    /// Waits until the hub ends a session.
    pub(crate) fn session_ended(&self) -> Run {
        self.ended.recv_timeout(PATIENCE).expect("the hub ends a session")
    }

    /// Why the hub closed the link.
    pub(crate) fn closed(&self) -> String {
        self.closed.recv_timeout(PATIENCE).expect("the hub closes the link")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.to.send(Told::Stop);
    }
}

fn work(attachment: &Attachment, items: &Receiver<Told>, keep: &Sender<WorkItem>, mut script: Script) {
    let mut sessions = BTreeMap::new();
    while let Ok(told) = items.recv() {
        match told {
            Told::Items(items) => {
                for item in items {
                    match answer(&item, &mut sessions, &mut script) {
                        Some(answer) => attachment.answer(vec![answer]),
                        None => drop(keep.send(item)),
                    }
                }
            }
            Told::Ended(run) => drop(sessions.remove(&run)),
            Told::Stop => return,
        }
    }
}

fn answer(item: &WorkItem, sessions: &mut BTreeMap<Run, Vec<HistoryEvent>>, script: &mut Script) -> Option<Answer> {
    match &item.work {
        Work::Orchestrator(work) => {
            let episode = episode(work, sessions);
            let actions = (script.orchestrator)(&episode)?;
            let ends = |action: &OrchestratorAction| {
                matches!(action.orchestrator_action_type, Some(OrchestratorActionType::CompleteOrchestration(_)))
            };
            if actions.iter().any(ends) {
                // Nobody tells a worker that a run has ended by its own answer.
                sessions.remove(&work.session.run);
            }
            Some(Answer::Orchestrator(
                item.token,
                OrchestratorResponse { instance_id: episode.instance, actions, ..Default::default() },
            ))
        }
        Work::Activity(work) => {
            let scheduled = HistoryEvent::decode(&*work.scheduled).expect("a TaskScheduled");
            let result = (script.activity)(&scheduled)?;
            let response = ActivityResponse {
                instance_id: work.instance.as_str().to_owned(),
                task_id: scheduled.event_id,
                result: Some(result),
                ..Default::default()
            };
            Some(Answer::Activity(item.token, response))
        }
    }
}

fn episode(work: &OrchestratorWork, sessions: &mut BTreeMap<Run, Vec<HistoryEvent>>) -> Episode {
    let decode = |event: &bytes::Bytes| HistoryEvent::decode(&**event).expect("a history event");
    let events = sessions.entry(work.session.run).or_default();
    if let Some(past) = &work.past {
        *events = past.iter().map(decode).collect();
    }
    events.extend(work.new.iter().map(decode));
    Episode { instance: work.instance.as_str().to_owned(), name: work.name.to_string(), events: events.clone() }
}

fn action(id: i32, action: OrchestratorActionType) -> OrchestratorAction {
    OrchestratorAction { id, orchestrator_action_type: Some(action) }
}

/// Completes, with a JSON result.
pub(crate) fn complete(result: &str) -> OrchestratorAction {
    action(
        1_000,
        OrchestratorActionType::CompleteOrchestration(CompleteOrchestrationAction {
            orchestration_status: OrchestrationStatus::Completed.into(),
            result: Some(result.to_owned()),
            ..Default::default()
        }),
    )
}

/// Continues as new, with a JSON input.
pub(crate) fn continue_as_new(input: &str) -> OrchestratorAction {
    action(
        1_000,
        OrchestratorActionType::CompleteOrchestration(CompleteOrchestrationAction {
            orchestration_status: OrchestrationStatus::ContinuedAsNew.into(),
            result: Some(input.to_owned()),
            ..Default::default()
        }),
    )
}

/// Calls an activity.
pub(crate) fn call(id: i32, name: &str) -> OrchestratorAction {
    action(id, OrchestratorActionType::ScheduleTask(ScheduleTaskAction { name: name.to_owned(), ..Default::default() }))
}

/// Sets a timer.
pub(crate) fn timer(id: i32, fire_at: duramen_proto::Timestamp) -> OrchestratorAction {
    action(id, OrchestratorActionType::CreateTimer(duramen_proto::CreateTimerAction { fire_at: Some(fire_at) }))
}

/// Sends an event to another instance.
pub(crate) fn send(id: i32, to: &str, name: &str) -> OrchestratorAction {
    let instance = Some(OrchestrationInstance { instance_id: to.to_owned(), ..Default::default() });
    action(
        id,
        OrchestratorActionType::SendEvent(SendEventAction { instance, name: name.to_owned(), data: Some("1".into()) }),
    )
}

/// A start under an id.
pub(crate) fn start(id: &str, name: &str) -> Request {
    let request = CreateInstanceRequest { instance_id: id.to_owned(), name: name.to_owned(), ..Default::default() };
    Request::Start(Box::new(Start { request, fresh: false, on_existing: OnExisting::Reject }))
}

/// A wait for the end.
pub(crate) fn wait(id: &str) -> Request {
    Request::Wait(Wait { id: id.into(), birth: None, until: Until::Completed, timeout: None })
}

/// The state that a reply holds.
pub(crate) fn state(reply: Reply) -> OrchestrationState {
    match reply {
        Reply::State(Some(state)) => Arc::unwrap_or_clone(state),
        other => panic!("no state but {other:?}"),
    }
}

/// Starts an instance.
pub(crate) async fn started(hub: &Hub, id: &str, name: &str) {
    let reply = in_time(hub.request(start(id, name))).await;
    assert!(matches!(reply, Reply::Started { .. }), "{reply:?}");
}

/// The output of an instance, once it has completed.
pub(crate) async fn output(hub: &Hub, id: &str) -> Option<String> {
    let state = state(in_time(hub.request(wait(id))).await);
    assert_eq!(state.orchestration_status(), OrchestrationStatus::Completed, "{state:?}");
    state.output
}
