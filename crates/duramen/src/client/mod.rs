//! Starting instances, and asking about them.
//!
//! A [`Client`] is a cheap clone and may be used from any thread and any async runtime. Typed results
//! come through the [`Handle`] of a start; everything else goes by instance id.

mod check_status;
mod error;
mod export;
#[cfg(feature = "embedded")]
mod export_file;
mod filter;
mod handle;
mod instance;
mod list;
mod manage;
mod purge;
mod selection;
mod start;
mod wait;

pub use check_status::{CheckStatus, check_status_payload};
pub use error::ClientError;
pub use export::{Export, ExportError, Exported};
pub use filter::Filter;
pub use handle::Handle;
pub use instance::Instance;
pub use list::{Cursor, List, Page};
pub use manage::Terminate;
#[cfg(feature = "remote")]
pub(crate) use purge::Purge;
pub use purge::PurgeInstances;
pub use selection::Selection;
pub use start::{StartOrchestration, StartTime};
pub use wait::WaitForInstance;

#[cfg(feature = "remote")]
use crate::remote::Remote;
use duramen_backend::Query;
pub use duramen_core::request::{OnExisting, Purged, Refusal};
use duramen_core::request::{Reply, Request, Start};
use duramen_core::time::Time;
#[cfg(feature = "hub")]
use duramen_hub::Hub;
use std::time::Duration;

/// Talks to a task hub.
#[derive(Clone, Debug)]
pub struct Client {
    way: Way,
}

/// How the hub is reached.
#[derive(Clone, Debug)]
enum Way {
    /// In this process.
    #[cfg(feature = "hub")]
    Local(Hub),
    /// On a server.
    #[cfg(feature = "remote")]
    Remote(Remote),
}

impl Client {
    #[cfg(feature = "hub")]
    pub(crate) fn local(hub: Hub) -> Self {
        Self { way: Way::Local(hub) }
    }

    #[cfg(feature = "remote")]
    pub(crate) fn remote(remote: Remote) -> Self {
        Self { way: Way::Remote(remote) }
    }

    /// The hub's time: the system's clock, or that of a test. Of a server's hub, the clock of this machine.
    pub fn now(&self) -> Time {
        match &self.way {
            #[cfg(feature = "hub")]
            Way::Local(hub) => hub.now(),
            #[cfg(feature = "remote")]
            Way::Remote(_) => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                Time::EPOCH.plus(since.unwrap_or_default())
            }
        }
    }

    /// Asks, and takes a refusal for an error.
    async fn request(&self, request: Request) -> Result<Reply, ClientError> {
        let reply = match &self.way {
            #[cfg(feature = "hub")]
            Way::Local(hub) => hub.request(request).await,
            #[cfg(feature = "remote")]
            Way::Remote(remote) => remote.request(request).await?,
        };
        match reply {
            Reply::Refused(refusal) => Err(ClientError::Refused(refusal)),
            reply => Ok(reply),
        }
    }

    /// Starts an instance which begins so long after the hub's now.
    async fn start_after(&self, start: Start, delay: Option<Duration>) -> Result<Reply, ClientError> {
        match &self.way {
            #[cfg(feature = "hub")]
            Way::Local(hub) => {
                let mut start = Box::new(start);
                if let Some(delay) = delay {
                    start.request.scheduled_start_timestamp = Some(hub.now().plus(delay).into());
                }
                self.request(Request::Start(start)).await
            }
            #[cfg(feature = "remote")]
            Way::Remote(remote) => remote.start(start, delay).await,
        }
    }

    /// A page of the list that begins after a cursor.
    async fn query(&self, query: &Query, after: Option<&Cursor>) -> Result<Page, ClientError> {
        match &self.way {
            #[cfg(feature = "hub")]
            Way::Local(hub) => {
                let after = after.map(|after| after.place(query)).transpose()?;
                Ok(Page::new(hub.query(Query { after, ..query.clone() }).await?))
            }
            #[cfg(feature = "remote")]
            Way::Remote(remote) => remote.query(query, after).await,
        }
    }
}

/// A reply that does not belong to the request.
fn out_of_place(reply: &Reply) -> ! {
    unreachable!("the hub answered a request with {reply:?}")
}
