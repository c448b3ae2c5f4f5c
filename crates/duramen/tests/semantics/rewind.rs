//! Rewinding (1.6).

use crate::support::*;
use duramen::prelude::*;
use duramen::testing::{TestHub, replay_check};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

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
            assert!(t.client().purge("child").await.unwrap());
            assert!(t.client().purge("grandchild").await.unwrap());
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
