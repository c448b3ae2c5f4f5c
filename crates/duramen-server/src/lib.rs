//! Duramen's doors to the network. They translate and decide nothing: what a call means is decided in
//! the core, behind a [`Hub`](duramen_hub::Hub).
//!
//! ```text
//!  SDKs ── gRPC ──► grpc: one file for each group of calls ──► Hub::request, Hub::query
//!  workers ◄─ GetWorkItems ── a stream, which is a WorkerLink ◄── the hub's loop
//!          ── Complete…, Abandon… ──► the desk finds the stream by the token ──► Attachment::answer
//!  people, and what watches over the process ── HTTP ──► http
//! ```
//!
//! Memory is bounded everywhere, and what all connections share is shared so that nobody keeps others out
//! ([`GrpcOptions`]): connections, calls and streams by number; a message by itself, and all that are being received
//! together; what goes to a worker by what it reads, whatever it has announced; pages and chunks by their bytes; replies
//! by what clients have not read.
//!
//! The crate knows no concrete backend: [`Hubs`] is told how to open a hub by its name.
//!
//! # Contents
//!
//! - [`Hubs`]: the task hubs of a server, by name.
//! - [`GrpcServer`]: the protocol of the Durable Task SDKs (`TaskHubSidecarService`).
//! - [`http`]: health, readiness, and what is where.

mod grpc;
pub mod http;
mod hubs;
mod nearest;

pub use grpc::{GrpcOptions, GrpcServer};
pub use hubs::{
    HubName, HubState, Hubs, HubsError, HubsOptions, MOST_HUBS, NameError, NamedHub, OpenHub, Opener, Phase, StoreState,
};
pub use nearest::nearest;
