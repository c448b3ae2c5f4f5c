//! Options of calls, and shared activities.

use super::harness::{Hub, Instance};
use crate::prelude::*;
use duramen_proto::history_event::EventType;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Default)]
struct Flaky {
    calls: AtomicU32,
}

#[activities]
impl Flaky {
    async fn third_time(&self, ctx: ActivityContext, text: String) -> Result<String> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if call < 3 { Err(Error::msg(format!("call {call}"))) } else { Ok(format!("{text} {} {call}", ctx.task_id())) }
    }

    #[activity(name = "renamed")]
    async fn with_another_name(&self, ctx: ActivityContext, _: ()) -> Result<(String, Option<String>)> {
        Ok((ctx.name().to_string(), ctx.tags().get("k").cloned()))
    }

    fn not_an_activity(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }
}

#[orchestrator]
async fn insist(ctx: OrchestrationContext, attempts: u32) -> Result<String> {
    let policy = RetryPolicy::exponential(attempts, secs(10));
    Ok(ctx.call_activity(flaky::ThirdTime, "x").retry(policy).await?)
}

#[orchestrator]
async fn decide(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let policy = RetryPolicy::fixed(9, secs(10))
        .when(|retry| retry.attempts < 2 && retry.last_failure.message().starts_with("call"));
    Ok(ctx.call_activity(flaky::ThirdTime, "x").retry(policy).await?)
}

#[orchestrator]
async fn decide_wrongly(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let policy = RetryPolicy::fixed(9, secs(10)).when(|retry| panic!("{} is too much", retry.attempts));
    Ok(ctx.call_activity(flaky::ThirdTime, "x").retry(policy).await?)
}

#[orchestrator]
async fn misjudge(ctx: OrchestrationContext, _: ()) -> Result<String> {
    Ok(ctx.call_activity(flaky::ThirdTime, "x").retry(RetryPolicy::fixed(0, secs(1))).await?)
}

#[orchestrator]
async fn dress_up(ctx: OrchestrationContext, _: ()) -> Result<(String, Option<String>)> {
    Ok(ctx.call_activity(flaky::WithAnotherName, ()).version("7").tag("k", "v").await?)
}

#[orchestrator]
async fn have_child(ctx: OrchestrationContext, id: String) -> Result<u32> {
    let child = ctx.call_sub_orchestrator("Child", 1).instance_id(id).version("2").tag("a", "b");
    Ok(child.await?)
}

#[orchestrator]
async fn have_patience(ctx: OrchestrationContext, _: ()) -> Result<String> {
    const CHILD: OrchestratorName<u32, u32> = OrchestratorName::new("Child");
    match ctx.call_sub_orchestrator(CHILD, 1).timeout(secs(30)).await {
        Ok(n) => Ok(n.to_string()),
        Err(failed) if failed.is_timeout() => Ok(failed.to_string()),
        Err(failed) => Err(failed.into()),
    }
}

#[orchestrator]
async fn be_late(ctx: OrchestrationContext, _: ()) -> Result<()> {
    let call = ctx.call_activity(flaky::WithAnotherName, ());
    ctx.create_timer(secs(1)).await;
    call.tag("a", "b").await?;
    Ok(())
}

fn app() -> App {
    App::new()
        .activities(Flaky::default())
        .orchestrator(Insist)
        .orchestrator(Decide)
        .orchestrator(Misjudge)
        .orchestrator(DecideWrongly)
        .orchestrator(DressUp)
        .orchestrator(HaveChild)
        .orchestrator(HavePatience)
        .orchestrator(BeLate)
}

fn ids(instance: &Instance) -> Vec<i32> {
    let tasks = instance.history.iter().filter(|event| matches!(event.event_type, Some(EventType::TaskScheduled(_))));
    tasks.map(|event| event.event_id).collect()
}

#[test]
fn a_call_is_tried_again_after_pauses() {
    let done = Hub::new(app()).run("Insist", "5");
    assert_eq!(done.output(), "\"x 4 3\"");
    assert_eq!(ids(&done), [0, 2, 4]);
    let fired = done.history.iter().filter_map(|event| match &event.event_type {
        Some(EventType::TimerFired(fired)) => fired.fire_at.map(|at| at.seconds),
        _ => None,
    });
    let fired: Vec<i64> = fired.collect();
    assert_eq!(fired[1] - fired[0], 21, "the second pause is twice the first, and begins an episode later");
}

#[test]
fn attempts_are_counted() {
    let failed = Hub::new(app()).run("Insist", "2");
    assert!(failed.failure().error_message.ends_with("call 2"), "{:?}", failed.failure());
}

#[test]
fn the_author_decides_within_the_limits() {
    let failed = Hub::new(app()).run("Decide", "null");
    assert!(failed.failure().error_message.ends_with("call 2"), "{:?}", failed.failure());
}

#[test]
fn a_panic_of_a_decision_is_a_failure() {
    let failed = Hub::new(app()).run("DecideWrongly", "null");
    assert_eq!(failed.failure().error_type, "Panic");
    assert!(failed.failure().error_message.contains("1 is too much"), "{:?}", failed.failure());
}

#[test]
fn a_policy_that_makes_no_sense_fails_the_call() {
    let failed = Hub::new(app()).run("Misjudge", "null");
    assert!(failed.failure().error_message.contains("at least one attempt"), "{:?}", failed.failure());
}

#[test]
fn tags_versions_and_names_reach_the_activity() {
    let done = Hub::new(app()).run("DressUp", "null");
    assert_eq!(done.output(), r#"["renamed","v"]"#);
    let task = done.history.iter().find_map(|event| match &event.event_type {
        Some(EventType::TaskScheduled(task)) => Some(task),
        _ => None,
    });
    assert_eq!(task.unwrap().version.as_deref(), Some("7"));
    assert_eq!(Flaky::default().not_an_activity(), 0);
}

#[test]
fn a_child_has_what_it_was_given() {
    let mut hub = Hub::with(app(), |options| options.default_version = Some("1".into()));
    let child_of = |instance: &Instance| {
        let created = instance.history.iter().find_map(|event| match &event.event_type {
            Some(EventType::SubOrchestrationInstanceCreated(child)) => Some(child.clone()),
            _ => None,
        });
        created.expect("a child")
    };
    let child = child_of(&hub.run("HaveChild", "\"c-1\""));
    assert_eq!((child.instance_id.as_str(), child.version.as_deref()), ("c-1", Some("2")));
    assert_eq!(child.tags["a"], "b");

    let child = child_of(&hub.run("HavePatience", "null"));
    assert_eq!((child.instance_id.as_str(), child.version.as_deref()), ("", Some("1")), "the worker's version");
}

#[test]
fn a_childs_id_is_checked() {
    let failed = Hub::new(app()).run("HaveChild", "\"@entity\"");
    assert!(failed.failure().error_message.contains("begins with `@`"), "{:?}", failed.failure());
}

#[test]
fn patience_ends() {
    let done = Hub::new(app()).run("HavePatience", "null");
    assert_eq!(done.output(), "\"orchestrator Child (#0) failed: it took longer than the time given to it\"");
}

#[test]
fn an_option_that_comes_late_fails_by_name() {
    let failed = Hub::new(app()).run("BeLate", "null");
    let message = &failed.failure().error_message;
    assert!(message.contains("option tag of activity renamed was set after the episode"), "{message}");
}
