//! How a hub ends.

use super::{Driver, Phase};
use crate::error::HubError;
use crate::hub::Shared;
use crate::inbox::Incoming;
use duramen_core::request::Reply;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

impl Driver {
    /// Begins to stop, or joins those who wait for it.
    pub(super) fn drain(&mut self, patience: Duration, done: oneshot::Sender<Result<(), HubError>>) {
        let now = Instant::now();
        // What does not fit into an `Instant` is as good as for ever.
        let patience = patience.min(Duration::from_secs(100 * 365 * 86_400));
        match &mut self.phase {
            Phase::Draining { until, done: others } => {
                *until = (*until).min(now + patience);
                others.push(done);
            }
            Phase::Running => {
                self.phase = Phase::Draining { until: now + patience, done: vec![done] };
            }
            Phase::Opening { .. } => unreachable!("nothing is fed before the partitions are open"),
            Phase::Stopped(reason) => {
                let _ = done.send(ended(reason));
            }
        }
    }

    /// Stops once nothing is under way any more, or patience has run out.
    pub(super) fn stop_when_drained(&mut self, shared: &Shared) {
        if let Phase::Draining { until, .. } = &self.phase
            && (self.is_quiet() || *until <= Instant::now())
        {
            self.stop(shared, HubError::shut_down());
        }
    }

    /// Stops: whoever waits for something hears why, and the store is closed.
    pub(crate) fn stop(&mut self, shared: &Shared, reason: HubError) {
        let before = match std::mem::replace(&mut self.phase, Phase::Stopped(reason.clone())) {
            Phase::Stopped(first) => {
                self.phase = Phase::Stopped(first);
                return;
            }
            before @ (Phase::Opening { .. } | Phase::Running | Phase::Draining { .. }) => before,
        };
        if !matches!(reason, HubError::Stopped(_)) {
            tracing::error!("{reason}");
        }
        shared.inbox().close(reason.later());
        self.retain_no_more();
        self.release();
        self.workers.stopped(&reason.to_string());
        self.pending.stopped(&reason);
        for incoming in self.arrived.drain(..) {
            refuse(&reason, incoming);
        }
        self.slices.clear();
        self.unsynced = Default::default();
        // Waits for what was submitted; nothing else is left for this loop to do.
        shared.backend.close();
        shared.ended.send_replace(Some(reason.clone()));
        match before {
            Phase::Opening { opened, .. } => {
                let _ = opened.send(Err(reason));
            }
            Phase::Draining { done, .. } => {
                for done in done {
                    let _ = done.send(ended(&reason));
                }
            }
            Phase::Running | Phase::Stopped(_) => {}
        }
    }
}

/// What a shutdown has come to.
fn ended(reason: &HubError) -> Result<(), HubError> {
    match reason {
        HubError::Stopped(_) => Ok(()),
        HubError::Option { .. } | HubError::Store(_) | HubError::LostLease(_) | HubError::Internal(_) => {
            Err(reason.clone())
        }
    }
}

/// Answers what comes to a hub that has stopped.
pub(super) fn refuse(reason: &HubError, incoming: Incoming) {
    match incoming {
        Incoming::Request(call) => {
            let _ = call.reply.send(Reply::Refused(reason.later()));
        }
        Incoming::Query(search) => {
            let _ = search.reply.send(Err(reason.later()));
        }
        Incoming::Joined(_, link, _) => link.closed(&reason.to_string()),
        Incoming::Shutdown(_, done) => {
            let _ = done.send(ended(reason));
        }
        Incoming::Held(_, _, reply) => {
            let _ = reply.send(Reply::Refused(reason.later()));
        }
        // Whoever looks hears that there is nobody to ask.
        Incoming::Drain(..) | Incoming::Look(_) => {}
        Incoming::Cancelled(_) | Incoming::Answer(..) | Incoming::Sent(..) | Incoming::Left(_) => {}
        Incoming::Bare(bare) => {
            let _ = bare.token.send(None);
        }
    }
}
