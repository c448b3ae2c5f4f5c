//! The bounds over all connections of a server.

use super::GrpcOptions;
use super::share::{Held, Mine, Share};
use super::socket::Connection;
use prost::Message;
use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::{Response, Status};

/// Replies below this count by the number of calls alone.
const LARGE_REPLY: usize = 16 << 10;
/// Calls at a time that have asked for what may be large and do not know yet how large it is.
const READS: usize = 64;
/// Bytes that are counted together of a message that is received; what is smaller counts by the number of calls.
pub(super) const UPLOAD_UNIT: usize = 4 << 10;

/// All of them.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) connections: Arc<Semaphore>,
    /// Calls of clients that have no reply yet.
    pub(super) calls: Arc<Share>,
    /// Streams of workers.
    pub(super) workers: Arc<Share>,
    /// Messages of clients that are being received or have no reply yet, in [`UPLOAD_UNIT`]s.
    pub(super) received: Arc<Share>,
    /// The same for workers, who are not refused but wait.
    pub(super) answers: Arc<Semaphore>,
    /// Bytes of replies that clients have not read.
    replies: Arc<Share>,
    reads: Semaphore,
}

impl Limits {
    pub(super) fn new(options: &GrpcOptions) -> Self {
        // A message that may be received at all must fit.
        let units = options.receiving_bytes.max(options.receive_bytes) / UPLOAD_UNIT + 1;
        let connections = open_files().map_or(options.connections, |files| options.connections.min(files / 4 * 3));
        Self {
            connections: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))),
            calls: Share::new(options.calls),
            workers: Share::new(options.workers),
            received: Share::new(units),
            answers: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))),
            replies: Share::new(options.reply_bytes),
            reads: Semaphore::new(READS),
        }
    }

    /// Waits until it may ask for something that may be large. Held until it is known how large.
    pub(super) async fn read(&self) -> SemaphorePermit<'_> {
        self.reads.acquire().await.expect("it is never closed")
    }

    /// Room for a reply, until its client has read it.
    pub(super) fn reply(&self, of: &Connection, bytes: usize) -> Result<Option<Held>, Status> {
        if bytes < LARGE_REPLY {
            return Ok(None);
        }
        let held = self.replies.take(&of.held().replies, bytes);
        held.map(Some).ok_or_else(|| {
            let all = self.replies.all();
            refused(format!(
                "the reply has {bytes} bytes, and too many of the {all} bytes of replies that the server holds wait to be read by their clients; read them, or ask for less"
            ))
        })
    }

    /// A reply with the room that it needs.
    pub(super) fn respond<M: Message>(&self, of: &Connection, message: M) -> Result<Response<M>, Status> {
        let held = self.reply(of, message.encoded_len())?;
        let mut response = Response::new(message);
        if let Some(held) = held {
            response.extensions_mut().insert(Arc::new(held));
        }
        Ok(response)
    }
}

/// What one connection holds of each.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldOfEach {
    pub(super) calls: Mine,
    pub(super) workers: Mine,
    pub(super) received: Mine,
    pub(super) replies: Mine,
    /// Messages of workers that wait for room.
    pub(super) waiting: Mine,
}

/// Files that the process may have open, where the system says so.
fn open_files() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok())
}

pub(super) fn refused(text: impl Into<String>) -> Status {
    Status::resource_exhausted(text)
}
