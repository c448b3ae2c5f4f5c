//! A client of a server: what the connection adds to what `semantics` says of clients everywhere.

mod proxy;
#[path = "../server/mod.rs"]
mod server;
mod support;

mod breaks;
mod connecting;
mod wire;
