//! Every orchestrator of these tests, warm and cold, comes to the same history.

use super::harness::{Hub, Instance};
use crate::prelude::*;

#[activity]
async fn half(_: ActivityContext, n: u32) -> Result<u32> {
    if n.is_multiple_of(2) { Ok(n / 2) } else { Err(Error::msg("odd")) }
}

#[orchestrator]
async fn busy(ctx: OrchestrationContext, n: u32) -> Result<String> {
    let mut log = String::new();
    let calls: Vec<_> =
        (0..n).map(|i| ctx.call_activity(Half, i).retry(RetryPolicy::fixed(2, secs(u64::from(i) + 1)))).collect();
    let timer = ctx.create_timer(secs(3));
    let event = ctx.wait_for_event::<u32>("never").timeout(secs(2));
    if let Err(failed) = event.await {
        log.push_str(&failed.to_string());
    }
    for call in calls {
        match call.await {
            Ok(n) => log.push_str(&n.to_string()),
            Err(failed) => log.push_str(failed.message()),
        }
        if ctx.random().is_multiple_of(2) {
            ctx.call_activity(Half, 2).await?;
        }
    }
    timer.await;
    log.push_str(&ctx.new_guid().to_string());
    Ok(log)
}

#[test]
fn warm_and_cold_agree() {
    let app = App::new().orchestrator(Busy).activity(Half);
    let mut warm_hub = Hub::new(app.clone());
    let warm = warm_hub.run("Busy", "9");
    let mut cold = Instance::new("Busy", Some("9"));
    cold.warm = false;
    Hub::new(app.clone()).drive(&mut cold);
    assert_eq!(warm.output(), cold.output());
    assert_eq!(warm.history, cold.history);

    // A session for each instance in turn is evicted by the other.
    let mut cramped = Hub::with(app, |options| options.sessions = 1);
    let mut a = Instance::new("Busy", Some("9"));
    let mut b = Instance::new("Busy", Some("9"));
    b.session.run.0 += 1;
    while a.completion.is_none() {
        cramped.step(&mut a);
        cramped.step(&mut b);
    }
    assert_eq!(a.history, warm.history);
    assert_eq!(b.history, warm.history);
}
