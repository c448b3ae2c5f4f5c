//! Copying the file while the store goes on.
//!
//! What is settled goes to the log first, and the file changes only when the log is moved into it. So
//! the file stands still once the log has been moved and is not moved again, and can be copied like any
//! other: it is the tables as of one settle. Settles go on meanwhile, into a log that grows, and no read
//! transaction is open.

use super::Database;
use duramen_backend::rows::RowsError;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long readers that keep the log from being moved are waited for.
const READERS_PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// As long as it lives, this process does not change the file.
pub(crate) struct StandsStill<'a> {
    _moving: MutexGuard<'a, ()>,
}

impl Database {
    /// Moves the log into the file and lets it stand still; `None` if somebody's reading keeps the log
    /// from being moved.
    pub(crate) fn stand_still(&self) -> Result<Option<StandsStill<'_>>, RowsError> {
        let still = StandsStill { _moving: self.moving.lock().unwrap_or_else(PoisonError::into_inner) };
        let begun = Instant::now();
        while self.checkpoint()?.left > 0 {
            if begun.elapsed() > READERS_PATIENCE {
                return Ok(None);
            }
            std::thread::sleep(PAUSE);
        }
        Ok(Some(still))
    }

    /// Uses up so many epochs.
    pub(crate) fn advance_epoch(&self, by: u32) -> Result<(), RowsError> {
        self.on_writer("use up epochs in", |writer| {
            writer.execute("UPDATE store SET epoch = epoch + ?1", [by])?;
            Ok(())
        })
    }
}
