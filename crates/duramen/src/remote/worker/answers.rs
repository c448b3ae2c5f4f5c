//! Answers on their way to the server: as many at a time as there are, each sent until the server has it.

use super::chunks;
use super::held::{Held, Item};
use super::line::Line;
use super::stream::said;
use crate::failure;
use crate::remote::Calls;
use crate::worker::Outbox;
use duramen_core::work::{Answer, WorkKind};
use duramen_proto::orchestrator_action::OrchestratorActionType;
use duramen_proto::{
    AbandonActivityTaskRequest, AbandonOrchestrationTaskRequest, ActivityResponse, CompleteOrchestrationAction,
    OrchestrationStatus, OrchestratorAction, OrchestratorResponse, TaskFailureDetails,
};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use prost::Message as _;
use std::sync::Arc;
use tokio::sync::mpsc;
use tonic::{Code, Status};

/// How often an answer is sent that the server does not take for a reason of its own. One that does not get there
/// is sent until it does.
const TRIES: usize = 10;
/// A message that is refused for its size is larger than this: no server takes less.
const SMALL_BYTES: usize = 1 << 20;

pub(super) struct Answers {
    pub(super) line: Arc<Line>,
    pub(super) held: Arc<Held>,
    pub(super) arrivals: Arc<Outbox>,
}

/// One message for the server.
#[derive(Clone)]
enum Message {
    Episode(OrchestratorResponse),
    Activity(ActivityResponse),
    Abandon(WorkKind, String),
}

/// What becomes of an answer that was not taken.
enum Verdict {
    /// The server is away.
    Away,
    /// The server has trouble.
    Trouble,
    TooLarge,
    Refused,
}

impl Answers {
    /// Sends what is given until the worker stops.
    pub(super) async fn run(self, mut given: mpsc::UnboundedReceiver<Vec<Answer>>) {
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                batch = given.recv() => {
                    let Some(mut batch) = batch else { return };
                    // All that is there goes together, so that the connection writes it in one go.
                    while let Ok(more) = given.try_recv() {
                        batch.extend(more);
                    }
                    for answer in batch {
                        match self.addressed(answer) {
                            Some(messages) => under_way.push(deliver(&self.line, messages)),
                            None => self.arrivals.arrived(1),
                        }
                    }
                }
                Some(()) = under_way.next() => self.arrivals.arrived(1),
            }
        }
    }

    /// The messages of an answer; `None` when there is nothing to send.
    fn addressed(&self, answer: Answer) -> Option<Vec<Message>> {
        let token = answer.token();
        match answer {
            Answer::Orchestrator(_, response) => {
                let Item { completion_token, instance, .. } = self.held.answered(token)?;
                let response = OrchestratorResponse { instance_id: instance.to_string(), completion_token, ..response };
                Some(chunks::cut(response).into_iter().map(Message::Episode).collect())
            }
            Answer::Activity(_, response) => {
                let Item { completion_token, instance, .. } = self.held.answered(token)?;
                let response = ActivityResponse { instance_id: instance.to_string(), completion_token, ..response };
                Some(vec![Message::Activity(response)])
            }
            Answer::Abandoned(_, reason) => {
                let item = self.held.answered(token)?;
                tracing::debug!(instance = item.instance.as_str(), reason, "an item goes back to the server");
                Some(vec![Message::Abandon(item.kind, item.completion_token)])
            }
            Answer::TooLarge(..) => unreachable!("only the door of a server says so"),
            Answer::WrittenOff(_) => {
                // The server counts what is not answered in its time, and not what is given back.
                self.held.written_off(token);
                None
            }
        }
    }
}

/// Gives items back, once each.
pub(super) async fn give_back(line: &Line, items: Vec<Item>) {
    let calls = items.into_iter().map(|item| {
        let mut calls = line.calls();
        async move { send(&mut calls, Message::Abandon(item.kind, item.completion_token)).await }
    });
    for outcome in futures::future::join_all(calls).await {
        if let Err(status) = outcome {
            tracing::debug!("an item could not be given back: {}", said(&status));
        }
    }
}

async fn deliver(line: &Line, messages: Vec<Message>) {
    for message in messages {
        if let Err(message) = deliver_one(line, message).await {
            // It cannot be repeated: it is smaller, and no part of a larger answer.
            let _ = deliver_one(line, message).await;
            return;
        }
    }
}

/// Sends a message until the server has it. One that is too large for the server comes to a failure that says so, which
/// is to be sent in its place.
async fn deliver_one(line: &Line, message: Message) -> Result<(), Message> {
    let mut backoff = line.backoff();
    let mut tries = 0;
    loop {
        line.opened().await;
        let Err(status) = send(&mut line.calls(), message.clone()).await else { return Ok(()) };
        match verdict(&status, &message) {
            Verdict::Away => {}
            Verdict::Trouble => tries += 1,
            Verdict::TooLarge => return Err(too_large(message, &status)),
            Verdict::Refused => tries = TRIES,
        }
        if tries >= TRIES {
            // The server gives the item to somebody when its time is over.
            tracing::error!(server = line.address(), "the server does not take an answer: {}", said(&status));
            return Ok(());
        }
        tracing::debug!("an answer did not get to the server: {}", said(&status));
        tokio::time::sleep(backoff.next()).await;
    }
}

async fn send(calls: &mut Calls, message: Message) -> Result<(), Status> {
    match message {
        Message::Episode(response) => calls.complete_orchestrator_task(response).await.map(drop),
        Message::Activity(response) => calls.complete_activity_task(response).await.map(drop),
        Message::Abandon(WorkKind::Orchestrator, completion_token) => {
            let request = AbandonOrchestrationTaskRequest { completion_token };
            calls.abandon_task_orchestrator_work_item(request).await.map(drop)
        }
        Message::Abandon(WorkKind::Activity, completion_token) => {
            let request = AbandonActivityTaskRequest { completion_token };
            calls.abandon_task_activity_work_item(request).await.map(drop)
        }
    }
}

fn verdict(status: &Status, message: &Message) -> Verdict {
    match status.code() {
        Code::Unavailable | Code::Cancelled => Verdict::Away,
        Code::OutOfRange | Code::ResourceExhausted if message.bytes() > SMALL_BYTES => Verdict::TooLarge,
        Code::Unknown
        | Code::DeadlineExceeded
        | Code::Internal
        | Code::Aborted
        | Code::OutOfRange
        | Code::ResourceExhausted => Verdict::Trouble,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => Verdict::Refused,
    }
}

impl Message {
    fn bytes(&self) -> usize {
        match self {
            Self::Episode(response) => response.encoded_len(),
            Self::Activity(response) => response.encoded_len(),
            Self::Abandon(_, completion_token) => completion_token.len(),
        }
    }
}

/// The same answer as a failure.
fn too_large(message: Message, status: &Status) -> Message {
    let bytes = message.bytes();
    let why = |what: &str| {
        let text = format!(
            "{what} has {bytes} bytes, more than the server takes in one message ({}); store it elsewhere and pass a \
             reference",
            said(status)
        );
        tracing::error!("{text}");
        text
    };
    let non_retriable = |details| TaskFailureDetails { is_non_retriable: true, ..details };
    match message {
        Message::Episode(response) => {
            let details = non_retriable(failure::details("EpisodeTooLarge", why("an action of the orchestrator")));
            let complete = CompleteOrchestrationAction {
                orchestration_status: OrchestrationStatus::Failed.into(),
                failure_details: Some(details),
                ..Default::default()
            };
            let kind = Some(OrchestratorActionType::CompleteOrchestration(complete));
            Message::Episode(OrchestratorResponse {
                actions: vec![OrchestratorAction { id: -1, orchestrator_action_type: kind }],
                instance_id: response.instance_id,
                completion_token: response.completion_token,
                orchestration_trace_context: response.orchestration_trace_context,
                ..Default::default()
            })
        }
        Message::Activity(response) => {
            let details = non_retriable(failure::details("ResultTooLarge", why("the activity's result")));
            Message::Activity(ActivityResponse { result: None, failure_details: Some(details), ..response })
        }
        Message::Abandon(..) => message,
    }
}
