//! The process that is killed.

use crate::desk::Desk;
use crate::house::{Manner, gates, is_busy, open_hub, run_worker};
use crate::known::Known;
use crate::load::Load;
use crate::phase::{Listener, Mark, Phase};
use crate::witness::{self, Witness};
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

/// What the killer tells a child.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    pub(crate) folder: PathBuf,
    pub(crate) seed: u64,
    /// Counts the children of a folder, from 1.
    pub(crate) life: u64,
    pub(crate) partitions: u32,
}

/// Works until it is killed. It comes back only when something is wrong.
pub(crate) fn run(orders: Orders) -> Result<(), Box<dyn Error>> {
    Listener::install();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    runtime.block_on(live(orders))
}

async fn live(orders: Orders) -> Result<(), Box<dyn Error>> {
    let Orders { folder, seed, life, partitions } = orders;
    let phase = Phase::Opening;
    Mark { phase, begins: true }.tell();
    let hub = open_hub(&folder, Manner { partitions, evict: life % 2 == 0, busy: is_busy(life) }).await?;
    Mark { phase, begins: false }.tell();

    let (lines, _) = witness::read(&folder)?;
    let witness = Arc::new(Witness::open(&folder, life)?);
    let _worker = run_worker(&hub, &folder, &witness).await?;
    let load = Load { desk: Desk { hub, witness }, gates: gates(&folder), seed, life };
    let refusal = load.run(Known::gather(lines)).await;
    Err(format!("a client was refused what nobody may refuse: {refusal}").into())
}
