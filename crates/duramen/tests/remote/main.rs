//! Clients and workers of a server: what the connection adds to what `semantics` says of them everywhere.

mod relay;
mod support;

mod connecting;
mod workers;
