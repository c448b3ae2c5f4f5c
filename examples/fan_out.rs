//! Fan-out, fan-in: many activities at once, and one result when all of them have given theirs.
//!
//! ```console
//! $ cargo run --example fan_out
//! ```
//!
//! Counts the words of some texts, each in an activity of its own, and adds them up.

use duramen::prelude::*;

#[activity]
async fn count_words(_ctx: ActivityContext, text: String) -> Result<usize> {
    Ok(text.split_whitespace().count())
}

#[orchestrator]
async fn count_all(ctx: OrchestrationContext, texts: Vec<String>) -> Result<usize> {
    // Calling starts; `all` waits for every one and keeps their order.
    let calls: Vec<_> = texts.into_iter().map(|text| ctx.call_activity(CountWords, text)).collect();
    let counts = ctx.all(calls).await?;
    Ok(counts.into_iter().sum())
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "fan_out-data".to_owned());
    let hub = TaskHub::open(folder).await?;
    let worker = hub.run_worker(App::new().orchestrator(CountAll).activity(CountWords)).await?;

    let texts: Vec<String> = (1..=100).map(|words| "ring ".repeat(words)).collect();
    let total = hub.client().start(CountAll, texts).await?.wait().await?;
    println!("100 texts have {total} words");
    worker.shutdown().await
}
