//! A connection of a client or worker, and what it is known by.

use super::desk::Desk;
use super::stream::WorkerStream;
use duramen_core::work::WorkerId;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tonic::transport::server::Connected;

/// What all calls over one connection have in common. An answer without a token is about an item of the
/// connection that it comes over.
#[derive(Clone, Debug, Default)]
pub(super) struct Connection {
    streams: Arc<Mutex<Vec<Joined>>>,
}

/// A stream of items over a connection, and the hub that it is of.
type Joined = (Weak<WorkerStream>, Weak<Desk>);

impl Connection {
    fn streams(&self) -> MutexGuard<'_, Vec<Joined>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker takes items over it.
    pub(super) fn joined(&self, stream: &Arc<WorkerStream>, desk: &Arc<Desk>) {
        let mut streams = self.streams();
        streams.retain(|(stream, _)| stream.strong_count() > 0);
        streams.push((Arc::downgrade(stream), Arc::downgrade(desk)));
    }

    /// The workers of a hub that take items over it, the newest first.
    pub(super) fn workers(&self, desk: &Arc<Desk>) -> Vec<WorkerId> {
        let streams = self.streams();
        let of_hub = streams.iter().rev().filter(|(_, of)| std::ptr::eq(of.as_ptr(), Arc::as_ptr(desk)));
        of_hub.filter_map(|(stream, _)| stream.upgrade()?.worker()).collect()
    }
}

/// A socket that was accepted.
pub(super) struct Socket {
    inner: TcpStream,
    connection: Connection,
}

impl Socket {
    pub(super) fn new(inner: TcpStream) -> Self {
        // Small messages go out at once; a socket that cannot do that still works.
        let _ = inner.set_nodelay(true);
        Self { inner, connection: Connection::default() }
    }
}

impl Connected for Socket {
    type ConnectInfo = Connection;

    fn connect_info(&self) -> Connection {
        self.connection.clone()
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
