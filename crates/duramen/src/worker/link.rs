//! The worker's side of the seam to a hub.

use super::pool::Pool;
use duramen_core::ids::Run;
#[cfg(feature = "remote")]
use duramen_core::ids::Token;
use duramen_core::work::WorkItem;
use std::fmt;
use std::sync::Arc;

/// How a hub sends to a worker. Nothing here blocks.
#[derive(Clone)]
pub struct Link(Arc<Pool>);

impl Link {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        Self(pool)
    }

    /// Work for which the worker had announced room.
    pub fn deliver(&self, items: Vec<WorkItem>) {
        self.0.deliver(items);
    }

    /// An item that came is given back, for this reason.
    #[cfg(feature = "remote")]
    pub(crate) fn refuse(&self, token: Token, reason: String) {
        self.0.refuse(token, reason);
    }

    /// The session of a run is of no more use.
    pub fn end_session(&self, run: Run) {
        self.0.end_session(run);
    }

    /// The hub sends nothing more and takes no more answers.
    pub fn closed(&self, reason: &str) {
        tracing::debug!(reason, "the hub closed the worker's link");
        self.0.stop();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}
