//! Suspending and resuming (1.6).

use crate::support::*;
use duramen::prelude::*;
use duramen::testing::TestHub;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Works, sleeps for an hour, works, and reads an event.
#[orchestrator]
async fn works(ctx: OrchestrationContext, _: ()) -> Result<u64> {
    let one: u64 = ctx.call_activity("Work", ()).await?;
    ctx.create_timer(secs(3_600)).await;
    let two: u64 = ctx.call_activity("Work", ()).await?;
    let three: u64 = ctx.wait_for_event("number").await?;
    Ok(one + two + three)
}

#[tokio::test]
async fn what_comes_while_it_is_suspended_follows_the_resume_in_its_order() {
    let worked = Arc::new(AtomicUsize::new(0));
    let hub = || {
        let worked = Arc::clone(&worked);
        TestHub::new().orchestrator(Works).mock("Work", move |(): ()| {
            worked.fetch_add(1, Ordering::Relaxed);
            Ok(1_u64)
        })
    };
    check(hub, async |t| {
        worked.store(0, Ordering::Relaxed);
        let client = t.client();
        let handle = client.start(Works, ()).id("w").await.unwrap();
        idle(t).await;
        client.suspend("w", "audit").await.unwrap();
        assert_eq!(state(t, "w").await.status(), OrchestrationStatus::Suspended);
        // Both come while it is suspended: the timer and the event.
        handle.raise_event("number", 40).await.unwrap();
        handle.wait_timeout(days(1)).await.unwrap_err();
        assert_eq!(worked.load(Ordering::Relaxed), 1, "nothing new begins");
        assert_eq!(state(t, "w").await.status(), OrchestrationStatus::Suspended);
        client.resume("w", "audited").await.unwrap();
        assert_eq!(handle.wait().await.unwrap(), 42);
        let lines = history(t, "w").await;
        let place = |what: &str| lines.iter().position(|line| line.contains(what)).expect(what);
        assert!(place("ExecutionSuspended") < place("ExecutionResumed"), "{lines:?}");
        assert!(place("ExecutionResumed") < place("EventRaised(number)"), "{lines:?}");
        assert!(place("EventRaised(number)") < place("TimerFired(1)"), "{lines:?}");
    })
    .await;
}

#[tokio::test]
async fn suspending_twice_is_suspending_once() {
    check(hub, async |t| {
        let client = t.client();
        let handle = client.start(WaitForGo, ()).id("w").await.unwrap();
        handle.started().await.unwrap();
        client.suspend("w", None).await.unwrap();
        client.suspend("w", "again").await.unwrap();
        handle.raise_event("go", 3).await.unwrap();
        client.resume("w", None).await.unwrap();
        client.resume("w", "again").await.unwrap();
        assert_eq!(handle.wait().await.unwrap(), 3);
        // Neither does anything to one that has ended.
        for result in [client.suspend("w", None).await, client.resume("w", None).await] {
            if let Err(error) = result {
                assert!(error.to_string().contains("\"w\""), "{error}");
            }
        }
        assert_eq!(state(t, "w").await.status(), OrchestrationStatus::Completed);
    })
    .await;
}

#[tokio::test]
async fn one_that_has_not_begun_can_be_suspended() {
    check(hub, async |t| {
        let client = t.client();
        let handle = client.start(WaitForGo, ()).id("w").at(secs(60)).await.unwrap();
        client.suspend("w", None).await.unwrap();
        handle.raise_event("go", 3).await.unwrap();
        handle.wait_timeout(days(1)).await.unwrap_err();
        assert_eq!(state(t, "w").await.status(), OrchestrationStatus::Suspended);
        client.resume("w", None).await.unwrap();
        assert_eq!(handle.wait().await.unwrap(), 3);
    })
    .await;
}

#[tokio::test]
async fn one_that_is_suspended_can_be_terminated() {
    check(hub, async |t| {
        let client = t.client();
        let handle = client.start(WaitForGo, ()).id("w").await.unwrap();
        handle.started().await.unwrap();
        client.suspend("w", None).await.unwrap();
        client.terminate("w").output("enough").await.unwrap();
        let ended = handle.ended().await.unwrap();
        assert_eq!(ended.status(), OrchestrationStatus::Terminated);
        assert_eq!(ended.output::<String>().unwrap(), "enough");
    })
    .await;
}

#[orchestrator]
async fn has_child(ctx: OrchestrationContext, _: ()) -> Result<u64> {
    Ok(ctx.call_sub_orchestrator(WaitForGo, ()).instance_id("child").await?)
}

#[tokio::test]
async fn children_of_a_suspended_one_go_on_and_their_results_wait() {
    check(
        || hub().orchestrator(HasChild),
        async |t| {
            let client = t.client();
            let handle = client.start(HasChild, ()).id("p").await.unwrap();
            client.wait_for_start("child").await.unwrap();
            client.suspend("p", None).await.unwrap();
            client.raise_event("child", "go", 8).await.unwrap();
            assert_eq!(client.wait_for_completion("child").await.unwrap().output::<u64>().unwrap(), 8);
            idle(t).await;
            assert_eq!(state(t, "p").await.status(), OrchestrationStatus::Suspended);
            client.resume("p", None).await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), 8);
        },
    )
    .await;
}

#[orchestrator]
async fn round_and_round(ctx: OrchestrationContext, sum: u64) -> Result<u64> {
    match ctx.wait_for_event::<u64>("number").await? {
        0 => Ok(sum),
        number => Err(ctx.continue_as_new(sum + number))?,
    }
}

#[tokio::test]
async fn it_stays_suspended_across_generations() {
    check(
        || TestHub::new().orchestrator(RoundAndRound),
        async |t| {
            let client = t.client();
            let handle = client.start(RoundAndRound, 0).id("r").await.unwrap();
            handle.started().await.unwrap();
            for number in [1, 2] {
                handle.raise_event("number", number).await.unwrap();
            }
            client.suspend("r", None).await.unwrap();
            for number in [3, 0] {
                handle.raise_event("number", number).await.unwrap();
            }
            idle(t).await;
            assert_eq!(state(t, "r").await.status(), OrchestrationStatus::Suspended);
            client.resume("r", None).await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), 6);
        },
    )
    .await;
}
