//! External events (1.4).

use crate::support::*;
use duramen::prelude::*;
use duramen::testing::TestHub;
use serde_json::{Value, json};

/// Reads three numbers, after something that takes a while.
#[orchestrator]
async fn reads_three(ctx: OrchestrationContext, _: ()) -> Result<Vec<u64>> {
    ctx.create_timer(secs(60)).await;
    let mut read = Vec::new();
    for _ in 0..3 {
        read.push(ctx.wait_for_event::<u64>("number").await?);
    }
    Ok(read)
}

#[tokio::test]
async fn events_are_kept_in_their_order_until_somebody_waits() {
    check(
        || TestHub::new().orchestrator(ReadsThree),
        async |t| {
            let handle = t.client().start(ReadsThree, ()).id("r").await.unwrap();
            // Nobody waits yet: not before the first episode, and not while it sleeps.
            for number in [3, 1] {
                handle.raise_event("number", number).await.unwrap();
            }
            handle.started().await.unwrap();
            handle.raise_event("other", "not this").await.unwrap();
            handle.raise_event("number", 2).await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), [3, 1, 2]);
        },
    )
    .await;
}

#[tokio::test]
async fn names_are_compared_without_case_and_kept_as_they_are() {
    check(hub, async |t| {
        let handle = t.client().start(WaitForGo, ()).id("w").await.unwrap();
        handle.raise_event("GO", 7).await.unwrap();
        assert_eq!(handle.wait().await.unwrap(), 7);
        assert!(history(t, "w").await.contains(&"#-1 EventRaised(GO)".to_string()));
    })
    .await;
}

#[orchestrator]
async fn foreign_name(ctx: OrchestrationContext, _: ()) -> Result<u64> {
    Ok(ctx.wait_for_event("ÄRGER im Büro").await?)
}

#[tokio::test]
async fn case_is_that_of_every_language() {
    check(
        || TestHub::new().orchestrator(ForeignName),
        async |t| {
            let handle = t.client().start(ForeignName, ()).await.unwrap();
            handle.raise_event("ärger IM BÜRO", 7).await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), 7);
        },
    )
    .await;
}

#[orchestrator]
async fn waits_a_minute(ctx: OrchestrationContext, _: ()) -> Result<String> {
    match ctx.wait_for_event::<String>("approval").timeout(secs(60)).await {
        Ok(who) => Ok(who),
        Err(failed) if failed.is_timeout() => Ok(failed.to_string()),
        Err(failed) => Err(failed)?,
    }
}

#[tokio::test]
async fn a_wait_may_have_a_time() {
    check(
        || TestHub::new().orchestrator(WaitsAMinute),
        async |t| {
            let begun = t.clock().now();
            let late = t.client().start(WaitsAMinute, ()).await.unwrap();
            assert_eq!(
                late.wait().await.unwrap(),
                "waiting for event approval failed: it did not come in the time given to it"
            );
            assert_eq!(millis_since(t, begun), 60_000);

            let begun = t.clock().now();
            let approved = t.client().start(WaitsAMinute, ()).id("approved").await.unwrap();
            approved.started().await.unwrap();
            approved.raise_event("approval", "Ada").await.unwrap();
            assert_eq!(approved.wait().await.unwrap(), "Ada");
            assert!(t.clock().now().since(begun) < secs(1), "the rest of the minute is not waited for");

            let early = t.client().start(WaitsAMinute, ()).id("early").at(secs(1)).await.unwrap();
            early.raise_event("approval", "Bob").await.unwrap();
            assert_eq!(early.wait().await.unwrap(), "Bob");
        },
    )
    .await;
}

#[orchestrator]
async fn two_wait(ctx: OrchestrationContext, _: ()) -> Result<(u64, u64)> {
    let (first, second) = (ctx.wait_for_event("number"), ctx.wait_for_event("NUMBER"));
    // Polled the other way round: what counts is who began to wait first.
    let (second, first) = futures::join!(second, first);
    Ok((first?, second?))
}

#[tokio::test]
async fn of_two_who_wait_the_first_gets_the_first() {
    check(
        || TestHub::new().orchestrator(TwoWait),
        async |t| {
            let handle = t.client().start(TwoWait, ()).await.unwrap();
            handle.started().await.unwrap();
            handle.raise_event("number", 1).await.unwrap();
            handle.raise_event("number", 2).await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), (1, 2));
        },
    )
    .await;
}

/// The first who waits gives up, and the event that it got is for the next.
#[orchestrator]
async fn gives_up(ctx: OrchestrationContext, _: ()) -> Result<u64> {
    let first = ctx.wait_for_event::<u64>("number");
    ctx.create_timer(secs(10)).await;
    drop(first);
    Ok(ctx.wait_for_event("number").await?)
}

#[tokio::test]
async fn who_does_not_wait_any_more_takes_nothing_along() {
    check(
        || TestHub::new().orchestrator(GivesUp),
        async |t| {
            let handle = t.client().start(GivesUp, ()).await.unwrap();
            handle.started().await.unwrap();
            handle.raise_event("number", 5).await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), 5);
        },
    )
    .await;
}

#[orchestrator]
async fn reads_values(ctx: OrchestrationContext, number: usize) -> Result<Vec<Value>> {
    let mut values = Vec::new();
    for _ in 0..number {
        values.push(ctx.wait_for_event("value").await?);
    }
    Ok(values)
}

#[tokio::test]
async fn what_was_raised_comes_as_it_is() {
    check(
        || TestHub::new().orchestrator(ReadsValues),
        async |t| {
            let values =
                vec![json!(0), json!(false), json!(""), Value::Null, json!([]), json!({"a": {"b": [1, null]}})];
            let handle = t.client().start(ReadsValues, values.len()).await.unwrap();
            for value in &values {
                handle.raise_event("value", value).await.unwrap();
            }
            assert_eq!(handle.wait().await.unwrap(), values);
        },
    )
    .await;
}

#[tokio::test]
async fn thousands_of_events_come_in_their_order() {
    // Calls that are under way at the same time have no order on their way to a server.
    check_here(
        || TestHub::new().orchestrator(ReadsValues),
        async |t| {
            let handle = t.client().start(ReadsValues, 2_500).await.unwrap();
            let raises = (0..2_500_u32).map(|n| handle.raise_event("value", n));
            for raised in futures::future::join_all(raises).await {
                raised.unwrap();
            }
            let values = handle.wait().await.unwrap();
            assert!(values.iter().enumerate().all(|(n, value)| *value == json!(n)));
        },
    )
    .await;
}

#[tokio::test]
async fn data_that_does_not_fit_says_where() {
    check(hub, async |t| {
        let handle = t.client().start(WaitForGo, ()).await.unwrap();
        handle.raise_event("go", "seven").await.unwrap();
        let failure = failure(handle.wait().await.unwrap_err());
        let message = failure.message();
        assert!(message.contains("waiting for event go failed") && message.contains("u64"), "{message}");
    })
    .await;
}

#[tokio::test]
async fn an_event_for_nobody_is_an_error_and_one_for_the_dead_is_dropped() {
    check(hub, async |t| {
        let error = t.client().raise_event("nobody", "go", 1).await.unwrap_err();
        assert_eq!(refusal(error), Refusal::NotFound("nobody".into()));
        let handle = t.client().start(Echo, "x").id("dead").await.unwrap();
        handle.wait().await.unwrap();
        let before = history(t, "dead").await;
        handle.raise_event("go", 1).await.unwrap();
        idle(t).await;
        assert_eq!(history(t, "dead").await, before);
    })
    .await;
}

/// Tells a friend, who answers.
#[orchestrator]
async fn asks(ctx: OrchestrationContext, friend: String) -> Result<u64> {
    ctx.send_event("nobody", "question", &0)?;
    ctx.send_event(&friend, "question", &ctx.instance_id())?;
    Ok(ctx.wait_for_event("answer").await?)
}

#[orchestrator]
async fn answers(ctx: OrchestrationContext, number: u64) -> Result<()> {
    let who: String = ctx.wait_for_event("question").await?;
    ctx.send_event(&who, "answer", &number)
}

#[tokio::test]
async fn orchestrations_send_events_to_each_other_and_one_that_is_missing_gets_none() {
    check(
        || TestHub::new().orchestrator(Asks).orchestrator(Answers),
        async |t| {
            t.client().start(Answers, 42).id("friend").await.unwrap();
            let handle = t.client().start(Asks, "friend").id("a").await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), 42);
            let sent: Vec<_> = history(t, "a").await.into_iter().filter(|line| line.contains("EventSent")).collect();
            assert_eq!(sent, ["#0 EventSent(question)", "#1 EventSent(question)"]);
            assert_eq!(t.client().get("nobody").await.unwrap(), None);
        },
    )
    .await;
}

#[orchestrator]
async fn talks_to_itself(ctx: OrchestrationContext, _: ()) -> Result<Vec<u64>> {
    for number in 0..3 {
        ctx.send_event(ctx.instance_id(), "number", &number)?;
    }
    let mut read = Vec::new();
    for _ in 0..3 {
        read.push(ctx.wait_for_event::<u64>("number").await?);
    }
    Ok(read)
}

#[tokio::test]
async fn an_orchestration_may_send_events_to_itself() {
    check(
        || TestHub::new().orchestrator(TalksToItself),
        async |t| assert_eq!(t.run(TalksToItself, ()).await.unwrap(), [0, 1, 2]),
    )
    .await;
}

/// Many senders, one receiver: what each sends comes in its order.
#[orchestrator]
async fn sends_many(ctx: OrchestrationContext, who: u64) -> Result<()> {
    for number in 0..20_u64 {
        ctx.send_event("receiver", "value", &(who, number))?;
        if number % 5 == 4 {
            ctx.create_timer(ms(1)).await;
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_one_sends_arrives_in_its_order_and_once() {
    check(
        || TestHub::new().orchestrator(SendsMany).orchestrator(ReadsValues),
        async |t| {
            let receiver = t.client().start(ReadsValues, 100).id("receiver").await.unwrap();
            for who in 0..5 {
                t.client().start(SendsMany, who).await.unwrap();
            }
            let values = receiver.wait().await.unwrap();
            for who in 0..5 {
                let of_one: Vec<_> =
                    values.iter().filter(|value| value[0] == json!(who)).map(|v| v[1].clone()).collect();
                assert_eq!(of_one, (0..20).map(|n| json!(n)).collect::<Vec<_>>());
            }
        },
    )
    .await;
}
