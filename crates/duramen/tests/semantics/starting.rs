//! Starting instances (1.2).

use crate::support::*;
use duramen::client::StartOrchestration;
use duramen::prelude::*;
use duramen::testing::TestHub;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

type Facts = (String, String, Option<String>, Option<String>);

/// What an orchestrator knows of its start.
#[orchestrator]
async fn known_facts(ctx: OrchestrationContext, _: ()) -> Result<Facts> {
    let text = |text: Option<&str>| text.map(str::to_string);
    Ok((ctx.instance_id().into(), ctx.name().into(), text(ctx.version()), text(ctx.parent_instance_id())))
}

#[tokio::test]
async fn what_a_start_says_is_known_inside_and_outside() {
    check(
        || TestHub::new().orchestrator(KnownFacts),
        async |t| {
            let start = t.client().start(KnownFacts, ()).id("Order 7 (ü)").version("1.2").tag("a", "1").tag("b", "");
            let seen = start.await.unwrap().wait().await.unwrap();
            assert_eq!(seen, ("Order 7 (ü)".into(), "KnownFacts".into(), Some("1.2".into()), None));
            let state = state(t, "Order 7 (ü)").await;
            assert_eq!((state.name(), state.version(), state.parent()), ("KnownFacts", Some("1.2"), None));
            assert_eq!(*state.tags(), BTreeMap::from([("a".into(), "1".into()), ("b".into(), String::new())]));
            let execution = state.execution_id().expect("it has one");
            assert!(execution.len() == 32 && execution.bytes().all(|byte| byte.is_ascii_hexdigit()), "{execution}");
        },
    )
    .await;
}

#[tokio::test]
async fn names_are_found_without_case() {
    check(hub, async |t| {
        let said: String = t.client().start("ECHO", "x").id("e").await.unwrap().wait().await.unwrap();
        assert_eq!(said, "x");
        assert_eq!(state(t, "e").await.name(), "ECHO", "and kept as they were given");
    })
    .await;
}

#[tokio::test]
async fn ids_that_may_be_are_taken_and_others_refused_by_name() {
    check(hub, async |t| {
        let long = "x".repeat(256);
        for id in ["a", " ", "a b", "ü@日本", "order:1", "100%", long.as_str()] {
            let said = t.client().start(Echo, "x").id(id).await.unwrap().wait().await.unwrap();
            assert_eq!(said, "x");
            assert_eq!(state(t, id).await.id(), id);
        }
        let too_long = "x".repeat(257);
        for (id, problem) in [
            ("@counter@1", "begins with `@`"),
            ("a/b", "holds one of"),
            ("a\\b", "holds one of"),
            ("a#b", "holds one of"),
            ("a?b", "holds one of"),
            ("a\nb", "control character"),
            ("\u{7f}", "control character"),
            (too_long.as_str(), "is too long"),
        ] {
            let error = t.client().start(Echo, "x").id(id).await.unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains("use 1 to 256 characters"), "{id:?}: {error}");
        }
        // No id is a random one.
        let (one, two) =
            (t.client().start(Echo, "x").id("").await.unwrap(), t.client().start(Echo, "x").await.unwrap());
        assert!(one.id().len() == 32 && two.id().len() == 32 && one.id() != two.id());
    })
    .await;
}

#[tokio::test]
async fn a_start_for_later_is_pending_until_its_time_and_keeps_what_is_raised() {
    check(hub, async |t| {
        let begun = t.clock().now();
        let handle = t.client().start(WaitForGo, ()).id("later").at(days(30)).await.unwrap();
        handle.raise_event("go", 5).await.unwrap();
        idle(t).await;
        let pending = state(t, "later").await;
        assert_eq!(pending.status(), OrchestrationStatus::Pending);
        assert_eq!(pending.scheduled(), Some(begun.plus(days(30))));
        assert_eq!(pending.created(), Some(begun), "it is created when it is asked for");
        assert_eq!(handle.wait().await.unwrap(), 5);
        assert_eq!(t.clock().now(), begun.plus(days(30)), "to the nanosecond");
    })
    .await;
}

#[tokio::test]
async fn a_time_that_has_passed_means_now() {
    check(hub, async |t| {
        let begun = t.clock().now();
        for (id, at) in [("ago", SystemTime::UNIX_EPOCH), ("before", SystemTime::UNIX_EPOCH - days(1))] {
            let handle = t.client().start(Echo, "x").id(id).at(at).await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), "x");
        }
        let handle = t.client().start(Echo, "x").at(Duration::ZERO).await.unwrap();
        assert_eq!(handle.wait().await.unwrap(), "x");
        assert!(t.clock().now().since(begun) < secs(1));
    })
    .await;
}

/// One in each status, under its name.
async fn one_of_each(t: &Stage) -> [(&'static str, OrchestrationStatus); 6] {
    let client = t.client();
    client.start(WaitForGo, ()).id("pending").at(days(1)).await.unwrap();
    for id in ["running", "suspended", "terminated"] {
        client.start(WaitForGo, ()).id(id).await.unwrap().started().await.unwrap();
    }
    client.suspend("suspended", None).await.unwrap();
    client.terminate("terminated").await.unwrap();
    client.wait_for_completion("terminated").await.unwrap();
    client.start(Echo, "x").id("completed").await.unwrap().wait().await.unwrap();
    client.start(Fail, "x").id("failed").await.unwrap().wait().await.unwrap_err();
    [
        ("pending", OrchestrationStatus::Pending),
        ("running", OrchestrationStatus::Running),
        ("suspended", OrchestrationStatus::Suspended),
        ("terminated", OrchestrationStatus::Terminated),
        ("completed", OrchestrationStatus::Completed),
        ("failed", OrchestrationStatus::Failed),
    ]
}

fn is_live(status: OrchestrationStatus) -> bool {
    matches!(status, OrchestrationStatus::Pending | OrchestrationStatus::Running | OrchestrationStatus::Suspended)
}

fn again(t: &Stage, id: &str) -> StartOrchestration<String> {
    t.client().start(Echo, "new").id(id)
}

#[tokio::test]
async fn unless_told_otherwise_a_live_one_stays_and_an_ended_one_is_replaced() {
    check(hub, async |t| {
        for (id, status) in one_of_each(t).await {
            match again(t, id).await {
                Ok(handle) => {
                    assert!(!is_live(status), "{id}");
                    assert!(!handle.was_attached());
                    assert_eq!(handle.wait().await.unwrap(), "new");
                }
                Err(error) => {
                    assert!(is_live(status), "{id}: {error}");
                    let expected = format!("an orchestration instance already exists under the id {id:?} (it is {id})");
                    assert!(error.to_string().starts_with(&expected), "{error}");
                    assert_eq!(state(t, id).await.status(), status, "nothing was changed");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn attaching_gives_the_live_one_and_replaces_an_ended_one() {
    check(hub, async |t| {
        for (id, status) in one_of_each(t).await {
            let handle = again(t, id).on_existing(OnExisting::Attach).await.unwrap();
            assert_eq!(handle.was_attached(), is_live(status), "{id}");
            if !is_live(status) {
                assert_eq!(handle.wait().await.unwrap(), "new");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn attaching_to_any_starts_nothing_where_there_is_one() {
    check(hub, async |t| {
        for (id, status) in one_of_each(t).await {
            let handle = again(t, id).on_existing(OnExisting::AttachAny).await.unwrap();
            assert!(handle.was_attached(), "{id}");
            assert_eq!(state(t, id).await.status(), status);
        }
        assert_eq!(again(t, "completed").on_existing(OnExisting::AttachAny).await.unwrap().wait().await.unwrap(), "x");
        let handle = again(t, "free").on_existing(OnExisting::AttachAny).await.unwrap();
        assert!(!handle.was_attached());
    })
    .await;
}

#[tokio::test]
async fn a_list_of_statuses_says_what_may_be_replaced() {
    check(hub, async |t| {
        for (id, status) in one_of_each(t).await {
            let none = again(t, id).on_existing(OnExisting::Replace(Vec::new())).await.unwrap_err();
            assert!(matches!(refusal(none), Refusal::AlreadyExists { .. }), "{id}");
            let listed = again(t, id).on_existing(OnExisting::Replace(vec![status])).await;
            if is_live(status) {
                let error = refusal(listed.unwrap_err());
                assert_eq!(error, Refusal::ReusePolicy, "{id}");
                assert!(error.to_string().contains("cannot exclude 'Terminated'"));
                let both = OnExisting::Replace(vec![status, OrchestrationStatus::Terminated]);
                let handle = again(t, id).on_existing(both).await.unwrap();
                assert_eq!(handle.wait().await.unwrap(), "new");
            } else {
                assert_eq!(listed.unwrap().wait().await.unwrap(), "new");
            }
        }
        let handle = again(t, "free").on_existing(OnExisting::Replace(Vec::new())).await.unwrap();
        assert_eq!(handle.wait().await.unwrap(), "new", "a free id needs no leave");
    })
    .await;
}

/// Many who start under one id at once: one of them starts it.
#[tokio::test]
async fn a_singleton_is_started_once() {
    check(hub, async |t| {
        let starts = (0..20).map(|_| {
            let start = t.client().start(WaitForGo, ()).id("one").on_existing(OnExisting::Attach);
            async move { start.await.unwrap() }
        });
        let handles = futures::future::join_all(starts).await;
        assert_eq!(handles.iter().filter(|handle| !handle.was_attached()).count(), 1);
        handles[0].raise_event("go", 3).await.unwrap();
        for handle in handles {
            assert_eq!(handle.wait().await.unwrap(), 3);
        }
    })
    .await;
}

#[tokio::test]
async fn no_payload_and_null_and_nothing_else_read_alike() {
    let t = TestHub::new().orchestrator(Optional);
    for input in [serde_json::Value::Null, serde_json::json!(0), serde_json::json!("")] {
        let seen: serde_json::Value = t.run("Optional", input.clone()).await.unwrap();
        assert_eq!(seen, input);
    }
    let seen: serde_json::Value = t.run("Optional", ()).await.unwrap();
    assert_eq!(seen, serde_json::Value::Null);
}

#[orchestrator]
async fn optional(_ctx: OrchestrationContext, input: Option<serde_json::Value>) -> Result<Option<serde_json::Value>> {
    Ok(input)
}
