//! Purging: ids, filters, trees.

use super::{Client, ClientError, Selection};
use duramen_core::ids::InstanceId;
use duramen_hub::{Purge, Purged};
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

/// A purge that has not been asked for yet.
#[must_use = "nothing is purged before it is awaited"]
pub struct PurgeInstances {
    client: Client,
    purge: Purge,
}

impl Client {
    /// Removes instances that have ended, with their histories: one by its id, several by theirs, or those
    /// that pass a filter; an empty filter is every one. What lives stays, and so does one that was started
    /// again or rewound after the filter had chosen it.
    ///
    /// It goes in slices, between which other requests have their turn, and is not one act: when it fails,
    /// is dropped, or the process dies, some have gone and the rest has not. Asked for again it does the rest.
    ///
    /// ```
    /// # use duramen::prelude::*;
    /// # use duramen::testing::TestHub;
    /// # #[orchestrator]
    /// # async fn echo(_ctx: OrchestrationContext, text: String) -> Result<String> { Ok(text) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// # let t = TestHub::new().orchestrator(Echo);
    /// # let client = t.client();
    /// # for id in ["order-1", "order-2"] { client.start(Echo, "x").id(id).await?.wait().await?; }
    /// assert_eq!(client.purge("order-1").await?.deleted, 1);
    /// let orders = Filter::new().prefix("order-").status(OrchestrationStatus::Completed);
    /// let purged = client.purge(orders).recursive().progress(|deleted| println!("{deleted} so far")).await?;
    /// assert!(purged.complete);
    /// # assert_eq!(purged.deleted, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn purge(&self, which: impl Into<Selection>) -> PurgeInstances {
        let purge = match which.into() {
            Selection::Ids(ids) => Purge::ids(ids.into_iter().map(InstanceId::new)),
            Selection::Matching(filter) => Purge::matching(filter.into_query()),
        };
        PurgeInstances { client: self.clone(), purge }
    }
}

impl PurgeInstances {
    /// With their descendants that have ended. A live one stays, with all that is below it, and does not
    /// keep what is above it.
    pub fn recursive(mut self) -> Self {
        self.purge = self.purge.recursive();
        self
    }

    /// Goes on for no longer than this, by the hub's clock. What has gone by then counts, and the result
    /// is not [`complete`](Purged::complete); ask again for the rest.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.purge = self.purge.timeout(timeout);
        self
    }

    /// Calls this now and then with the number of instances that have gone so far. It must not block: other
    /// work of the task waits for it.
    pub fn progress(mut self, progress: impl FnMut(u64) + Send + 'static) -> Self {
        self.purge = self.purge.progress(progress);
        self
    }
}

impl IntoFuture for PurgeInstances {
    type Output = Result<Purged, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.client.hub().purge(self.purge).await?) })
    }
}
