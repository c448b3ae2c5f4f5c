//! Rewinding (1.6).

use crate::support::*;
use duramen::prelude::*;
use duramen::testing::{TestHub, replay_check};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// A switch for whether things work, and what was done.
#[derive(Clone, Default)]
struct World {
    works: Arc<AtomicBool>,
    done: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn mend(&self) {
        self.works.store(true, Ordering::Relaxed);
    }

    fn broken_again(&self) {
        self.works.store(false, Ordering::Relaxed);
        self.done.lock().unwrap().clear();
    }

    fn done(&self) -> Vec<String> {
        self.done.lock().unwrap().clone()
    }

    /// `Do` does what it is told; what begins with "flaky" only when the world works.
    fn hub(&self) -> TestHub {
        let world = self.clone();
        let run = move |what: String| {
            world.done.lock().unwrap().push(what.clone());
            if what.starts_with("flaky") && !world.works.load(Ordering::Relaxed) {
                return Err(Error::msg(format!("{what} is broken")));
            }
            Ok(what)
        };
        TestHub::new().mock("Do", run)
    }
}

#[orchestrator]
async fn three_steps(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
    let one = ctx.call_activity("Do", "one").await?;
    let two = ctx.call_activity("Do", "flaky two").await?;
    let three = ctx.call_activity("Do", "three").await?;
    Ok(vec![one, two, three])
}

#[tokio::test]
async fn what_failed_is_tried_again_and_what_succeeded_is_kept() {
    let world = World::default();
    check(
        || world.hub().orchestrator(ThreeSteps),
        async |t| {
            world.broken_again();
            let handle = t.client().start(ThreeSteps, ()).id("s").await.unwrap();
            failure(handle.wait().await.unwrap_err());
            let before = state(t, "s").await;
            world.mend();
            t.client().rewind("s", "mended").await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), ["one", "flaky two", "three"]);
            assert_eq!(world.done(), ["one", "flaky two", "flaky two", "three"], "the first step is not repeated");
            let after = state(t, "s").await;
            assert_eq!((after.status(), after.failure()), (OrchestrationStatus::Completed, None));
            assert_eq!(after.created(), before.created());
            assert_ne!(after.execution_id(), before.execution_id());
            let text = t.client().history("s").await.unwrap().to_text();
            assert!(!text.contains("TaskFailed") && !text.contains("FAILED"), "{text}");
            replay_check(ThreeSteps, &text).unwrap();
            // It says that and why it was rewound, in front of what came after.
            let expected = [
                "#-1 OrchestratorStarted",
                "#0 ExecutionStarted(ThreeSteps)",
                "#0 TaskScheduled(Do)",
                "#-1 OrchestratorStarted",
                "#-1 TaskCompleted(0)",
                "#-1 OrchestratorStarted",
                "#-1 ExecutionRewound",
                "#-1 OrchestratorStarted",
                "#1 TaskScheduled(Do)",
                "#-1 OrchestratorStarted",
                "#-1 TaskCompleted(1)",
                "#2 TaskScheduled(Do)",
                "#-1 OrchestratorStarted",
                "#-1 TaskCompleted(2)",
                "#3 ExecutionCompleted(COMPLETED)",
            ];
            assert_eq!(lines(&text), expected);
            assert!(text.contains("ExecutionRewound reason=mended"), "{text}");
        },
    )
    .await;
}

#[tokio::test]
async fn it_may_fail_and_be_rewound_again() {
    let world = World::default();
    check(
        || world.hub().orchestrator(ThreeSteps),
        async |t| {
            world.broken_again();
            let handle = t.client().start(ThreeSteps, ()).id("s").await.unwrap();
            for _ in 0..3 {
                failure(handle.wait().await.unwrap_err());
                t.client().rewind("s", None).await.unwrap();
                failure(handle.wait().await.unwrap_err());
            }
            world.mend();
            t.client().rewind("s", None).await.unwrap();
            assert_eq!(handle.wait().await.unwrap().len(), 3);
            assert_eq!(world.done().iter().filter(|what| *what == "one").count(), 1);
        },
    )
    .await;
}

#[orchestrator]
async fn grandchild(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let _: String = ctx.call_activity("Do", "below").await?;
    Ok(ctx.call_activity("Do", "flaky below").await?)
}

#[orchestrator]
async fn child(ctx: OrchestrationContext, _: ()) -> Result<String> {
    Ok(ctx.call_sub_orchestrator(Grandchild, ()).instance_id("grandchild").await?)
}

#[orchestrator]
async fn ancestor(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let _: String = ctx.call_activity("Do", "above").await?;
    Ok(ctx.call_sub_orchestrator(Child, ()).instance_id("child").await?)
}

fn family(world: &World) -> TestHub {
    world.hub().orchestrator(Ancestor).orchestrator(Child).orchestrator(Grandchild)
}

#[tokio::test]
async fn failed_children_are_rewound_with_it() {
    let world = World::default();
    check(
        || family(&world),
        async |t| {
            world.broken_again();
            let handle = t.client().start(Ancestor, ()).id("a").await.unwrap();
            failure(handle.wait().await.unwrap_err());
            world.mend();
            t.client().rewind("a", "mended").await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), "flaky below");
            assert_eq!(world.done(), ["above", "below", "flaky below", "flaky below"]);
            for id in ["child", "grandchild"] {
                assert_eq!(state(t, id).await.status(), OrchestrationStatus::Completed, "{id}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_child_that_was_purged_is_made_again() {
    let world = World::default();
    check(
        || family(&world),
        async |t| {
            world.broken_again();
            let handle = t.client().start(Ancestor, ()).id("a").await.unwrap();
            failure(handle.wait().await.unwrap_err());
            assert_eq!(t.client().purge("child").await.unwrap().deleted, 1);
            assert_eq!(t.client().purge("grandchild").await.unwrap().deleted, 1);
            world.mend();
            t.client().rewind("a", None).await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), "flaky below");
            assert_eq!(world.done(), ["above", "below", "flaky below", "below", "flaky below"]);
            assert_eq!(state(t, "child").await.parent(), Some("a"));
        },
    )
    .await;
}

#[orchestrator]
async fn side_by_side(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
    let calls = ["one", "flaky two", "three", "flaky four"].map(|what| ctx.call_activity("Do", what));
    Ok(ctx.all(calls).await?)
}

#[tokio::test]
async fn of_a_fan_out_only_what_failed_runs_again() {
    let world = World::default();
    check(
        || world.hub().orchestrator(SideBySide),
        async |t| {
            world.broken_again();
            let handle = t.client().start(SideBySide, ()).id("s").await.unwrap();
            failure(handle.wait().await.unwrap_err());
            world.mend();
            world.done.lock().unwrap().clear();
            t.client().rewind("s", None).await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), ["one", "flaky two", "three", "flaky four"]);
            let mut again = world.done();
            again.sort();
            assert_eq!(again, ["flaky four", "flaky two"]);
        },
    )
    .await;
}

/// Fails while a timer and a wait are open.
#[orchestrator]
async fn has_open_ends(ctx: OrchestrationContext, _: ()) -> Result<(String, u64)> {
    let timer = ctx.create_timer(secs(600));
    let go = ctx.wait_for_event::<u64>("go");
    let done = ctx.call_activity("Do", "flaky").await?;
    timer.await;
    Ok((done, go.await?))
}

#[tokio::test]
async fn open_timers_run_on_and_events_are_kept() {
    let world = World::default();
    check(
        || world.hub().orchestrator(HasOpenEnds),
        async |t| {
            world.broken_again();
            let begun = t.clock().now();
            let handle = t.client().start(HasOpenEnds, ()).id("h").await.unwrap();
            failure(handle.wait().await.unwrap_err());
            world.mend();
            t.client().rewind("h", None).await.unwrap();
            handle.raise_event("go", 6).await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), ("flaky".into(), 6));
            assert_eq!(millis_since(t, begun), 600_000, "by the time at which the timer was made");
        },
    )
    .await;
}

#[tokio::test]
async fn only_what_failed_can_be_rewound() {
    check(hub, async |t| {
        let client = t.client();
        client.start(WaitForGo, ()).id("running").await.unwrap().started().await.unwrap();
        client.start(Echo, "x").id("completed").await.unwrap().wait().await.unwrap();
        for status in ["running", "completed"] {
            let error = refusal(client.rewind(status, None).await.unwrap_err());
            assert!(matches!(error, Refusal::WrongStatus { .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains(&format!("rewind of instance \"{status}\"")), "{text}");
            assert!(text.contains(&format!("while it is {status}")), "{text}");
        }
        let error = refusal(client.rewind("nobody", None).await.unwrap_err());
        assert_eq!(error, Refusal::NotFound("nobody".into()));
    })
    .await;
}

#[orchestrator]
async fn catches(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let first = ctx.call_activity("Do", "flaky one").await.map(|_: String| "fine").unwrap_or("caught");
    let _: String = ctx.call_activity("Do", "flaky two").await?;
    Ok(first.to_string())
}

/// Also failures that were caught are forgotten: the code goes another way than before, and the history fits it.
#[tokio::test]
async fn a_failure_that_was_caught_is_tried_again_too() {
    let world = World::default();
    check(
        || world.hub().orchestrator(Catches),
        async |t| {
            world.broken_again();
            let handle = t.client().start(Catches, ()).id("c").await.unwrap();
            failure(handle.wait().await.unwrap_err());
            world.mend();
            t.client().rewind("c", None).await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), "fine");
        },
    )
    .await;
}

static RUNS: Mutex<u32> = Mutex::new(0);
static BEGUN: Notify = Notify::const_new();
static LET_GO: Notify = Notify::const_new();

#[activity]
async fn slow(_ctx: ActivityContext, _: ()) -> Result<u32> {
    *RUNS.lock().unwrap() += 1;
    BEGUN.notify_one();
    LET_GO.notified().await;
    Ok(*RUNS.lock().unwrap())
}

/// Fails while its first activity still runs.
#[orchestrator]
async fn fails_meanwhile(ctx: OrchestrationContext, _: ()) -> Result<(u32, String)> {
    let slow = ctx.call_activity(Slow, ());
    let _: u64 = ctx.wait_for_event("begun").await?;
    let done = ctx.call_activity("Do", "flaky").await?;
    Ok((slow.await?, done))
}

async fn failed_meanwhile(t: &Stage, world: &World) -> Handle<(u32, String)> {
    world.broken_again();
    *RUNS.lock().unwrap() = 0;
    let handle = t.client().start(FailsMeanwhile, ()).id("f").await.unwrap();
    BEGUN.notified().await;
    handle.raise_event("begun", 0).await.unwrap();
    failure(handle.wait().await.unwrap_err());
    world.mend();
    handle
}

#[tokio::test]
async fn an_activity_that_runs_is_taken_back_and_one_that_has_finished_meanwhile_runs_again() {
    let world = World::default();
    check(
        || world.hub().orchestrator(FailsMeanwhile).activity(Slow),
        async |t| {
            let handle = failed_meanwhile(t, &world).await;
            t.client().rewind("f", None).await.unwrap();
            LET_GO.notify_one();
            assert_eq!(handle.wait().await.unwrap(), (1, "flaky".into()), "it ran once");

            let handle = failed_meanwhile(t, &world).await;
            LET_GO.notify_one();
            // Its result is for nobody, since the instance has ended.
            idle(t).await;
            t.client().rewind("f", None).await.unwrap();
            BEGUN.notified().await;
            LET_GO.notify_one();
            assert_eq!(handle.wait().await.unwrap(), (2, "flaky".into()), "it ran again");
        },
    )
    .await;
}

/// Fails while a child is open, in whatever state that is when it is rewound.
#[orchestrator]
async fn fails_beside_child(ctx: OrchestrationContext, _: ()) -> Result<u64> {
    let child = ctx.call_sub_orchestrator(WaitForGo, ()).instance_id("child");
    let _: String = ctx.call_activity("Do", "flaky").await?;
    Ok(child.await?)
}

#[tokio::test]
async fn a_child_is_heard_whatever_it_has_come_to() {
    let world = World::default();
    check(
        || world.hub().orchestrator(FailsBesideChild).orchestrator(WaitForGo),
        async |t| {
            let client = t.client();
            for state in ["live", "completed", "terminated", "purged"] {
                world.broken_again();
                let handle = client.start(FailsBesideChild, ()).id("p").await.unwrap();
                client.wait_for_start("child").await.unwrap();
                failure(handle.wait().await.unwrap_err());
                match state {
                    "completed" => client.raise_event("child", "go", 5).await.unwrap(),
                    "terminated" | "purged" => client.terminate("child").await.unwrap(),
                    _ => {}
                }
                if state != "live" {
                    client.wait_for_completion("child").await.unwrap();
                }
                if state == "purged" {
                    assert_eq!(client.purge("child").await.unwrap().deleted, 1);
                }
                world.mend();
                client.rewind("p", None).await.unwrap();
                if state == "live" || state == "purged" {
                    client.wait_for_start("child").await.unwrap();
                    client.raise_event("child", "go", 5).await.unwrap();
                }
                let outcome = handle.wait().await;
                if state == "terminated" {
                    let failure = failure(outcome.unwrap_err());
                    assert!(failure.message().to_lowercase().contains("terminated"), "{failure}");
                } else {
                    assert_eq!(outcome.unwrap(), 5, "{state}");
                }
            }
        },
    )
    .await;
}

/// Three attempts, then three more: what is between them is in the history.
#[orchestrator]
async fn retries(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
    let one = ctx.call_activity("Do", "flaky one").retry(RetryPolicy::fixed(3, secs(1))).await?;
    let two = ctx.call_activity("Do", "two").retry(RetryPolicy::fixed(3, secs(1))).await?;
    Ok(vec![one, two])
}

#[tokio::test]
async fn what_was_tried_several_times_is_tried_again() {
    let world = World::default();
    check(
        || world.hub().orchestrator(Retries),
        async |t| {
            world.broken_again();
            let handle = t.client().start(Retries, ()).id("r").await.unwrap();
            failure(handle.wait().await.unwrap_err());
            assert_eq!(world.done().len(), 3);
            // Once more in vain.
            t.client().rewind("r", None).await.unwrap();
            let failed = failure(handle.wait().await.unwrap_err());
            assert!(failed.message().contains("flaky one is broken"), "{failed}");
            assert_eq!(world.done().len(), 6);
            world.mend();
            t.client().rewind("r", None).await.unwrap();
            assert_eq!(handle.wait().await.unwrap(), ["flaky one", "two"]);
            let text = t.client().history("r").await.unwrap().to_text();
            replay_check(Retries, &text).unwrap();
        },
    )
    .await;
}
