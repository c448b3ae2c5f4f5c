//! Purging of more than one instance.
//!
//! Rows are hints: each instance is put to its partition, with what the list has shown of it, and the
//! partition purges it or not. So an instance that lives again, or is another one by now, stays.

mod sweep;

pub(crate) use sweep::{PAGE, Pace, Sweep};

use crate::hub::Hub;
use duramen_backend::{Order, Query};
use duramen_core::ids::InstanceId;
use duramen_core::request::{Purged, Refusal};
use duramen_core::time::Time;
use duramen_proto::OrchestrationStatus;
use std::fmt;
use std::time::Duration;
use sweep::Level;

/// The statuses of an instance that has ended.
const ENDED: [OrchestrationStatus; 4] = [
    OrchestrationStatus::Completed,
    OrchestrationStatus::Failed,
    OrchestrationStatus::Canceled,
    OrchestrationStatus::Terminated,
];

/// A purge: of which instances, and how far it goes. Only what has ended is purged.
pub struct Purge {
    which: Which,
    recursive: bool,
    timeout: Option<Duration>,
    progress: Box<dyn FnMut(u64) + Send>,
}

#[derive(Debug)]
enum Which {
    Ids(Vec<InstanceId>),
    Matching(Box<Query>),
}

impl Purge {
    /// Of these instances; an id that nobody has counts for nothing.
    pub fn ids(ids: impl IntoIterator<Item = InstanceId>) -> Self {
        Self::new(Which::Ids(ids.into_iter().collect()))
    }

    /// Of the instances that a query finds: in whatever pages, all of them.
    pub fn matching(query: Query) -> Self {
        Self::new(Which::Matching(Box::new(query)))
    }

    fn new(which: Which) -> Self {
        Self { which, recursive: false, timeout: None, progress: Box::new(|_| {}) }
    }

    /// With their descendants that have ended. A live one stays, with all that is below it, and does not
    /// keep what is above it (protocol: `recursive`).
    #[must_use]
    pub fn recursive(mut self) -> Self {
        self.recursive = true;
        self
    }

    /// No slice is begun after this long, by the hub's clock; the first one always is (protocol:
    /// `timeout`).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Is told after each slice how many have gone so far.
    #[must_use]
    pub fn progress(mut self, progress: impl FnMut(u64) + Send + 'static) -> Self {
        self.progress = Box::new(progress);
        self
    }
}

impl fmt::Debug for Purge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Purge").field("which", &self.which).field("recursive", &self.recursive).finish_non_exhaustive()
    }
}

impl Hub {
    /// Removes instances that have ended, with their histories: in slices, with a rest after each, so that
    /// others have most of the time. It counts as one open request, whatever its size.
    ///
    /// It is not one act: when it fails, is dropped, or the process dies, some have gone and the rest has
    /// not. Asked for again it does the rest; descendants go before what is above them, so that they are
    /// found again.
    pub async fn purge(&self, purge: Purge) -> Result<Purged, Refusal> {
        let shared = self.shared();
        let _open = shared.admit()?;
        let Purge { which, recursive, timeout, progress } = purge;
        let until = timeout.map_or(Time::MAX, |timeout| self.now().plus(timeout));
        let first = match which {
            Which::Ids(ids) => Level::of_ids(ids),
            Which::Matching(query) => Level::of_query(*query),
        };
        let mut sweep = Sweep::new(shared, Pace::GENTLE, until, progress);
        sweep.walk(first, recursive).await?;
        sweep.finish().await
    }
}

impl Level {
    /// What was asked for by a filter.
    fn of_query(mut query: Query) -> Self {
        let asked = query.statuses.len();
        query.statuses.retain(|status| ENDED.contains(status));
        if query.statuses.is_empty() {
            if asked > 0 {
                // Only live ones are named, and none of them is purged.
                return Self::of_ids(Vec::new());
            }
            query.statuses = ENDED.to_vec();
        }
        // By whatever order: what comes after a page is not touched by purging the page.
        Self::new(None, Query { order: Order::Created, after: None, limit: PAGE, bare: true, ..query })
    }
}
