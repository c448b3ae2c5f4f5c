//! Why a call of a client did not give what was asked for.

use crate::TaskFailed;
use crate::json::JsonError;
use duramen_core::request::Refusal;

/// Why a call of a client failed. These kinds are told apart: the orchestration itself did not succeed
/// (`Failed`, `Terminated`, `Canceled`), the caller's values do not fit (`Input`, `Output`, `Cursor`), the hub
/// did not do it (`Refused`), or the way to it failed (`Unreachable`, `UnknownOutcome`, `Server`).
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The orchestration ended with a failure.
    #[error("instance {id:?} failed: {failure}")]
    Failed {
        /// Its instance id.
        id: String,
        /// What it failed of.
        failure: TaskFailed,
    },
    /// The instance was terminated.
    #[error("instance {id:?} was terminated{}", .output.as_deref().map(|output| format!(": {output}")).unwrap_or_default())]
    Terminated {
        /// Its instance id.
        id: String,
        /// What the one who terminated it gave as its output, as JSON.
        output: Option<String>,
    },
    /// The instance was canceled.
    #[error("instance {id:?} was canceled")]
    Canceled {
        /// Its instance id.
        id: String,
    },
    /// There is no such instance, or it was purged while it was waited for.
    #[error("no orchestration instance {0:?} exists")]
    NotFound(String),
    /// A value cannot be written as JSON.
    #[error("failed to write the {what}: {reason}")]
    Input {
        /// Which value.
        what: &'static str,
        /// Why.
        reason: JsonError,
    },
    /// A value that the hub holds is not of the type that was asked for.
    #[error("failed to read the {what} of instance {id:?}: {reason}")]
    Output {
        /// Its instance id.
        id: String,
        /// Which value.
        what: &'static str,
        /// What does not fit, and where.
        reason: JsonError,
    },
    /// The history in the store is not what a history looks like.
    #[error("failed to decode the history of instance {id:?}: {reason}; the store is damaged")]
    Damaged {
        /// Its instance id.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// A cursor belongs to another list.
    #[error(
        "the cursor {0:?} is none that this list gave; give back the one of the page before, with the same filter, or none to begin"
    )]
    Cursor(String),
    /// The hub did not do it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The server could not be reached for as long as breaks are bridged. Nothing was done.
    #[error("failed to reach the server at {address}: {reason}; nothing was done")]
    Unreachable {
        /// The address.
        address: String,
        /// What happened.
        reason: String,
    },
    /// The connection to the server broke before it had answered, and to repeat the call might do it twice.
    #[error(
        "unknown outcome of the {what}: the connection to the server at {address} broke before it had answered ({reason}); look whether it was done before you ask again"
    )]
    UnknownOutcome {
        /// What was asked for, of which instance.
        what: String,
        /// The address.
        address: String,
        /// What happened.
        reason: String,
    },
    /// The server answered with an error that says nothing of the hub.
    #[error("the server answered {code}: {message}")]
    Server {
        /// The code of gRPC.
        code: String,
        /// What it said.
        message: String,
    },
}
