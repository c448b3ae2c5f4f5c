//! What has ended is kept for as long as it is said, and then goes by itself.

use crate::support::*;
use duramen::prelude::*;
use duramen::testing::TestHub;
use duramen::{OrchestrationStatus, Retention};
use std::time::Duration;

const DAY: Duration = days(1);

/// A hub that keeps what completed for a day.
fn a_day() -> TestHub {
    hub()
        .orchestrator(CallsAndWaits)
        .orchestrator(CallsAndFails)
        .orchestrator(CallsOncePerGeneration)
        .options(|options| options.retention.completed = Some(DAY))
}

/// The ids of what is there once everything is done that is due at this time of the clock, in order.
async fn left(t: &Stage) -> Vec<String> {
    idle(t).await;
    let all = t.client().list(Filter::new()).all().await.unwrap();
    let mut ids: Vec<_> = all.iter().map(|instance| instance.id().to_owned()).collect();
    ids.sort_unstable();
    ids
}

async fn three(t: &Stage) {
    let client = t.client();
    client.start(Echo, "x").id("completed").await.unwrap().wait().await.unwrap();
    client.start(Fail, "x").id("failed").await.unwrap().wait().await.unwrap_err();
    client.start(WaitForGo, ()).id("terminated").await.unwrap().started().await.unwrap();
    client.terminate("terminated").await.unwrap();
    client.wait_for_completion("terminated").await.unwrap();
    client.start(WaitForGo, ()).id("live").await.unwrap().started().await.unwrap();
}

#[tokio::test]
async fn each_status_has_its_age() {
    let hub = || a_day().options(|options| options.retention.failed = Some(7 * DAY));
    check(hub, async |t| {
        three(t).await;
        t.clock().advance(DAY - secs(1));
        assert_eq!(left(t).await, ["completed", "failed", "live", "terminated"]);
        // It looks once an hour.
        t.clock().advance(secs(3600));
        assert_eq!(left(t).await, ["failed", "live", "terminated"]);
        t.clock().advance(6 * DAY - secs(3600));
        assert_eq!(left(t).await, ["failed", "live", "terminated"]);
        t.clock().advance(secs(3600));
        assert_eq!(left(t).await, ["live", "terminated"]);
        t.clock().advance(1000 * DAY);
        assert_eq!(left(t).await, ["live", "terminated"]);
    })
    .await;
}

#[tokio::test]
async fn everything_is_kept_unless_told_otherwise() {
    check(hub, async |t| {
        three(t).await;
        t.clock().advance(1000 * DAY);
        assert_eq!(left(t).await.len(), 4);
    })
    .await;
}

#[tokio::test]
async fn what_need_not_be_kept_goes_at_the_next_look() {
    let hub = || hub().options(|options| options.retention = Retention::all(Duration::ZERO));
    check(hub, async |t| {
        three(t).await;
        assert_eq!(left(t).await.len(), 4, "not in the first minute");
        t.clock().advance(secs(60));
        assert_eq!(left(t).await, ["live"]);
        t.client().raise_event("live", "go", 1).await.unwrap();
        t.client().wait_for_completion("live").await.unwrap();
        t.clock().advance(secs(60));
        assert!(left(t).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn many_go_at_once() {
    check(a_day, async |t| {
        let starts = (0..700).map(|n| {
            let start = t.client().start(Echo, "x").id(format!("e-{n}"));
            async move { start.await.unwrap().wait().await.unwrap() }
        });
        futures::future::join_all(starts).await;
        t.clock().advance(2 * DAY);
        assert!(left(t).await.is_empty());
    })
    .await;
}

/// Looks at what has come of age are no deadline that a waiting client's clock would jump to.
#[tokio::test]
async fn time_does_not_move_for_it() {
    check(a_day, async |t| {
        let client = t.client();
        client.start(Echo, "x").id("e").await.unwrap().wait().await.unwrap();
        let live = client.start(WaitForGo, ()).id("live").await.unwrap();
        let begun = t.clock().now();
        let waits = live.ended().timeout(3 * DAY);
        assert_eq!(refusal(waits.await.unwrap_err()), Refusal::TimedOut("live".into()));
        assert_eq!(t.clock().now(), begun.plus(3 * DAY), "by the wait alone");
        assert_eq!(left(t).await, ["live"], "and then it was looked at");
    })
    .await;
}

#[orchestrator]
async fn calls_and_waits(ctx: OrchestrationContext, _: ()) -> Result<()> {
    ctx.call_sub_orchestrator(Echo, "x").instance_id("child").await?;
    let _: u64 = ctx.wait_for_event("go").await?;
    Ok(())
}

#[tokio::test]
async fn a_child_stays_while_the_run_that_called_it_lives() {
    check(a_day, async |t| {
        let client = t.client();
        client.start(CallsAndWaits, ()).id("parent").await.unwrap();
        client.wait_for_completion("child").await.unwrap();
        t.clock().advance(10 * DAY);
        assert_eq!(left(t).await, ["child", "parent"]);
        client.raise_event("parent", "go", 1).await.unwrap();
        client.wait_for_completion("parent").await.unwrap();
        t.clock().advance(secs(3600));
        assert_eq!(left(t).await, ["parent"], "the child is old enough");
        t.clock().advance(DAY);
        assert!(left(t).await.is_empty());
    })
    .await;
}

#[orchestrator]
async fn calls_and_fails(ctx: OrchestrationContext, _: ()) -> Result<()> {
    ctx.call_sub_orchestrator(Echo, "x").instance_id("child").await?;
    Err(Error::msg("it has to"))
}

#[tokio::test]
async fn a_child_stays_while_its_parent_can_be_rewound() {
    check(a_day, async |t| {
        let client = t.client();
        let parent = client.start(CallsAndFails, ()).id("parent").await.unwrap();
        parent.wait().await.unwrap_err();
        t.clock().advance(10 * DAY);
        assert_eq!(left(t).await, ["child", "parent"]);
        assert_eq!(state(t, "parent").await.status(), OrchestrationStatus::Failed);
        client.purge("parent").await.unwrap();
        t.clock().advance(secs(3600));
        assert!(left(t).await.is_empty(), "nobody can ask for it any more");
    })
    .await;
}

/// Calls a child each time it is told to go on.
#[orchestrator]
async fn calls_once_per_generation(ctx: OrchestrationContext, generation: u32) -> Result<()> {
    ctx.call_sub_orchestrator(Echo, "x").instance_id(format!("child-{generation}")).await?;
    let _: u64 = ctx.wait_for_event("go").await?;
    ctx.continue_as_new(generation + 1);
    Ok(())
}

#[tokio::test]
async fn children_of_earlier_generations_go() {
    check(a_day, async |t| {
        let client = t.client();
        client.start(CallsOncePerGeneration, 0).id("eternal").await.unwrap();
        for generation in 0..3 {
            client.wait_for_completion(format!("child-{generation}")).await.unwrap();
            if generation < 2 {
                client.raise_event("eternal", "go", 1).await.unwrap();
            }
        }
        t.clock().advance(2 * DAY);
        assert_eq!(left(t).await, ["child-2", "eternal"]);
    })
    .await;
}
