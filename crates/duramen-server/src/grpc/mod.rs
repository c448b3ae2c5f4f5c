//! The protocol of the Durable Task SDKs over gRPC.

mod call;
mod desk;
mod history;
mod item;
mod listen;
mod manage;
mod parts;
mod purge;
mod query;
mod service;
mod socket;
mod start;
mod state;
mod status;
mod stream;
mod worker;

pub use listen::GrpcServer;
use std::time::Duration;

/// What the owner of a server may change.
#[derive(Clone, Debug)]
pub struct GrpcOptions {
    /// Bytes of one message that is received. No SDK sends more than 64 MiB.
    pub receive_bytes: usize,
    /// Bytes of a work item, with its history, that goes to a worker in one message. Most SDKs receive no
    /// more than 4 MiB, the frame included.
    pub inline_item_bytes: usize,
    /// How long a worker's stream is silent before it gets a ping; the SDKs give up at two minutes.
    pub ping_every: Duration,
    /// A connection that does not answer a ping of HTTP/2 for twice this long is gone.
    pub keep_alive: Duration,
}

impl Default for GrpcOptions {
    fn default() -> Self {
        Self {
            receive_bytes: 64 << 20,
            inline_item_bytes: 3_900 << 10,
            ping_every: Duration::from_secs(30),
            keep_alive: Duration::from_secs(30),
        }
    }
}
