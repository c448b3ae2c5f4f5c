//! Runs a workload as a client would: so many at a time, each started, waited for and checked.

use crate::latencies::Latencies;
use crate::workloads::Workload;
use duramen::prelude::*;
use std::time::{Duration, Instant};

/// What the client saw.
#[derive(Debug)]
pub(crate) struct Seen {
    /// From the first start to the last checked result.
    pub(crate) elapsed: Duration,
    /// From start to checked result, of each.
    pub(crate) latencies: Latencies,
}

/// Runs `concurrency` at a time and starts none after `limit`; everything that was started is waited for.
pub(crate) async fn drive(client: &Client, workload: Workload, concurrency: usize, limit: Duration) -> Result<Seen> {
    let begun = Instant::now();
    let callers: Vec<_> = (0..concurrency)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { call(&client, workload, begun, limit).await })
        })
        .collect();
    let mut latencies = Latencies::default();
    for caller in callers {
        latencies.append(caller.await.expect("a caller does not panic")?);
    }
    Ok(Seen { elapsed: begun.elapsed(), latencies })
}

async fn call(client: &Client, workload: Workload, begun: Instant, limit: Duration) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    loop {
        let started = Instant::now();
        workload.once(client).await?;
        latencies.push(started.elapsed());
        if begun.elapsed() >= limit {
            return Ok(latencies);
        }
    }
}
