//! What an operator sees and decides: held items, what nobody takes, draining, and the page about it.

use crate::support::*;
use duramen_core::dispatch::Unroutable;
use duramen_core::limits::Settings;
use duramen_core::partition::{HeldItem, Verdict};
use duramen_hub::{ConnectedWorker, Hub, Options};
use duramen_proto::*;
use duramen_server::{GrpcOptions, HubsOptions, http};
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

async fn server_with(settings: Settings, grpc: GrpcOptions) -> (Server, Hub) {
    let options = Options { settings, ..Options::default() };
    let server = Server::with(grpc, HubsOptions::default(), options).await;
    let hub = server.hubs.get(None).await.expect("it opens").hub;
    (server, hub)
}

/// Two dispatches that count are too many.
async fn strict() -> (Server, Hub) {
    server_with(Settings { hold_after: 2, ..Settings::default() }, GrpcOptions::default()).await
}

/// Looks until there is something to be seen.
async fn seen<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    soon(what, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

async fn held_item(hub: &Hub) -> HeldItem {
    seen("a held item", || async { hub.held().await.expect("it is shown").pop() }).await
}

async fn workers(hub: &Hub) -> Vec<ConnectedWorker> {
    hub.workers().await.expect("they are shown")
}

/// Two workers take the first episode of an instance and are lost with it.
async fn lose_twice(server: &Server, client: &mut Client, id: &str) {
    start(client, id, "O").await;
    for _ in 0..2 {
        let mut worker = server.worker().await;
        assert_eq!(worker.episode().await.0.instance_id, id);
    }
}

#[tokio::test]
async fn an_item_whose_workers_are_lost_is_held_until_it_is_tried_again() {
    let (server, hub) = strict().await;
    let mut client = server.connect().await;
    lose_twice(&server, &mut client, "i").await;
    let item = held_item(&hub).await;
    assert_eq!((item.instance.as_str(), &*item.name, item.losses.all.len()), ("i", "O", 2));
    assert!(item.losses.all[0].worker.contains("tonic"), "the user agent names it: {item:?}");
    // It is in nobody's way.
    let mut worker = server.worker().await;
    start(&mut client, "j", "O").await;
    assert_eq!(worker.run(vec![complete(0, "1")]).await.instance_id, "j");
    assert_eq!(get(&mut client, "i").await.unwrap().orchestration_status(), S::Pending);
    hub.decide(item.instance, item.key, Verdict::Retry).await.expect("it is done");
    assert_eq!(worker.run(vec![complete(0, "2")]).await.instance_id, "i");
    assert_eq!(ended(&mut client, "i").await.output.as_deref(), Some("2"));
    assert!(hub.held().await.expect("it is shown").is_empty());
}

#[tokio::test]
async fn an_item_that_the_operator_fails_fails_its_instance() {
    let (server, hub) = strict().await;
    let mut client = server.connect().await;
    lose_twice(&server, &mut client, "i").await;
    let item = held_item(&hub).await;
    hub.decide(item.instance.clone(), item.key, Verdict::Fail).await.expect("it is done");
    let state = ended(&mut client, "i").await;
    assert_eq!(state.orchestration_status(), S::Failed);
    assert_eq!(state.failure_details.unwrap().error_type, "PoisonedWorkItem");
    let again = hub.decide(item.instance, item.key, Verdict::Fail).await.expect_err("it is held no longer");
    assert!(again.to_string().contains("no such held item"), "{again}");
}

#[tokio::test]
async fn an_answer_over_another_connection_ends_a_hold() {
    let (server, hub) = strict().await;
    let mut client = server.connect().await;
    start(&mut client, "i", "O").await;
    let mut last = String::new();
    for _ in 0..2 {
        let mut worker = server.worker().await;
        last = worker.episode().await.1;
    }
    held_item(&hub).await;
    let response = OrchestratorResponse {
        instance_id: "i".into(),
        actions: vec![complete(0, "7")],
        completion_token: last,
        ..Default::default()
    };
    client.complete_orchestrator_task(response).await.expect("a completion is always OK");
    assert_eq!(ended(&mut client, "i").await.output.as_deref(), Some("7"));
    assert!(hub.held().await.expect("it is shown").is_empty());
}

#[tokio::test]
async fn trap_28_what_is_given_back_comes_later_and_later_and_is_counted() {
    let (server, hub) = strict().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    worker.run(vec![task(0, "A")]).await;
    let (mut token, mut given_back) = (worker.activity().await.1, 0);
    for pause in [100, 200, 400] {
        let begun = Instant::now();
        // .NET repeats what it is not sure of.
        for _ in 0..3 {
            let request = AbandonActivityTaskRequest { completion_token: token.clone() };
            worker.client.abandon_task_activity_work_item(request).await.expect("it is always OK");
        }
        given_back += 1;
        let (activity, next) = worker.activity().await;
        assert!(begun.elapsed() >= Duration::from_millis(pause), "{:?} and not {pause} ms", begun.elapsed());
        assert_eq!(workers(&hub).await[0].given_back, given_back);
        token = next;
        if pause == 400 {
            worker.result(&activity, &token, "1").await;
        }
    }
    worker.run(vec![complete(1, "1")]).await;
    ended(&mut client, "i").await;
    assert!(hub.held().await.expect("it is shown").is_empty(), "what is given back does not count");
}

#[tokio::test]
async fn a_drained_worker_answers_what_it_has_and_its_stream_ends_well() {
    let (server, hub) = strict().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    start(&mut client, "i", "O").await;
    let (request, token) = worker.episode().await;
    let row = workers(&hub).await.pop().expect("it is connected");
    assert_eq!(row.in_flight.len(), 1);
    assert_eq!((row.in_flight[0].instance.as_str(), row.draining), ("i", false));
    assert!(hub.drain(row.worker).await.expect("it is heard"));
    start(&mut client, "j", "O").await;
    assert!(workers(&hub).await[0].draining);
    worker.answer(&request.instance_id, &token, vec![complete(0, "1")]).await;
    assert!(worker.message().await.expect("the stream ends well").is_none(), "it gets nothing more");
    assert_eq!(ended(&mut client, "i").await.output.as_deref(), Some("1"));
    assert!(!hub.drain(row.worker).await.expect("it is heard"), "it is gone");
    let mut next = server.worker().await;
    assert_eq!(next.run(vec![complete(0, "1")]).await.instance_id, "j");
}

/// A worker that is lost while it is drained was leaving anyway.
#[tokio::test]
async fn what_a_worker_that_is_being_drained_does_not_answer_does_not_count() {
    let (server, hub) = strict().await;
    let mut client = server.connect().await;
    start(&mut client, "i", "O").await;
    for _ in 0..4 {
        let mut worker = server.worker().await;
        worker.episode().await;
        let rows = workers(&hub).await;
        let row = rows.iter().find(|row| !row.in_flight.is_empty()).expect("it has it");
        hub.drain(row.worker).await.expect("it is heard");
    }
    server.worker().await.run(vec![complete(0, "1")]).await;
    ended(&mut client, "i").await;
}

#[tokio::test]
async fn trap_13_what_nobody_takes_is_listed_with_its_reason() {
    let (server, hub) = strict().await;
    let mut client = server.connect().await;
    start(&mut client, "a", "Other").await;
    let rows = hub.unroutable().await.expect("it is shown");
    assert_eq!((rows.len(), rows[0].reason, rows[0].queue.waiting), (1, Unroutable::NoWorker, 1));
    let filters = WorkItemFilters {
        orchestrations: vec![OrchestrationFilter { name: "mine".into(), versions: vec!["1".into()] }],
        ..Default::default()
    };
    let request = GetWorkItemsRequest { work_item_filters: Some(filters), ..Default::default() };
    let _picky = Worker::join(server.connect().await, request).await;
    let version = |id, version: &str| CreateInstanceRequest { version: Some(version.into()), ..create(id, "MINE") };
    client.start_instance(version("b", "2")).await.unwrap();
    client.start_instance(version("c", "2")).await.unwrap();
    let rows = hub.unroutable().await.expect("it is shown");
    let shown: Vec<_> = rows.iter().map(|row| (&*row.queue.name, row.reason, row.instances.len())).collect();
    assert_eq!(shown, [("MINE", Unroutable::NoneForVersion, 2), ("Other", Unroutable::NoneForName, 1)]);
    let queues = hub.queues().await.expect("they are shown");
    assert_eq!(queues.iter().map(|row| row.waiting).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(get(&mut client, "b").await.unwrap().orchestration_status(), S::Pending);
}

const LIMIT: usize = 100_000;

fn small() -> GrpcOptions {
    GrpcOptions { inline_item_bytes: LIMIT, ..GrpcOptions::default() }
}

#[tokio::test]
async fn trap_06_what_is_too_large_is_listed_and_holds_nobody_up() {
    let (server, hub) = server_with(Settings::default(), small()).await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    let large = CreateInstanceRequest { input: Some("x".repeat(LIMIT)), ..create("large", "O") };
    client.start_instance(large).await.unwrap();
    let rows = seen("what is too large", || async {
        Some(hub.unroutable().await.expect("it is shown")).filter(|rows| !rows.is_empty())
    })
    .await;
    let Unroutable::TooLarge { bytes, limit } = rows[0].reason else { panic!("{rows:?}") };
    assert_eq!((bytes > LIMIT, limit, rows[0].instances[0].as_str()), (true, LIMIT, "large"));
    start(&mut client, "other", "O").await;
    assert_eq!(worker.run(vec![complete(0, "1")]).await.instance_id, "other");
    assert_eq!(get(&mut client, "large").await.unwrap().orchestration_status(), S::Pending);
    assert!(hub.held().await.expect("it is shown").is_empty(), "that does not count");
}

#[tokio::test]
async fn trap_06_what_is_too_large_fails_where_that_is_wanted() {
    let settings = Settings { fail_oversized: true, ..Settings::default() };
    let (server, _hub) = server_with(settings, small()).await;
    let streams =
        GetWorkItemsRequest { capabilities: vec![WorkerCapability::HistoryStreaming.into()], ..Default::default() };
    // It fetches histories, so what it cannot take is the activity alone.
    let (mut client, mut worker) = (server.connect().await, Worker::join(server.connect().await, streams).await);
    start(&mut client, "i", "O").await;
    worker.run(vec![task_with(0, "A", "x".repeat(LIMIT))]).await;
    let (request, token) = worker.episode().await;
    let failed = request.new_events.iter().find_map(|event| match &event.event_type {
        Some(history_event::EventType::TaskFailed(failed)) => failed.failure_details.clone(),
        _ => None,
    });
    let failed = failed.expect("the activity has failed");
    assert_eq!(failed.error_type, "WorkItemTooLarge");
    assert!(failed.error_message.contains(&LIMIT.to_string()), "{}", failed.error_message);
    worker.answer(&request.instance_id, &token, vec![fail(1, "no")]).await;
    let large = CreateInstanceRequest { input: Some("x".repeat(LIMIT)), ..create("large", "O") };
    client.start_instance(large).await.unwrap();
    let state = ended(&mut client, "large").await;
    assert_eq!(state.failure_details.unwrap().error_type, "WorkItemTooLarge");
}

/// What a worker asks for that runs one activity and nothing else.
fn charges() -> GetWorkItemsRequest {
    let filters = WorkItemFilters {
        activities: vec![ActivityFilter { name: "Charge".into(), versions: vec![] }],
        ..Default::default()
    };
    GetWorkItemsRequest { work_item_filters: Some(filters), ..Default::default() }
}

/// The lines of the page, run as they are printed but for the port.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_about_operating_is_true() {
    let (server, hub) = strict().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let routes = http::routes(server.hubs.clone(), String::new());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let mut client = server.connect().await;
    start(&mut client, "order-7", "Order").await;
    let mut one = server.worker().await;
    one.run(vec![task(0, "Charge")]).await;
    one.activity().await;
    drop(one);
    server.worker().await.activity().await;
    let item = held_item(&hub).await;
    let _worker = Worker::join(server.connect().await, charges()).await;
    start(&mut client, "report-1", "Report").await;

    let page = include_str!("../../../../docs/operating.md");
    let mut shown = Vec::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("$ ")) {
        assert!(line.starts_with("curl -fsS "), "{line}");
        if line.ends_with("/fail") {
            // It was tried again, and its workers are lost once more.
            for _ in 0..2 {
                Worker::join(server.connect().await, charges()).await.activity().await;
            }
            assert_eq!(held_item(&hub).await.key, item.key);
        }
        let line = line.replace("localhost:8082", &address);
        let line = match workers(&hub).await.first() {
            Some(row) => line.replace("workers/4/", &format!("workers/{}/", row.worker.0)),
            None => line,
        };
        let output = tokio::task::spawn_blocking(move || (Command::new("sh").arg("-c").arg(&line).output(), line));
        let (output, line) = output.await.expect("it does not panic");
        let output = output.expect("there is a shell");
        let text = String::from_utf8(output.stdout).expect("it is text");
        assert!(output.status.success(), "{line}: {text}{}", String::from_utf8_lossy(&output.stderr));
        shown.push(text);
    }
    let [workers, drained, queues, unroutable, held, retried, failed] = &shown[..] else { panic!("{shown:?}") };
    for part in [
        r#""in_flight":[]"#,
        r#""name":"tonic/"#,
        r#""filters":{"orchestrators":[],"activities":[{"name":"Charge","versions":[]}]}"#,
    ] {
        assert!(workers.contains(part), "{workers}");
    }
    assert!(queues.contains(r#""name":"Report","version":null,"waiting":1"#), "{queues}");
    let reason = r#""reason":"no_worker"#;
    assert!(unroutable.contains(reason) && unroutable.contains(r#""instances":["report-1"]"#), "{unroutable}");
    let item = format!(r#""instance":"order-7","item":"{}","name":"Charge""#, item.key);
    assert!(held.contains(&item) && held.contains(r#""cause":"connection_lost""#), "{held}");
    assert_eq!((drained.as_str(), retried.as_str(), failed.as_str()), ("", "", ""));
}
