//! What workers say about their items: with tokens, without, in parts, twice, late.

use crate::support::*;
use duramen_proto::*;
use std::time::{Duration, Instant};

/// Older Go SDKs and Dapr's JavaScript return no token.
#[tokio::test]
async fn trap_01_an_answer_without_a_token_finds_its_item() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    worker.shows_tokens = false;
    start(&mut client, "i", "O").await;
    worker.run(vec![task(0, "A"), task(1, "A")]).await;
    for _ in 0..2 {
        let (activity, token) = worker.activity().await;
        assert!(!token.is_empty());
        // Over another connection it is about nothing.
        client.complete_activity_task(activity_response(&activity, "", "\"wrong\"")).await.unwrap();
        worker.result(&activity, "", &format!("{}", activity.task_id)).await;
    }
    let mut results = Vec::new();
    while results.len() < 2 {
        let (request, token) = worker.episode().await;
        let last = results.len() + request.new_events.len() - 1 == 2;
        results.extend(request.new_events.into_iter().skip(1));
        worker.answer("i", &token, if last { vec![complete(2, "1")] } else { vec![] }).await;
    }
    ended(&mut client, "i").await;
    for result in results {
        let Some(history_event::EventType::TaskCompleted(completed)) = result.event_type else { panic!("{result:?}") };
        assert_eq!(completed.result, Some(completed.task_scheduled_id.to_string()));
    }
}

#[tokio::test]
async fn trap_01_a_late_answer_without_a_token_to_a_replaced_instance_is_dropped() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    worker.shows_tokens = false;
    start(&mut client, "i", "O").await;
    worker.episode().await;
    let policy = OrchestrationIdReusePolicy {
        replaceable_status: vec![S::Pending.into(), S::Terminated.into()],
        ..Default::default()
    };
    let again = CreateInstanceRequest { orchestration_id_reuse_policy: Some(policy), ..create("i", "O") };
    client.start_instance(again).await.unwrap();
    // The new one is not sent before the old one is answered: the answer could be taken for its own.
    assert!(tokio::time::timeout(Duration::from_millis(300), worker.episode()).await.is_err());
    worker.answer("i", "", vec![complete(0, "\"old\"")]).await;
    let (_, _) = worker.episode().await;
    worker.answer("i", "", vec![complete(0, "\"new\"")]).await;
    assert_eq!(ended(&mut client, "i").await.output.as_deref(), Some("\"new\""));
}

#[tokio::test]
async fn trap_07_and_28_stale_and_repeated_completions_are_ok_and_change_nothing() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    let (_, token) = worker.episode().await;
    assert_eq!(server.grpc.stale_completions(), 0);
    worker.answer("i", &token, vec![task(0, "A")]).await;
    // .NET repeats a completion whose reply it did not get.
    worker.answer("i", &token, vec![complete(0, "\"again\"")]).await;
    let (activity, token) = worker.activity().await;
    for strange in ["", "nonsense", "00000000000000ff", "ffffffffffffffff", &"0".repeat(10_000)] {
        client.complete_activity_task(activity_response(&activity, strange, "\"strange\"")).await.unwrap();
        let response = OrchestratorResponse { completion_token: strange.into(), ..Default::default() };
        client.complete_orchestrator_task(response).await.unwrap();
        let abandon = AbandonActivityTaskRequest { completion_token: strange.into() };
        client.abandon_task_activity_work_item(abandon).await.unwrap();
    }
    for result in ["1", "2"] {
        worker.result(&activity, &token, result).await;
    }
    assert_eq!(server.grpc.stale_completions(), 1 + 3 * 5 + 1);
    let request = worker.run(vec![complete(1, "1")]).await;
    let Some(history_event::EventType::TaskCompleted(completed)) = &request.new_events[1].event_type else { panic!() };
    assert_eq!((completed.result.as_deref(), request.new_events.len()), (Some("1"), 2));
    assert_eq!(ended(&mut client, "i").await.output.as_deref(), Some("1"));
}

#[tokio::test]
#[expect(deprecated, reason = ".NET and Java still send parts")]
async fn trap_14_an_answer_in_parts_is_applied_with_its_last() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    let (_, token) = worker.episode().await;
    let part = |index: i32, last: bool, actions| OrchestratorResponse {
        instance_id: "i".into(),
        completion_token: token.clone(),
        actions,
        is_partial: !last,
        chunk_index: Some(index),
        num_events_processed: (index > 0).then_some(0),
        ..Default::default()
    };
    worker.client.complete_orchestrator_task(part(0, false, vec![task(0, "A")])).await.unwrap();
    worker.client.complete_orchestrator_task(part(1, false, vec![task(1, "A")])).await.unwrap();
    assert_eq!(get(&mut client, "i").await.unwrap().orchestration_status(), S::Pending);
    worker.client.complete_orchestrator_task(part(2, true, vec![task(2, "A")])).await.unwrap();
    let mut ids = vec![];
    for _ in 0..3 {
        ids.push(worker.activity().await.0.task_id);
    }
    assert_eq!(ids, [0, 1, 2]);
}

/// A hundred levels are all that decoders read, and nothing that encoders keep to.
#[tokio::test]
async fn a_failure_with_very_many_causes_is_cut_and_not_refused() {
    let deep = |outermost: &str| {
        let cause = |n: usize| TaskFailureDetails { error_message: format!("cause {n}"), ..Default::default() };
        let nest = |inner, outer| TaskFailureDetails { inner_failure: Some(Box::new(inner)), ..outer };
        let chain = (1..150).rev().map(cause).reduce(nest);
        nest(chain.expect("there are some"), TaskFailureDetails { error_message: outermost.into(), ..cause(0) })
    };
    let levels = |failure: &TaskFailureDetails| {
        std::iter::successors(Some(failure), |failure| failure.inner_failure.as_deref()).count()
    };
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    worker.run(vec![task(0, "A")]).await;
    let (activity, token) = worker.activity().await;
    let failed =
        ActivityResponse { failure_details: Some(deep("activity")), ..activity_response(&activity, &token, "") };
    worker.client.complete_activity_task(ActivityResponse { result: None, ..failed }).await.expect("it is read");

    let (request, token) = worker.episode().await;
    let Some(history_event::EventType::TaskFailed(failed)) = &request.new_events[1].event_type else {
        panic!("{request:?}")
    };
    let failure = failed.failure_details.as_ref().expect("it says why");
    assert_eq!((&*failure.error_message, levels(failure)), ("activity", 32));

    let mut last = fail(1, "");
    let Some(orchestrator_action::OrchestratorActionType::CompleteOrchestration(complete)) =
        &mut last.orchestrator_action_type
    else {
        panic!("{last:?}")
    };
    complete.failure_details = Some(deep("orchestrator"));
    worker.answer("i", &token, vec![last]).await;
    let state = ended(&mut client, "i").await;
    let failure = state.failure_details.as_ref().expect("it says why");
    assert_eq!((&*failure.error_message, levels(failure)), ("orchestrator", 32));
}

#[tokio::test]
async fn trap_28_what_is_given_back_comes_again_and_does_not_spin() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    let (first, mut token) = worker.episode().await;
    let begun = Instant::now();
    for _ in 0..4 {
        let request = AbandonOrchestrationTaskRequest { completion_token: token };
        worker.client.abandon_task_orchestrator_work_item(request).await.unwrap();
        let (again, next) = worker.episode().await;
        assert_eq!(again.new_events, first.new_events);
        token = next;
    }
    assert!(begun.elapsed() >= Duration::from_millis(700), "{:?}", begun.elapsed());
    worker.answer("i", &token, vec![complete(0, "1")]).await;
    ended(&mut client, "i").await;
}

#[tokio::test]
async fn trap_23_payloads_are_absent_empty_or_null_as_they_were_given() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    for (id, payload) in [("absent", None), ("empty", Some("")), ("null", Some("null")), ("text", Some("not JSON"))] {
        let input = payload.map(str::to_string);
        client.start_instance(CreateInstanceRequest { input: input.clone(), ..create(id, "O") }).await.unwrap();
        let (request, token) = worker.episode().await;
        let Some(history_event::EventType::ExecutionStarted(started)) = &request.new_events[1].event_type else {
            panic!()
        };
        assert_eq!(started.input, input);
        let complete = CompleteOrchestrationAction {
            orchestration_status: S::Completed.into(),
            result: input.clone(),
            ..Default::default()
        };
        let response = OrchestratorResponse {
            instance_id: id.into(),
            completion_token: token,
            custom_status: input.clone(),
            actions: vec![OrchestratorAction {
                id: 0,
                orchestrator_action_type: Some(orchestrator_action::OrchestratorActionType::CompleteOrchestration(
                    complete,
                )),
            }],
            ..Default::default()
        };
        worker.client.complete_orchestrator_task(response).await.unwrap();
        let state = ended(&mut client, id).await;
        assert_eq!((&state.input, &state.output, &state.custom_status), (&input, &input, &input), "{id}");
        let bare = GetInstanceRequest { instance_id: id.into(), get_inputs_and_outputs: false };
        let bare = client.get_instance(bare).await.unwrap().into_inner().orchestration_state.unwrap();
        assert_eq!((bare.input, bare.output, bare.custom_status), (None, None, None));
    }
}
