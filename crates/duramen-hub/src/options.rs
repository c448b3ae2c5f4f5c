//! What the owner of a hub may choose.

use crate::clock::Clock;
use crate::retention::Retention;
use duramen_core::limits::Settings;

/// Client requests that may be open at a time, waits among them, unless told otherwise.
pub const OPEN_REQUESTS: usize = 100_000;
/// Messages that may wait for a partition, unless told otherwise.
pub const WAITING_MESSAGES: usize = 10_000;

/// How a hub is to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the engine's rules leave open.
    pub settings: Settings,
    /// Partitions that share the loop; 1 to 256. The number may differ from run to run.
    pub partitions: u32,
    /// Client requests that may be open at a time, waits among them. What is more is refused.
    pub queue: usize,
    /// Messages from one partition to another that may wait to be taken; at least 1. What is more
    /// stays in the sender's outbox and is sent again.
    pub messages: usize,
    /// How long what has ended is kept; for ever unless told otherwise.
    pub retention: Retention,
    /// The time.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            partitions: 1,
            queue: OPEN_REQUESTS,
            messages: WAITING_MESSAGES,
            retention: Retention::default(),
            clock: Clock::Wall,
        }
    }
}
