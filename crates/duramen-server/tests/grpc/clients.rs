//! What clients ask and are told.

use crate::support::*;
use duramen_core::limits::Settings;
use duramen_hub::Options;
use duramen_proto::*;
use duramen_server::{GrpcOptions, HubsOptions};
use std::time::{Duration, Instant};
use tonic::Code;

#[tokio::test]
async fn trap_09_waits_are_answered_when_it_ends() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    let waiting: Vec<_> = (0..500).map(|_| wait_apart(&client)).collect();
    worker.run(vec![complete(0, "1")]).await;
    for waiting in waiting {
        assert!(soon("a wait", waiting).await.unwrap().unwrap().into_inner().exists);
    }
}

/// JavaScript never cancels a wait, so one must go with its connection; others cancel theirs.
#[tokio::test]
async fn trap_09_a_wait_is_gone_with_its_call_and_with_its_connection() {
    const ROOM: usize = 50;
    let hub = Options { queue: ROOM, ..Options::default() };
    let server = Server::with(GrpcOptions::default(), HubsOptions::default(), hub).await;
    let mut client = server.connect().await;
    start(&mut client, "i", "O").await;
    for whole_connection in [false, true] {
        let other = server.connect().await;
        let waiting: Vec<_> = (0..ROOM).map(|_| tokio::spawn(take_a_place(other.clone()))).collect();
        until(&mut client, Code::ResourceExhausted).await;
        let kept = (!whole_connection).then_some(other);
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        until(&mut client, Code::Ok).await;
        drop(kept);
    }
}

/// Waits, again and again while whoever looks whether all places are taken has the last one.
async fn take_a_place(mut client: Client) {
    loop {
        let request = GetInstanceRequest { instance_id: "i".into(), ..Default::default() };
        match client.wait_for_instance_completion(request).await {
            Err(status) if status.code() == Code::ResourceExhausted => {}
            ended => panic!("nothing ends it: {ended:?}"),
        }
    }
}

type Waited = Result<tonic::Response<GetInstanceResponse>, tonic::Status>;

fn wait_apart(client: &Client) -> tokio::task::JoinHandle<Waited> {
    let mut client = client.clone();
    tokio::spawn(async move {
        let request = GetInstanceRequest { instance_id: "i".into(), ..Default::default() };
        client.wait_for_instance_completion(request).await
    })
}

/// Asks until the answer has this code.
async fn until(client: &mut Client, code: Code) {
    let asked = async {
        loop {
            let request = GetInstanceRequest { instance_id: "i".into(), ..Default::default() };
            let answered = client.get_instance(request).await.map_or_else(|status| status.code(), |_| Code::Ok);
            if answered == code {
                return;
            }
        }
    };
    soon("the answer", asked).await;
}

#[tokio::test]
async fn trap_10_unknown_ids() {
    let settings = Settings { unknown_wait: Duration::from_millis(300), ..Settings::default() };
    let hub = Options { settings, ..Options::default() };
    let server = Server::with(GrpcOptions::default(), HubsOptions::default(), hub).await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    let ask = |id: &str| GetInstanceRequest { instance_id: id.into(), ..Default::default() };
    assert!(!client.get_instance(ask("none")).await.unwrap().into_inner().exists);
    // Held for a while, and then it is no error.
    let begun = Instant::now();
    assert!(!client.wait_for_instance_completion(ask("none")).await.unwrap().into_inner().exists);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    // At the caller's own deadline, if that comes first or last.
    let mut wait = tonic::Request::new(ask("none"));
    wait.set_timeout(Duration::from_millis(600));
    let begun = Instant::now();
    assert!(!client.wait_for_instance_completion(wait).await.unwrap().into_inner().exists);
    assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
    // .NET waits for a child before there is one.
    let waiting = {
        let mut client = client.clone();
        tokio::spawn(async move {
            let request = GetInstanceRequest { instance_id: "later".into(), get_inputs_and_outputs: true };
            client.wait_for_instance_completion(request).await
        })
    };
    client.hello(()).await.unwrap();
    start(&mut client, "later", "O").await;
    worker.run(vec![complete(0, "1")]).await;
    assert!(soon("the wait", waiting).await.unwrap().unwrap().into_inner().exists);
    // A purge answers those who wait.
    let history = StreamInstanceHistoryRequest { instance_id: "none".into(), ..Default::default() };
    refused(client.stream_instance_history(history).await, Code::NotFound, "no orchestration instance");
}

#[tokio::test]
async fn trap_24_what_is_asked_of_those_that_are_not_there_and_of_those_that_have_ended() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    macro_rules! each {
        ($id:expr, $check:expr) => {{
            let id = || String::from($id);
            let raise = RaiseEventRequest { instance_id: id(), name: "e".into(), input: None };
            $check(client.raise_event(raise).await.map(drop));
            $check(client.suspend_instance(SuspendRequest { instance_id: id(), reason: None }).await.map(drop));
            $check(client.resume_instance(ResumeRequest { instance_id: id(), reason: None }).await.map(drop));
            let terminate = TerminateRequest { instance_id: id(), output: None, recursive: true };
            $check(client.terminate_instance(terminate).await.map(drop));
        }};
    }
    each!("none", |reply: Result<(), tonic::Status>| refused(reply, Code::NotFound, "\"none\""));
    start(&mut client, "i", "O").await;
    worker.run(vec![complete(0, "1")]).await;
    let before = ended(&mut client, "i").await;
    each!("i", |reply: Result<(), tonic::Status>| reply.unwrap());
    assert_eq!(get(&mut client, "i").await.unwrap(), before);
}

#[tokio::test]
async fn suspend_resume_and_terminate() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    worker.run(vec![]).await;
    client.suspend_instance(SuspendRequest { instance_id: "i".into(), reason: Some("r".into()) }).await.unwrap();
    assert_eq!(get(&mut client, "i").await.unwrap().orchestration_status(), S::Suspended);
    client.resume_instance(ResumeRequest { instance_id: "i".into(), reason: None }).await.unwrap();
    assert_eq!(get(&mut client, "i").await.unwrap().orchestration_status(), S::Running);
    let terminate = TerminateRequest { instance_id: "i".into(), output: Some("\"bye\"".into()), recursive: false };
    client.terminate_instance(terminate).await.unwrap();
    loop {
        let (request, token) = worker.episode().await;
        let terminated = request.new_events.iter().find_map(|event| match &event.event_type {
            Some(history_event::EventType::ExecutionTerminated(terminated)) => Some(terminated.clone()),
            _ => None,
        });
        let Some(terminated) = terminated else {
            worker.answer("i", &token, vec![]).await;
            continue;
        };
        let complete = CompleteOrchestrationAction {
            orchestration_status: S::Terminated.into(),
            result: terminated.input,
            ..Default::default()
        };
        let action = orchestrator_action::OrchestratorActionType::CompleteOrchestration(complete);
        let action = OrchestratorAction { id: 0, orchestrator_action_type: Some(action) };
        worker.answer("i", &token, vec![action]).await;
        break;
    }
    let state = ended(&mut client, "i").await;
    assert_eq!((state.orchestration_status(), state.output.as_deref()), (S::Terminated, Some("\"bye\"")));
    assert_eq!(state.last_updated_timestamp, state.completed_timestamp);
}

#[tokio::test]
async fn ending_at_once_needs_no_worker() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    for id in ["done", "running"] {
        start(&mut client, id, "O").await;
        worker.run(if id == "done" { vec![complete(0, "1")] } else { vec![] }).await;
    }
    ended(&mut client, "done").await;
    drop(worker);
    start(&mut client, "pending", "O").await;
    let ask = |ids: &[&str]| SkipGracefulOrchestrationTerminationsRequest {
        instance_batch: Some(InstanceBatch { instance_ids: ids.iter().map(ToString::to_string).collect() }),
        reason: Some("\"why\"".into()),
    };
    let request = ask(&["pending", "done", "none", "running"]);
    let reply = client.skip_graceful_orchestration_terminations(request).await.unwrap().into_inner();
    assert_eq!(reply.unterminated_instance_ids, ["done", "none"]);
    for id in ["pending", "running"] {
        let state = get(&mut client, id).await.unwrap();
        assert_eq!((state.orchestration_status(), state.output.as_deref()), (S::Terminated, Some("\"why\"")));
    }
    let many = vec!["x"; 501];
    let reply = client.skip_graceful_orchestration_terminations(ask(&many)).await;
    refused(reply, Code::InvalidArgument, "501");
}

#[tokio::test]
async fn entities_and_the_emptying_of_hubs_say_what_is_so() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    refused(client.signal_entity(SignalEntityRequest::default()).await, Code::Unimplemented, "no entities yet");
    refused(client.get_entity(GetEntityRequest::default()).await, Code::Unimplemented, "no entities yet");
    refused(client.query_entities(QueryEntitiesRequest::default()).await, Code::Unimplemented, "no entities yet");
    let clean = CleanEntityStorageRequest::default();
    refused(client.clean_entity_storage(clean).await, Code::Unimplemented, "no entities yet");
    refused(client.complete_entity_task(EntityBatchResult::default()).await, Code::Unimplemented, "no entities yet");
    let abandon = AbandonEntityTaskRequest::default();
    refused(client.abandon_task_entity_work_item(abandon).await, Code::Unimplemented, "no entities yet");
    client.create_task_hub(CreateTaskHubRequest { recreate_if_exists: false }).await.unwrap();
    let recreate = CreateTaskHubRequest { recreate_if_exists: true };
    refused(client.create_task_hub(recreate).await, Code::Unimplemented, "remove its folder");
    refused(client.delete_task_hub(DeleteTaskHubRequest {}).await, Code::Unimplemented, "remove its folder");
}

#[tokio::test]
async fn trap_06_a_message_may_be_large_but_not_without_bound() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let large = |bytes: usize| CreateInstanceRequest { input: Some("x".repeat(bytes)), ..create("", "O") };
    client.start_instance(large(20 << 20)).await.unwrap();
    let too_large = client.start_instance(large(33 << 20)).await;
    refused(too_large, Code::InvalidArgument, "store it elsewhere");
    let status = client.start_instance(large(65 << 20)).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
}

#[tokio::test]
async fn more_calls_than_a_hub_holds_are_refused_with_the_reason() {
    let hub = Options { queue: 3, ..Options::default() };
    let server = Server::with(GrpcOptions::default(), HubsOptions::default(), hub).await;
    let mut client = server.connect().await;
    start(&mut client, "i", "O").await;
    let waiting: Vec<_> = (0..4).map(|_| wait_apart(&client)).collect();
    let (first, _, rest) = futures::future::select_all(waiting).await;
    refused(first.unwrap(), Code::ResourceExhausted, "open client requests");
    rest.iter().for_each(tokio::task::JoinHandle::abort);
}
