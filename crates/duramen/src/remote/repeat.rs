//! Calls that are made again, and what their errors mean.

use super::channel::root;
use super::{Backoff, Calls, Remote};
use crate::client::{ClientError, Refusal};
use duramen_core::extension::REFUSAL;
use std::error::Error as StdError;
use std::future::Future;
use std::time::{Duration, Instant};
use tonic::{Code, ConnectError, Status};

/// A wait that lasted this long had a server, so what comes after it is another break.
const ALIVE: Duration = Duration::from_secs(10);

/// What is done when a call breaks off, so that it is not known whether it did what it asks for.
#[derive(Clone, Copy)]
pub(super) enum Broken<'a> {
    /// It is made again: done twice is as good as done once.
    Again,
    /// It is made again, until this time: it may last, and have more than one break.
    WaitOn(Option<Instant>),
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
    /// and so is what may be done twice.
    pub(super) async fn repeat<T, F>(
        &self,
        broken: Broken<'_>,
        mut call: impl FnMut(Calls) -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let mut bridge = None;
        loop {
            let begun = Instant::now();
            let status = match call(self.calls()).await {
                Ok(answer) => return Ok(answer),
                Err(status) => status,
            };
            let error = match (self.fault(status), broken) {
                (Fault::Answer(error), _) => return Err(error),
                (Fault::NotDone(error), _) => error,
                (Fault::Broken(reason), Broken::Again | Broken::WaitOn(_)) => self.unreachable(reason),
                (Fault::Broken(reason), Broken::Tell(what)) => {
                    let (what, address) = (what.to_owned(), self.address());
                    return Err(ClientError::UnknownOutcome { what, address, reason });
                }
            };
            if matches!(broken, Broken::WaitOn(_)) && begun.elapsed() >= ALIVE {
                bridge = None;
            }
            let Some(pause) = bridge.get_or_insert_with(|| Bridge::over(self, broken)).pause() else {
                return Err(error);
            };
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

/// What is left of a time without a server.
struct Bridge {
    backoff: Backoff,
    /// `None` is never.
    ends: Option<Instant>,
}

impl Bridge {
    fn over(remote: &Remote, broken: Broken<'_>) -> Self {
        let bridged = Instant::now().checked_add(remote.options().bridge);
        let until = match broken {
            Broken::WaitOn(until) => until,
            Broken::Again | Broken::Tell(_) => None,
        };
        Self { backoff: remote.backoff(), ends: bridged.into_iter().chain(until).min() }
    }

    /// How long to wait before the next try; `None` when it is over.
    fn pause(&mut self) -> Option<Duration> {
        let left = self.ends.map_or(Duration::MAX, |ends| ends.saturating_duration_since(Instant::now()));
        (!left.is_zero()).then(|| self.backoff.next().min(left))
    }
}
