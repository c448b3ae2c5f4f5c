//! A worker's stream, and what a hostile worker says about its items.

use crate::message::{Maker, put_bytes};
use crate::rng::Rng;
use crate::run::{Finding, found};
use crate::values::NAMES;
use bytes::Bytes;
use duramen_proto::history_event::EventType;
use duramen_proto::orchestrator_action::OrchestratorActionType as Action;
use duramen_proto::work_item::Request as Work;
use duramen_proto::{
    CompleteOrchestrationAction, CreateSubOrchestrationAction, CreateTimerAction, EventRaisedEvent, HistoryEvent,
    OrchestrationInstance, OrchestrationStatus, OrchestratorAction, OrchestratorResponse, ScheduleTaskAction,
    SendEventAction, TerminateOrchestrationAction, Timestamp, WorkItem,
};
use prost::Message as _;
use std::time::{Duration, SystemTime};
use tonic::Streaming;

/// How long it is waited for a message that may not come.
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) struct Seat(pub(crate) Streaming<Bytes>);

/// An item that is out.
pub(crate) struct Held {
    pub(crate) token: String,
    pub(crate) instance: String,
    pub(crate) execution: String,
    pub(crate) is_episode: bool,
}

impl Seat {
    /// The next item, if there is one now.
    pub(crate) async fn next(&mut self) -> Result<Option<Held>, Finding> {
        let Ok(Ok(Some(bytes))) = tokio::time::timeout(PAUSE, self.0.message()).await else { return Ok(None) };
        let item = match WorkItem::decode(bytes) {
            Ok(item) => item,
            Err(error) => return found(format!("a worker got what it cannot read: {error}")),
        };
        let token = item.completion_token;
        match item.request {
            Some(Work::OrchestratorRequest(request)) => {
                let first = request.new_events.first().and_then(|event| event.event_type.as_ref());
                if !matches!(first, Some(EventType::OrchestratorStarted(_))) {
                    return found(format!("an episode begins with {first:?}"));
                }
                let (instance, execution) = (request.instance_id, request.execution_id.unwrap_or_default());
                Ok(Some(Held { token, instance, execution, is_episode: true }))
            }
            Some(Work::ActivityRequest(request)) => {
                let of = request.orchestration_instance.unwrap_or_default();
                let (instance, execution) = (of.instance_id, of.execution_id.unwrap_or_default());
                Ok(Some(Held { token, instance, execution, is_episode: false }))
            }
            Some(Work::HealthPing(_)) => Ok(None),
            other => found(format!("a worker got {other:?}")),
        }
    }
}

/// What is said about an episode: one message, or parts of one.
pub(crate) fn of_episode(maker: &mut Maker<'_>, held: &Held) -> Vec<Vec<u8>> {
    let token = token(maker, held);
    match maker.rng.below(20) {
        0 => many(maker.rng, held, &token),
        1..3 => parts(maker.rng, held, &token),
        3..10 => {
            let mut made = maker.message(".OrchestratorResponse");
            // The last of a field counts: these are right, whatever was made before.
            put_bytes(1, held.instance.as_bytes(), &mut made);
            put_bytes(4, token.as_bytes(), &mut made);
            // Whole: neither a wish for the history nor a part.
            made.extend([7 << 3, 0, 8 << 3, 0]);
            vec![made]
        }
        _ => {
            let actions = (0..maker.rng.below(5)).map(|_| action(maker.rng)).collect();
            vec![response(held, &token, actions).encode_to_vec()]
        }
    }
}

/// What is said about an activity.
pub(crate) fn of_activity(maker: &mut Maker<'_>, held: &Held) -> Vec<u8> {
    let token = token(maker, held);
    let mut made = maker.message(".ActivityResponse");
    put_bytes(1, held.instance.as_bytes(), &mut made);
    put_bytes(5, token.as_bytes(), &mut made);
    made
}

/// Mostly the right one.
fn token(maker: &mut Maker<'_>, held: &Held) -> String {
    match maker.rng.below(20) {
        0 => String::new(),
        1 if !maker.known.tokens.is_empty() => maker.rng.pick(&maker.known.tokens).clone(),
        _ => held.token.clone(),
    }
}

fn response(held: &Held, token: &str, actions: Vec<OrchestratorAction>) -> OrchestratorResponse {
    OrchestratorResponse {
        instance_id: held.instance.clone(),
        completion_token: token.into(),
        actions,
        ..Default::default()
    }
}

fn many(rng: &mut Rng, held: &Held, token: &str) -> Vec<Vec<u8>> {
    let actions = (0..3_000).map(|_| action_of(rng, Action::ScheduleTask(task()))).collect();
    vec![response(held, token, actions).encode_to_vec()]
}

/// Chunks, of which some are missing, come twice or out of order.
#[expect(deprecated, reason = "the fields are deprecated in the protocol, and SDKs still send them")]
fn parts(rng: &mut Rng, held: &Held, token: &str) -> Vec<Vec<u8>> {
    (0..1 + rng.below(6))
        .map(|index| {
            let index = if rng.percent(80) { index as i32 } else { crate::values::number(rng) as i32 };
            let actions = vec![action(rng)];
            let is_partial = rng.percent(70);
            OrchestratorResponse { is_partial, chunk_index: Some(index), ..response(held, token, actions) }
                .encode_to_vec()
        })
        .collect()
}

fn action_of(rng: &mut Rng, action: Action) -> OrchestratorAction {
    let id = if rng.percent(80) { rng.below(40) as i32 } else { crate::values::number(rng) as i32 };
    OrchestratorAction { id, orchestrator_action_type: Some(action) }
}

/// One that gets somewhere.
fn action(rng: &mut Rng) -> OrchestratorAction {
    let instance_id = format!("i{}", rng.below(6));
    let action = match rng.below(10) {
        0..3 => Action::ScheduleTask(task()),
        3 => {
            let name = (*rng.pick(&NAMES)).into();
            Action::CreateSubOrchestration(CreateSubOrchestrationAction { instance_id, name, ..Default::default() })
        }
        4 => Action::CreateTimer(CreateTimerAction { fire_at: Some(soon(rng)) }),
        5 => {
            let instance = OrchestrationInstance { instance_id, execution_id: None };
            Action::SendEvent(SendEventAction { instance: Some(instance), name: "e".into(), data: None })
        }
        6 => Action::TerminateOrchestration(TerminateOrchestrationAction {
            instance_id,
            reason: None,
            recurse: rng.percent(50),
        }),
        _ => Action::CompleteOrchestration(completion(rng)),
    };
    action_of(rng, action)
}

fn task() -> ScheduleTaskAction {
    ScheduleTaskAction { name: "A".into(), ..Default::default() }
}

fn soon(rng: &mut Rng) -> Timestamp {
    Timestamp::from(SystemTime::now() + Duration::from_millis(rng.below(20) as u64))
}

fn completion(rng: &mut Rng) -> CompleteOrchestrationAction {
    let status = *rng.pick(&[
        OrchestrationStatus::Completed,
        OrchestrationStatus::Failed,
        OrchestrationStatus::ContinuedAsNew,
        OrchestrationStatus::Terminated,
        OrchestrationStatus::Pending,
    ]);
    let raised = EventRaisedEvent { name: "carried".into(), input: None };
    let carried = HistoryEvent { event_type: Some(EventType::EventRaised(raised)), ..Default::default() };
    CompleteOrchestrationAction {
        orchestration_status: status.into(),
        result: rng.percent(50).then(|| "1".into()),
        carryover_events: (0..rng.below(3)).map(|_| carried.clone()).collect(),
        ..Default::default()
    }
}
