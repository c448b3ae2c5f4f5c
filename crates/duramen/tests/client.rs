//! What a client can do, on the real hub with real workers.

use duramen::prelude::*;
use duramen::testing::TestHub;
use std::time::Duration;

#[activity]
async fn double(_ctx: ActivityContext, number: u64) -> Result<u64> {
    Ok(number * 2)
}

#[orchestrator]
async fn doubled(ctx: OrchestrationContext, number: u64) -> Result<u64> {
    Ok(ctx.call_activity(Double, number).await?)
}

/// Ends with the number that is raised.
#[orchestrator]
async fn waiting(ctx: OrchestrationContext, _: ()) -> Result<u64> {
    Ok(ctx.wait_for_event::<u64>("number").await?)
}

/// Fails until it is told otherwise from outside.
#[orchestrator]
async fn failing(ctx: OrchestrationContext, number: u64) -> Result<u64> {
    Ok(ctx.call_activity("Flaky", number).await?)
}

#[orchestrator]
async fn with_child(ctx: OrchestrationContext, _: ()) -> Result<u64> {
    let child = ctx.call_sub_orchestrator(Waiting, ()).instance_id("child");
    Ok(child.await?)
}

fn hub() -> TestHub {
    TestHub::new().orchestrator(Doubled).orchestrator(Waiting).orchestrator(WithChild).activity(Double)
}

#[tokio::test]
async fn a_start_has_options_and_its_handle_gives_the_typed_output() {
    let t = hub();
    let client = t.client();
    let handle = client.start(Doubled, 21).id("order-1").version("2").tag("customer", "ada").await.unwrap();
    assert_eq!((handle.id(), handle.was_attached()), ("order-1", false));
    assert_eq!(handle.wait().await.unwrap(), 42);
    let instance = client.get("order-1").await.unwrap().expect("it is there");
    assert_eq!(
        (instance.name(), instance.version(), instance.status()),
        ("Doubled", Some("2"), OrchestrationStatus::Completed)
    );
    assert_eq!(instance.tags().get("customer").map(String::as_str), Some("ada"));
    assert_eq!((instance.input::<u64>().unwrap(), instance.output::<u64>().unwrap()), (21, 42));
    assert!(instance.is_completed() && instance.completed() >= instance.created());
}

#[tokio::test]
async fn a_start_by_name_gives_what_is_asked_for_and_says_when_it_does_not_fit() {
    let t = hub();
    let handle = t.client().start("Doubled", 4).await.unwrap();
    let eight: u64 = handle.wait().await.unwrap();
    assert_eq!(eight, 8);
    let handle = t.client().start::<_, _, String>("Doubled", 4).id("wrong").await.unwrap();
    let error = handle.wait().await.unwrap_err().to_string();
    assert!(error.contains("output of instance \"wrong\"") && error.contains("String"), "{error}");
}

#[tokio::test]
async fn random_ids_are_32_hex_digits() {
    let t = hub();
    let handle = t.client().start(Doubled, 1).await.unwrap();
    assert!(handle.id().len() == 32 && handle.id().bytes().all(|byte| byte.is_ascii_hexdigit()), "{}", handle.id());
}

#[tokio::test]
async fn an_id_that_exists_is_refused_attached_to_or_replaced() {
    let t = hub();
    let client = t.client();
    let first = client.start(Waiting, ()).id("a").await.unwrap();
    let again = || client.start(Waiting, ()).id("a");
    let refused = again().await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused(Refusal::AlreadyExists { .. })), "{refused}");
    let attached = again().on_existing(OnExisting::Attach).await.unwrap();
    assert!(attached.was_attached());

    let waiting = tokio::spawn(async move { first.wait().await });
    tokio::task::yield_now().await;
    let statuses = vec![OrchestrationStatus::Running, OrchestrationStatus::Pending, OrchestrationStatus::Terminated];
    let second = again().on_existing(OnExisting::Replace(statuses)).await.unwrap();
    assert!(!second.was_attached());
    let replaced = waiting.await.unwrap().unwrap_err();
    let is_right = matches!(replaced, ClientError::Terminated { .. } | ClientError::Refused(Refusal::Replaced(_)));
    assert!(is_right, "{replaced}");
    // The handle of the first is bound to it.
    let gone = attached.wait().await.unwrap_err();
    assert!(matches!(gone, ClientError::Refused(Refusal::Replaced(_))), "{gone}");
    second.raise_event("number", 5).await.unwrap();
    assert_eq!(second.wait().await.unwrap(), 5);
}

#[tokio::test]
async fn a_scheduled_start_is_pending_until_its_time() {
    let t = hub();
    let client = t.client();
    let handle = client.start(Doubled, 3).id("later").at(Duration::from_secs(3_600)).await.unwrap();
    let instance = client.get("later").await.unwrap().expect("it is there");
    assert_eq!(instance.status(), OrchestrationStatus::Pending);
    let due = instance.scheduled().expect("it has a time");
    assert_eq!(handle.wait().await.unwrap(), 6);
    assert!(t.clock().now() >= due);
    client.wait_for_start("later").await.unwrap();
}

#[tokio::test]
async fn a_wait_takes_no_longer_than_it_is_allowed_to() {
    let t = hub();
    let handle = t.client().start(Waiting, ()).id("a").await.unwrap();
    let error = handle.wait_timeout(Duration::from_secs(86_400)).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused(Refusal::TimedOut(_))), "{error}");
    let error = t.client().wait_for_completion("nobody").timeout(Duration::from_secs(1)).await.unwrap_err();
    let is_right =
        matches!(error, ClientError::NotFound(_) | ClientError::Refused(Refusal::NotFound(_) | Refusal::TimedOut(_)));
    assert!(is_right, "{error}");
}

#[tokio::test]
async fn a_suspended_instance_keeps_its_events_until_it_is_resumed() {
    let t = hub();
    let client = t.client();
    let handle = client.start(Waiting, ()).id("a").await.unwrap();
    handle.started().await.unwrap();
    client.suspend("a", "audit").await.unwrap();
    handle.raise_event("NUMBER", 9).await.unwrap();
    let instance = client.get("a").await.unwrap().expect("it is there");
    assert_eq!(instance.status(), OrchestrationStatus::Suspended);
    client.resume("a", None).await.unwrap();
    assert_eq!(handle.wait().await.unwrap(), 9);
}

#[tokio::test]
async fn a_termination_takes_children_along_if_asked_to() {
    let t = hub();
    let client = t.client();
    let handle = client.start(WithChild, ()).id("parent").await.unwrap();
    client.wait_for_start("child").await.unwrap();
    client.terminate("parent").output("enough").recurse().await.unwrap();
    match handle.wait().await.unwrap_err() {
        ClientError::Terminated { id, output } => {
            assert_eq!((id.as_str(), output.as_deref()), ("parent", Some("\"enough\"")))
        }
        other => panic!("{other}"),
    }
    let child = client.wait_for_completion("child").await.unwrap();
    assert_eq!((child.status(), child.parent()), (OrchestrationStatus::Terminated, Some("parent")));
}

#[tokio::test]
async fn a_failure_is_an_error_with_its_details_and_can_be_rewound() {
    let allowed = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flag = allowed.clone();
    let t = TestHub::new().orchestrator(Failing).mock("Flaky", move |number: u64| {
        let fine = flag.load(std::sync::atomic::Ordering::Relaxed);
        fine.then_some(number).ok_or_else(|| Error::msg("out of order"))
    });
    let client = t.client();
    let handle = client.start(Failing, 7).id("a").await.unwrap();
    match handle.wait().await.unwrap_err() {
        ClientError::Failed { id, failure } => {
            assert_eq!(id, "a");
            assert!(failure.to_string().contains("out of order"), "{failure}");
        }
        other => panic!("{other}"),
    }
    allowed.store(true, std::sync::atomic::Ordering::Relaxed);
    client.rewind("a", "repaired").await.unwrap();
    assert_eq!(handle.wait().await.unwrap(), 7);
}

#[tokio::test]
async fn a_restart_runs_the_same_again() {
    let t = hub();
    let client = t.client();
    client.start(Doubled, 8).id("a").await.unwrap().wait().await.unwrap();
    let copy = client.restart("a").await.unwrap();
    assert_ne!(copy.id(), "a");
    assert_eq!(copy.wait().await.unwrap(), 16);
    let same = client.restart_in_place("a").await.unwrap();
    assert_eq!((same.id(), same.wait().await.unwrap()), ("a", 16.into()));
}

#[tokio::test]
async fn lists_have_filters_and_pages() {
    let t = hub();
    let client = t.client();
    for n in 0..25 {
        let handle =
            client.start(Doubled, n).id(format!("batch-{n:02}")).tag("parity", ["even", "odd"][n as usize % 2]);
        handle.await.unwrap().wait().await.unwrap();
    }
    client.start(Waiting, ()).id("open").await.unwrap();
    let ids = |instances: &[Instance]| instances.iter().map(|instance| instance.id().to_owned()).collect::<Vec<_>>();

    let mut seen = Vec::new();
    let mut list = client.list(Filter::new().prefix("batch-")).page_size(10);
    loop {
        let page = list.await.unwrap();
        assert!(page.instances.len() <= 10);
        seen.extend(ids(&page.instances));
        let Some(next) = page.next else { break };
        list = client.list(Filter::new().prefix("batch-")).page_size(10).after(next);
    }
    assert_eq!(seen, (0..25).map(|n| format!("batch-{n:02}")).collect::<Vec<_>>());

    let odd = client.list(Filter::new().tag("parity", "odd")).all().await.unwrap();
    assert_eq!(odd.len(), 12);
    assert_eq!(odd[0].output::<u64>().unwrap(), 2);
    let live = client.list(Filter::new().status(OrchestrationStatus::Pending).status(OrchestrationStatus::Running));
    assert_eq!(ids(&live.all().await.unwrap()), ["open"]);
    let named = client.list(Filter::new().name("Waiting")).all().await.unwrap();
    assert_eq!(ids(&named), ["open"]);
    assert_eq!(client.list(Filter::new()).by_completion().all().await.unwrap().len(), 25);
}

#[tokio::test]
async fn purging_takes_what_has_ended_and_nothing_else() {
    let t = hub();
    let client = t.client();
    for n in 0..5 {
        client.start(Doubled, n).id(format!("done-{n}")).await.unwrap().wait().await.unwrap();
    }
    client.start(Waiting, ()).id("open").await.unwrap();
    assert_eq!(client.purge("done-0").await.unwrap().deleted, 1);
    assert_eq!(client.purge("done-0").await.unwrap().deleted, 0);
    assert_eq!(client.get("done-0").await.unwrap(), None);
    assert_eq!(client.purge(Filter::new()).await.unwrap().deleted, 4);
    let left = client.list(Filter::new()).all().await.unwrap();
    assert_eq!(left.iter().map(Instance::id).collect::<Vec<_>>(), ["open"]);
}

#[tokio::test]
async fn what_may_not_be_is_refused_with_what_to_do() {
    let t = hub();
    let client = t.client();
    let bad_id = client.start(Doubled, 1).id("a/b").await.unwrap_err().to_string();
    assert!(bad_id.contains("\"a/b\"") && bad_id.contains("use 1 to 256 characters"), "{bad_id}");
    let bad_name = client.start::<_, _, ()>("", ()).await.unwrap_err().to_string();
    assert!(bad_name.contains("name") && bad_name.contains("is empty"), "{bad_name}");
    let nan = client.start("Doubled", f64::NAN).id("nan");
    let nan: Result<Handle<u64>, _> = nan.await;
    assert!(matches!(nan.unwrap_err(), ClientError::Input { what: "input", .. }));
    for error in [
        client.raise_event("nobody", "number", 1).await.unwrap_err(),
        client.suspend("nobody", None).await.unwrap_err(),
        client.terminate("nobody").await.unwrap_err(),
        client.rewind("nobody", None).await.unwrap_err(),
        client.restart("nobody").await.map(drop).unwrap_err(),
        client.history("nobody").await.map(drop).unwrap_err(),
    ] {
        assert!(matches!(&error, ClientError::Refused(Refusal::NotFound(id)) if id == "nobody"), "{error}");
    }
    assert_eq!(client.get("nobody").await.unwrap(), None);
}
