//! The testing kit: the real hub, mocks, virtual time, and the nets for code that is not deterministic.

use duramen::prelude::*;
use duramen::testing::{ReplayError, TestHub, replay_check};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[activity]
async fn say_hello(_ctx: ActivityContext, name: String) -> Result<String> {
    Ok(format!("Hello {name}!"))
}

#[orchestrator]
async fn hello_cities(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
    let tokyo = ctx.call_activity(SayHello, "Tokyo").await?;
    let rest = ctx.all(["Paris", "Oslo"].map(|city| ctx.call_activity(SayHello, city))).await?;
    Ok([vec![tokyo], rest].concat())
}

#[orchestrator]
async fn patient(ctx: OrchestrationContext, days: u64) -> Result<String> {
    ctx.create_timer(Duration::from_secs(days * 86_400)).await;
    let name: String = ctx.call_activity("WhoIsThere", ()).await?;
    Ok(ctx.call_activity(SayHello, name).await?)
}

#[orchestrator]
async fn parent(ctx: OrchestrationContext, _: ()) -> Result<usize> {
    let greetings: Vec<String> = ctx.call_sub_orchestrator(HelloCities, ()).await?;
    Ok(greetings.len())
}

#[tokio::test]
async fn mocks_stand_in_for_activities_by_token_and_by_name() {
    let t = TestHub::new()
        .orchestrator(Patient)
        .mock(SayHello, |name: String| Ok(format!("hi {name}")))
        .mock("WhoIsThere", |(): ()| Ok("Ada".to_string()));
    assert_eq!(t.run(Patient, 0_u64).await.unwrap(), "hi Ada");
}

#[tokio::test]
async fn a_mock_may_fail_and_may_stand_in_for_an_orchestrator() {
    let t = TestHub::new()
        .orchestrator(HelloCities)
        .mock(SayHello, |_: String| -> Result<String> { Err(Error::msg("no voice")) });
    let error = t.run(HelloCities, ()).await.unwrap_err().to_string();
    assert!(error.contains("no voice"), "{error}");
    let t = TestHub::new().orchestrator(Parent).mock_orchestrator(HelloCities, |(): ()| Ok(vec!["a".to_string(); 3]));
    assert_eq!(t.run(Parent, ()).await.unwrap(), 3);
}

#[tokio::test]
async fn thirty_days_cost_no_time() {
    let t = TestHub::new().orchestrator(Patient).activity(SayHello).mock("WhoIsThere", |(): ()| Ok("Ada".to_string()));
    let (begun, shown) = (Instant::now(), t.clock().now());
    assert_eq!(t.run(Patient, 30_u64).await.unwrap(), "Hello Ada!");
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(t.clock().now().since(shown) >= Duration::from_secs(30 * 86_400));
}

#[tokio::test]
async fn everything_works_with_instances_that_leave_memory_whenever_they_may() {
    let t =
        TestHub::new().orchestrator(Parent).orchestrator(HelloCities).activity(SayHello).evict_at_once().run_twice();
    assert_eq!(t.run(Parent, ()).await.unwrap(), 3);
}

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Asks for something else each time it runs.
#[orchestrator]
async fn fickle(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let name = format!("visitor {}", COUNTER.fetch_add(1, Ordering::Relaxed));
    Ok(ctx.call_activity(SayHello, name).await?)
}

#[tokio::test]
async fn running_twice_finds_what_no_other_net_catches() {
    let once = TestHub::new().orchestrator(Fickle).activity(SayHello);
    once.run(Fickle, ()).await.expect("run once, it passes");
    let twice = TestHub::new().orchestrator(Fickle).activity(SayHello).run_twice();
    let error = twice.run(Fickle, ()).await.unwrap_err().to_string();
    assert!(error.contains("run twice") && error.contains("visitor"), "{error}");
}

async fn recorded() -> String {
    let t = TestHub::new().orchestrator(HelloCities).activity(SayHello);
    let handle = t.client().start(HelloCities, ()).await.unwrap();
    handle.wait().await.unwrap();
    t.client().history(handle.id()).await.unwrap().to_text()
}

#[tokio::test]
async fn a_recorded_history_fits_the_code_that_made_it_at_every_length() {
    let text = recorded().await;
    replay_check(HelloCities, &text).unwrap();
    // Cut off where an episode ends: behind an action that an orchestrator's start or a result led to.
    let lines: Vec<&str> = text.lines().collect();
    let begins = |line: &&str| line.contains("OrchestratorStarted");
    for end in (1..lines.len()).filter(|end| begins(&lines[*end])) {
        replay_check(HelloCities, &lines[..end].join("\n")).unwrap();
    }
}

/// `HelloCities` as somebody might change it.
mod changed {
    use super::SayHello;
    use duramen::prelude::*;

    #[orchestrator(name = "HelloCities")]
    pub(crate) async fn calls_another(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
        Ok(vec![ctx.call_activity("SayGoodbye", "Tokyo").await?])
    }

    #[orchestrator(name = "HelloCities")]
    pub(crate) async fn calls_more(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
        let tokyo = ctx.call_activity(SayHello, "Tokyo").await?;
        let rest = ctx.all(["Paris", "Oslo", "Rome"].map(|city| ctx.call_activity(SayHello, city))).await?;
        Ok([vec![tokyo], rest].concat())
    }

    #[orchestrator(name = "HelloCities")]
    pub(crate) async fn ends_early(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
        Ok(vec![ctx.call_activity(SayHello, "Tokyo").await?])
    }

    #[orchestrator(name = "HelloCities")]
    pub(crate) async fn fails(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
        let _: String = ctx.call_activity(SayHello, "Tokyo").await?;
        let _ = ctx.all(["Paris", "Oslo"].map(|city| ctx.call_activity(SayHello, city))).await?;
        Err(Error::msg("changed my mind"))
    }
}

fn misfit(result: Result<(), ReplayError>) -> String {
    match result {
        Err(ReplayError::DoesNotFit(how)) => how,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn changed_code_is_told_where_it_no_longer_fits() {
    let text = recorded().await;
    let how = misfit(replay_check(changed::CallsAnother, &text));
    assert!(how.contains("SayHello") && how.contains("SayGoodbye"), "{how}");
    let how = misfit(replay_check(changed::CallsMore, &text));
    assert!(how.contains("SayHello") && how.contains("#3"), "{how}");
    let how = misfit(replay_check(changed::EndsEarly, &text));
    assert!(how.contains("history"), "{how}");
    let how = misfit(replay_check(changed::Fails, &text));
    assert!(how.contains("COMPLETED") && how.contains("changed my mind"), "{how}");
    let other = replay_check(Parent, &text).unwrap_err();
    assert_eq!(other.to_string(), "the history is one of HelloCities, not of Parent");
    assert!(matches!(replay_check(HelloCities, "no history"), Err(ReplayError::Text(_))));
}
