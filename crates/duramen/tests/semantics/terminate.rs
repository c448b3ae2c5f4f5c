//! Terminating (1.6).

use crate::support::*;
use duramen::prelude::*;
use duramen::testing::TestHub;

/// A tree: each has two children until `left` is 0; the leaves wait.
#[orchestrator]
async fn tree(ctx: OrchestrationContext, left: u32) -> Result<u64> {
    if left == 0 {
        return Ok(ctx.wait_for_event("go").await?);
    }
    let id = ctx.instance_id().to_owned();
    let calls = ["l", "r"]
        .map(|side| ctx.call_sub_orchestrator::<_, u64>("Tree", left - 1).instance_id(format!("{id}.{side}")));
    Ok(ctx.all(calls).await?.iter().sum())
}

const LEAVES: [&str; 4] = ["t.l.l", "t.l.r", "t.r.l", "t.r.r"];

async fn grown(t: &Stage) -> Handle<u64> {
    let handle = t.client().start(Tree, 2).id("t").await.unwrap();
    for leaf in LEAVES {
        t.client().wait_for_start(leaf).await.unwrap();
    }
    handle
}

fn hub_with_tree() -> TestHub {
    hub().orchestrator(Tree)
}

#[tokio::test]
async fn its_output_is_what_was_given() {
    check(hub, async |t| {
        let client = t.client();
        let handle = client.start(WaitForGo, ()).id("a").await.unwrap();
        handle.started().await.unwrap();
        client.terminate("a").output(serde_json::json!({ "reason": "budget" })).await.unwrap();
        let error = handle.wait().await.unwrap_err();
        assert_eq!(error.to_string(), "instance \"a\" was terminated: {\"reason\":\"budget\"}");
        let lines = history(t, "a").await;
        assert!(
            lines.ends_with(&["#-1 ExecutionTerminated".into(), "#0 ExecutionCompleted(TERMINATED)".into()]),
            "{lines:?}"
        );

        client.start(WaitForGo, ()).id("b").await.unwrap().started().await.unwrap();
        client.terminate("b").await.unwrap();
        let ended = client.wait_for_completion("b").await.unwrap();
        assert_eq!(ended.output::<Option<String>>().unwrap(), None);
        assert_eq!(ended.failure(), None, "it did not fail");
    })
    .await;
}

#[tokio::test]
async fn with_recursion_the_whole_tree_ends() {
    check(hub_with_tree, async |t| {
        let handle = grown(t).await;
        t.client().terminate("t").output("storm").recurse().await.unwrap();
        handle.wait().await.unwrap_err();
        for id in LEAVES.into_iter().chain(["t.l", "t.r"]) {
            let ended = t.client().wait_for_completion(id).await.unwrap();
            assert_eq!(ended.status(), OrchestrationStatus::Terminated, "{id}");
        }
    })
    .await;
}

#[tokio::test]
async fn without_it_children_live_on() {
    check(hub_with_tree, async |t| {
        let handle = grown(t).await;
        t.client().terminate("t").await.unwrap();
        handle.wait().await.unwrap_err();
        for leaf in LEAVES {
            t.client().raise_event(leaf, "go", 1).await.unwrap();
        }
        for id in ["t.l", "t.r"] {
            assert_eq!(t.client().wait_for_completion(id).await.unwrap().output::<u64>().unwrap(), 2);
        }
    })
    .await;
}

#[tokio::test]
async fn one_that_has_not_begun_ends_without_a_worker() {
    check(hub, async |t| {
        let handle = t.client().start(WaitForGo, ()).id("later").at(days(1)).await.unwrap();
        let begun = t.clock().now();
        t.client().terminate("later").output("too late").await.unwrap();
        let error = handle.wait().await.unwrap_err();
        assert_eq!(error.to_string(), "instance \"later\" was terminated: \"too late\"");
        assert!(t.clock().now().since(begun) < days(1));
    })
    .await;
}

#[tokio::test]
async fn one_that_has_ended_stays_what_it_is() {
    check(hub, async |t| {
        t.client().start(Echo, "x").id("e").await.unwrap().wait().await.unwrap();
        let before = history(t, "e").await;
        t.client().terminate("e").output("enough").await.unwrap();
        idle(t).await;
        assert_eq!(state(t, "e").await.output::<String>().unwrap(), "x");
        assert_eq!(history(t, "e").await, before);
    })
    .await;
}

#[tokio::test]
async fn events_behind_a_termination_are_gone_with_it() {
    check(hub, async |t| {
        let handle = t.client().start(WaitForGo, ()).id("w").await.unwrap();
        handle.started().await.unwrap();
        t.client().suspend("w", None).await.unwrap();
        handle.raise_event("go", 1).await.unwrap();
        t.client().terminate("w").await.unwrap();
        t.client().resume("w", None).await.ok();
        assert!(matches!(handle.wait().await, Err(ClientError::Terminated { .. })));
    })
    .await;
}

/// A worker that has no time for terminations: its only orchestrator is never let in.
#[tokio::test]
async fn one_whose_worker_does_not_answer_is_ended_by_the_hub() {
    let t = Stage::from(TestHub::new().app(App::new().orchestrator(Echo).only_registered()));
    let handle: Handle<u64> = t.client().start("WaitForGo", ()).id("w").await.unwrap();
    idle(&t).await;
    assert_eq!(state(&t, "w").await.status(), OrchestrationStatus::Pending, "nobody can run it");
    t.client().terminate("w").output("enough").await.unwrap();
    let error = handle.wait().await.unwrap_err();
    assert_eq!(error.to_string(), "instance \"w\" was terminated: \"enough\"");
}
