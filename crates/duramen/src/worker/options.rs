//! What the owner of a worker may change.

use std::thread::available_parallelism;
use std::time::Duration;

/// Sizes and limits of a worker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerOptions {
    /// Threads for orchestrators; the number of cores unless set.
    pub threads: usize,
    /// Orchestrator items it takes at a time.
    pub orchestrators: usize,
    /// Activities it runs at a time.
    pub activities: usize,
    /// Instances that are kept between their episodes.
    pub sessions: usize,
    /// How long an episode may run before its thread is written off; zero means for ever.
    pub stuck_after: Duration,
    /// How many threads may be written off and replaced.
    pub replacements: usize,
    /// How long a shutdown waits for what is in hand.
    pub drain: Duration,
    /// The version that sub-orchestrations get for which the author gives none.
    pub default_version: Option<String>,
    /// Whether every episode is run twice and the two compared: an orchestrator that does something else the
    /// second time fails. For tests.
    pub run_twice: bool,
    /// Whether the hub lives in this process.
    pub in_process: bool,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            threads: available_parallelism().map_or(1, usize::from),
            orchestrators: 2_000,
            activities: 2_000,
            sessions: 10_000,
            stuck_after: Duration::from_secs(10),
            replacements: 16,
            drain: Duration::from_secs(10),
            default_version: None,
            run_twice: false,
            in_process: true,
        }
    }
}
