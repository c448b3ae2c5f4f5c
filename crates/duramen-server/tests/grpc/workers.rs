//! What workers get, and when.

use crate::support::*;
use duramen_core::extension;
use duramen_core::work::Session;
use duramen_hub::Options;
use duramen_proto::*;
use duramen_server::{GrpcOptions, HubsOptions};
use std::time::{Duration, Instant};

#[tokio::test]
async fn an_episode_and_an_activity_go_round() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    let request = CreateInstanceRequest {
        version: Some("2".into()),
        input: Some("7".into()),
        tags: [("a".to_string(), "b".to_string())].into(),
        ..create("i", "O")
    };
    client.start_instance(request).await.unwrap();
    let first = worker.run(vec![task_with(0, "A", "\"x\"".into())]).await;
    assert_eq!((first.instance_id.as_str(), first.past_events.len()), ("i", 0));
    assert_eq!(
        first.new_events.iter().map(brief).collect::<Vec<_>>(),
        ["OrchestratorStarted -1", "ExecutionStarted 0"]
    );
    let (activity, token) = worker.activity().await;
    assert_eq!((activity.name.as_str(), activity.task_id, activity.input.as_deref()), ("A", 0, Some("\"x\"")));
    let of = activity.orchestration_instance.clone().unwrap();
    assert_eq!((of.instance_id.as_str(), of.execution_id.is_some()), ("i", true));
    worker.result(&activity, &token, "1").await;
    let second = worker.run(vec![complete(1, "8")]).await;
    assert_eq!(second.past_events.len(), 3);
    let state = ended(&mut client, "i").await;
    assert_eq!((state.orchestration_status(), state.output.as_deref()), (S::Completed, Some("8")));
    assert_eq!((state.version.as_deref(), state.tags.len(), state.input.as_deref()), (Some("2"), 1, Some("7")));
}

/// A worker of Duramen's own keeps sessions: a past that it has seen is not sent again, until it asks.
#[tokio::test]
async fn a_worker_that_keeps_sessions_is_sent_what_is_new() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let mut request = tonic::Request::new(GetWorkItemsRequest::default());
    request.metadata_mut().insert(extension::KEEPS_SESSIONS, "1".parse().unwrap());
    let mut worker = Worker::join(server.connect().await, request).await;
    client.start_instance(CreateInstanceRequest { version: Some("2".into()), ..create("i", "O") }).await.unwrap();
    let first = worker.run(vec![task(1, "A"), task(2, "B")]).await;
    let begun = session(&first).expect("the session is named");
    assert_eq!((begun.episodes, text(&first, extension::ORCHESTRATOR)), (0, Some("O")));
    assert_eq!(flag(&first, extension::INCLUDE_STATE), None, "the past is there, though it is empty");

    let (activity, token) = worker.activity().await;
    let (other, other_token) = worker.activity().await;
    assert_eq!(activity.version.as_deref(), Some("2"), "that of its orchestration");
    worker.result(&activity, &token, "1").await;
    let (second, token) = worker.episode().await;
    assert_eq!((second.past_events.len(), flag(&second, extension::INCLUDE_STATE)), (0, Some(false)));
    assert_eq!(session(&second), Some(Session { episodes: 1, ..begun }));
    let asks = OrchestratorResponse { requires_history: true, completion_token: token, ..Default::default() };
    worker.client.complete_orchestrator_task(asks).await.unwrap();
    let (again, token) = worker.episode().await;
    assert_eq!((again.past_events.len(), flag(&again, extension::INCLUDE_STATE)), (4, None));
    assert_eq!(again.new_events, second.new_events);
    worker.answer("i", &token, Vec::new()).await;
    worker.result(&other, &other_token, "2").await;
    let third = worker.run(vec![complete(3, "8")]).await;
    assert_eq!((third.past_events.len(), session(&third)), (0, Some(Session { episodes: 2, ..begun })));
    assert_eq!(ended(&mut client, "i").await.output.as_deref(), Some("8"));
}

fn text<'a>(request: &'a OrchestratorRequest, name: &str) -> Option<&'a str> {
    match request.properties.get(name)?.kind.as_ref()? {
        value::Kind::StringValue(text) => Some(text),
        _ => None,
    }
}

fn flag(request: &OrchestratorRequest, name: &str) -> Option<bool> {
    match request.properties.get(name)?.kind.as_ref()? {
        value::Kind::BoolValue(flag) => Some(*flag),
        _ => None,
    }
}

fn session(request: &OrchestratorRequest) -> Option<Session> {
    Session::from_text(text(request, extension::SESSION)?)
}

/// Java begins its ids at 0, JavaScript's own test expects this list.
#[tokio::test]
async fn trap_02_exact_history() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    worker.run(vec![task(1, "A")]).await;
    let (activity, token) = worker.activity().await;
    worker.result(&activity, &token, "1").await;
    worker.run(vec![complete(2, "1")]).await;
    ended(&mut client, "i").await;
    let events = history(&mut client, "i").await;
    let expected = [
        "OrchestratorStarted -1",
        "ExecutionStarted 0",
        "TaskScheduled 1",
        "OrchestratorStarted -1",
        "TaskCompleted -1",
        "ExecutionCompleted 2",
    ];
    assert_eq!(events.iter().map(brief).collect::<Vec<_>>(), expected);
    assert!(events.iter().all(|event| event.timestamp.is_some()));
}

#[tokio::test]
async fn trap_04_the_execution_id_is_in_the_request_and_in_its_event() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    let request = worker.run(vec![complete(0, "1")]).await;
    let Some(history_event::EventType::ExecutionStarted(started)) = &request.new_events[1].event_type else {
        panic!("it has not begun: {request:?}");
    };
    let in_event = started.orchestration_instance.clone().unwrap().execution_id.unwrap();
    assert_eq!(request.execution_id.as_ref(), Some(&in_event));
    assert!(in_event.len() == 32 && in_event.chars().all(|c| c.is_ascii_hexdigit()), "{in_event}");
    assert_eq!(get(&mut client, "i").await.unwrap().execution_id, Some(in_event));
}

#[tokio::test]
async fn trap_06_zero_takes_any_number_and_a_number_is_kept_to() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    worker.run((0..300).map(|id| task(id, "A")).collect()).await;
    // None of them is answered.
    let mut ids = Vec::new();
    for _ in 0..300 {
        ids.push(worker.activity().await.0.task_id);
    }
    ids.sort_unstable();
    assert_eq!(ids, (0..300).collect::<Vec<_>>());
    drop(worker);

    let few = GetWorkItemsRequest { max_concurrent_activity_work_items: 2, ..Default::default() };
    let mut worker = Worker::join(server.connect().await, few).await;
    let first = worker.activity().await;
    worker.activity().await;
    let third = tokio::time::timeout(Duration::from_millis(300), worker.activity()).await;
    assert!(third.is_err(), "it has two and has answered none");
    worker.result(&first.0, &first.1, "1").await;
    worker.activity().await;
}

#[tokio::test]
async fn trap_06_what_is_too_large_for_one_message_goes_to_a_worker_that_streams() {
    let grpc = GrpcOptions { inline_item_bytes: 2 << 20, ..GrpcOptions::default() };
    let server = Server::with(grpc, HubsOptions::default(), Options::default()).await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    worker.run((0..3).map(|id| task_with(id, "A", "x".repeat(1 << 20))).collect()).await;
    let mut activities = Vec::new();
    for _ in 0..3 {
        activities.push(worker.activity().await);
    }
    for (activity, token) in &activities {
        worker.result(activity, token, "1").await;
    }
    let sent = tokio::time::timeout(Duration::from_millis(500), worker.episode()).await;
    assert!(sent.is_err(), "an episode of 3 MB was sent in one message");
    let streams =
        GetWorkItemsRequest { capabilities: vec![WorkerCapability::HistoryStreaming.into()], ..Default::default() };
    let mut streaming = Worker::join(server.connect().await, streams).await;
    let (request, token) = streaming.episode().await;
    assert!(request.requires_history_streaming && request.past_events.is_empty());
    let ask = StreamInstanceHistoryRequest {
        instance_id: "i".into(),
        execution_id: request.execution_id.clone(),
        for_work_item_processing: true,
    };
    let mut chunks = client.stream_instance_history(ask.clone()).await.unwrap().into_inner();
    let mut events = 0;
    while let Some(chunk) = chunks.message().await.unwrap() {
        events += chunk.events.len();
    }
    assert_eq!(events, 5, "what the first episode made, and nothing of the second");
    streaming.answer("i", &token, vec![complete(3, "1")]).await;
    ended(&mut client, "i").await;
    refused(client.stream_instance_history(ask).await, tonic::Code::NotFound, "no work item");
}

/// A worker that keeps sessions may have an item before what is in it is on disk: nobody else is shown it (invariant 1).
#[tokio::test]
async fn the_past_of_an_early_item_is_for_its_worker_alone() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    worker.run((0..3).map(|id| task_with(id, "A", "x".repeat(1 << 20))).collect()).await;
    let (activity, token) = worker.activity().await;
    worker.result(&activity, &token, "1").await;
    drop(worker);
    let mut request = tonic::Request::new(GetWorkItemsRequest {
        capabilities: vec![WorkerCapability::HistoryStreaming.into()],
        ..Default::default()
    });
    request.metadata_mut().insert(extension::KEEPS_SESSIONS, "1".parse().unwrap());
    let mut worker = Worker::join(server.connect().await, request).await;
    let (request, _) = worker.episode().await;
    assert!(request.requires_history_streaming, "{request:?}");
    let ask = StreamInstanceHistoryRequest {
        instance_id: "i".into(),
        execution_id: request.execution_id.clone(),
        for_work_item_processing: true,
    };
    refused(client.stream_instance_history(ask.clone()).await, tonic::Code::NotFound, "no work item");
    let mut chunks = worker.client.stream_instance_history(ask).await.unwrap().into_inner();
    let mut events = 0;
    while let Some(chunk) = chunks.message().await.unwrap() {
        events += chunk.events.len();
    }
    assert_eq!(events, 5);
}

#[tokio::test]
async fn trap_08_a_silent_stream_is_pinged() {
    let grpc = GrpcOptions { ping_every: Duration::from_millis(50), ..GrpcOptions::default() };
    let server = Server::with(grpc, HubsOptions::default(), Options::default()).await;
    let mut worker = server.worker().await;
    for _ in 0..2 {
        let item = worker.message().await.unwrap().unwrap();
        assert!(matches!(item.request, Some(work_item::Request::HealthPing(_))), "{item:?}");
    }
}

#[tokio::test]
async fn trap_08_items_of_a_lost_stream_go_to_the_next_and_may_still_be_answered() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    worker.run(vec![task(0, "A"), task(1, "B")]).await;
    let (a, token_of_a) = worker.activity().await;
    let (_, _) = worker.activity().await;
    drop(worker);

    // Nobody has it yet, so the answer that comes over another connection counts.
    client.complete_activity_task(activity_response(&a, &token_of_a, "1")).await.unwrap();
    let begun = Instant::now();
    let mut next = server.worker().await;
    let (mut seen_b, mut results) = (false, 0);
    while !seen_b || results == 0 {
        match next.next().await {
            (work_item::Request::ActivityRequest(activity), _) => {
                assert_eq!(activity.name, "B", "the other one was answered");
                seen_b = true;
            }
            (work_item::Request::OrchestratorRequest(request), token) => {
                results = request.new_events.len() - 1;
                next.answer("i", &token, vec![]).await;
            }
            other => panic!("unexpected: {other:?}"),
        }
    }
    assert_eq!(results, 1);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn trap_13_filters() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let filters = WorkItemFilters {
        orchestrations: vec![OrchestrationFilter { name: "mine".into(), versions: vec!["1".into()] }],
        activities: vec![],
        entities: vec![],
    };
    let request = GetWorkItemsRequest { work_item_filters: Some(filters), ..Default::default() };
    let mut picky = Worker::join(server.connect().await, request).await;
    for (id, name, version) in [("a", "Other", None), ("b", "MINE", Some("2")), ("c", "MINE", Some("1"))] {
        let version = version.map(str::to_string);
        client.start_instance(CreateInstanceRequest { version, ..create(id, name) }).await.unwrap();
    }
    assert_eq!(picky.run(vec![task(0, "A")]).await.instance_id, "c");
    for pending in ["a", "b"] {
        assert_eq!(get(&mut client, pending).await.unwrap().orchestration_status(), S::Pending);
    }
    // Nor does it get the activity of its own orchestration. One without filters gets everything.
    let mut other = server.worker().await;
    let mut got = Vec::new();
    for _ in 0..3 {
        got.push(match other.next().await.0 {
            work_item::Request::OrchestratorRequest(request) => request.instance_id,
            work_item::Request::ActivityRequest(request) => request.name,
            unexpected => panic!("{unexpected:?}"),
        });
    }
    got.sort();
    assert_eq!(got, ["A", "a", "b"]);
}

#[tokio::test]
async fn trap_18_it_is_pending_until_its_first_episode_is_answered() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    let (_, token) = worker.episode().await;
    let mut wait = tonic::Request::new(GetInstanceRequest { instance_id: "i".into(), ..Default::default() });
    wait.set_timeout(Duration::from_millis(300));
    let reply = client.wait_for_instance_start(wait).await;
    assert_eq!(reply.unwrap_err().code(), tonic::Code::DeadlineExceeded);
    assert_eq!(get(&mut client, "i").await.unwrap().orchestration_status(), S::Pending);
    worker.answer("i", &token, vec![]).await;
    let request = GetInstanceRequest { instance_id: "i".into(), ..Default::default() };
    let state = soon("a start", client.wait_for_instance_start(request)).await.unwrap().into_inner();
    assert_eq!(state.orchestration_state.unwrap().orchestration_status(), S::Running);
}

#[tokio::test]
async fn trap_22_entity_parameters_are_set_and_the_trace_context_comes_back() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    let (request, token) = worker.episode().await;
    assert!(request.entity_parameters.unwrap().entity_message_reorder_window.is_some());
    assert_eq!(request.orchestration_trace_context, None);
    let trace = OrchestrationTraceContext { span_id: Some("0123".into()), span_start_time: None };
    let response = OrchestratorResponse {
        instance_id: "i".into(),
        completion_token: token,
        orchestration_trace_context: Some(trace.clone()),
        ..Default::default()
    };
    worker.client.complete_orchestrator_task(response).await.unwrap();
    client.raise_event(RaiseEventRequest { instance_id: "i".into(), name: "e".into(), input: None }).await.unwrap();
    let (request, _) = worker.episode().await;
    assert_eq!(request.orchestration_trace_context, Some(trace));
}

#[tokio::test]
async fn equal_workers_share_and_a_slow_one_holds_nobody_up() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    let some = |most| GetWorkItemsRequest {
        max_concurrent_activity_work_items: most,
        work_item_filters: Some(WorkItemFilters {
            activities: vec![ActivityFilter { name: "A".into(), versions: vec![] }],
            ..Default::default()
        }),
        ..Default::default()
    };
    // It takes five and never answers.
    let _slow = Worker::join(server.connect().await, some(5)).await;
    let mut one = Worker::join(server.connect().await, some(5)).await;
    let mut two = Worker::join(server.connect().await, some(5)).await;
    drop(worker.run((0..200).map(|id| task(id, "A")).collect()).await);
    drop(worker);
    let (mut by_one, mut by_two) = (0, 0);
    while by_one + by_two < 195 {
        let (of_one, activity, token) = tokio::select! {
            (activity, token) = one.activity() => (true, activity, token),
            (activity, token) = two.activity() => (false, activity, token),
        };
        let (worker, count) = if of_one { (&mut one, &mut by_one) } else { (&mut two, &mut by_two) };
        worker.result(&activity, &token, "1").await;
        *count += 1;
    }
    assert!(by_one >= 60 && by_two >= 60, "{by_one} and {by_two}");
}

#[tokio::test]
async fn a_hub_that_stops_ends_streams_and_waits() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    let waiting = {
        let mut client = client.clone();
        tokio::spawn(async move {
            let request = GetInstanceRequest { instance_id: "i".into(), ..Default::default() };
            client.wait_for_instance_completion(request).await
        })
    };
    worker.run(vec![]).await;
    assert!(server.hubs.shutdown(Duration::ZERO).await.is_empty());
    let ended = worker.message().await.unwrap_err();
    assert_eq!(ended.code(), tonic::Code::Unavailable, "{ended}");
    let refused = soon("the wait's end", waiting).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused}");
    let late = client.start_instance(create("j", "O")).await.unwrap_err();
    assert_eq!(late.code(), tonic::Code::Unavailable, "{late}");
}

/// A worker that was stopped, or whose packets are dropped, is gone when it no longer answers HTTP/2's pings.
#[tokio::test]
async fn trap_08_a_connection_that_does_not_answer_pings_is_gone() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let grpc = GrpcOptions { keep_alive: Duration::from_millis(200), ..GrpcOptions::default() };
    let server = Server::with(grpc, HubsOptions::default(), Options::default()).await;
    let mut socket = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    // The preface of HTTP/2, and empty settings.
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut all = Vec::new();
    // Ends, well or badly.
    let _ = soon("the connection's end", socket.read_to_end(&mut all)).await;
    // One that answers stays.
    let mut worker = server.worker().await;
    let quiet = tokio::time::timeout(Duration::from_millis(800), worker.message()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}
