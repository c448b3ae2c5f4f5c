//! A connection of a client or worker, and what it is known by.

use super::desk::Desk;
use super::limits::HeldOfEach;
use super::stream::WorkerStream;
use duramen_core::work::WorkerId;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tonic::transport::server::Connected;

/// What all calls over one connection have in common. An answer without a token is about an item of the
/// connection that it comes over.
#[derive(Clone, Debug, Default)]
pub(super) struct Connection {
    shared: Arc<OfConnection>,
}

#[derive(Debug, Default)]
struct OfConnection {
    streams: Mutex<Vec<Joined>>,
    held: HeldOfEach,
}

/// A stream of items over a connection, and the hub that it is of.
type Joined = (Weak<WorkerStream>, Weak<Desk>);

impl Connection {
    fn streams(&self) -> MutexGuard<'_, Vec<Joined>> {
        self.shared.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it holds of what all share.
    pub(super) fn held(&self) -> &HeldOfEach {
        &self.shared.held
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

/// Bytes with which HTTP/2 begins.
const PREFACE: usize = 24;

/// A socket that was accepted.
pub(super) struct Socket {
    inner: TcpStream,
    connection: Connection,
    /// Until HTTP/2 begins, which then looks itself whether somebody is there.
    silent: Option<Silent>,
    _place: OwnedSemaphorePermit,
}

struct Silent {
    until: Pin<Box<Sleep>>,
    /// Bytes that must still come.
    due: usize,
}

impl Socket {
    /// It has a place among all connections, and must say something within a time.
    pub(super) fn new(inner: TcpStream, place: OwnedSemaphorePermit, within: Duration) -> Self {
        // Small messages go out at once; a socket that cannot do that still works.
        let _ = inner.set_nodelay(true);
        let silent = Silent { until: Box::pin(tokio::time::sleep(within)), due: PREFACE };
        Self { inner, connection: Connection::default(), silent: Some(silent), _place: place }
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
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        let Some(silent) = &mut self.silent else { return read };
        silent.due = silent.due.saturating_sub(buf.filled().len() - before);
        if silent.due == 0 {
            self.silent = None;
        } else if read.is_pending() && silent.until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
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
