//! Runs a workload as a client would: so many at a time, each started, waited for and checked.

use crate::latencies::Latencies;
use crate::store::Store;
use crate::workloads::Workload;
use duramen::Client;
use duramen::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What the client saw.
#[derive(Debug)]
pub(crate) struct Seen {
    /// From the first start to the last checked result.
    pub(crate) elapsed: Duration,
    /// From start to checked result, of each.
    pub(crate) latencies: Latencies,
    /// How often the store was synced meanwhile, for each; only of those that ran one at a time.
    syncs: Vec<u64>,
    /// Whether each result came after as many syncs as it must rest on.
    pub(crate) durable: bool,
}

impl Seen {
    /// The median of the syncs, if they ran one at a time.
    pub(crate) fn median_syncs(&mut self) -> Option<u64> {
        self.syncs.sort_unstable();
        self.syncs.get(self.syncs.len() / 2).copied()
    }

    fn new() -> Self {
        Self { elapsed: Duration::ZERO, latencies: Latencies::default(), syncs: Vec::new(), durable: true }
    }
}

/// A client, and the store whose syncs it watches.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) client: Client,
    pub(crate) store: Store,
    /// Checked results so far.
    pub(crate) done: Arc<AtomicU64>,
}

impl Caller {
    pub(crate) fn new(client: Client, store: Store) -> Self {
        Self { client, store, done: Arc::default() }
    }

    /// Runs `concurrency` at a time and starts none after `limit`; everything that was started is waited for.
    pub(crate) async fn drive(&self, workload: Workload, concurrency: usize, limit: Duration) -> Result<Seen> {
        let (begun, syncs) = (Instant::now(), self.store.syncs()?);
        let callers: Vec<_> = (0..concurrency)
            .map(|_| {
                let caller = self.clone();
                tokio::spawn(async move { caller.call(workload, concurrency == 1, begun, limit).await })
            })
            .collect();
        let (mut all, mut longest) = (Seen::new(), 0);
        for caller in callers {
            let mut seen = caller.await??;
            longest = longest.max(seen.latencies.len() as u64);
            all.latencies.append(seen.latencies);
            all.syncs.append(&mut seen.syncs);
            all.durable &= seen.durable;
        }
        all.elapsed = begun.elapsed();
        // One caller's orchestrations come one after the other, so their syncs do too.
        all.durable &= self.store.syncs()? - syncs >= longest * workload.least_syncs();
        Ok(all)
    }

    async fn call(&self, workload: Workload, alone: bool, begun: Instant, limit: Duration) -> Result<Seen> {
        let mut seen = Seen::new();
        loop {
            // A server is asked for its syncs only where that delays no other.
            let watched = alone || matches!(self.store, Store::Here(_));
            let before = if watched { self.store.syncs()? } else { 0 };
            let started = Instant::now();
            workload.once(&self.client).await?;
            seen.latencies.push(started.elapsed());
            self.done.fetch_add(1, Ordering::Relaxed);
            if watched {
                let syncs = self.store.syncs()? - before;
                seen.durable &= syncs >= workload.least_syncs();
                if alone {
                    seen.syncs.push(syncs);
                }
            }
            if begun.elapsed() >= limit {
                return Ok(seen);
            }
        }
    }
}
