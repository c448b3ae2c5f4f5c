//! The protocol of the Durable Task SDKs over gRPC.

mod call;
mod desk;
mod guard;
mod history;
mod item;
mod limits;
mod listen;
mod manage;
mod parts;
mod purge;
mod query;
mod service;
mod share;
mod socket;
mod start;
mod state;
mod status;
mod stream;
mod unsent;
mod upload;
mod worker;

pub use listen::GrpcServer;
use std::time::Duration;

/// What the owner of a server may change. A connection never has more of what all share than it leaves free: so no
/// client and no worker can keep all others out.
#[derive(Clone, Debug)]
pub struct GrpcOptions {
    /// Bytes of one message that is received. No SDK sends more than 64 MiB.
    pub receive_bytes: usize,
    /// Bytes of all messages of clients that are being received or have no reply yet; a client beyond them is refused.
    /// As many again are for what workers say, who wait instead.
    pub receiving_bytes: usize,
    /// How long the message of a call may take to arrive.
    pub upload: Duration,
    /// Bytes of a work item, with its history, that goes to a worker in one message. Most SDKs receive no
    /// more than 4 MiB, the frame included.
    pub inline_item_bytes: usize,
    /// Bytes of a page of a list; one entry may be larger.
    pub page_bytes: usize,
    /// Bytes of all replies that clients have asked for and not read.
    pub reply_bytes: usize,
    /// Calls of clients that are open at a time over all hubs, waits among them.
    pub calls: usize,
    /// Workers that are connected at a time.
    pub workers: usize,
    /// Connections at a time. There are never more than three quarters of the files that the process may open: a store
    /// needs some.
    pub connections: usize,
    /// How long a worker's stream is silent before it gets a ping; the SDKs give up at two minutes.
    pub ping_every: Duration,
    /// A connection that does not answer a ping of HTTP/2 for twice this long is gone, and so is one that says
    /// nothing for as long after it was made.
    pub keep_alive: Duration,
    /// How long an item may wait for a worker to read its stream before it goes to another.
    pub unread: Duration,
}

impl Default for GrpcOptions {
    fn default() -> Self {
        Self {
            receive_bytes: 64 << 20,
            receiving_bytes: 256 << 20,
            upload: Duration::from_secs(300),
            inline_item_bytes: 3_900 << 10,
            page_bytes: 3 << 20,
            reply_bytes: 256 << 20,
            calls: 100_000,
            workers: 1_000,
            connections: 4_000,
            ping_every: Duration::from_secs(30),
            keep_alive: Duration::from_secs(30),
            unread: Duration::from_secs(10),
        }
    }
}
