//! A folder with a store in it, and what runs over it: the store, the hub, the worker.

use crate::functions::{Stages, app};
use crate::witness::Witness;
use duramen::{RunningWorker, TaskHub};
use duramen_core::limits::Settings;
use duramen_embedded::{Embedded, SegmentSizes, Settling};
use duramen_hub::Hub;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Segments are small, so that they change often.
const SEGMENT: u64 = 1 << 20;

/// Settling at its busiest: a few are under way in every tenth of a second.
const BUSY: Settling = Settling { bytes: 64 << 10, age: Duration::from_millis(20), bound: 4 << 20, reserve: 1 << 20 };

/// The store in a folder.
pub(crate) fn open_store(folder: &Path, busy: bool) -> Result<Embedded, duramen_embedded::OpenError> {
    let sizes = SegmentSizes { first: SEGMENT, next: SEGMENT };
    let settling = if busy { BUSY } else { Settling::default() };
    Embedded::open(folder.join("store"), duramen_embedded::Options { sizes, settling, ..Default::default() })
}

/// Whether settling is busy in a life: in every second pair of them, so that both kinds are lived with
/// and without eviction.
pub(crate) fn is_busy(life: u64) -> bool {
    life % 4 >= 2
}

/// How a hub is to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) partitions: u32,
    /// Evict whatever may be evicted, so that loading is as frequent as it can be.
    pub(crate) evict: bool,
    /// Settle all the time, and recycle as often.
    pub(crate) busy: bool,
}

/// A hub over the store in a folder.
pub(crate) async fn open_hub(folder: &Path, manner: Manner) -> Result<Hub, Box<dyn Error>> {
    let store = open_store(folder, manner.busy)?;
    let defaults = Settings::default();
    let options = duramen_hub::Options {
        partitions: manner.partitions,
        settings: Settings { resident: if manner.evict { 0 } else { defaults.resident }, ..defaults },
        ..duramen_hub::Options::default()
    };
    Ok(Hub::run(Arc::new(store), options).await?)
}

/// Where a folder keeps its gates.
pub(crate) fn gates(folder: &Path) -> PathBuf {
    folder.join("gates")
}

/// A worker for everything.
pub(crate) async fn run_worker(hub: &Hub, folder: &Path, witness: &Arc<Witness>) -> duramen::Result<RunningWorker> {
    let stages = Stages { witness: Arc::clone(witness), gates: gates(folder) };
    TaskHub::from(hub.clone()).run_worker(app(stages)).await
}
