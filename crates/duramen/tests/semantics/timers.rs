//! Durable timers (1.4).

use crate::support::*;
use duramen::prelude::*;
use duramen::testing::TestHub;
use std::time::{Duration, SystemTime};

/// Sleeps for so many milliseconds, and says for how many it slept by the orchestrator's clock.
#[orchestrator]
async fn sleeps(ctx: OrchestrationContext, milliseconds: u64) -> Result<u64> {
    let begun = ctx.current_time();
    ctx.create_timer(ms(milliseconds)).await;
    let slept = ctx.current_time().duration_since(begun).expect("time rises");
    Ok(slept.as_millis() as u64)
}

#[tokio::test]
async fn timers_of_any_length_fire_on_time_and_once() {
    check(
        || TestHub::new().orchestrator(Sleeps),
        async |t| {
            let day = 86_400_000;
            // The longest is a century: nothing splits it.
            for milliseconds in [1, 999, day, 30 * day, 36_525 * day] {
                let begun = t.clock().now();
                let handle = t.client().start(Sleeps, milliseconds).id(milliseconds.to_string()).await.unwrap();
                assert_eq!(handle.wait().await.unwrap(), milliseconds);
                assert_eq!(millis_since(t, begun), u128::from(milliseconds));
                let lines = history(t, handle.id()).await;
                for (line, times) in [("#0 TimerCreated", 1), ("#-1 TimerFired(0)", 1)] {
                    assert_eq!(lines.iter().filter(|other| *other == line).count(), times, "{lines:?}");
                }
            }
        },
    )
    .await;
}

#[orchestrator]
async fn sleeps_until(ctx: OrchestrationContext, at: SystemTime) -> Result<SystemTime> {
    ctx.create_timer(at).await;
    Ok(ctx.current_time())
}

#[tokio::test]
async fn a_time_in_the_past_fires_at_once() {
    check(
        || TestHub::new().orchestrator(SleepsUntil).orchestrator(Sleeps),
        async |t| {
            let begun = t.clock().now();
            for past in [SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH - days(1)] {
                let woken = t.run(SleepsUntil, past).await;
                // Before 1970 there is no time to be written as JSON: that is the start's error.
                if past == SystemTime::UNIX_EPOCH {
                    assert!(woken.unwrap() > past);
                }
            }
            assert_eq!(t.run(Sleeps, 0).await.unwrap(), 0);
            assert!(t.clock().now().since(begun) < secs(1));
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(begun.seconds().unsigned_abs()) + days(3);
            assert_eq!(t.run(SleepsUntil, at).await.unwrap(), at);
        },
    )
    .await;
}

#[orchestrator]
async fn many(ctx: OrchestrationContext, number: u64) -> Result<Vec<u64>> {
    let mut open: Vec<_> = (0..number).map(|n| (n, ctx.create_timer(secs((n * 37) % number)))).collect();
    let mut order = Vec::new();
    while !open.is_empty() {
        let (place, ()) = ctx.any(open.iter_mut().map(|(_, timer)| timer)).await;
        order.push(open.remove(place).0);
    }
    Ok(order)
}

#[tokio::test]
async fn many_timers_fire_in_the_order_of_their_times() {
    check(
        || TestHub::new().orchestrator(Many),
        async |t| {
            let begun = t.clock().now();
            let order = t.run(Many, 200).await.unwrap();
            let mut expected: Vec<u64> = (0..200).collect();
            expected.sort_by_key(|n| (n * 37) % 200);
            assert_eq!(order, expected);
            assert_eq!(millis_since(t, begun), 199_000);
        },
    )
    .await;
}

#[tokio::test]
async fn many_instances_sleep_at_once() {
    check(
        || TestHub::new().orchestrator(Sleeps),
        async |t| {
            let begun = t.clock().now();
            let mut handles = Vec::new();
            for n in 0..100 {
                handles.push((n, t.client().start(Sleeps, n * 1_000).await.unwrap()));
            }
            for (n, handle) in &handles {
                assert_eq!(handle.wait().await.unwrap(), n * 1_000);
            }
            assert_eq!(millis_since(t, begun), 99_000, "all at the same time");
        },
    )
    .await;
}

#[orchestrator]
async fn races_a_timer(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let work = ctx.call_activity("Work", ()).timeout(days(1)).await?;
    // The loser, a day long, fires no more; the next one is its own.
    ctx.create_timer(secs(5)).await;
    Ok(work)
}

#[tokio::test]
async fn a_timer_that_lost_holds_nobody_up() {
    check(
        || TestHub::new().orchestrator(RacesATimer).mock("Work", |(): ()| Ok("done".to_string())),
        async |t| {
            let begun = t.clock().now();
            assert_eq!(t.run(RacesATimer, ()).await.unwrap(), "done");
            assert_eq!(millis_since(t, begun), 5_000);
        },
    )
    .await;
}

/// Two timers, of which the first is dropped: it fires into nothing.
#[orchestrator]
async fn cancels(ctx: OrchestrationContext, _: ()) -> Result<()> {
    drop(ctx.create_timer(secs(1)));
    ctx.create_timer(secs(3)).await;
    Ok(())
}

#[tokio::test]
async fn a_timer_that_was_dropped_wakes_nobody() {
    check(
        || TestHub::new().orchestrator(Cancels),
        async |t| {
            let begun = t.clock().now();
            t.run(Cancels, ()).await.unwrap();
            assert_eq!(millis_since(t, begun), 3_000);
        },
    )
    .await;
}
