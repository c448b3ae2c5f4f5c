//! A task hub on a server: the protocol's calls in place of the hub's.
//!
//! ```text
//!  Client ─► Request ─► client: the call for it, repeated where that is safe ─┐
//!                                                                              ├─► channel ─► server
//!  RunningWorker ─► worker: the stream of work items, and the answers ─────────┘
//! ```
//!
//! The connection is made by [`TaskHub::connect`](crate::TaskHub::connect), which fails at once when nobody is
//! there. From then on a break is bridged: calls that may be repeated are, and the others say that it is not known
//! whether they were done.

mod address;
mod backoff;
mod channel;
mod client;
mod lists;
mod repeat;
mod worker;

pub(crate) use backoff::Backoff;
pub(crate) use channel::{Calls, Remote, root};
pub(crate) use worker::Connected;

use std::time::Duration;

/// How a server is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectOptions {
    /// The task hub on the server; it goes before the one of a connection string. The server's default one if none
    /// is given.
    pub task_hub: Option<String>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a break is bridged: a call that may be repeated is tried again for so long.
    pub bridge: Duration,
    /// Bytes of one message that is received.
    pub receive_bytes: usize,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            task_hub: None,
            connect_timeout: Duration::from_secs(5),
            bridge: Duration::from_secs(60),
            receive_bytes: 256 << 20,
        }
    }
}

/// Why a server cannot be connected to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// What was given is no address.
    #[error(
        "the address {text:?} {problem}; give it as http://localhost:8080, or as the connection string that the server prints: Endpoint=http://localhost:8080;Authentication=None;TaskHub=default"
    )]
    Address {
        /// What was given.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The name of the task hub cannot be sent.
    #[error("the name {name:?} of the task hub cannot be sent; use letters, digits, `-` and `_`")]
    TaskHub {
        /// The name.
        name: String,
    },
    /// Nobody is there.
    #[error("failed to reach a server at {address}: {reason}; start one with `duramen dev`, or check the address")]
    Unreachable {
        /// The address.
        address: String,
        /// What happened.
        reason: String,
    },
    /// Somebody is there who speaks something else.
    #[error(
        "what listens at {address} does not answer as a Duramen server: {reason}; check the port: `duramen dev` says which is the one for gRPC"
    )]
    Foreign {
        /// The address.
        address: String,
        /// What happened.
        reason: String,
    },
    /// The server does not want us.
    #[error("the server at {address} refused: {reason}")]
    Refused {
        /// The address.
        address: String,
        /// What it said.
        reason: String,
    },
    /// There is no tokio runtime for the connection to live on.
    #[error("connecting needs a tokio runtime; call it within one, as `#[tokio::main]` gives it")]
    NoRuntime,
}
