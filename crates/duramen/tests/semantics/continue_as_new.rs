//! ContinueAsNew (1.4).

use crate::support::*;
use duramen::prelude::*;
use duramen::testing::TestHub;
use tokio::sync::Notify;

/// Adds up what it is sent, one number a generation, and ends with 0.
#[orchestrator]
async fn sums(ctx: OrchestrationContext, (sum, seen): (u64, Vec<u64>)) -> Result<(u64, Vec<u64>)> {
    let number: u64 = ctx.wait_for_event("number").await?;
    if number == 0 {
        return Ok((sum, seen));
    }
    Err(ctx.continue_as_new((sum + number, [seen, vec![number]].concat())))?
}

#[tokio::test]
async fn unread_events_go_along_in_their_order() {
    check(
        || TestHub::new().orchestrator(Sums),
        async |t| {
            // All at once: one episode sees several, and reads one.
            let handle = t.client().start(Sums, (0, vec![])).id("s").at(secs(1)).await.unwrap();
            for number in [5, 3, 9, 1, 7] {
                handle.raise_event("number", number).await.unwrap();
            }
            handle.started().await.unwrap();
            idle(t).await;
            // And one after the other, each to another generation.
            for number in [2, 4, 0] {
                handle.raise_event("number", number).await.unwrap();
            }
            assert_eq!(handle.wait().await.unwrap(), (31, vec![5, 3, 9, 1, 7, 2, 4]));
        },
    )
    .await;
}

#[orchestrator]
async fn counts(ctx: OrchestrationContext, generation: u32) -> Result<(u32, String)> {
    let id = ctx.instance_id().to_owned();
    if generation < 50 {
        ctx.continue_as_new(generation + 1);
    }
    // What is returned does not matter when it continues.
    Ok((generation, id))
}

#[tokio::test]
async fn a_generation_begins_with_a_new_execution_and_an_empty_history() {
    check(
        || TestHub::new().orchestrator(Counts),
        async |t| {
            let start = t.client().start(Counts, 0).id("c").version("3").tag("k", "v");
            let handle = start.at(secs(1)).await.unwrap();
            let before = state(t, "c").await;
            assert_eq!(handle.wait().await.unwrap(), (50, "c".into()));
            let after = state(t, "c").await;
            assert_ne!(before.execution_id(), after.execution_id());
            assert_eq!(before.created(), after.created(), "it is the same instance");
            assert_eq!((after.name(), after.version()), ("Counts", Some("3")));
            assert_eq!(after.tags().get("k").map(String::as_str), Some("v"));
            assert_eq!(after.input::<u32>().unwrap(), 50);
            let expected =
                ["#-1 OrchestratorStarted", "#0 ExecutionStarted(Counts)", "#0 ExecutionCompleted(COMPLETED)"];
            assert_eq!(history(t, "c").await, expected);
        },
    )
    .await;
}

#[orchestrator]
async fn upgrades(ctx: OrchestrationContext, left: u32) -> Result<Vec<String>> {
    match left {
        0 => Ok(vec![ctx.version().unwrap_or("none").to_owned()]),
        1 => Err(ctx.continue_as_new(0))?,
        _ => Err(ctx.continue_as_new_version(left - 1, "2.0"))?,
    }
}

#[tokio::test]
async fn a_generation_may_have_another_version_and_keeps_it() {
    check(
        || TestHub::new().orchestrator(Upgrades),
        async |t| {
            let handle = t.client().start(Upgrades, 2).id("u").version("1.0").await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), ["2.0"]);
            assert_eq!(state(t, "u").await.version(), Some("2.0"));
            assert_eq!(t.client().start(Upgrades, 1).await.unwrap().wait().await.unwrap(), ["none"]);
        },
    )
    .await;
}

#[orchestrator]
async fn shows(ctx: OrchestrationContext, generation: u32) -> Result<()> {
    if generation == 0 {
        ctx.set_custom_status("of the first")?;
    }
    let _: () = ctx.wait_for_event("next").await?;
    if generation == 1 {
        ctx.set_custom_status("of the second")?;
    }
    if generation < 2 {
        ctx.continue_as_new(generation + 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_custom_status_stays_until_a_generation_sets_its_own() {
    check(
        || TestHub::new().orchestrator(Shows),
        async |t| {
            let shown = async || {
                idle(t).await;
                state(t, "s").await.custom_status::<String>().unwrap()
            };
            let handle = t.client().start(Shows, 0).id("s").await.unwrap();
            assert_eq!(shown().await, "of the first");
            handle.raise_event("next", ()).await.unwrap();
            assert_eq!(shown().await, "of the first");
            handle.raise_event("next", ()).await.unwrap();
            assert_eq!(shown().await, "of the second");
            handle.raise_event("next", ()).await.unwrap();
            handle.wait().await.unwrap();
            assert_eq!(shown().await, "of the second");
        },
    )
    .await;
}

#[orchestrator]
async fn leaves_things_open(ctx: OrchestrationContext, first: bool) -> Result<u64> {
    if first {
        drop(ctx.call_activity(Lingers, ()));
        drop(ctx.create_timer(secs(5)));
        drop(ctx.call_sub_orchestrator(Sleeper, ()).instance_id("lives-on"));
        Err(ctx.continue_as_new(false))?;
    }
    // The same ids again: 0 is an activity, 1 a timer. They get what is theirs.
    let quick: u64 = ctx.call_activity("Quick", ()).await?;
    let begun = ctx.current_time();
    ctx.create_timer(secs(60)).await;
    assert!(ctx.current_time().duration_since(begun).expect("time rises") >= secs(60));
    Ok(quick)
}

static LINGERING: Notify = Notify::const_new();

#[activity]
async fn lingers(_ctx: ActivityContext, _: ()) -> Result<u64> {
    LINGERING.notified().await;
    Ok(666)
}

#[orchestrator]
async fn sleeper(ctx: OrchestrationContext, _: ()) -> Result<u64> {
    ctx.create_timer(secs(10)).await;
    Ok(777)
}

#[tokio::test]
async fn nothing_of_an_old_generation_reaches_the_new_one() {
    check(
        || {
            TestHub::new().orchestrator(LeavesThingsOpen).orchestrator(Sleeper).activity(Lingers).mock(
                "Quick",
                |(): ()| {
                    LINGERING.notify_one();
                    Ok(1_u64)
                },
            )
        },
        async |t| {
            let handle = t.client().start(LeavesThingsOpen, true).id("l").await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), 1);
            let child = t.client().wait_for_completion("lives-on").await.unwrap();
            assert_eq!(child.output::<u64>().unwrap(), 777, "children live on");
            let expected = [
                "#-1 OrchestratorStarted",
                "#0 ExecutionStarted(LeavesThingsOpen)",
                "#0 TaskScheduled(Quick)",
                "#-1 OrchestratorStarted",
                "#-1 TaskCompleted(0)",
                "#1 TimerCreated",
                "#-1 OrchestratorStarted",
                "#-1 TimerFired(1)",
                "#2 ExecutionCompleted(COMPLETED)",
            ];
            assert_eq!(history(t, "l").await, expected);
        },
    )
    .await;
}

#[orchestrator]
async fn has_eternal_child(ctx: OrchestrationContext, _: ()) -> Result<(u32, String)> {
    Ok(ctx.call_sub_orchestrator(Counts, 0).instance_id("child").await?)
}

#[tokio::test]
async fn a_child_that_continues_answers_its_parent_at_its_end() {
    check(
        || TestHub::new().orchestrator(HasEternalChild).orchestrator(Counts),
        async |t| {
            let handle = t.client().start(HasEternalChild, ()).id("p").await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), (50, "child".into()));
            assert_eq!(state(t, "child").await.parent(), Some("p"));
            let answers = history(t, "p").await;
            let answers = answers.iter().filter(|line| line.contains("SubOrchestrationInstanceCompleted")).count();
            assert_eq!(answers, 1);
        },
    )
    .await;
}

#[orchestrator]
async fn changes_its_mind(ctx: OrchestrationContext, _: ()) -> Result<()> {
    ctx.continue_as_new(());
    Err(Error::msg("no, this is an error"))
}

#[orchestrator]
async fn cannot_write(ctx: OrchestrationContext, _: f64) -> Result<()> {
    Err(ctx.continue_as_new(f64::NAN))?
}

#[tokio::test]
async fn an_error_is_an_error_whatever_was_said_before() {
    check(
        || TestHub::new().orchestrator(ChangesItsMind).orchestrator(CannotWrite),
        async |t| {
            let error = failure(t.client().start(ChangesItsMind, ()).await.unwrap().wait().await.unwrap_err());
            assert_eq!(error.message(), "no, this is an error");
            let error = failure(t.client().start(CannotWrite, 1.0).await.unwrap().wait().await.unwrap_err());
            assert!(error.message().contains("no JSON form"), "{error}");
        },
    )
    .await;
}

/// Wakes once an hour, for ever.
#[orchestrator]
async fn eternal(ctx: OrchestrationContext, round: u64) -> Result<()> {
    ctx.set_custom_status(&round)?;
    ctx.create_timer(secs(3_600)).await;
    Err(ctx.continue_as_new(round + 1))?
}

#[tokio::test]
async fn an_eternal_orchestration_keeps_a_short_history() {
    check(
        || TestHub::new().orchestrator(Eternal),
        async |t| {
            let handle = t.client().start(Eternal, 0).id("e").await.unwrap();
            handle.wait_timeout(days(10) + secs(1)).await.unwrap_err();
            let now = state(t, "e").await;
            assert_eq!((now.custom_status::<u64>().unwrap(), now.status()), (240, OrchestrationStatus::Running));
            assert_eq!(history(t, "e").await.len(), 3);
            t.client().terminate("e").await.unwrap();
            handle.wait().await.unwrap_err();
        },
    )
    .await;
}
