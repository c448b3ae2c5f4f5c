//! Code that never returns holds nobody else up.

use duramen::prelude::*;
use duramen::testing::TestHub;
use std::time::Duration;

/// Blocks its thread for ever.
#[orchestrator]
async fn blocking(_ctx: OrchestrationContext, _: ()) -> Result<()> {
    loop {
        std::thread::park();
    }
}

#[activity]
async fn endless(_ctx: ActivityContext, _: ()) -> Result<()> {
    std::future::pending().await
}

#[orchestrator]
async fn calls_endless(ctx: OrchestrationContext, _: ()) -> Result<()> {
    Ok(ctx.call_activity(Endless, ()).await?)
}

#[activity]
async fn double(_ctx: ActivityContext, number: u64) -> Result<u64> {
    Ok(number * 2)
}

#[orchestrator]
async fn doubled(ctx: OrchestrationContext, number: u64) -> Result<u64> {
    Ok(ctx.call_activity(Double, number).await?)
}

fn hub() -> TestHub {
    TestHub::new()
        .orchestrator(Blocking)
        .orchestrator(CallsEndless)
        .orchestrator(Doubled)
        .activity(Endless)
        .activity(Double)
        .worker_options(|options| {
            options.threads = 1;
            options.stuck_after = Duration::from_millis(100);
        })
}

#[tokio::test]
async fn an_orchestrator_that_blocks_its_thread_is_written_off_and_can_be_terminated() {
    let t = hub();
    let client = t.client();
    let stuck = client.start(Blocking, ()).id("stuck").await.unwrap();
    // The only thread is the one that is blocked, until it is replaced.
    assert_eq!(t.run(Doubled, 4).await.unwrap(), 8);
    client.terminate("stuck").output("gave up").await.unwrap();
    match stuck.wait().await.unwrap_err() {
        ClientError::Terminated { output, .. } => assert_eq!(output.as_deref(), Some("\"gave up\"")),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_activity_that_never_returns_holds_up_nobody_but_its_caller() {
    let t = hub();
    let client = t.client();
    let endless = client.start(CallsEndless, ()).id("endless").await.unwrap();
    endless.started().await.unwrap();
    assert_eq!(t.run(Doubled, 4).await.unwrap(), 8);
    client.terminate("endless").await.unwrap();
    let error = endless.wait().await.unwrap_err();
    assert!(matches!(error, ClientError::Terminated { .. }), "{error}");
}
