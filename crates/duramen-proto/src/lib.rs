//! The messages of the Durable Task protocol.
//!
//! History events, actions and failure details are these types everywhere in Duramen: in memory, on
//! disk and on the wire. The files in `proto/` are the source; names, numbers and types in them are
//! the public protocol's and cannot be chosen. The crate knows nothing of Duramen and needs no `std`.

#![no_std]
#![expect(missing_docs, reason = "the protocol names its fields; docs/protocol.md says what they mean")]

extern crate alloc;

include!(concat!(env!("OUT_DIR"), "/_.rs"));

mod durabletask {
    pub(crate) mod protos {
        pub(crate) mod backend {
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/durabletask.protos.backend.v1.rs"));
            }
        }
    }
}

/// The protocol between a function host and its store (`backend_service.proto`).
pub use durabletask::protos::backend::v1 as host;
pub use prost_types::{Duration, Timestamp, Value};
