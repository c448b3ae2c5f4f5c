//! The messages of the Durable Task protocol, and behind features its services.
//!
//! History events, actions and failure details are these types everywhere in Duramen: in memory, on
//! disk and on the wire. The files in `proto/` are the source; names, numbers and types in them are
//! the public protocol's and cannot be chosen. The crate knows nothing of Duramen and, without its
//! features, needs no `std`.
//!
//! Stored history is a sequence of encoded events. What carries it to a worker takes it as it is
//! ([`raw`]).

#![cfg_attr(not(feature = "services"), no_std)]
#![expect(missing_docs, reason = "the protocol names its fields; docs/protocol.md says what they mean")]

extern crate alloc;

include!(concat!(env!("OUT_DIR"), "/_.rs"));

pub mod raw;

#[cfg(feature = "server")]
pub mod codec;
#[cfg(feature = "server")]
mod deep;

mod durabletask {
    pub(crate) mod protos {
        pub(crate) mod backend {
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/durabletask.protos.backend.v1.rs"));
            }
        }
    }
}

/// The services that the SDKs speak.
#[cfg(feature = "services")]
#[cfg_attr(feature = "server", expect(clippy::allow_attributes, reason = "generated"))]
pub mod services {
    #[cfg(feature = "client")]
    mod client {
        include!(concat!(env!("OUT_DIR"), "/client/_.rs"));
    }
    #[cfg(feature = "server")]
    mod server {
        include!(concat!(env!("OUT_DIR"), "/server/_.rs"));
    }
    #[cfg(feature = "client")]
    pub use client::task_hub_sidecar_service_client;
    #[cfg(feature = "server")]
    pub use server::task_hub_sidecar_service_server;
}

/// The protocol between a function host and its store (`backend_service.proto`).
pub use durabletask::protos::backend::v1 as host;
pub use prost_types::{Duration, ListValue, Struct, Timestamp, Value, value};
