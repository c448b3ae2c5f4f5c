//! Retries: the formula, the limits, and what ends them (1.3). On a virtual clock pauses are exact.

use crate::support::*;
use duramen::prelude::*;
use duramen::testing::TestHub;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Milliseconds from the start at which each attempt was made.
type Attempts = Arc<Mutex<Vec<u64>>>;

/// A hub on which the activity `Flaky` notes when it is tried, and fails so many times.
fn flaky(t: TestHub, failures: usize) -> (TestHub, Attempts) {
    let attempts = Attempts::default();
    let (noted, clock) = (Arc::clone(&attempts), t.clock().clone());
    let begun = clock.now();
    let t = t.mock("Flaky", move |(): ()| {
        let mut noted = noted.lock().unwrap();
        noted.push(clock.now().since(begun).as_millis() as u64);
        if noted.len() <= failures { Err(Error::msg(format!("no {}", noted.len()))) } else { Ok(noted.len()) }
    });
    (t, attempts)
}

/// Runs an orchestrator of which `Flaky` fails so often, both ways; gives its outcome and the attempts.
async fn run<F: duramen::Orchestrator<Input = (), Output = usize>>(
    orchestrator: F,
    failures: usize,
) -> (Result<usize, String>, Vec<u64>) {
    let mut seen = Vec::new();
    for evict in [false, true] {
        let t = TestHub::new().orchestrator(orchestrator);
        let (t, attempts) = flaky(if evict { t.evict_at_once() } else { t }, failures);
        let started: Handle<usize> = t.client().start(F::NAME, ()).await.unwrap();
        let outcome = started.wait().await.map_err(|error| failure(error).message().to_owned());
        seen.push((outcome, attempts.lock().unwrap().clone()));
    }
    assert_eq!(seen[0], seen[1], "sessions and replays try at the same times");
    seen.remove(0)
}

macro_rules! flaky_with {
    ($name:ident, $policy:expr) => {
        #[orchestrator]
        async fn $name(ctx: OrchestrationContext, _: ()) -> Result<usize> {
            Ok(ctx.call_activity("Flaky", ()).retry($policy).await?)
        }
    };
}

flaky_with!(exponential, RetryPolicy::exponential(5, secs(1)));
flaky_with!(fixed, RetryPolicy::fixed(4, ms(2_500)));
flaky_with!(one_and_a_half, RetryPolicy::fixed(5, ms(1_000)).coefficient(1.5));
flaky_with!(capped, RetryPolicy::exponential(7, secs(1)).max_interval(ms(4_500)));
flaky_with!(capped_at_an_hour, RetryPolicy::exponential(4, secs(1_200)));
flaky_with!(limited, RetryPolicy::exponential(100, secs(1)).timeout(secs(7)));
flaky_with!(once, RetryPolicy::fixed(1, secs(1)));

#[tokio::test]
async fn each_pause_is_the_first_times_the_coefficient_to_the_power_of_the_attempt() {
    let (outcome, attempts) = run(Exponential, 99).await;
    assert_eq!(attempts, [0, 1_000, 3_000, 7_000, 15_000]);
    assert_eq!(outcome.unwrap_err(), "activity Flaky (#0) failed: no 5");
    let (outcome, attempts) = run(Fixed, 99).await;
    assert_eq!(attempts, [0, 2_500, 5_000, 7_500]);
    assert_eq!(outcome.unwrap_err(), "activity Flaky (#0) failed: no 4");
    assert_eq!(run(OneAndAHalf, 99).await.1, [0, 1_000, 2_500, 4_750, 8_125]);
}

#[tokio::test]
async fn it_ends_with_the_first_success() {
    let (outcome, attempts) = run(Exponential, 2).await;
    assert_eq!((outcome.unwrap(), attempts), (3, vec![0, 1_000, 3_000]));
    assert_eq!(run(Exponential, 0).await, (Ok(1), vec![0]));
}

#[tokio::test]
async fn pauses_grow_up_to_the_longest_which_is_an_hour_unless_set() {
    assert_eq!(run(Capped, 99).await.1, [0, 1_000, 3_000, 7_000, 11_500, 16_000, 20_500]);
    // 20 and 40 minutes, and then 80 that are cut to 60.
    assert_eq!(run(CappedAtAnHour, 99).await.1, [0, 1_200_000, 3_600_000, 7_200_000]);
}

/// The attempt at 7 s is made after a failure at 3 s; the one that fails at 7 s is the last.
#[tokio::test]
async fn no_attempt_follows_a_failure_at_or_after_the_time_limit() {
    let (outcome, attempts) = run(Limited, 99).await;
    assert_eq!(attempts, [0, 1_000, 3_000, 7_000]);
    assert_eq!(outcome.unwrap_err(), "activity Flaky (#0) failed: no 4");
}

#[tokio::test]
async fn the_number_of_attempts_counts_the_first() {
    assert_eq!(run(Once, 99).await.1, [0]);
}

#[tokio::test]
async fn attempts_and_pauses_are_in_the_history() {
    let (t, _) = flaky(TestHub::new().orchestrator(Exponential).evict_at_once(), 1);
    let handle = t.client().start(Exponential, ()).id("e").await.unwrap();
    assert_eq!(handle.wait().await.unwrap(), 2);
    let expected = [
        "#-1 OrchestratorStarted",
        "#0 ExecutionStarted(Exponential)",
        "#0 TaskScheduled(Flaky)",
        "#-1 OrchestratorStarted",
        "#-1 TaskFailed(0)",
        "#1 TimerCreated",
        "#-1 OrchestratorStarted",
        "#-1 TimerFired(1)",
        "#2 TaskScheduled(Flaky)",
        "#-1 OrchestratorStarted",
        "#-1 TaskCompleted(2)",
        "#3 ExecutionCompleted(COMPLETED)",
    ];
    assert_eq!(history(&Stage::from(t), "e").await, expected);
}

#[orchestrator]
async fn asks_a_handler(ctx: OrchestrationContext, _: ()) -> Result<usize> {
    let policy = RetryPolicy::fixed(10, secs(2)).when(|attempt| {
        let right = attempt.last_failure.message() == format!("no {}", attempt.attempts)
            && attempt.total_time.as_millis() == 2_000 * u128::from(attempt.attempts - 1);
        right && attempt.attempts < 3
    });
    Ok(ctx.call_activity("Flaky", ()).retry(policy).await?)
}

#[tokio::test]
async fn a_handler_decides_within_the_limits() {
    let (outcome, attempts) = run(AsksAHandler, 99).await;
    assert_eq!(attempts, [0, 2_000, 4_000]);
    assert_eq!(outcome.unwrap_err(), "activity Flaky (#0) failed: no 3");
}

#[orchestrator]
async fn has_a_time_for_all(ctx: OrchestrationContext, _: ()) -> Result<usize> {
    let call = ctx.call_activity("Flaky", ()).retry(RetryPolicy::fixed(100, secs(3))).timeout(secs(10));
    Ok(call.await?)
}

#[tokio::test]
async fn a_time_of_the_call_is_for_all_its_attempts() {
    let (outcome, attempts) = run(HasATimeForAll, 99).await;
    assert_eq!(attempts, [0, 3_000, 6_000, 9_000]);
    assert!(outcome.unwrap_err().contains("it took longer than the time given to it"));
}

#[derive(Debug, serde::Serialize, serde::Deserialize, thiserror::Error)]
#[error("there is no account {0}")]
struct NoAccount(u32);

impl DurableError for NoAccount {
    const NAME: &'static str = "NoAccount";
    fn is_non_retriable(&self) -> bool {
        true
    }
}

static TRIED: AtomicUsize = AtomicUsize::new(0);

#[activity]
async fn charges(_ctx: ActivityContext, account: u32) -> Result<(), NoAccount> {
    TRIED.fetch_add(1, Ordering::Relaxed);
    Err(NoAccount(account))
}

#[orchestrator]
async fn tries_in_vain(ctx: OrchestrationContext, name: String) -> Result<String> {
    let call = ctx.call_activity(name.as_str(), 7).retry(RetryPolicy::fixed(5, secs(1)));
    let outcome: Result<(), TaskFailed> = call.await;
    let failed = outcome.expect_err("all of them fail");
    assert!(failed.is_non_retriable(), "{failed}");
    Ok(failed.error_type().to_owned())
}

#[tokio::test]
async fn what_is_non_retriable_is_tried_once() {
    let marked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&marked);
    let hub = move || {
        let count = Arc::clone(&count);
        TestHub::new()
            .orchestrator(TriesInVain)
            .activity(Charges)
            .mock("Marked", move |_: u32| -> Result<()> {
                count.fetch_add(1, Ordering::Relaxed);
                Err(Error::non_retriable(Error::msg("never")))
            })
            .mock("TakesText", |_: String| Ok(()))
    };
    check(hub, async |t| {
        let begun = t.clock().now();
        TRIED.store(0, Ordering::Relaxed);
        marked.store(0, Ordering::Relaxed);
        assert_eq!(t.run(TriesInVain, "Charges").await.unwrap(), "NoAccount");
        assert_eq!(TRIED.load(Ordering::Relaxed), 1);
        assert_eq!(t.run(TriesInVain, "Marked").await.unwrap(), "Error");
        assert_eq!(marked.load(Ordering::Relaxed), 1);
        assert_eq!(t.run(TriesInVain, "TakesText").await.unwrap(), "InvalidInput");
        assert_eq!(t.run(TriesInVain, "NobodyHasThis").await.unwrap(), "ActivityTaskNotFound");
        assert!(t.clock().now().since(begun) < secs(1), "there was no pause");
    })
    .await;
}

#[orchestrator]
async fn bad_policies(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
    let good = || RetryPolicy::fixed(3, secs(1));
    let policies = [
        RetryPolicy::fixed(0, secs(1)),
        RetryPolicy::fixed(3, Duration::ZERO),
        good().coefficient(0.9),
        good().coefficient(f64::NAN),
        good().max_interval(ms(999)),
        good().timeout(ms(999)),
    ];
    let mut errors = Vec::new();
    for policy in policies {
        let outcome: Result<(), _> = ctx.call_activity("Flaky", ()).retry(policy).await;
        let failed = outcome.expect_err("the policy is no good");
        assert_eq!(failed.error_type(), "InvalidRetryPolicy");
        errors.push(failed.to_string());
    }
    Ok(errors)
}

#[tokio::test]
async fn policies_that_cannot_be_say_why() {
    let (t, _) = flaky(TestHub::new().orchestrator(BadPolicies), 0);
    let errors = t.run(BadPolicies, ()).await.unwrap();
    for (error, part) in errors.iter().zip([
        "at least one attempt",
        "must be longer than zero",
        "coefficient of a retry policy must be at least 1",
        "coefficient of a retry policy must be at least 1",
        "at least the first pause",
        "time limit of a retry policy must be at least the first pause",
    ]) {
        assert!(error.starts_with("activity Flaky") && error.contains(part), "{error}");
    }
}

#[orchestrator]
async fn child_that_fails(ctx: OrchestrationContext, _: ()) -> Result<usize> {
    let number: usize = ctx.call_activity("Flaky", ()).await?;
    Ok(number)
}

#[orchestrator]
async fn retries_children(ctx: OrchestrationContext, id: Option<String>) -> Result<usize> {
    let mut call = ctx.call_sub_orchestrator(ChildThatFails, ());
    if let Some(id) = id {
        call = call.instance_id(id);
    }
    Ok(call.retry(RetryPolicy::exponential(3, secs(1))).await?)
}

#[tokio::test]
async fn children_are_tried_again_under_the_id_that_was_given() {
    for evict in [false, true] {
        let t = TestHub::new().orchestrator(RetriesChildren).orchestrator(ChildThatFails);
        let (t, attempts) = flaky(if evict { t.evict_at_once() } else { t }, 2);
        assert_eq!(t.run(RetriesChildren, Some("child".to_string())).await.unwrap(), 3);
        assert_eq!(*attempts.lock().unwrap(), [0, 1_000, 3_000]);
        let children = t.client().list(Filter::new().name("ChildThatFails")).all().await.unwrap();
        assert_eq!(children.iter().map(Instance::id).collect::<Vec<_>>(), ["child"], "one took the other's place");
        // Without an id, each attempt is an instance of its own.
        attempts.lock().unwrap().clear();
        assert_eq!(t.run(RetriesChildren, None).await.unwrap(), 3);
        let children = t.client().list(Filter::new().name("ChildThatFails")).all().await.unwrap();
        assert_eq!(children.len(), 4);
    }
}
