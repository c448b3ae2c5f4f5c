//! When a session is used, and when the history is asked for.

use super::harness::{Hub, Instance, encode, event};
use crate::prelude::*;
use duramen_core::ids::{Epoch, Run};
use duramen_core::work::{Answer, OrchestratorWork, Session, Work, WorkItem};
use duramen_proto::history_event::EventType;
use duramen_proto::*;

#[orchestrator]
async fn listen(ctx: OrchestrationContext, _: ()) -> Result<Vec<u32>> {
    let mut heard = Vec::new();
    while heard.len() < 3 {
        heard.push(ctx.wait_for_event("e").await?);
    }
    Ok(heard)
}

fn hub() -> Hub {
    Hub::with(App::new().orchestrator(Listen), |options| options.sessions = 2)
}

/// An instance that has begun and waits.
fn waiting(hub: &mut Hub, run: u64) -> Instance {
    let mut instance = Instance::new("Listen", Some("null"));
    instance.session.run = Run(run);
    hub.episode(&mut instance);
    instance
}

/// Whether a warm item with an event is answered with a wish for the history.
fn is_forgotten(hub: &mut Hub, instance: &mut Instance, session: Session) -> bool {
    instance.raise("e", "1");
    let item = OrchestratorWork { session, past: None, ..instance.item() };
    hub.ask(item).requires_history
}

#[test]
fn a_session_goes_on_without_its_past() {
    let mut hub = hub();
    let mut instance = waiting(&mut hub, 1);
    let session = instance.session;
    assert!(!is_forgotten(&mut hub, &mut instance, session));
}

#[test]
fn a_session_of_another_name_is_not_used() {
    let others: [fn(&mut Session); 4] =
        [|s| s.epoch = Epoch(2), |s| s.rewinds = 1, |s| s.episodes = 2, |s| s.run = Run(9)];
    for change in others {
        let mut hub = hub();
        let mut instance = waiting(&mut hub, 1);
        let mut session = instance.session;
        change(&mut session);
        assert!(is_forgotten(&mut hub, &mut instance, session), "{session:?}");
    }
}

#[test]
fn a_session_that_did_not_fit_is_gone() {
    let mut hub = hub();
    let mut instance = waiting(&mut hub, 1);
    let session = instance.session;
    assert!(is_forgotten(&mut hub, &mut instance, Session { episodes: 5, ..session }));
    assert!(is_forgotten(&mut hub, &mut instance, session));
}

#[test]
fn the_least_lately_used_is_forgotten_first() {
    let mut hub = hub();
    let mut first = waiting(&mut hub, 1);
    let mut second = waiting(&mut hub, 2);
    let session = first.session;
    assert!(!is_forgotten(&mut hub, &mut first, session));
    waiting(&mut hub, 3);
    let session = second.session;
    assert!(is_forgotten(&mut hub, &mut second, session));
    let session = Session { episodes: first.session.episodes + 1, ..first.session };
    assert!(!is_forgotten(&mut hub, &mut first, session));
}

#[test]
fn the_hub_may_end_a_session() {
    let mut hub = hub();
    let mut instance = waiting(&mut hub, 1);
    hub.link.end_session(Run(1));
    let session = instance.session;
    assert!(is_forgotten(&mut hub, &mut instance, session));
}

#[test]
fn an_end_ends_the_session() {
    let mut hub = hub();
    let mut instance = waiting(&mut hub, 1);
    for data in ["1", "2", "3"] {
        instance.raise("e", data);
    }
    hub.episode(&mut instance);
    assert_eq!(instance.output(), "[1,2,3]");
    let session = instance.session;
    assert!(is_forgotten(&mut hub, &mut instance, session));
}

#[test]
fn a_whole_history_replaces_a_session() {
    let mut hub = hub();
    let mut instance = waiting(&mut hub, 1);
    // The answer to this one is lost: the hub hands out the same again, in full.
    instance.raise("e", "7");
    let item = instance.item();
    hub.ask(item.clone());
    hub.ask(OrchestratorWork { past: Some(instance.past()), ..item.clone() });
    instance.apply(&item, OrchestratorResponse::default());
    for data in ["8", "9"] {
        instance.raise("e", data);
    }
    hub.episode(&mut instance);
    assert_eq!(instance.output(), "[7,8,9]");
}

#[test]
fn a_history_that_does_not_parse_is_given_back_by_name() {
    let mut hub = hub();
    let mut instance = Instance::new("Listen", Some("null"));
    let mut item = instance.item();
    item.new.push(bytes::Bytes::from_static(b"\xff\xff\xff"));
    let token = hub.token();
    hub.link.deliver(vec![WorkItem { token, work: Work::Orchestrator(item) }]);
    match hub.answer() {
        Answer::Abandoned(answered, reason) => {
            assert_eq!(answered, token);
            assert!(reason.contains("history of instance i does not parse"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn termination_and_suspension_reach_the_code() {
    let mut hub = hub();
    let mut instance = waiting(&mut hub, 1);
    instance.inbox.push(EventType::ExecutionSuspended(ExecutionSuspendedEvent::default()));
    for data in ["1", "2", "3"] {
        instance.raise("e", data);
    }
    hub.episode(&mut instance);
    assert!(instance.completion.is_none());
    instance.inbox.push(EventType::ExecutionResumed(ExecutionResumedEvent::default()));
    hub.episode(&mut instance);
    assert_eq!(instance.output(), "[1,2,3]");

    let mut instance = waiting(&mut hub, 2);
    let terminated = ExecutionTerminatedEvent { input: Some("\"stop\"".into()), recurse: false };
    instance.inbox.push(EventType::ExecutionTerminated(terminated));
    hub.episode(&mut instance);
    let done = instance.completion.unwrap();
    assert_eq!(done.orchestration_status, i32::from(OrchestrationStatus::Terminated));
    assert_eq!(done.result.as_deref(), Some("\"stop\""));
}

#[test]
fn the_trace_context_comes_back() {
    let mut hub = hub();
    let trace = OrchestrationTraceContext { span_id: Some("s".into()), span_start_time: None };
    let mut instance = Instance::new("Listen", Some("null"));
    let encoded = prost::Message::encode_to_vec(&trace).into();
    let response = hub.ask(OrchestratorWork { trace: encoded, ..instance.item() });
    assert_eq!(response.orchestration_trace_context, Some(trace));
}

#[test]
fn an_activity_item_without_a_task_is_given_back() {
    let mut hub = hub();
    let token = hub.token();
    let started = event(-1, 0, EventType::OrchestratorStarted(OrchestratorStartedEvent {}));
    let work = duramen_core::work::ActivityWork {
        instance: "i".into(),
        execution_id: "e".into(),
        orchestration_version: None,
        scheduled: encode(&[started]).remove(0),
    };
    hub.link.deliver(vec![WorkItem { token, work: Work::Activity(work) }]);
    assert!(matches!(hub.answer(), Answer::Abandoned(answered, _) if answered == token));
}
