//! What becomes of errors.

use super::harness::{Hub, Instance};
use crate::prelude::*;
use duramen_proto::TaskFailureDetails;
use duramen_proto::history_event::EventType;
use serde::{Deserialize, Serialize};
use std::error::Error as StdError;
use std::fmt;

#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("card {last_digits} was declined")]
struct CardDeclined {
    last_digits: String,
    cents: i64,
}

impl DurableError for CardDeclined {
    const NAME: &'static str = "CardDeclined";

    fn is_non_retriable(&self) -> bool {
        self.cents < 0
    }
}

fn declined() -> CardDeclined {
    // More than a double can hold: it must not pass through one.
    CardDeclined { last_digits: "4242".into(), cents: 9_007_199_254_740_993 }
}

#[activity]
async fn charge_typed(_: ActivityContext, _: ()) -> Result<(), CardDeclined> {
    Err(declined())
}

#[activity]
async fn charge_erased(_: ActivityContext, _: ()) -> Result<()> {
    Err(declined())?
}

#[activity]
async fn charge_marked(_: ActivityContext, _: ()) -> Result<()> {
    Err(Error::durable(declined()))
}

#[activity]
async fn read_file(_: ActivityContext, _: ()) -> Result<String> {
    Ok(std::fs::read_to_string("/nowhere/at all")?)
}

#[activity]
async fn explode(_: ActivityContext, what: String) -> Result<()> {
    panic!("it was {what}")
}

#[activity]
async fn give_up(_: ActivityContext, _: ()) -> Result<()> {
    Err(Error::non_retriable(Error::msg("never")))
}

/// Deeper than is kept.
#[derive(Debug)]
struct Deep(u32, Option<Box<Deep>>);

impl fmt::Display for Deep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "level {}", self.0)
    }
}

impl StdError for Deep {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.1.as_deref().map(|inner| inner as _)
    }
}

#[activity]
async fn sink(_: ActivityContext, _: ()) -> Result<(), Deep> {
    Err((0..1_000).fold(Deep(1_000, None), |inner, level| Deep(999 - level, Some(Box::new(inner)))))
}

#[derive(Deserialize, Serialize)]
struct Order {
    lines: Vec<u32>,
}

#[activity]
async fn price(_: ActivityContext, order: Order) -> Result<u32> {
    Ok(order.lines.iter().sum())
}

#[orchestrator]
async fn find_card(ctx: OrchestrationContext, activity: String) -> Result<bool> {
    let failed: TaskFailed = match ctx.call_activity(activity, ()).await {
        Ok(()) => return Ok(false),
        Err(failed) => failed,
    };
    assert_eq!(failed.error_type(), "CardDeclined");
    assert_eq!(failed.message(), "card 4242 was declined");
    Ok(failed.is::<CardDeclined>() && failed.downcast::<CardDeclined>() == Some(declined()))
}

#[orchestrator]
async fn hand_on(ctx: OrchestrationContext, activity: String) -> Result<()> {
    let _: () = ctx.call_activity(activity, ()).await?;
    Ok(())
}

#[orchestrator]
async fn compensate(ctx: OrchestrationContext, _: ()) -> Result<String> {
    match ctx.call_activity(Explode, "dynamite").await {
        Ok(()) => Ok("charged".into()),
        Err(failed) => Ok(format!("undone after {}", failed.error_type())),
    }
}

#[orchestrator]
async fn fall_over(_: OrchestrationContext, n: u32) -> Result<u32> {
    let numbers = [1, 2, 3];
    Ok(numbers[n as usize])
}

#[orchestrator]
async fn fail_typed(_: OrchestrationContext, _: ()) -> Result<(), CardDeclined> {
    Err(declined())
}

#[orchestrator]
async fn send_nan(ctx: OrchestrationContext, _: ()) -> Result<f64> {
    let x: f64 = ctx.call_activity("Any", f64::NAN).await?;
    Ok(x)
}

#[orchestrator]
async fn return_nan(_: OrchestrationContext, _: ()) -> Result<f64> {
    Ok(f64::NAN)
}

#[orchestrator]
async fn expect_text(ctx: OrchestrationContext, _: ()) -> Result<String> {
    Ok(ctx.call_activity("Price", Order { lines: vec![1] }).await?)
}

fn app() -> App {
    App::new()
        .activity(ChargeTyped)
        .activity(ChargeErased)
        .activity(ChargeMarked)
        .activity(ReadFile)
        .activity(Explode)
        .activity(GiveUp)
        .activity(Sink)
        .activity(Price)
        .orchestrator(FindCard)
        .orchestrator(HandOn)
        .orchestrator(Compensate)
        .orchestrator(FallOver)
        .orchestrator(FailTyped)
        .orchestrator(SendNan)
        .orchestrator(ReturnNan)
        .orchestrator(ExpectText)
        .error::<CardDeclined>()
}

/// The failure of an activity, as it is stored.
fn failure_of(activity: &str, input: &str) -> TaskFailureDetails {
    let task =
        duramen_proto::ScheduleTaskAction { name: activity.into(), input: Some(input.into()), ..Default::default() };
    match Hub::new(app()).run_activity(3, task) {
        EventType::TaskFailed(failed) => failed.failure_details.expect("details"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_durable_error_travels_whole_on_each_of_its_three_ways() {
    for activity in ["ChargeTyped", "ChargeErased", "ChargeMarked"] {
        let done = Hub::new(app()).run("FindCard", &format!("{activity:?}"));
        assert_eq!(done.output(), "true", "{activity}");
    }
}

#[test]
fn a_failed_task_is_the_cause_of_the_orchestrators_failure() {
    let done = Hub::new(app()).run("HandOn", "\"ChargeTyped\"");
    let failure = done.failure();
    assert_eq!(failure.error_type, "TaskFailed");
    assert_eq!(failure.error_message, "activity ChargeTyped (#0) failed: card 4242 was declined");
    let inner = failure.inner_failure.as_deref().expect("a cause");
    assert_eq!(inner.error_type, "CardDeclined");
    let failed = TaskFailed::new("child".into(), failure.clone());
    assert_eq!(failed.downcast::<CardDeclined>(), Some(declined()));
}

#[test]
fn an_orchestrators_own_durable_error_travels_whole() {
    let done = Hub::new(app()).run("FailTyped", "null");
    assert!(TaskFailed::new("child".into(), done.failure().clone()).is::<CardDeclined>());
}

#[test]
fn any_error_has_its_type_and_message() {
    let failure = failure_of("ReadFile", "null");
    assert_eq!(failure.error_type, "std::io::error::Error");
    assert!(failure.error_message.contains("No such file"), "{}", failure.error_message);
    assert!(!failure.is_non_retriable);
}

#[test]
fn what_is_non_retriable_says_so() {
    assert!(failure_of("GiveUp", "null").is_non_retriable);
    let broke = Error::durable(CardDeclined { last_digits: String::new(), cents: -1 });
    assert!(broke.into_details(&crate::failure::DurableErrors::default()).is_non_retriable);
}

#[test]
fn chains_are_cut_with_a_note() {
    let failure = failure_of("Sink", "null");
    let mut levels = 1;
    let mut at = &failure;
    while let Some(inner) = at.inner_failure.as_deref() {
        levels += 1;
        at = inner;
    }
    assert_eq!(levels, duramen_core::limits::FAILURE_DEPTH + 1);
    assert!(at.error_message.contains("more causes"), "{}", at.error_message);
}

#[test]
fn a_panic_is_a_failure_with_its_message_and_place() {
    let failure = failure_of("Explode", "\"dynamite\"");
    assert_eq!(failure.error_type, "Panic");
    assert!(failure.error_message.contains("it was dynamite"), "{}", failure.error_message);
    assert!(failure.error_message.contains("failures.rs:"), "{}", failure.error_message);

    let mut hub = Hub::new(app());
    let failed = hub.run("FallOver", "7");
    assert!(failed.failure().error_message.contains("index out of bounds"), "{:?}", failed.failure());
    assert!(failed.failure().error_message.contains("failures.rs:"), "{:?}", failed.failure());
    assert_eq!(hub.run("FallOver", "2").output(), "3", "the worker lives on");
}

#[test]
fn compensation_is_ordinary_code() {
    assert_eq!(Hub::new(app()).run("Compensate", "null").output(), r#""undone after Panic""#);
}

#[test]
fn an_input_that_does_not_fit_is_named_with_function_type_and_path() {
    let failure = failure_of("Price", r#"{"lines":[1,"x"]}"#);
    assert!(failure.is_non_retriable);
    for part in ["activity Price", "Order", "lines[1]"] {
        assert!(failure.error_message.contains(part), "{}", failure.error_message);
    }
    let failed = Hub::new(app()).run("FallOver", "\"seven\"");
    assert!(failed.failure().is_non_retriable);
    assert!(failed.failure().error_message.contains("orchestrator FallOver"), "{:?}", failed.failure());
}

#[test]
fn a_result_that_does_not_fit_is_a_failure_of_the_call() {
    let failed = Hub::new(app()).run("ExpectText", "null");
    let message = &failed.failure().error_message;
    assert!(message.contains("activity Price (#0) failed: the result does not fit"), "{message}");
}

#[test]
fn numbers_that_json_lacks_fail_where_they_are_written() {
    let failed = Hub::new(app()).run("SendNan", "null");
    assert!(
        failed.failure().error_message.contains("the input for activity Any cannot be sent"),
        "{:?}",
        failed.failure()
    );
    assert_eq!(failed.history.len(), 2, "nothing was asked for");
    let failed = Hub::new(app()).run("ReturnNan", "null");
    assert!(failed.failure().error_message.contains("NaN"), "{:?}", failed.failure());
}

#[test]
fn unknown_functions_fail_with_the_nearest_name() {
    let failure = failure_of("ChargeTypd", "null");
    assert_eq!(failure.error_type, "ActivityTaskNotFound");
    assert!(failure.is_non_retriable);
    assert!(failure.error_message.contains("\"ChargeTyped\""), "{}", failure.error_message);

    let mut hub = Hub::new(app());
    let mut instance = Instance::new("FindCart", Some("null"));
    hub.drive(&mut instance);
    assert_eq!(instance.failure().error_type, "OrchestratorTaskNotFound");
    assert!(instance.failure().is_non_retriable);
    assert!(instance.failure().error_message.contains("\"FindCard\""), "{:?}", instance.failure());
}

#[test]
fn main_may_return_our_errors_as_boxes() {
    fn boxed() -> Result<(), Box<dyn StdError>> {
        Err(Error::msg("no"))?;
        Ok(())
    }
    assert!(boxed().unwrap_err().to_string().contains("no"));
    let error: Error = Deep(0, Some(Box::new(Deep(1, None)))).into();
    assert_eq!(format!("{error:?}"), "level 0\n  caused by: level 1");
}
