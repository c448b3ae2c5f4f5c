//! Runs a workload as a client would: so many at a time, each started, waited for and checked.

use crate::latencies::Latencies;
use crate::workloads::Workload;
use duramen::Client;
use duramen::prelude::*;
use duramen_embedded::Embedded;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the client saw.
#[derive(Debug)]
pub(crate) struct Seen {
    /// From the first start to the last checked result.
    pub(crate) elapsed: Duration,
    /// From start to checked result, of each.
    pub(crate) latencies: Latencies,
    /// How often the store was synced meanwhile, for each.
    pub(crate) syncs: Vec<u64>,
}

impl Seen {
    /// Whether each result came after as many syncs as it must rest on.
    pub(crate) fn is_durable(&self, workload: Workload) -> bool {
        self.syncs.iter().all(|syncs| *syncs >= workload.least_syncs())
    }

    /// The median of the syncs.
    pub(crate) fn median_syncs(&mut self) -> u64 {
        self.syncs.sort_unstable();
        self.syncs.get(self.syncs.len() / 2).copied().unwrap_or_default()
    }
}

/// A client, and the store whose syncs it watches.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) client: Client,
    pub(crate) store: Arc<Embedded>,
}

impl Caller {
    /// Runs `concurrency` at a time and starts none after `limit`; everything that was started is waited for.
    pub(crate) async fn drive(&self, workload: Workload, concurrency: usize, limit: Duration) -> Result<Seen> {
        let begun = Instant::now();
        let callers: Vec<_> = (0..concurrency)
            .map(|_| {
                let caller = self.clone();
                tokio::spawn(async move { caller.call(workload, begun, limit).await })
            })
            .collect();
        let mut all = Seen { elapsed: Duration::ZERO, latencies: Latencies::default(), syncs: Vec::new() };
        for caller in callers {
            let (latencies, mut syncs) = caller.await??;
            all.latencies.append(latencies);
            all.syncs.append(&mut syncs);
        }
        all.elapsed = begun.elapsed();
        Ok(all)
    }

    async fn call(&self, workload: Workload, begun: Instant, limit: Duration) -> Result<(Latencies, Vec<u64>)> {
        let mut latencies = Latencies::default();
        let mut syncs = Vec::new();
        loop {
            let (started, before) = (Instant::now(), self.store.counters().syncs);
            workload.once(&self.client).await?;
            latencies.push(started.elapsed());
            syncs.push(self.store.counters().syncs - before);
            if begun.elapsed() >= limit {
                return Ok((latencies, syncs));
            }
        }
    }
}
