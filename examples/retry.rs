//! Retries: an activity that fails is called again, with growing pauses that outlive the process.
//!
//! ```console
//! $ cargo run --example retry
//! ```
//!
//! The forecast service is down at first and answers the third call. A town that does not exist is an error that no
//! retry can mend: it is marked non-retriable and fails at once.

use duramen::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A service that is down for its first two calls.
#[derive(Default)]
struct Weather {
    calls: AtomicU32,
}

#[activities]
impl Weather {
    async fn forecast(&self, _ctx: ActivityContext, town: String) -> Result<String> {
        if town == "Atlantis" {
            return Err(Error::non_retriable(Error::msg("there is no town named Atlantis")));
        }
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        println!("call {call}");
        if call < 3 { Err(Error::msg("the forecast service is down")) } else { Ok(format!("sunny in {town}")) }
    }
}

#[orchestrator]
async fn forecast_for(ctx: OrchestrationContext, town: String) -> Result<String> {
    let policy = RetryPolicy::exponential(5, Duration::from_millis(50));
    match ctx.call_activity(weather::Forecast, town).retry(policy).await {
        Ok(forecast) => Ok(forecast),
        Err(failure) => Ok(format!("no forecast: {}", failure.message())),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "retry-data".to_owned());
    let hub = TaskHub::open(folder).await?;
    let worker = hub.run_worker(App::new().orchestrator(ForecastFor).activities(Weather::default())).await?;

    for town in ["Oslo", "Atlantis"] {
        println!("{}", hub.client().start(ForecastFor, town).await?.wait().await?);
    }
    worker.shutdown().await
}
