//! The body of a call on its way in. Its message says at its beginning how long it is: room for that is taken before
//! it is gathered. A client for whose message there is none is refused; a worker's message waits.

use super::limits::{Limits, UPLOAD_UNIT, refused};
use super::share::{Held, Mine};
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body::{Frame, SizeHint};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;

/// Bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Messages of workers that wait on one connection; what is more is let in at once. What waits is not read, and so takes
/// from the connection's window: this many leave enough of it for those who have room.
const WAITING: usize = 64;
/// What a message that waits takes of it.
pub(super) const STREAM_WINDOW: u32 = 64 << 10;
/// What all calls of a connection may have sent and the server has not read.
pub(super) const CONNECTION_WINDOW: u32 = 2 * WAITING as u32 * STREAM_WINDOW;

/// Who sends it, and what counts for its connection: the room of a client's messages, how many of a worker's wait.
pub(super) enum From {
    Client(Mine),
    Worker(Mine),
}

/// The room that a message has.
enum Room {
    Client(#[expect(dead_code, reason = "it is held")] Held),
    Worker(#[expect(dead_code, reason = "it is held")] OwnedSemaphorePermit),
}

/// The wait for room, which the connection counts.
type Waiting = BoxFuture<'static, OwnedSemaphorePermit>;

/// Counts one that waits.
struct Counted(Mine);

impl Counted {
    fn new(waiting: &Mine) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(waiting))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where the room stays when the body is gone: until there is a reply.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Option<Room>>>);

impl Kept {
    fn keep(&self, room: Room) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(room);
    }
}

pub(super) struct Upload {
    body: Body,
    from: From,
    limits: Arc<Limits>,
    kept: Kept,
    prefix: Vec<u8>,
    /// Bytes that may still come, once it is known.
    due: Option<usize>,
    /// A piece that came while there is no room, and what it waits for.
    waiting: Option<(Bytes, Waiting)>,
    within: Duration,
    /// Runs from the first time that nothing was there.
    late: Option<Pin<Box<Sleep>>>,
}

impl Upload {
    pub(super) fn new(body: Body, from: From, limits: Arc<Limits>, within: Duration) -> (Self, Kept) {
        let kept = Kept::default();
        let upload = Self {
            body,
            from,
            limits,
            kept: kept.clone(),
            prefix: Vec::new(),
            due: None,
            waiting: None,
            within,
            late: None,
        };
        (upload, kept)
    }

    /// Looks at a piece; says whether it may go on.
    fn see(&mut self, piece: &Bytes) -> Result<Option<Waiting>, Status> {
        let mut rest = piece.len();
        let mut waits = None;
        if self.due.is_none() {
            let of_prefix = rest.min(PREFIX - self.prefix.len());
            self.prefix.extend_from_slice(&piece[..of_prefix]);
            rest -= of_prefix;
            let [_, length @ ..] = &self.prefix[..] else { return Ok(None) };
            let Ok(length) = <[u8; 4]>::try_from(length) else { return Ok(None) };
            let length = u32::from_be_bytes(length) as usize;
            self.due = Some(length);
            waits = self.make_room(length)?;
        }
        let due = self.due.unwrap_or(0);
        match due.checked_sub(rest) {
            Some(left) => self.due = Some(left),
            None => return Err(Status::invalid_argument("more than one message came with the call; send one")),
        }
        Ok(waits)
    }

    fn make_room(&mut self, length: usize) -> Result<Option<Waiting>, Status> {
        let units = length / UPLOAD_UNIT;
        // What is more than may be received at all is refused by who decodes it, before it is gathered.
        if units == 0 || units >= self.limits.received.all() {
            return Ok(None);
        }
        match &self.from {
            From::Client(mine) => match self.limits.received.take(mine, units) {
                Some(held) => {
                    self.kept.keep(Room::Client(held));
                    Ok(None)
                }
                None => Err(no_room(length, self.limits.received.all())),
            },
            From::Worker(waiting) => {
                let (answers, units) = (Arc::clone(&self.limits.answers), u32::try_from(units).unwrap_or(u32::MAX));
                if let Ok(permit) = Arc::clone(&answers).try_acquire_many_owned(units) {
                    self.kept.keep(Room::Worker(permit));
                    return Ok(None);
                }
                if waiting.load(Ordering::Relaxed) >= WAITING {
                    return Ok(None);
                }
                let counted = Counted::new(waiting);
                Ok(Some(Box::pin(async move {
                    let permit = answers.acquire_many_owned(units).await.expect("it is never closed");
                    drop(counted);
                    permit
                })))
            }
        }
    }

    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let within = self.within;
        let late = self.late.get_or_insert_with(|| Box::pin(tokio::time::sleep(within)));
        late.as_mut().poll(cx).is_ready()
    }
}

fn no_room(length: usize, units: usize) -> Status {
    let all = units * UPLOAD_UNIT;
    refused(format!(
        "the message has {length} bytes, and too many of the {all} bytes that the server receives at a time are taken; send it again later, fewer at a time"
    ))
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        loop {
            if let Some((piece, mut room)) = this.waiting.take() {
                // A worker that waits for room is not late: it is kept from sending.
                let Poll::Ready(permit) = room.as_mut().poll(cx) else {
                    this.waiting = Some((piece, room));
                    return Poll::Pending;
                };
                this.kept.keep(Room::Worker(permit));
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            let frame = match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(other) => return Poll::Ready(other),
                Poll::Pending if this.is_late(cx) => {
                    let text = format!("the message of the call did not arrive within {:?}", this.within);
                    return Poll::Ready(Some(Err(Status::deadline_exceeded(text))));
                }
                Poll::Pending => return Poll::Pending,
            };
            let piece = match frame.into_data() {
                Ok(piece) => piece,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            };
            match this.see(&piece) {
                Ok(None) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                Ok(Some(room)) => this.waiting = Some((piece, room)),
                Err(status) => return Poll::Ready(Some(Err(status))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
