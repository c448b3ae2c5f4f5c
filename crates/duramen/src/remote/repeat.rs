//! Calls that are made again, and what their errors mean.

use super::channel::root;
use super::{Backoff, Calls, Remote};
use crate::client::{ClientError, Refusal};
use duramen_core::extension::REFUSAL;
use std::error::Error as StdError;
use std::future::Future;
use std::time::{Duration, Instant};
use tonic::{Code, ConnectError, Status};

/// A call that lasted this long had a server, so what comes after it is another break.
const ALIVE: Duration = Duration::from_secs(10);

/// What is done when it is not known whether a call did what it asks for.
#[derive(Clone, Copy)]
pub(super) enum Doubt<'a> {
    /// It is made again: done twice is as good as done once.
    Repeat,
    /// The caller is told. This is what was asked for.
    Tell(&'a str),
}

/// How a call went wrong.
enum Fault {
    /// The server said no.
    Answer(ClientError),
    /// Nothing was done: nobody was there, or somebody who takes nothing at the moment.
    NotDone(ClientError),
    /// It broke off.
    Broken(String),
}

impl Remote {
    /// Makes a call until it is answered. What was surely not done is tried again for as long as a break is bridged,
    /// and so is what may be done twice; but not beyond `until`.
    pub(super) async fn repeat<T, F>(
        &self,
        doubt: Doubt<'_>,
        until: Option<Instant>,
        mut call: impl FnMut(Calls) -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let mut broken = Break::begins(self, until);
        loop {
            let begun = Instant::now();
            let status = match call(self.calls()).await {
                Ok(answer) => return Ok(answer),
                Err(status) => status,
            };
            let error = match (self.fault(status), doubt) {
                (Fault::Answer(error), _) => return Err(error),
                (Fault::NotDone(error), _) => error,
                (Fault::Broken(reason), Doubt::Repeat) => self.unreachable(reason),
                (Fault::Broken(reason), Doubt::Tell(what)) => {
                    let (what, address) = (what.to_owned(), self.address());
                    return Err(ClientError::UnknownOutcome { what, address, reason });
                }
            };
            if begun.elapsed() >= ALIVE {
                broken = Break::begins(self, until);
            }
            let Some(pause) = broken.pause() else { return Err(error) };
            tracing::debug!(%error, ?pause, "a call is made again");
            self.sleep(pause).await;
        }
    }

    fn fault(&self, status: Status) -> Fault {
        let sources = || std::iter::successors(status.source(), |cause| (*cause).source());
        if sources().any(|cause| cause.is::<ConnectError>()) {
            return Fault::NotDone(self.unreachable(root(&status)));
        }
        if sources().next().is_some() {
            return Fault::Broken(root(&status));
        }
        match refusal(&status) {
            Some(stopped @ Refusal::Stopped(_)) => Fault::NotDone(stopped.into()),
            Some(refusal) => Fault::Answer(refusal.into()),
            // Somebody on the way may have answered for a server that had begun.
            None if status.code() == Code::Unavailable => Fault::Broken(status.message().to_owned()),
            None => Fault::Answer(ClientError::Server {
                code: format!("{:?}", status.code()),
                message: status.message().to_owned(),
            }),
        }
    }

    fn unreachable(&self, reason: String) -> ClientError {
        ClientError::Unreachable { address: self.address(), reason }
    }
}

fn refusal(status: &Status) -> Option<Refusal> {
    Refusal::from_text(status.metadata().get(REFUSAL)?.to_str().ok()?)
}

/// A time without a server.
struct Break {
    backoff: Backoff,
    ends: Instant,
}

impl Break {
    fn begins(remote: &Remote, until: Option<Instant>) -> Self {
        let bridged = Instant::now() + remote.options().bridge;
        Self { backoff: remote.backoff(), ends: until.map_or(bridged, |until| until.min(bridged)) }
    }

    /// How long to wait before the next try; `None` when it is over.
    fn pause(&mut self) -> Option<Duration> {
        let left = self.ends.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| self.backoff.next().min(left))
    }
}
