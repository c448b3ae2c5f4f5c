//! How a long run goes, minute by minute.

use crate::process;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

const MINUTE: Duration = Duration::from_secs(60);

/// What was seen at the end of each minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Minutes {
    /// Orchestrations a second, of each minute.
    pub(crate) per_minute_per_s: Vec<f64>,
    /// What was resident at the end of each, in MiB.
    pub(crate) per_minute_rss_mb: Vec<f64>,
    /// The last minute's rate over the first one's.
    pub(crate) last_to_first: f64,
}

impl Minutes {
    /// Watches a counter for so many minutes.
    pub(crate) fn watch(done: Arc<AtomicU64>, minutes: u64) -> JoinHandle<Self> {
        tokio::spawn(async move {
            let mut seen = Self::default();
            let (mut begun, mut before) = (Instant::now(), done.load(Ordering::Relaxed));
            for minute in 1..=minutes {
                tokio::time::sleep(MINUTE.saturating_sub(begun.elapsed())).await;
                let (now, after) = (Instant::now(), done.load(Ordering::Relaxed));
                let (rate, rss) = ((after - before) as f64 / (now - begun).as_secs_f64(), process::rss_mb());
                eprintln!("minute {minute}: {rate:.0} a second, {rss:.0} MiB resident");
                seen.add(rate, rss);
                (begun, before) = (now, after);
            }
            seen
        })
    }

    fn add(&mut self, rate: f64, rss_mb: f64) {
        self.per_minute_per_s.push(rate);
        self.per_minute_rss_mb.push(rss_mb);
        self.last_to_first = rate / self.per_minute_per_s[0];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_minute_is_held_against_the_first() {
        let mut minutes = Minutes::default();
        [100.0, 120.0, 90.0].into_iter().for_each(|rate| minutes.add(rate, 50.0));
        assert_eq!((minutes.last_to_first, minutes.per_minute_per_s.len()), (0.9, 3));
    }
}
