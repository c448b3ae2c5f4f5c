//! Sub-orchestrations (1.5).

use crate::support::*;
use duramen::prelude::*;
use duramen::testing::TestHub;
use std::collections::BTreeMap;

type Known = (String, Option<String>, Option<String>);

/// What a child knows of itself: its id, its parent's, its version.
#[orchestrator]
async fn child(ctx: OrchestrationContext, _: ()) -> Result<Known> {
    Ok((ctx.instance_id().into(), ctx.parent_instance_id().map(Into::into), ctx.version().map(Into::into)))
}

#[orchestrator]
async fn parent(ctx: OrchestrationContext, _: ()) -> Result<Vec<Known>> {
    let by_default = ctx.call_sub_orchestrator(Child, ()).await?;
    let given = ctx.call_sub_orchestrator(Child, ()).instance_id("given").version("7").tag("of", "the child").await?;
    Ok(vec![by_default, given])
}

#[tokio::test]
async fn a_child_has_an_id_a_parent_a_version_and_tags() {
    check(
        || TestHub::new().orchestrator(Parent).orchestrator(Child),
        async |t| {
            let start = t.client().start(Parent, ()).id("p").version("1").tag("of", "the parent").tag("customer", "7");
            let known = start.await.unwrap().wait().await.unwrap();
            let execution = state(t, "p").await.execution_id().expect("it has one").to_owned();
            let (first, second) = (&known[0], &known[1]);
            assert_eq!(first.0, format!("{execution}:0000"), "the execution and the action");
            assert_eq!((&first.1, &first.2), (&Some("p".into()), &None), "a version is not inherited");
            assert_eq!(*second, ("given".into(), Some("p".into()), Some("7".into())));
            let tags = |state: Instance| state.tags().clone();
            let expected =
                BTreeMap::from([("of".to_string(), "the parent".to_string()), ("customer".into(), "7".into())]);
            assert_eq!(tags(state(t, &first.0).await), expected, "tags are");
            let expected =
                BTreeMap::from([("of".to_string(), "the child".to_string()), ("customer".into(), "7".into())]);
            assert_eq!(tags(state(t, "given").await), expected, "unless the child has its own");
            let children = t.client().list(Filter::new().parent("p")).all().await.unwrap();
            assert_eq!(children.len(), 2);
        },
    )
    .await;
}

#[tokio::test]
async fn a_worker_has_a_version_for_children_without_one() {
    check(
        || {
            let t = TestHub::new().orchestrator(Parent).orchestrator(Child);
            t.worker_options(|options| options.default_version = Some("9".into()))
        },
        async |t| {
            let known = t.run(Parent, ()).await.unwrap();
            assert_eq!((known[0].2.as_deref(), known[1].2.as_deref()), (Some("9"), Some("7")));
        },
    )
    .await;
}

#[orchestrator]
async fn fans_out(ctx: OrchestrationContext, number: u32) -> Result<Vec<String>> {
    let calls = (0..number).map(|n| ctx.call_sub_orchestrator(Echo, n.to_string()));
    Ok(ctx.all(calls).await?)
}

#[tokio::test]
async fn many_children_run_at_once() {
    check(
        || hub().orchestrator(FansOut),
        async |t| {
            let said = t.run(FansOut, 50).await.unwrap();
            assert_eq!(said, (0..50).map(|n: u32| n.to_string()).collect::<Vec<_>>());
        },
    )
    .await;
}

/// Calls the child under the given id, and says how that ended.
#[orchestrator]
async fn calls(ctx: OrchestrationContext, (name, id): (String, String)) -> Result<String> {
    let call = ctx.call_sub_orchestrator(name.as_str(), "text").instance_id(id);
    let outcome: Result<serde_json::Value, TaskFailed> = call.await;
    Ok(match outcome {
        Ok(value) => format!("ok {value}"),
        Err(failed) => format!("{}: {failed}", failed.error_type()),
    })
}

async fn call(t: &Stage, name: &str, id: &str) -> String {
    t.run(Calls, (name.to_string(), id.to_string())).await.unwrap()
}

#[tokio::test]
async fn a_parent_hears_how_its_child_ended() {
    check(with_waiting, async |t| {
        assert_eq!(call(t, "Echo", "a").await, "ok \"text\"");
        let failed = call(t, "Fail", "b").await;
        assert!(failed.contains("orchestrator Fail (#0) failed: text"), "{failed}");
        // Terminated from outside.
        let handle = t.client().start(Calls, ("WaitForText".into(), "c".into())).await.unwrap();
        let client = t.client();
        client.wait_for_start("c").await.unwrap();
        client.terminate("c").output("enough").await.unwrap();
        let ended = handle.wait().await.unwrap();
        assert!(ended.to_lowercase().contains("terminated"), "{ended}");
    })
    .await;
}

#[orchestrator]
async fn wait_for_text(ctx: OrchestrationContext, _: String) -> Result<String> {
    Ok(ctx.wait_for_event("text").await?)
}

fn with_waiting() -> TestHub {
    hub().orchestrator(Calls).orchestrator(WaitForText)
}

#[tokio::test]
async fn an_id_that_lives_is_a_failure_and_one_that_ended_is_used_again() {
    check(with_waiting, async |t| {
        let other = t.client().start(WaitForGo, ()).id("taken").await.unwrap();
        let failed = call(t, "Echo", "taken").await;
        assert!(failed.contains("\"taken\"") && failed.contains("already exists"), "{failed}");
        other.raise_event("go", 1).await.unwrap();
        assert_eq!(other.wait().await.unwrap(), 1, "the other one lives on");
        assert_eq!(call(t, "Echo", "taken").await, "ok \"text\"");
        assert_eq!(call(t, "Echo", "taken").await, "ok \"text\"", "and again");
    })
    .await;
}

#[tokio::test]
async fn a_child_whose_parent_has_gone_goes_on_for_itself() {
    check(with_waiting, async |t| {
        let handle = t.client().start(Calls, ("WaitForText".into(), "child".into())).id("p").await.unwrap();
        t.client().wait_for_start("child").await.unwrap();
        t.client().terminate("p").await.unwrap();
        handle.wait().await.unwrap_err();
        t.client().raise_event("child", "text", "still here").await.unwrap();
        let child = t.client().wait_for_completion("child").await.unwrap();
        assert_eq!(child.output::<String>().unwrap(), "still here");
        assert!(!history(t, "p").await.iter().any(|line| line.contains("SubOrchestrationInstanceCompleted")));
    })
    .await;
}

#[orchestrator]
async fn fires_and_forgets(ctx: OrchestrationContext, _: ()) -> Result<()> {
    drop(ctx.call_sub_orchestrator(Echo, "x").instance_id("forgotten").tag("FireAndForget", "true"));
    // Long enough for an answer to come, if there were one.
    ctx.create_timer(secs(10)).await;
    Ok(())
}

#[tokio::test]
async fn a_forgotten_child_does_not_answer() {
    check(
        || hub().orchestrator(FiresAndForgets),
        async |t| {
            t.client().start(FiresAndForgets, ()).id("f").await.unwrap().wait().await.unwrap();
            assert_eq!(state(t, "forgotten").await.output::<String>().unwrap(), "x");
            let lines = history(t, "f").await;
            assert!(!lines.iter().any(|line| line.contains("SubOrchestrationInstanceCompleted")), "{lines:?}");
        },
    )
    .await;
}

#[orchestrator]
async fn counts_levels(ctx: OrchestrationContext, left: u32) -> Result<u32> {
    if left == 0 {
        return Ok(0);
    }
    let below: u32 = ctx.call_sub_orchestrator("CountsLevels", left - 1).await?;
    Ok(below + 1)
}

#[tokio::test]
async fn children_have_children() {
    check(
        || TestHub::new().orchestrator(CountsLevels),
        async |t| assert_eq!(t.run(CountsLevels, 30).await.unwrap(), 30),
    )
    .await;
}
