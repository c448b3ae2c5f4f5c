//! Activities (1.3).

use crate::support::*;
use duramen::prelude::*;
use duramen::testing::TestHub;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Seen {
    instance: String,
    name: String,
    version: Option<String>,
    task: i32,
    tags: BTreeMap<String, String>,
    key: String,
}

#[activity]
async fn look(ctx: ActivityContext, _: ()) -> Result<Seen> {
    Ok(Seen {
        instance: ctx.instance_id().into(),
        name: ctx.name().into(),
        version: ctx.version().map(Into::into),
        task: ctx.task_id(),
        tags: ctx.tags().clone(),
        key: ctx.idempotency_key(),
    })
}

#[orchestrator]
async fn looks(ctx: OrchestrationContext, _: ()) -> Result<Vec<Seen>> {
    let plain = ctx.call_activity(Look, ()).await?;
    let other = ctx.call_activity("LOOK", ()).version("7").tag("k", "v").tag("l", "w").await?;
    Ok(vec![plain, other])
}

#[tokio::test]
async fn an_activity_knows_its_call() {
    check(
        || TestHub::new().orchestrator(Looks).activity(Look),
        async |t| {
            let start = t.client().start(Looks, ()).id("l").version("2").tag("of", "the instance");
            let seen = start.await.unwrap().wait().await.unwrap();
            let execution = state(t, "l").await.execution_id().expect("it has one").to_owned();
            let plain = Seen {
                instance: "l".into(),
                name: "Look".into(),
                version: Some("2".into()),
                task: 0,
                tags: BTreeMap::new(),
                key: format!("{execution}:0"),
            };
            let other = Seen {
                instance: "l".into(),
                name: "LOOK".into(),
                version: Some("7".into()),
                task: 1,
                tags: BTreeMap::from([("k".into(), "v".into()), ("l".into(), "w".into())]),
                key: format!("{execution}:1"),
            };
            assert_eq!(seen, [plain, other]);
        },
    )
    .await;
}

#[orchestrator]
async fn passes_on(ctx: OrchestrationContext, values: Vec<Value>) -> Result<Vec<Value>> {
    let calls = values.into_iter().map(|value| ctx.call_activity("Same", value));
    Ok(ctx.all(calls).await?)
}

#[tokio::test]
async fn values_come_back_as_what_they_are() {
    check(
        || TestHub::new().orchestrator(PassesOn).mock("Same", |value: Value| Ok(value)),
        async |t| {
            let values = vec![
                json!(0),
                json!(false),
                json!(""),
                json!([]),
                json!({}),
                Value::Null,
                json!("null"),
                json!({"a": [1.5, "ü\u{0}\n"]}),
            ];
            assert_eq!(t.run(PassesOn, values.clone()).await.unwrap(), values);
        },
    )
    .await;
}

#[orchestrator]
async fn fans_out(ctx: OrchestrationContext, number: u64) -> Result<u64> {
    let calls = (0..number).map(|n| ctx.call_activity("Square", n));
    let squares: Vec<u64> = ctx.all(calls).await?;
    assert!(squares.iter().enumerate().all(|(n, square)| (n * n) as u64 == *square), "they come in their order");
    Ok(squares.iter().sum())
}

#[tokio::test]
async fn a_fan_out_gathers_each_result_in_the_order_of_the_calls() {
    check(
        || TestHub::new().orchestrator(FansOut).mock("Square", |n: u64| Ok(n * n)),
        async |t| assert_eq!(t.run(FansOut, 500).await.unwrap(), (0..500).map(|n: u64| n * n).sum::<u64>()),
    )
    .await;
}

static BEGUN: Notify = Notify::const_new();
static LET_GO: Notify = Notify::const_new();

#[activity]
async fn slow(_ctx: ActivityContext, _: ()) -> Result<String> {
    BEGUN.notify_one();
    LET_GO.notified().await;
    Ok("done".into())
}

#[orchestrator]
async fn impatient(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let outcome = ctx.call_activity(Slow, ()).timeout(secs(10)).await;
    let failed = outcome.expect_err("it takes longer than that");
    assert!(failed.is_timeout());
    // Its result comes now, and is for nobody.
    let _: u64 = ctx.wait_for_event("go").await?;
    Ok(failed.to_string())
}

#[tokio::test]
async fn a_call_may_have_a_time_and_what_comes_later_is_for_nobody() {
    check(
        || TestHub::new().orchestrator(Impatient).activity(Slow),
        async |t| {
            let handle = t.client().start(Impatient, ()).id("i").await.unwrap();
            BEGUN.notified().await;
            t.clock().advance(secs(10));
            // The timer is in the history before the activity may end.
            loop {
                let text = t.client().history("i").await.unwrap().to_text();
                if text.contains("TimerFired") {
                    break;
                }
                tokio::task::yield_now().await;
            }
            LET_GO.notify_one();
            idle(t).await;
            handle.raise_event("go", 1).await.unwrap();
            assert_eq!(
                handle.wait().await.unwrap(),
                "activity Slow (#0) failed: it took longer than the time given to it"
            );
            assert!(history(t, "i").await.contains(&"#-1 TaskCompleted(0)".to_string()));
        },
    )
    .await;
}

#[orchestrator]
async fn waits_for_slow(ctx: OrchestrationContext, _: ()) -> Result<String> {
    Ok(ctx.call_activity(Slower, ()).await?)
}

static SLOWER: Notify = Notify::const_new();
static GO_ON: Notify = Notify::const_new();
static ENDED: Notify = Notify::const_new();

#[activity]
async fn slower(_ctx: ActivityContext, _: ()) -> Result<String> {
    SLOWER.notify_one();
    GO_ON.notified().await;
    ENDED.notify_one();
    Ok("done".into())
}

#[tokio::test]
async fn a_termination_does_not_stop_an_activity_and_drops_its_result() {
    check(
        || TestHub::new().orchestrator(WaitsForSlow).activity(Slower),
        async |t| {
            let handle = t.client().start(WaitsForSlow, ()).id("w").await.unwrap();
            SLOWER.notified().await;
            t.client().terminate("w").output("enough").await.unwrap();
            let error = handle.wait().await.unwrap_err();
            assert!(matches!(error, ClientError::Terminated { .. }), "{error}");
            let before = history(t, "w").await;
            GO_ON.notify_one();
            ENDED.notified().await;
            idle(t).await;
            assert_eq!(history(t, "w").await, before);
        },
    )
    .await;
}

#[orchestrator]
async fn races(ctx: OrchestrationContext, _: ()) -> Result<(usize, String)> {
    let calls = ["a", "b", "c"].map(|name| ctx.call_activity("Same", name));
    let (place, first) = ctx.any(calls).await;
    Ok((place, first?))
}

#[tokio::test]
async fn of_several_the_first_wins_the_same_each_time() {
    check(
        || TestHub::new().orchestrator(Races).mock("Same", |name: String| Ok(name)),
        async |t| {
            let handle = t.client().start(Races, ()).id("r").await.unwrap();
            let (place, name) = handle.wait().await.unwrap();
            assert_eq!(["a", "b", "c"][place], name);
            let text = t.client().history("r").await.unwrap().to_text();
            duramen::testing::replay_check(Races, &text).unwrap();
        },
    )
    .await;
}

/// Activities with what they need, registered by value.
struct Till {
    coins: AtomicUsize,
}

#[activities]
impl Till {
    async fn put_in(&self, _ctx: ActivityContext, coins: usize) -> Result<usize> {
        Ok(self.coins.fetch_add(coins, Ordering::Relaxed) + coins)
    }
}

#[orchestrator]
async fn saves(ctx: OrchestrationContext, _: ()) -> Result<usize> {
    let _: usize = ctx.call_activity("PutIn", 2).await?;
    Ok(ctx.call_activity("PutIn", 3).await?)
}

#[tokio::test]
async fn activities_may_share_what_they_work_on() {
    let t = TestHub::new().orchestrator(Saves).activities(Till { coins: AtomicUsize::new(10) });
    assert_eq!(t.run(Saves, ()).await.unwrap(), 15);
}
