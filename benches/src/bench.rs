//! A hub with a worker, and its store: in this process, or with the hub in a server's.

use crate::drive::Caller;
use crate::store::{Server, Store};
use crate::{process, workloads};
use duramen::prelude::*;
use duramen::worker::WorkerOptions;
use duramen::{Client, RunningWorker};
use duramen_embedded::Embedded;
use duramen_hub::Hub;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Where the hub is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In this process.
    Here,
    /// In this process, which treats the worker as if it were in another.
    HereByRemoteLink,
    /// In a server, which is another process.
    There,
}

impl Place {
    pub(crate) fn mode(self) -> &'static str {
        match self {
            Self::Here => "embedded",
            Self::HereByRemoteLink => "embedded, remote link",
            Self::There => "remote",
        }
    }
}

pub(crate) struct Bench {
    hub: TaskHub,
    worker: RunningWorker,
    pub(crate) caller: Caller,
}

impl Bench {
    /// Opens a store with so many segments made ahead.
    pub(crate) async fn open(folder: &Path, place: Place, prepare: usize) -> Result<Self> {
        let (hub, store) = match place {
            Place::Here | Place::HereByRemoteLink => {
                let options = duramen_embedded::Options { prepare, ..Default::default() };
                let store = Arc::new(Embedded::open(folder, options)?);
                let hub = Hub::run(store.clone(), duramen_hub::Options::default()).await?;
                (TaskHub::from(hub), Store::Here(store))
            }
            Place::There => {
                let server = Arc::new(Server::start(folder, prepare)?);
                (TaskHub::connect(server.address()).await?, Store::There(server))
            }
        };
        let mut options = WorkerOptions::default();
        options.in_process = place == Place::Here;
        let worker = hub.run_worker_with(workloads::app(), options).await?;
        let caller = Caller::new(hub.client(), store);
        Ok(Self { hub, worker, caller })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.caller.client
    }

    pub(crate) fn store(&self) -> &Store {
        &self.caller.store
    }

    /// Where the server listens, if there is one.
    pub(crate) fn address(&self) -> Option<&str> {
        match self.store() {
            Store::Here(_) => None,
            Store::There(server) => Some(server.address()),
        }
    }

    pub(crate) async fn close(self) -> Result<()> {
        self.worker.shutdown().await?;
        match &self.caller.store {
            Store::Here(_) => self.hub.shutdown().await,
            Store::There(server) => server.stop(),
        }
    }
}

/// Does something for each number below `n`, so many at a time, and says on standard error how far it is.
pub(crate) async fn for_each<F>(
    what: &'static str,
    n: u64,
    at_a_time: usize,
    each: impl Fn(u64) -> F + Clone + Send + Sync + 'static,
) -> Result<Duration>
where
    F: Future<Output = Result<()>> + Send,
{
    let begun = Instant::now();
    let (next, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let callers: Vec<_> = (0..at_a_time)
        .map(|_| {
            let (next, done, each) = (Arc::clone(&next), Arc::clone(&done), each.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= n {
                        return Ok::<_, Error>(());
                    }
                    each(number).await?;
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if done.is_multiple_of((n / 10).max(1)) {
                        let (seconds, rss) = (begun.elapsed().as_secs_f64(), process::rss_mb());
                        eprintln!("{what}: {done} of {n} after {seconds:.1} s, {rss:.0} MiB resident");
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await??;
    }
    Ok(begun.elapsed())
}

/// The id of the instance with a number: spread over all ids, as random ones are.
pub(crate) fn id(number: u64) -> String {
    format!("i-{:016x}", scramble(number))
}

/// Numbers that look like chance, the same in each run (the finalizer of SplitMix64).
pub(crate) fn scramble(number: u64) -> u64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
