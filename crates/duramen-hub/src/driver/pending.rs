//! Calls of clients that have no reply yet, and replies that are about to leave.

use crate::error::HubError;
use duramen_backend::{Page, QueryId};
use duramen_core::request::{Refusal, Reply, RequestId};
use std::collections::HashMap;
use tokio::sync::oneshot;

#[derive(Default)]
pub(super) struct Pending {
    requests: HashMap<RequestId, Asked>,
    queries: HashMap<QueryId, oneshot::Sender<Result<Page, Refusal>>>,
    /// Of the requests, those that wait for an instance.
    waits: usize,
    replies: Vec<(oneshot::Sender<Reply>, Reply)>,
}

struct Asked {
    /// The partition that has it.
    at: usize,
    wait: bool,
    reply: oneshot::Sender<Reply>,
}

impl Pending {
    pub(super) fn asked(&mut self, id: RequestId, at: usize, wait: bool, reply: oneshot::Sender<Reply>) {
        self.waits += usize::from(wait);
        self.requests.insert(id, Asked { at, wait, reply });
    }

    /// The client has gone; says which partition has the request, if one has.
    pub(super) fn withdrawn(&mut self, id: RequestId) -> Option<usize> {
        let asked = self.requests.remove(&id)?;
        self.waits -= usize::from(asked.wait);
        Some(asked.at)
    }

    /// Another partition has it now.
    pub(super) fn moved(&mut self, id: RequestId, at: usize) {
        if let Some(asked) = self.requests.get_mut(&id) {
            asked.at = at;
        }
    }

    pub(super) fn answered(&mut self, id: RequestId, reply: Reply) {
        if let Some(asked) = self.requests.remove(&id) {
            self.waits -= usize::from(asked.wait);
            self.replies.push((asked.reply, reply));
        }
    }

    pub(super) fn searched(&mut self, id: QueryId, reply: oneshot::Sender<Result<Page, Refusal>>) {
        self.queries.insert(id, reply);
    }

    pub(super) fn found(&mut self, id: QueryId, page: Page) {
        if let Some(reply) = self.queries.remove(&id) {
            let _ = reply.send(Ok(page));
        }
    }

    /// Whether a client waits for an instance.
    pub(super) fn has_waits(&self) -> bool {
        self.waits > 0
    }

    /// Whether a client waits for a page.
    pub(super) fn has_queries(&self) -> bool {
        !self.queries.is_empty()
    }

    /// Sends the replies that have gathered: together, so that those who wait are woken together.
    pub(super) fn release(&mut self) {
        for (to, reply) in self.replies.drain(..) {
            // One that has gone meanwhile needs no reply.
            let _ = to.send(reply);
        }
    }

    /// Tells everyone that the hub has stopped.
    pub(super) fn stopped(&mut self, reason: &HubError) {
        self.release();
        for (_, asked) in self.requests.drain() {
            let refusal = match reason {
                // What was asked for may have been submitted to the store, which finishes that.
                HubError::Stopped(why) if !asked.wait => Refusal::OutcomeUnknown(why.clone()),
                _ => reason.under_way(),
            };
            let _ = asked.reply.send(Reply::Refused(refusal));
        }
        self.waits = 0;
        for (_, reply) in self.queries.drain() {
            let _ = reply.send(Err(reason.later()));
        }
    }
}
