//! Timers, events, waiting for several things, ContinueAsNew, status.

use super::harness::{Hub, Instance};
use crate::prelude::*;
use duramen_proto::OrchestrationStatus;
use duramen_proto::history_event::EventType;
use duramen_proto::orchestrator_action::OrchestratorActionType;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[activity]
async fn echo(_: ActivityContext, n: u32) -> Result<u32> {
    if n == 13 { Err(Error::msg("thirteen")) } else { Ok(n) }
}

#[orchestrator]
async fn approve(ctx: OrchestrationContext, _: ()) -> Result<String> {
    match ctx.wait_for_event::<bool>("Approval").timeout(secs(60)).await {
        Ok(approved) => Ok(format!("approved: {approved}")),
        Err(failed) if failed.is_timeout() => Ok("escalated".into()),
        Err(failed) => Err(failed.into()),
    }
}

#[orchestrator]
async fn approve_later(ctx: OrchestrationContext, _: ()) -> Result<bool> {
    ctx.create_timer(secs(1)).await;
    Ok(ctx.wait_for_event("Approval").timeout(secs(60)).await?)
}

#[orchestrator]
async fn sleep_long(ctx: OrchestrationContext, days: u64) -> Result<u64> {
    let before = ctx.current_time();
    ctx.create_timer(secs(days * 86_400)).await;
    Ok(ctx.current_time().duration_since(before)?.as_secs() / 86_400)
}

#[orchestrator]
async fn sleep_until(ctx: OrchestrationContext, at: SystemTime) -> Result<()> {
    ctx.create_timer(at).await;
    Ok(())
}

#[orchestrator]
async fn everything(ctx: OrchestrationContext, numbers: Vec<u32>) -> Result<Vec<u32>> {
    Ok(ctx.all(numbers.into_iter().map(|n| ctx.call_activity(Echo, n))).await?)
}

#[orchestrator]
async fn first_of(ctx: OrchestrationContext, _: ()) -> Result<(usize, u32)> {
    let calls = [ctx.call_activity(Echo, 1), ctx.call_activity(Echo, 2)];
    // Both are there when they are first looked at.
    ctx.create_timer(secs(5)).await;
    let (place, result) = ctx.any(calls).await;
    Ok((place, result?))
}

#[orchestrator]
async fn one_by_one(ctx: OrchestrationContext, numbers: Vec<u32>) -> Result<Vec<u32>> {
    let mut calls: Vec<_> = numbers.into_iter().map(|n| ctx.call_activity(Echo, n)).collect();
    let mut seen = Vec::new();
    while !calls.is_empty() {
        let (place, result) = ctx.any(calls.iter_mut()).await;
        seen.push(result?);
        drop(calls.swap_remove(place));
    }
    Ok(seen)
}

#[orchestrator]
async fn with_macros(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let (a, b) = futures::join!(ctx.call_activity(Echo, 1), ctx.call_activity(Echo, 2));
    let mut call = futures::FutureExt::fuse(ctx.call_activity(Echo, 3));
    let mut timer = futures::FutureExt::fuse(ctx.create_timer(secs(1)));
    let won = futures::select_biased! {
        result = call => format!("call {}", result?),
        () = timer => "timer".to_string(),
    };
    Ok(format!("{} {} {won}", a?, b?))
}

#[orchestrator]
async fn count_up(ctx: OrchestrationContext, n: u32) -> Result<u32> {
    ctx.set_custom_status(&format!("at {n}"))?;
    let step: u32 = ctx.wait_for_event("step").await?;
    Err(ctx.continue_as_new(n + step))?
}

#[orchestrator]
async fn go_on_with_nan(ctx: OrchestrationContext, _: ()) -> Result<()> {
    ctx.continue_as_new(f64::NAN);
    Ok(())
}

#[orchestrator]
async fn fail_after_going_on(ctx: OrchestrationContext, _: ()) -> Result<()> {
    ctx.continue_as_new_version(1, "2");
    Err(Error::msg("no"))
}

#[orchestrator]
async fn tell(ctx: OrchestrationContext, _: ()) -> Result<(String, String, Option<u32>)> {
    ctx.send_event("other", "hello", &5)?;
    Ok((ctx.instance_id().to_string(), ctx.name().to_string(), ctx.input()?))
}

fn app() -> App {
    App::new()
        .activity(Echo)
        .orchestrator(Approve)
        .orchestrator(ApproveLater)
        .orchestrator(SleepLong)
        .orchestrator(SleepUntil)
        .orchestrator(Everything)
        .orchestrator(FirstOf)
        .orchestrator(OneByOne)
        .orchestrator(WithMacros)
        .orchestrator(CountUp)
        .orchestrator(GoOnWithNan)
        .orchestrator(FailAfterGoingOn)
        .orchestrator(Tell)
}

#[test]
fn an_event_against_a_timer() {
    let mut hub = Hub::new(app());
    assert_eq!(hub.run("Approve", "null").output(), "\"escalated\"");

    let mut instance = Instance::new("Approve", Some("null"));
    hub.episode(&mut instance);
    instance.raise("APPROVAL", "true");
    hub.episode(&mut instance);
    assert_eq!(instance.output(), "\"approved: true\"");
}

#[test]
fn an_event_may_come_before_anyone_waits_and_needs_no_timer_then() {
    let mut hub = Hub::new(app());
    let mut early = Instance::new("ApproveLater", Some("null"));
    early.raise("approval", "false");
    hub.drive(&mut early);
    assert_eq!(early.output(), "false");
    let timers = early.history.iter().filter(|event| matches!(event.event_type, Some(EventType::TimerCreated(_))));
    assert_eq!(timers.count(), 1, "that of the sleep: {:?}", early.history);
}

#[test]
fn data_that_does_not_fit_is_a_failure_that_names_the_event() {
    let mut instance = Instance::new("Approve", Some("null"));
    instance.raise("Approval", "[]");
    Hub::new(app()).episode(&mut instance);
    assert!(instance.failure().error_message.contains("waiting for event Approval failed"), "{:?}", instance.failure());
}

#[test]
fn a_long_timer_is_one_timer() {
    let done = Hub::new(app()).run("SleepLong", "3650");
    assert_eq!(done.output(), "3650");
    let timers = done.history.iter().filter(|event| matches!(event.event_type, Some(EventType::TimerCreated(_))));
    assert_eq!(timers.count(), 1);
}

#[test]
fn a_timer_may_end_at_a_point_in_time() {
    let at = UNIX_EPOCH + Duration::new(5_000, 7);
    let mut instance = Instance::new("SleepUntil", Some(&serde_json::to_string(&at).unwrap()));
    let actions = Hub::new(app()).episode(&mut instance);
    match &actions[0].orchestrator_action_type {
        Some(OrchestratorActionType::CreateTimer(timer)) => {
            let fire_at = timer.fire_at.unwrap();
            assert_eq!((fire_at.seconds, fire_at.nanos), (5_000, 7));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_keeps_the_order_and_waits_for_all() {
    let mut hub = Hub::new(app());
    assert_eq!(hub.run("Everything", "[3,1,2]").output(), "[3,1,2]");
    assert_eq!(hub.run("Everything", "[]").output(), "[]");
    let failed = hub.run("Everything", "[1,13,2]");
    assert!(failed.failure().error_message.contains("activity Echo (#1) failed: thirteen"), "{:?}", failed.failure());
    assert!(failed.open.is_empty(), "the failure waited for the last");
}

#[test]
fn many_results_are_taken_one_at_a_time() {
    let numbers: Vec<u32> = (100..1_100).collect();
    let input = serde_json::to_string(&numbers).unwrap();
    assert_eq!(Hub::new(app()).run("Everything", &input).output(), input);
}

#[test]
fn any_gives_the_first_of_those_that_are_there() {
    assert_eq!(Hub::new(app()).run("FirstOf", "null").output(), "[0,1]");
}

#[test]
fn any_may_borrow_and_leave_the_others() {
    assert_eq!(Hub::new(app()).run("OneByOne", "[4,5,6]").output(), "[4,5,6]");
}

#[test]
fn the_macros_of_the_futures_crate_work() {
    assert_eq!(Hub::new(app()).run("WithMacros", "null").output(), "\"1 2 call 3\"");
}

#[test]
fn continue_as_new_takes_input_and_unread_events_along() {
    let mut hub = Hub::new(app());
    let mut instance = Instance::new("CountUp", Some("4"));
    instance.raise("step", "3");
    instance.raise("step", "9");
    hub.episode(&mut instance);
    let done = instance.completion.as_ref().unwrap();
    assert_eq!(done.orchestration_status, i32::from(OrchestrationStatus::ContinuedAsNew));
    assert_eq!(done.result.as_deref(), Some("7"));
    assert_eq!(done.carryover_events.len(), 1);
    assert_eq!(instance.custom_status.as_deref(), Some("\"at 4\""));
}

#[test]
fn an_error_wins_over_continue_as_new() {
    let mut hub = Hub::new(app());
    assert!(hub.run("GoOnWithNan", "null").failure().error_message.contains("NaN"));
    assert_eq!(hub.run("FailAfterGoingOn", "null").failure().error_message, "no");
}

#[test]
fn events_are_sent_and_the_context_knows_who_it_is() {
    let done = Hub::new(app()).run("Tell", "null");
    assert_eq!(done.output(), r#"["i","Tell",null]"#);
    assert!(done.history.iter().any(|event| matches!(&event.event_type,
        Some(EventType::EventSent(sent)) if sent.instance_id == "other" && sent.input.as_deref() == Some("5"))));
}
