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
pub use list::{List, Page};
pub use manage::Terminate;
pub use purge::PurgeInstances;
pub use selection::Selection;
pub use start::{StartOrchestration, StartTime};
pub use wait::WaitForInstance;

pub use duramen_backend::Cursor;
use duramen_backend::Query;
pub use duramen_core::request::{OnExisting, Refusal};
use duramen_core::request::{Reply, Request};
use duramen_core::time::Time;
use duramen_hub::Hub;
pub use duramen_hub::Purged;

/// Talks to a task hub.
#[derive(Clone, Debug)]
pub struct Client {
    way: Way,
}

/// How the hub is reached.
#[derive(Clone, Debug)]
enum Way {
    /// In this process.
    Local(Hub),
}

impl Client {
    pub(crate) fn local(hub: Hub) -> Self {
        Self { way: Way::Local(hub) }
    }

    /// The hub's time: the system's clock, or that of a test.
    pub fn now(&self) -> Time {
        match &self.way {
            Way::Local(hub) => hub.now(),
        }
    }

    /// Asks, and takes a refusal for an error.
    async fn request(&self, request: Request) -> Result<Reply, ClientError> {
        let reply = match &self.way {
            Way::Local(hub) => hub.request(request).await,
        };
        match reply {
            Reply::Refused(refusal) => Err(ClientError::Refused(refusal)),
            reply => Ok(reply),
        }
    }

    async fn query(&self, query: Query) -> Result<duramen_backend::Page, Refusal> {
        match &self.way {
            Way::Local(hub) => hub.query(query).await,
        }
    }

    /// The hub that is in this process.
    fn hub(&self) -> &Hub {
        match &self.way {
            Way::Local(hub) => hub,
        }
    }
}

/// A reply that does not belong to the request.
fn out_of_place(reply: &Reply) -> ! {
    unreachable!("the hub answered a request with {reply:?}")
}
