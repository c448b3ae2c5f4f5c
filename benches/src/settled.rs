//! Waiting until what is durable is settled.

use crate::store::Store;
use duramen::prelude::*;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How settling went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Settled {
    /// From the end of the work until everything was settled.
    pub(crate) settled_s: f64,
    /// The most bytes of checkpoints that were durable and not settled.
    pub(crate) unsettled_bytes_max: u64,
}

/// How long a store may take for it.
const PATIENCE: Duration = Duration::from_secs(600);

/// Waits until everything is settled.
pub(crate) async fn wait(store: &Store) -> Result<Settled> {
    let begun = Instant::now();
    loop {
        let counters = store.figures()?;
        if counters.unsettled_bytes == 0 {
            let settled_s = begun.elapsed().as_secs_f64();
            return Ok(Settled { settled_s, unsettled_bytes_max: counters.unsettled_bytes_max });
        }
        if begun.elapsed() > PATIENCE {
            let left = counters.unsettled_bytes;
            return Err(Error::msg(format!("{left} bytes are not settled after {} s", PATIENCE.as_secs())));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
