//! An eternal orchestration: it works, rests, and begins anew with a fresh history, for ever.
//!
//! ```console
//! $ cargo run --example eternal
//! ```
//!
//! Cleans up round after round; `continue_as_new` carries the number of rounds over, so the history stays short
//! however long it runs. The event `stop`, raised here after the third round, ends it; one that comes while a round is
//! under way is kept for the next.

use duramen::prelude::*;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// Tells `main` when a round is over.
struct Cleaner {
    rounds: UnboundedSender<u32>,
}

#[activities]
impl Cleaner {
    async fn clean_up(&self, _ctx: ActivityContext, round: u32) -> Result<()> {
        println!("round {round}: cleaned up");
        // Nobody listens any more when the process is about to end.
        let _ = self.rounds.send(round);
        Ok(())
    }
}

#[orchestrator]
async fn clean_for_ever(ctx: OrchestrationContext, round: u32) -> Result<String> {
    ctx.call_activity(cleaner::CleanUp, round).await?;
    match ctx.wait_for_event::<()>("stop").timeout(Duration::from_millis(50)).await {
        Ok(()) => Ok("stopped when asked to".to_owned()),
        Err(failure) if failure.is_timeout() => Err(ctx.continue_as_new(round + 1).into()),
        Err(failure) => Err(failure.into()),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "eternal-data".to_owned());
    let (rounds, mut finished) = tokio::sync::mpsc::unbounded_channel();
    let hub = TaskHub::open(folder).await?;
    let worker = hub.run_worker(App::new().orchestrator(CleanForEver).activities(Cleaner { rounds })).await?;

    let cleaner = hub.client().start(CleanForEver, 1).id("cleaner").on_existing(OnExisting::Attach).await?;
    while finished.recv().await.is_some_and(|round| round < 3) {}
    cleaner.raise_event("stop", ()).await?;
    println!("{}", cleaner.wait().await?);
    worker.shutdown().await
}
