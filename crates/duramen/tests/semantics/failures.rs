//! Failures and how far they travel (1.3, 1.5).

use crate::support::*;
use duramen::prelude::*;
use duramen::testing::TestHub;
use std::sync::Arc;
use std::sync::Mutex;

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, thiserror::Error)]
#[error("card {card} was declined: {reason}")]
struct CardDeclined {
    card: String,
    reason: String,
}

impl DurableError for CardDeclined {
    const NAME: &'static str = "CardDeclined";
}

fn declined() -> CardDeclined {
    CardDeclined { card: "1234".into(), reason: "no funds".into() }
}

#[activity]
async fn charge(_ctx: ActivityContext, how: String) -> Result<(), CardDeclined> {
    assert!(how != "panics", "the till is on fire");
    Err(declined())
}

/// Returns the crate's own error: the type is known by its registration, or by `Error::durable`.
#[activity]
async fn charge_anyhow(_ctx: ActivityContext, how: String) -> Result<()> {
    if how == "durable" {
        return Err(Error::durable(declined()));
    }
    Err(declined())?
}

#[orchestrator]
async fn pays(ctx: OrchestrationContext, activity: String) -> Result<()> {
    Ok(ctx.call_activity(activity.as_str(), "by card").await?)
}

#[orchestrator]
async fn shops(ctx: OrchestrationContext, activity: String) -> Result<()> {
    Ok(ctx.call_sub_orchestrator(Pays, activity).await?)
}

#[orchestrator]
async fn lives(ctx: OrchestrationContext, activity: String) -> Result<()> {
    let failed = ctx.call_sub_orchestrator(Shops, activity.as_str()).await.expect_err("it fails two levels below");
    assert!(failed.is::<CardDeclined>(), "{failed:?}");
    assert_eq!(failed.downcast::<CardDeclined>(), Some(declined()));
    Err(failed)?
}

fn family() -> TestHub {
    TestHub::new()
        .orchestrator(Pays)
        .orchestrator(Shops)
        .orchestrator(Lives)
        .activity(Charge)
        .activity(ChargeAnyhow)
        .error::<CardDeclined>()
}

#[tokio::test]
async fn an_error_travels_whole_through_two_levels_of_children() {
    check(family, async |t| {
        for activity in ["Charge", "ChargeAnyhow"] {
            let failure = failure(t.client().start(Lives, activity).await.unwrap().wait().await.unwrap_err());
            assert_eq!(failure.downcast::<CardDeclined>(), Some(declined()), "{failure:?}");
            // Each level says which of its tasks it was.
            let shown = format!("{failure:?}");
            for part in [
                "Shops (#0) failed",
                "Pays (#0) failed",
                &format!("{activity} (#0) failed"),
                "card 1234 was declined: no funds",
            ] {
                assert!(shown.contains(part), "{shown}");
            }
        }
    })
    .await;
}

#[orchestrator]
async fn sorts_errors(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
    let typed = ctx.call_activity(Charge, "x").await.expect_err("declined");
    let durable = ctx.call_activity(ChargeAnyhow, "durable").await.expect_err("declined");
    let unknown = ctx.call_activity("Parses", "x").await.map(|(): ()| ()).expect_err("no number");
    assert!(!unknown.is::<CardDeclined>() && unknown.downcast::<CardDeclined>().is_none());
    Ok([typed, durable, unknown].map(|failed| failed.error_type().to_owned()).into())
}

#[tokio::test]
async fn an_error_has_the_name_of_its_type() {
    check(
        || {
            family().orchestrator(SortsErrors).mock("Parses", |text: String| -> Result<()> {
                text.parse::<u32>()?;
                Ok(())
            })
        },
        async |t| {
            let types = t.run(SortsErrors, ()).await.unwrap();
            assert_eq!(types, ["CardDeclined", "CardDeclined", "core::num::error::ParseIntError"]);
        },
    )
    .await;
}

#[derive(Debug, thiserror::Error)]
#[error("the order failed")]
struct Order(#[source] Stock);

#[derive(Debug, thiserror::Error)]
#[error("the stock is empty")]
struct Stock(#[source] std::num::ParseIntError);

#[activity]
async fn orders(_ctx: ActivityContext, _: ()) -> Result<(), Order> {
    "x".parse::<u32>().map(drop).map_err(|error| Order(Stock(error)))
}

#[orchestrator]
async fn has_orders(ctx: OrchestrationContext, _: ()) -> Result<()> {
    Ok(ctx.call_activity(Orders, ()).await?)
}

#[tokio::test]
async fn causes_are_inner_failures() {
    check(
        || TestHub::new().orchestrator(HasOrders).activity(Orders),
        async |t| {
            let failure = failure(t.client().start(HasOrders, ()).await.unwrap().wait().await.unwrap_err());
            let mut messages = Vec::new();
            let mut next = Some(failure.details());
            while let Some(details) = next {
                messages.push(details.error_message.clone());
                next = details.inner_failure.as_deref();
            }
            assert_eq!(
                messages,
                [
                    "activity Orders (#0) failed: the order failed",
                    "the order failed",
                    "the stock is empty",
                    "invalid digit found in string"
                ]
            );
        },
    )
    .await;
}

#[orchestrator]
async fn burns(ctx: OrchestrationContext, how: String) -> Result<String> {
    if how == "orchestrator" {
        panic!("this code is on fire");
    }
    let failed = ctx.call_activity(Charge, how).await.expect_err("it panics");
    assert_eq!(failed.error_type(), "Panic");
    Ok(failed.message().to_owned())
}

#[tokio::test]
async fn a_panic_is_a_failure_with_its_text_and_place() {
    check(
        || family().orchestrator(Burns),
        async |t| {
            let message = t.run(Burns, "panics").await.unwrap();
            assert!(message.contains("failures.rs:") && message.ends_with("the till is on fire"), "{message}");
            let failure = failure(t.client().start(Burns, "orchestrator").await.unwrap().wait().await.unwrap_err());
            let message = failure.message();
            assert_eq!(failure.error_type(), "Panic");
            assert!(message.contains("failures.rs:") && message.ends_with("this code is on fire"), "{message}");
            // The worker is as well as before.
            assert!(t.run(Burns, "panics").await.is_ok());
        },
    )
    .await;
}

#[orchestrator]
async fn books(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let flight: String = ctx.call_activity("Book", "flight").await?;
    match ctx.call_activity("Book", "hotel").await {
        Ok(hotel) => Ok(hotel),
        Err(failed) => {
            let undone: String = ctx.call_activity("Cancel", flight).await?;
            Ok(format!("{undone} because {}", failed.message()))
        }
    }
}

#[tokio::test]
async fn compensation_is_code_behind_an_error() {
    let done = Arc::new(Mutex::new(Vec::new()));
    let hub = || {
        let (booked, cancelled) = (Arc::clone(&done), Arc::clone(&done));
        TestHub::new()
            .orchestrator(Books)
            .mock("Book", move |what: String| {
                booked.lock().unwrap().push(format!("book {what}"));
                if what == "hotel" { Err(Error::msg("it is full")) } else { Ok(what) }
            })
            .mock("Cancel", move |what: String| {
                cancelled.lock().unwrap().push(format!("cancel {what}"));
                Ok(format!("no {what}"))
            })
    };
    check(hub, async |t| {
        done.lock().unwrap().clear();
        assert_eq!(t.run(Books, ()).await.unwrap(), "no flight because it is full");
        assert_eq!(*done.lock().unwrap(), ["book flight", "book hotel", "cancel flight"]);
    })
    .await;
}

#[orchestrator]
async fn gathers(ctx: OrchestrationContext, _: ()) -> Result<()> {
    let calls = ["fine", "bad", "worse", "fine"].map(|what| ctx.call_activity("Judge", what));
    let _: Vec<String> = ctx.all(calls).await?;
    Ok(())
}

#[tokio::test]
async fn of_several_failures_the_first_of_the_calls_counts_once_all_have_ended() {
    let judged = Arc::new(Mutex::new(0));
    let hub = || {
        let judged = Arc::clone(&judged);
        TestHub::new().orchestrator(Gathers).mock("Judge", move |what: String| {
            *judged.lock().unwrap() += 1;
            if what == "fine" { Ok(what) } else { Err(Error::msg(what)) }
        })
    };
    check(hub, async |t| {
        *judged.lock().unwrap() = 0;
        let failure = failure(t.client().start(Gathers, ()).await.unwrap().wait().await.unwrap_err());
        assert_eq!(failure.message(), "activity Judge (#1) failed: bad");
        assert_eq!(*judged.lock().unwrap(), 4);
    })
    .await;
}

#[orchestrator]
async fn calls_by_name(ctx: OrchestrationContext, (kind, name): (String, String)) -> Result<String> {
    let outcome: Result<(), TaskFailed> = match kind.as_str() {
        "activity" => ctx.call_activity(name.as_str(), "x").await,
        _ => ctx.call_sub_orchestrator(name.as_str(), "x").await,
    };
    let failed = outcome.expect_err("there is none of this name");
    assert!(failed.is_non_retriable());
    Ok(format!("{}: {}", failed.error_type(), failed.message()))
}

#[tokio::test]
async fn a_function_that_is_not_there_is_named_with_the_nearest() {
    check(
        || family().orchestrator(CallsByName),
        async |t| {
            let message = t.run(CallsByName, ("activity".into(), "Charg".into())).await.unwrap();
            let expected = "ActivityTaskNotFound: the worker has no activity named \"Charg\"; the nearest that it has is \
                            \"Charge\". Add it to the App, or mend the name";
            assert_eq!(message, expected);
            let message = t.run(CallsByName, ("orchestrator".into(), "Shop".into())).await.unwrap();
            assert!(
                message.contains("OrchestratorTaskNotFound") && message.contains("\"Shop\"") && message.contains("\"Shops\""),
                "{message}"
            );
            let started: Handle<()> = t.client().start("Liver", "x").await.unwrap();
            let failure = failure(started.wait().await.unwrap_err());
            assert_eq!(failure.error_type(), "OrchestratorTaskNotFound");
            assert!(failure.message().contains("\"Lives\""), "{failure}");
        },
    )
    .await;
}

#[tokio::test]
async fn an_instance_that_failed_shows_why_and_has_no_output() {
    check(hub, async |t| {
        let error = t.client().start(Fail, "sad").id("f").await.unwrap().wait().await.unwrap_err();
        assert_eq!(error.to_string(), "instance \"f\" failed: Fail failed: sad");
        let state = state(t, "f").await;
        assert_eq!(state.failure().map(|failure| failure.error_message.as_str()), Some("sad"));
        assert_eq!(state.output::<Option<()>>().unwrap(), None);
        assert!(state.completed().is_some());
    })
    .await;
}
