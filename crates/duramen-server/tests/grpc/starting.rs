//! StartInstance, and what it does about ids that exist.

use crate::support::*;
use duramen_hub::Options;
use duramen_proto::*;
use duramen_server::{GrpcOptions, HubsOptions};
use tonic::Code;

fn policy(statuses: &[S], action: i32) -> Option<OrchestrationIdReusePolicy> {
    let replaceable_status = statuses.iter().map(|status| i32::from(*status)).collect();
    Some(OrchestrationIdReusePolicy { replaceable_status, action })
}

#[tokio::test]
async fn an_empty_id_is_made_and_a_bad_one_refused() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let made = client.start_instance(create("", "O")).await.unwrap().into_inner().instance_id;
    assert_eq!(made.len(), 32);
    assert!(get(&mut client, &made).await.is_some());
    for bad in ["@counter@key", "a/b", "a\nb", &"x".repeat(257)] {
        refused(client.start_instance(create(bad, "O")).await, Code::InvalidArgument, "instance id");
    }
    refused(client.start_instance(create("i", "")).await, Code::InvalidArgument, "name");
}

/// JavaScript always sends a scheduled start, of 1970 if there is none.
#[tokio::test]
async fn trap_05_a_scheduled_start_in_the_past_is_now() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    let scheduled_start_timestamp = Some(Timestamp { seconds: 0, nanos: 0 });
    client.start_instance(CreateInstanceRequest { scheduled_start_timestamp, ..create("i", "O") }).await.unwrap();
    let request = worker.run(vec![complete(0, "1")]).await;
    assert!(request.new_events[0].timestamp.unwrap().seconds > 1_700_000_000, "{:?}", request.new_events[0]);
    ended(&mut client, "i").await;
}

#[tokio::test]
async fn trap_11_starting_an_id_that_exists() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    let with = |policy| CreateInstanceRequest { orchestration_id_reuse_policy: policy, ..create("i", "O") };
    let exists = "orchestration instance already exists";

    start(&mut client, "i", "O").await;
    refused(client.start_instance(create("i", "O")).await, Code::AlreadyExists, exists);
    refused(client.start_instance(with(policy(&[], 0))).await, Code::AlreadyExists, exists);
    refused(client.start_instance(with(policy(&[S::Running], 0))).await, Code::AlreadyExists, exists);
    let text = "Invalid reusable statuses: cannot exclude 'Terminated' while also allowing reuse of running instances";
    refused(client.start_instance(with(policy(&[S::Pending], 0))).await, Code::InvalidArgument, text);
    let before = get(&mut client, "i").await.unwrap();

    // IGNORE of the withdrawn field starts nothing when the status is listed.
    client.start_instance(with(policy(&[S::Pending], 1))).await.unwrap();
    assert_eq!(get(&mut client, "i").await.unwrap().execution_id, before.execution_id);
    refused(client.start_instance(with(policy(&[S::Running], 1))).await, Code::AlreadyExists, exists);
    // TERMINATE replaces without the check.
    refused(client.start_instance(with(policy(&[S::Running], 2))).await, Code::AlreadyExists, exists);
    client.start_instance(with(policy(&[S::Pending], 2))).await.unwrap();
    let replaced = get(&mut client, "i").await.unwrap();
    assert_ne!(replaced.execution_id, before.execution_id);
    refused(client.start_instance(with(policy(&[S::Pending], 3))).await, Code::InvalidArgument, "action 3");

    client.start_instance(with(policy(&[S::Pending, S::Terminated], 0))).await.unwrap();
    // The first item was of an instance that is no more; its answer changes nothing.
    loop {
        let request = worker.run(vec![complete(0, "1")]).await;
        if request.execution_id == get(&mut client, "i").await.unwrap().execution_id {
            break;
        }
    }
    ended(&mut client, "i").await;
    // Finished: listed or without a policy it is replaced, and what it was is not seen any more.
    refused(client.start_instance(with(policy(&[S::Failed], 0))).await, Code::AlreadyExists, exists);
    client.start_instance(with(policy(&[S::Completed], 0))).await.unwrap();
    assert_eq!(get(&mut client, "i").await.unwrap().orchestration_status(), S::Pending);
    worker.run(vec![complete(0, "1")]).await;
    ended(&mut client, "i").await;
    start(&mut client, "i", "O").await;
    assert_eq!(get(&mut client, "i").await.unwrap().output, None);
}

#[tokio::test]
async fn trap_11_restart() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    let restart =
        |id: &str, anew| RestartInstanceRequest { instance_id: id.into(), restart_with_new_instance_id: anew };
    refused(client.restart_instance(restart("i", false)).await, Code::NotFound, "no orchestration instance");
    client.start_instance(CreateInstanceRequest { input: Some("5".into()), ..create("i", "O") }).await.unwrap();
    refused(client.restart_instance(restart("i", false)).await, Code::FailedPrecondition, "under a new one");
    let other = client.restart_instance(restart("i", true)).await.unwrap().into_inner().instance_id;
    assert_eq!(get(&mut client, &other).await.unwrap().input.as_deref(), Some("5"));
    for _ in 0..2 {
        worker.run(vec![complete(0, "1")]).await;
    }
    ended(&mut client, "i").await;
    let same = client.restart_instance(restart("i", false)).await.unwrap().into_inner().instance_id;
    assert_eq!((same.as_str(), get(&mut client, "i").await.unwrap().output), ("i", None));
}

#[tokio::test]
async fn trap_12_rewind() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    let rewind = || RewindInstanceRequest { instance_id: "i".into(), reason: Some("fixed".into()) };
    refused(client.rewind_instance(rewind()).await, Code::NotFound, "no orchestration instance");
    start(&mut client, "i", "O").await;
    refused(client.rewind_instance(rewind()).await, Code::FailedPrecondition, "only a failed");
    worker.run(vec![task(0, "A")]).await;
    let (activity, token) = worker.activity().await;
    let failure_details = Some(TaskFailureDetails { error_type: "E".into(), ..Default::default() });
    let response = ActivityResponse { result: None, failure_details, ..activity_response(&activity, &token, "") };
    worker.client.complete_activity_task(response).await.unwrap();
    worker.run(vec![fail(1, "broken")]).await;
    let failed = ended(&mut client, "i").await;
    assert_eq!(failed.failure_details.unwrap().error_message, "broken");
    client.rewind_instance(rewind()).await.unwrap();
    let state = get(&mut client, "i").await.unwrap();
    assert_eq!((state.orchestration_status(), state.failure_details), (S::Running, None));
    // The activity is opened again, and no worker sees ExecutionRewound.
    let (mut completed, mut done) = (false, false);
    while !done {
        match worker.next().await {
            (work_item::Request::ActivityRequest(activity), token) => {
                worker.result(&activity, &token, "1").await;
                completed = true;
            }
            (work_item::Request::OrchestratorRequest(request), token) => {
                request.past_events.iter().chain(&request.new_events).map(brief).for_each(drop);
                done = completed && request.new_events.len() > 1;
                worker.answer("i", &token, if done { vec![complete(1, "2")] } else { vec![task(0, "A")] }).await;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ended(&mut client, "i").await.output.as_deref(), Some("2"));
}

fn named<T>(hub: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("taskhub", hub.parse().unwrap());
    request.metadata_mut().insert("authorization", "Bearer whatever".parse().unwrap());
    request
}

#[tokio::test]
async fn trap_16_the_hub_is_named_by_metadata() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.start_instance(named("orders", create("i", "O"))).await.unwrap();
    assert_eq!(get(&mut client, "i").await, None, "it is in another hub");
    let get = || GetInstanceRequest { instance_id: "i".into(), ..Default::default() };
    assert!(client.get_instance(named("ORDERS", get())).await.unwrap().into_inner().exists);
    refused(client.get_instance(named("a b", get())).await, Code::InvalidArgument, "3 to 45");

    let only = HubsOptions { only: Some(vec!["orders".parse().expect("a name")]), ..HubsOptions::default() };
    let server = Server::with(GrpcOptions::default(), only, Options::default()).await;
    let mut client = server.connect().await;
    refused(client.hello(()).await, Code::NotFound, "there are: orders");
    client.hello(named("orders", ())).await.unwrap();

    let few = HubsOptions { most: 1, ..HubsOptions::default() };
    let server = Server::with(GrpcOptions::default(), few, Options::default()).await;
    let mut client = server.connect().await;
    client.hello(()).await.unwrap();
    refused(client.hello(named("other", ())).await, Code::ResourceExhausted, "default");
}
