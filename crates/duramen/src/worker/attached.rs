//! A worker of a hub in the same process.

use super::{Link, Worker};
use duramen_core::ids::Run;
use duramen_core::work::WorkItem;
use duramen_hub::{Hub, WorkerLink};
use std::sync::Arc;

impl WorkerLink for Link {
    fn deliver(&self, items: Vec<WorkItem>) {
        Link::deliver(self, items);
    }

    fn end_session(&self, run: Run) {
        Link::end_session(self, run);
    }

    fn drained(&self) {
        Link::closed(self, "the worker was drained");
    }

    fn closed(&self, reason: &str) {
        Link::closed(self, reason);
    }
}

impl Worker {
    /// Attaches the worker to a hub; it takes work from now on.
    pub fn attach_to(&self, hub: &Hub) {
        let attachment = Arc::new(hub.attach(Box::new(self.link()), self.announcement()));
        let drained = Arc::clone(&attachment);
        let send = Box::new(move |answers| attachment.answer(answers));
        self.pool.outbox.attach(false, send, Some(Box::new(move || drained.drain())));
    }
}
