//! A monitor: look again and again, with durable pauses, until something is so or time is over.
//!
//! ```console
//! $ cargo run --example monitor
//! ```
//!
//! Watches a job that is ready at the fourth look. The custom status tells the client how far it is.

use duramen::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Somebody else's job, ready after some looks.
struct Job {
    looks: AtomicU32,
}

#[activities]
impl Job {
    async fn job_is_ready(&self, _ctx: ActivityContext, job: String) -> Result<bool> {
        let look = self.looks.fetch_add(1, Ordering::Relaxed) + 1;
        println!("look {look} at {job}");
        Ok(look >= 4)
    }
}

#[orchestrator]
async fn watch(ctx: OrchestrationContext, name: String) -> Result<String> {
    let deadline = ctx.current_time() + Duration::from_secs(60);
    let mut pause = Duration::from_millis(20);
    while ctx.current_time() < deadline {
        if ctx.call_activity(job::JobIsReady, name.clone()).await? {
            return Ok(format!("{name} is ready"));
        }
        ctx.set_custom_status(&format!("not yet; next look in {} ms", pause.as_millis()))?;
        ctx.create_timer(pause).await;
        pause *= 2;
    }
    Ok(format!("{name} was not ready in time"))
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "monitor-data".to_owned());
    let app = App::new().orchestrator(Watch).activities(Job { looks: AtomicU32::new(0) });
    let hub = TaskHub::open(folder).await?;
    let worker = hub.run_worker(app).await?;

    let handle = hub.client().start(Watch, "backup").await?;
    println!("{}", handle.wait().await?);
    worker.shutdown().await
}
