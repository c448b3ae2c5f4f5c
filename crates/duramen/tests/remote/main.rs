//! Clients and workers of a server: what the connection adds to what `semantics` says of them everywhere.

mod relay;
#[path = "../server/mod.rs"]
mod server;
mod support;

mod breaks;
mod connecting;
mod wire;
mod workers;
