//! Waiting for instances (1.2).

use crate::support::*;
use duramen::prelude::*;
use duramen::testing::{Clock, TestHub};

#[tokio::test]
async fn a_wait_for_the_start_ends_with_the_first_episode() {
    check(hub, async |t| {
        let handle = t.client().start(WaitForGo, ()).id("w").await.unwrap();
        assert_eq!(handle.started().await.unwrap().status(), OrchestrationStatus::Running);
        // Also of one that has ended long ago.
        t.client().start(Echo, "x").id("e").await.unwrap().wait().await.unwrap();
        assert_eq!(t.client().wait_for_start("e").await.unwrap().status(), OrchestrationStatus::Completed);
    })
    .await;
}

#[tokio::test]
async fn a_wait_by_id_says_how_it_ended_whatever_that_was() {
    check(hub, async |t| {
        let client = t.client();
        client.start(Fail, "sad").id("f").await.unwrap();
        let failed = client.wait_for_completion("f").await.unwrap();
        assert_eq!(failed.status(), OrchestrationStatus::Failed);
        assert_eq!(failed.failure().unwrap().error_message, "sad");
        client.start(WaitForGo, ()).id("w").await.unwrap();
        client.terminate("w").output("enough").await.unwrap();
        let ended = client.wait_for_completion("w").await.unwrap();
        assert_eq!(
            (ended.status(), ended.output::<String>().unwrap()),
            (OrchestrationStatus::Terminated, "enough".into())
        );
    })
    .await;
}

#[tokio::test]
async fn a_wait_ends_on_time_and_the_instance_goes_on() {
    check(hub, async |t| {
        let handle = t.client().start(WaitForGo, ()).id("w").await.unwrap();
        handle.started().await.unwrap();
        let begun = t.clock().now();
        let error = refusal(handle.wait_timeout(ms(1_500)).await.unwrap_err());
        assert_eq!(error, Refusal::TimedOut("w".into()));
        assert!(error.to_string().contains("it goes on, and can be waited for again"), "{error}");
        assert_eq!(millis_since(t, begun), 1_500);
        handle.raise_event("go", 4).await.unwrap();
        assert_eq!(handle.wait_timeout(secs(1)).await.unwrap(), 4);
    })
    .await;
}

#[tokio::test]
async fn a_wait_for_an_id_that_nobody_has_is_held_a_minute() {
    check(hub, async |t| {
        let begun = t.clock().now();
        let error = t.client().wait_for_completion("nobody").await.unwrap_err();
        assert_eq!(error.to_string(), "no orchestration instance \"nobody\" exists");
        assert_eq!(millis_since(t, begun), 60_000);
    })
    .await;
}

#[tokio::test]
async fn a_wait_may_come_before_its_instance() {
    // On a virtual clock the minute for which it is held could be over at once.
    let hub = || hub().options(|options| options.clock = Clock::Wall);
    check(hub, async |t| {
        let wait = t.client().wait_for_completion("w").into_future();
        let start = async {
            t.client().start(Echo, "x").id("w").await.unwrap();
        };
        let (waited, ()) = futures::join!(wait, start);
        assert_eq!(waited.unwrap().output::<String>().unwrap(), "x");
    })
    .await;
}

fn replace() -> OnExisting {
    OnExisting::Replace(vec![
        OrchestrationStatus::Running,
        OrchestrationStatus::Pending,
        OrchestrationStatus::Terminated,
    ])
}

#[tokio::test]
async fn a_handle_is_bound_to_what_it_started_and_an_id_is_not() {
    check(hub, async |t| {
        let client = t.client();
        let first = client.start(WaitForGo, ()).id("w").await.unwrap();
        first.started().await.unwrap();
        let waits_for_first = first.wait();
        let waits_by_id = client.wait_for_completion("w").into_future();
        let replacing = async {
            idle(t).await;
            let second = client.start(WaitForGo, ()).id("w").on_existing(replace()).await.unwrap();
            second.raise_event("go", 2).await.unwrap();
            second
        };
        let (of_first, by_id, second) = futures::join!(waits_for_first, waits_by_id, replacing);
        // Whoever waits when it is replaced hears that it was terminated; who comes later, that it was replaced.
        assert!(matches!(of_first, Err(ClientError::Terminated { .. })), "{of_first:?}");
        assert_eq!(by_id.unwrap().output::<u64>().unwrap(), 2);
        assert_eq!(second.wait().await.unwrap(), 2);
        let late = refusal(first.wait().await.unwrap_err());
        assert_eq!(late, Refusal::Replaced("w".into()));
        assert!(late.to_string().contains("wait by id to follow that one"), "{late}");
    })
    .await;
}

#[tokio::test]
async fn all_who_wait_are_told() {
    check(hub, async |t| {
        let handle = t.client().start(WaitForGo, ()).id("w").await.unwrap();
        let waits = futures::future::join_all((0..50).map(|_| handle.wait()));
        let (waited, raised) = futures::join!(waits, handle.raise_event("go", 9));
        raised.unwrap();
        for result in waited {
            assert_eq!(result.unwrap(), 9);
        }
    })
    .await;
}

#[orchestrator]
async fn counts_down(ctx: OrchestrationContext, left: u32) -> Result<u32> {
    ctx.create_timer(secs(1)).await;
    if left > 0 {
        Err(ctx.continue_as_new(left - 1))?;
    }
    Ok(left)
}

#[tokio::test]
async fn generations_are_no_end() {
    check(
        || TestHub::new().orchestrator(CountsDown),
        async |t| {
            let begun = t.clock().now();
            let handle = t.client().start(CountsDown, 9).await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), 0);
            assert_eq!(millis_since(t, begun), 10_000);
        },
    )
    .await;
}
