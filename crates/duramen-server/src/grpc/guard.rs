//! What stands before the service: each call is counted with its connection, its message is let in as far as there is
//! room, and the room of its reply is held until the client has read it. What workers say about their items is never
//! refused.

use super::GrpcOptions;
use super::limits::{Limits, refused};
use super::share::Held;
use super::socket::Connection;
use super::upload::{From, Upload};
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body::{Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Service, http};

#[derive(Clone)]
pub(super) struct Guard<S> {
    inner: S,
    limits: Arc<Limits>,
    options: GrpcOptions,
}

impl<S> Guard<S> {
    pub(super) fn new(inner: S, limits: Arc<Limits>, options: GrpcOptions) -> Self {
        Self { inner, limits, options }
    }
}

/// Whose call it is, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    Client,
    /// A worker that connects.
    Joining,
    /// A worker that says something about an item.
    Worker,
}

fn caller(path: &str) -> Caller {
    match path.rsplit('/').next().unwrap_or(path) {
        "GetWorkItems" => Caller::Joining,
        name if name.starts_with("Complete") || name.starts_with("AbandonTask") => Caller::Worker,
        _ => Caller::Client,
    }
}

impl<S> Guard<S> {
    fn place(&self, caller: Caller, connection: &Connection) -> Result<Option<Held>, Status> {
        let (share, mine, what) = match caller {
            Caller::Client => (&self.limits.calls, &connection.held().calls, "open calls"),
            Caller::Joining => (&self.limits.workers, &connection.held().workers, "streams of workers"),
            Caller::Worker => return Ok(None),
        };
        share.take(mine, 1).map(Some).ok_or_else(|| {
            let all = share.all();
            refused(format!(
                "too many of the {all} {what} that the server has at most are taken, and one connection leaves as many free as it has; try again later"
            ))
        })
    }
}

impl<S> Service<http::Request<Body>> for Guard<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let connection = request.extensions().get::<Connection>().cloned().unwrap_or_default();
        let caller = caller(request.uri().path());
        let place = match self.place(caller, &connection) {
            Ok(place) => place,
            Err(status) => return Box::pin(async { Ok(status.into_http()) }),
        };
        let from = match caller {
            Caller::Client | Caller::Joining => From::Client(Arc::clone(&connection.held().received)),
            Caller::Worker => From::Worker(Arc::clone(&connection.held().waiting)),
        };
        let (head, body) = request.into_parts();
        let (upload, received) = Upload::new(body, from, Arc::clone(&self.limits), self.options.upload);
        let answer = self.inner.call(http::Request::from_parts(head, Body::new(upload)));
        Box::pin(async move {
            let mut response = answer.await?;
            drop(received);
            let reply = response.extensions_mut().remove::<Arc<Held>>();
            Ok(response.map(|body| Body::new(Download { body, _place: place, _reply: reply })))
        })
    }
}

/// The body of a reply. It is there until the client has taken all of it, or is gone.
struct Download {
    body: Body,
    _place: Option<Held>,
    _reply: Option<Arc<Held>>,
}

impl http_body::Body for Download {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
