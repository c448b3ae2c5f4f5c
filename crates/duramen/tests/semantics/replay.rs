//! Episodes, history, replay (1.1).

use crate::support::*;
use duramen::History;
use duramen::prelude::*;
use duramen::testing::{ReplayError, TestHub, replay_check};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use uuid::Uuid;

#[activity]
async fn step(_ctx: ActivityContext, number: u32) -> Result<u32> {
    Ok(number + 1)
}

#[orchestrator]
async fn chain(ctx: OrchestrationContext, number: u32) -> Result<u32> {
    let one = ctx.call_activity(Step, number).await?;
    Ok(ctx.call_activity(Step, one).await?)
}

#[tokio::test]
async fn an_episode_is_its_start_what_arrived_and_what_was_asked_for() {
    check(
        || TestHub::new().orchestrator(Chain).activity(Step),
        async |t| {
            let handle = t.client().start(Chain, 1).id("c").await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), 3);
            let expected = [
                "#-1 OrchestratorStarted",
                "#0 ExecutionStarted(Chain)",
                "#0 TaskScheduled(Step)",
                "#-1 OrchestratorStarted",
                "#-1 TaskCompleted(0)",
                "#1 TaskScheduled(Step)",
                "#-1 OrchestratorStarted",
                "#-1 TaskCompleted(1)",
                "#2 ExecutionCompleted(COMPLETED)",
            ];
            assert_eq!(history(t, "c").await, expected);
        },
    )
    .await;
}

#[tokio::test]
async fn a_history_reads_back_from_its_text() {
    check(
        || TestHub::new().orchestrator(Chain).activity(Step),
        async |t| {
            t.client().start(Chain, 1).id("c").tag("k", "v").version("1").await.unwrap().wait().await.unwrap();
            let history = t.client().history("c").await.unwrap();
            assert_eq!(History::from_text(&history.to_text()).unwrap(), history);
        },
    )
    .await;
}

/// One counter for all kinds of actions, from 0 (DTFx).
#[orchestrator]
async fn every_kind(ctx: OrchestrationContext, _: ()) -> Result<u32> {
    let one = ctx.call_activity(Step, 0).await?;
    ctx.create_timer(secs(1)).await;
    let _: String = ctx.call_sub_orchestrator(Echo, "x").instance_id("child").await?;
    ctx.send_event("nobody", "hello", &one)?;
    Ok(one)
}

#[tokio::test]
async fn actions_of_all_kinds_are_counted_together() {
    check(
        || hub().orchestrator(EveryKind).activity(Step),
        async |t| {
            t.client().start(EveryKind, ()).id("e").await.unwrap().wait().await.unwrap();
            let actions: Vec<_> = history(t, "e").await.into_iter().filter(|line| !line.starts_with("#-1")).collect();
            let expected = [
                "#0 ExecutionStarted(EveryKind)",
                "#0 TaskScheduled(Step)",
                "#1 TimerCreated",
                "#2 SubOrchestrationInstanceCreated(Echo)",
                "#3 EventSent(hello)",
                "#4 ExecutionCompleted(COMPLETED)",
            ];
            assert_eq!(actions, expected);
        },
    )
    .await;
}

static REPLAYING: Mutex<Vec<(u32, bool)>> = Mutex::new(Vec::new());

#[orchestrator]
async fn watched(ctx: OrchestrationContext, _: ()) -> Result<()> {
    for number in 0..3 {
        REPLAYING.lock().unwrap().push((number, ctx.is_replaying()));
        let _: u32 = ctx.call_activity(Step, number).await?;
    }
    Ok(())
}

#[tokio::test]
async fn only_what_happened_before_is_replayed() {
    let run = async |t: TestHub| {
        REPLAYING.lock().unwrap().clear();
        t.run(Watched, ()).await.unwrap();
        REPLAYING.lock().unwrap().clone()
    };
    let hub = || TestHub::new().orchestrator(Watched).activity(Step);
    assert_eq!(run(hub()).await, [(0, false), (1, false), (2, false)], "a session goes on where it was");
    // Each episode begins anew; the last one only returns.
    let expected = [
        vec![(0, false)],
        vec![(0, true), (1, false)],
        vec![(0, true), (1, true), (2, false)],
        vec![(0, true), (1, true), (2, true)],
    ];
    assert_eq!(run(hub().evict_at_once()).await, expected.concat());
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Drawn {
    guids: Vec<Uuid>,
    randoms: Vec<u64>,
    times: Vec<std::time::SystemTime>,
}

static DRAWN: Mutex<Vec<Drawn>> = Mutex::new(Vec::new());

/// Draws before and after each of its waits, and notes what it has each time it gets to its end.
#[orchestrator]
async fn drawing(ctx: OrchestrationContext, _: ()) -> Result<Drawn> {
    let mut drawn = Drawn { guids: Vec::new(), randoms: Vec::new(), times: Vec::new() };
    for number in 0..3 {
        for _ in 0..2 {
            drawn.guids.push(ctx.new_guid());
            drawn.randoms.push(ctx.random());
            drawn.times.push(ctx.current_time());
        }
        DRAWN.lock().unwrap().push(drawn.clone());
        let _: u32 = ctx.call_activity(Step, number).await?;
    }
    Ok(drawn)
}

#[tokio::test]
async fn guids_chance_and_time_are_the_same_each_time() {
    check(
        || TestHub::new().orchestrator(Drawing).activity(Step),
        async |t| {
            DRAWN.lock().unwrap().clear();
            let drawn = t.client().start(Drawing, ()).id("d").await.unwrap().wait().await.unwrap();
            // Whatever was drawn at any point of any replay is a beginning of what came out.
            for seen in DRAWN.lock().unwrap().iter() {
                assert!(drawn.guids.starts_with(&seen.guids), "{seen:?} {drawn:?}");
                assert!(drawn.randoms.starts_with(&seen.randoms), "{seen:?} {drawn:?}");
                assert!(drawn.times.starts_with(&seen.times), "{seen:?} {drawn:?}");
            }
            assert_eq!(drawn.guids.iter().collect::<BTreeSet<_>>().len(), 6, "no two are alike");
            assert_eq!(drawn.randoms.iter().collect::<BTreeSet<_>>().len(), 6, "no two are alike");
            for (number, pair) in drawn.times.chunks(2).enumerate() {
                assert_eq!(pair[0], pair[1], "time stands still within an episode");
                assert!(number == 0 || drawn.times[number * 2 - 1] < pair[0], "and rises from one to the next");
            }
            // The time is that of OrchestratorStarted, the GUID that of DTFx's rule.
            let text = t.client().history("d").await.unwrap().to_text();
            let starts: Vec<&str> = text.lines().filter(|line| line.contains("OrchestratorStarted")).collect();
            for (start, guid) in starts.iter().zip(drawn.guids.chunks(2)) {
                let at = start.split(' ').nth(1).expect("a line has a time");
                let at = ticks(at);
                let number = drawn.guids.iter().position(|other| other == &guid[0]).expect("it is there");
                let namespace = uuid::uuid!("9e952958-5e33-4daf-827f-2fa12937b875");
                assert_eq!(guid[0], Uuid::new_v5(&namespace, format!("d_{at}_{number}").as_bytes()));
            }
        },
    )
    .await;
}

/// The .NET form "o" of a time: seven digits of a second.
fn ticks(time: &str) -> String {
    let (whole, fraction) = time.trim_end_matches('Z').split_once('.').unwrap_or((time.trim_end_matches('Z'), ""));
    format!("{whole}.{:0<7.7}Z", fraction)
}

static FORGOTTEN: AtomicUsize = AtomicUsize::new(0);

#[activity]
async fn forgotten(_ctx: ActivityContext, _: ()) -> Result<()> {
    FORGOTTEN.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Returns without waiting for what it has started.
#[orchestrator]
async fn hasty(ctx: OrchestrationContext, _: ()) -> Result<()> {
    drop(ctx.call_activity(Forgotten, ()));
    drop(ctx.create_timer(days(1)));
    drop(ctx.call_sub_orchestrator(Echo, "still runs").instance_id("left-behind"));
    Ok(())
}

#[tokio::test]
async fn what_stands_beside_the_completion_is_done_too() {
    check(
        || hub().orchestrator(Hasty).activity(Forgotten),
        async |t| {
            FORGOTTEN.store(0, Ordering::Relaxed);
            let begun = t.clock().now();
            t.run(Hasty, ()).await.unwrap();
            let child = t.client().wait_for_completion("left-behind").await.unwrap();
            assert_eq!(child.output::<String>().unwrap(), "still runs");
            idle(t).await;
            assert_eq!(FORGOTTEN.load(Ordering::Relaxed), 1);
            assert!(t.clock().now().since(begun) < secs(1), "the timer holds nobody up");
        },
    )
    .await;
}

#[tokio::test]
async fn statuses_are_those_of_the_protocol() {
    check(hub, async |t| {
        let client = t.client();
        let of = async |id: &str| state(t, id).await.status();
        client.start(WaitForGo, ()).id("pending").at(days(1)).await.unwrap();
        client.start(WaitForGo, ()).id("running").await.unwrap();
        client.start(WaitForGo, ()).id("suspended").await.unwrap();
        client.start(WaitForGo, ()).id("terminated").await.unwrap();
        client.start(Echo, "x").id("completed").await.unwrap().wait().await.unwrap();
        client.start(Fail, "x").id("failed").await.unwrap().wait().await.unwrap_err();
        client.wait_for_start("running").await.unwrap();
        client.suspend("suspended", None).await.unwrap();
        client.terminate("terminated").await.unwrap();
        client.wait_for_completion("terminated").await.unwrap();
        assert_eq!(of("pending").await, OrchestrationStatus::Pending);
        assert_eq!(of("running").await, OrchestrationStatus::Running);
        assert_eq!(of("suspended").await, OrchestrationStatus::Suspended);
        assert_eq!(of("terminated").await, OrchestrationStatus::Terminated);
        assert_eq!(of("completed").await, OrchestrationStatus::Completed);
        assert_eq!(of("failed").await, OrchestrationStatus::Failed);
    })
    .await;
}

/// `Chain` and `EveryKind` as somebody might change them.
mod changed {
    use crate::support::*;
    use duramen::prelude::*;

    #[orchestrator(name = "EveryKind")]
    pub(super) async fn waits_instead(ctx: OrchestrationContext, _: ()) -> Result<u32> {
        ctx.create_timer(secs(1)).await;
        Ok(1)
    }

    #[orchestrator(name = "EveryKind")]
    pub(super) async fn calls_no_child(ctx: OrchestrationContext, _: ()) -> Result<u32> {
        let one: u32 = ctx.call_activity("Step", 0).await?;
        ctx.create_timer(secs(1)).await;
        let _: u32 = ctx.call_activity("Step", 0).await?;
        Ok(one)
    }

    #[orchestrator(name = "EveryKind")]
    pub(super) async fn says_something_else(ctx: OrchestrationContext, _: ()) -> Result<u32> {
        let one: u32 = ctx.call_activity("Step", 0).await?;
        ctx.create_timer(secs(1)).await;
        let _: String = ctx.call_sub_orchestrator(Echo, "x").await?;
        ctx.send_event("nobody", "goodbye", &one)?;
        Ok(one)
    }

    /// Other inputs, another length of time, another id, another case: none of this is compared.
    #[orchestrator(name = "everykind")]
    pub(super) async fn fits(ctx: OrchestrationContext, _: ()) -> Result<u32> {
        let one: u32 = ctx.call_activity("STEP", 7).version("9").await?;
        ctx.create_timer(secs(77)).await;
        let _: String = ctx.call_sub_orchestrator("ECHO", "y").instance_id("other").await?;
        ctx.send_event("somebody", "HELLO", &"x")?;
        Ok(one)
    }
}

#[tokio::test]
async fn changed_code_over_an_old_history_shows_both_sides() {
    let t = hub().orchestrator(EveryKind).activity(Step);
    t.client().start(EveryKind, ()).id("e").await.unwrap().wait().await.unwrap();
    let text = t.client().history("e").await.unwrap().to_text();
    replay_check(EveryKind, &text).unwrap();
    replay_check(changed::Fits, &text).unwrap();
    let misfit = |result| match result {
        Err(ReplayError::DoesNotFit(how)) => how,
        other => panic!("{other:?}"),
    };
    let how = misfit(replay_check(changed::WaitsInstead, &text));
    assert!(how.contains("history #0 TaskScheduled(Step), code asked for CreateTimer"), "{how}");
    let how = misfit(replay_check(changed::CallsNoChild, &text));
    assert!(
        how.contains("history #2 SubOrchestrationInstanceCreated(Echo), code asked for ScheduleTask(Step)"),
        "{how}"
    );
    let how = misfit(replay_check(changed::SaysSomethingElse, &text));
    assert!(how.contains("history #3 EventSent(hello), code asked for SendEvent(goodbye)"), "{how}");
}

static BRANCH: AtomicUsize = AtomicUsize::new(0);

/// Does something else the second time it runs.
#[orchestrator]
async fn moody(ctx: OrchestrationContext, _: ()) -> Result<()> {
    if BRANCH.fetch_add(1, Ordering::Relaxed) == 0 {
        let _: u32 = ctx.call_activity(Step, 0).await?;
    } else {
        ctx.create_timer(secs(1)).await;
    }
    Ok(())
}

#[tokio::test]
async fn code_that_is_not_deterministic_fails_when_it_is_replayed() {
    let t = TestHub::new().orchestrator(Moody).activity(Step).evict_at_once();
    let failure = failure(t.client().start(Moody, ()).await.unwrap().wait().await.unwrap_err());
    assert_eq!(failure.error_type(), "NonDeterministicOrchestration");
    assert!(failure.is_non_retriable());
    assert!(
        failure.message().contains("history #0 TaskScheduled(Step), code asked for CreateTimer"),
        "{}",
        failure.message()
    );
}
