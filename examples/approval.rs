//! Approval: wait for a human, but not for ever. An external event against a durable timer.
//!
//! ```console
//! $ cargo run --example approval
//! ```
//!
//! Two expense claims. The manager approves the first; nobody looks at the second, so it is escalated when its time
//! is over. In life the patience would be days: the timer costs nothing while it waits, and survives restarts.

use duramen::prelude::*;
use std::time::Duration;

#[activity]
async fn ask_manager(_ctx: ActivityContext, claim: String) -> Result<()> {
    println!("{claim}: the manager is asked");
    Ok(())
}

#[activity]
async fn escalate(_ctx: ActivityContext, claim: String) -> Result<String> {
    Ok(format!("{claim} was escalated"))
}

#[orchestrator]
async fn approve(ctx: OrchestrationContext, (claim, patience_ms): (String, u64)) -> Result<String> {
    ctx.call_activity(AskManager, claim.clone()).await?;
    let patience = Duration::from_millis(patience_ms);
    match ctx.wait_for_event::<bool>("Approval").timeout(patience).await {
        Ok(true) => Ok(format!("{claim} was approved")),
        Ok(false) => Ok(format!("{claim} was rejected")),
        Err(failure) if failure.is_timeout() => Ok(ctx.call_activity(Escalate, claim).await?),
        Err(failure) => Err(failure.into()),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "approval-data".to_owned());
    let app = App::new().orchestrator(Approve).activity(AskManager).activity(Escalate);
    let hub = TaskHub::open(folder).await?;
    let worker = hub.run_worker(app).await?;
    let client = hub.client();

    let train = client.start(Approve, ("train ticket".to_owned(), 60_000)).await?;
    let yacht = client.start(Approve, ("yacht".to_owned(), 300)).await?;
    // An event may come before anybody waits for it: it is kept.
    train.raise_event("Approval", true).await?;
    println!("{}", train.wait().await?);
    println!("{}", yacht.wait().await?);
    worker.shutdown().await
}
