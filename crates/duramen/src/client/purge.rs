//! Purging: ids, filters, trees.

use super::{Client, ClientError, Purged, Selection, Way};
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

/// A purge that has not been asked for yet.
#[must_use = "nothing is purged before it is awaited"]
pub struct PurgeInstances {
    client: Client,
    purge: Purge,
}

/// What is purged, and how far it goes.
pub(crate) struct Purge {
    pub(crate) which: Selection,
    pub(crate) recursive: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) progress: Box<dyn FnMut(u64) + Send>,
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
        let purge = Purge { which: which.into(), recursive: false, timeout: None, progress: Box::new(|_| {}) };
        PurgeInstances { client: self.clone(), purge }
    }
}

impl PurgeInstances {
    /// With their descendants that have ended. A live one stays, with all that is below it, and does not
    /// keep what is above it.
    pub fn recursive(mut self) -> Self {
        self.purge.recursive = true;
        self
    }

    /// Goes on for no longer than this, by the hub's clock. What has gone by then counts, and the result
    /// is not [`complete`](Purged::complete); ask again for the rest.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.purge.timeout = Some(timeout);
        self
    }

    /// Calls this now and then with the number of instances that have gone so far. It must not block: other
    /// work of the task waits for it.
    pub fn progress(mut self, progress: impl FnMut(u64) + Send + 'static) -> Self {
        self.purge.progress = Box::new(progress);
        self
    }
}

impl IntoFuture for PurgeInstances {
    type Output = Result<Purged, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            match &self.client.way {
                #[cfg(feature = "hub")]
                Way::Local(hub) => Ok(hub.purge(self.purge.into()).await?),
                #[cfg(feature = "remote")]
                Way::Remote(remote) => remote.purge(self.purge).await,
            }
        })
    }
}

#[cfg(feature = "hub")]
impl From<Purge> for duramen_hub::Purge {
    fn from(purge: Purge) -> Self {
        let asked = match purge.which {
            Selection::Ids(ids) => Self::ids(ids.into_iter().map(duramen_core::ids::InstanceId::new)),
            Selection::Matching(filter) => Self::matching(filter.into_query()),
        };
        let asked = if purge.recursive { asked.recursive() } else { asked };
        let asked = purge.timeout.into_iter().fold(asked, Self::timeout);
        asked.progress(purge.progress)
    }
}
