//! How workers are connected to a hub.

use crate::hub::Shared;
use crate::inbox::Incoming;
use duramen_core::ids::Run;
use duramen_core::work::{Answer, WorkItem, WorkKind, WorkerId};
use duramen_proto::{ActivityResponse, OrchestratorResponse};
use std::sync::Arc;

/// How the hub sends to a worker. Called from the thread of the hub's loop: it must not block.
pub trait WorkerLink: Send + Sync {
    /// Work that the worker had announced room for.
    fn deliver(&self, items: Vec<WorkItem>);

    /// The session of this run is of no more use: the run has ended, was rewound, or its last answer
    /// was not accepted.
    fn end_session(&self, run: Run);

    /// The worker was drained: it has answered all that it had, and gets nothing more. Called once, last.
    fn drained(&self);

    /// The hub will send nothing more and take no more answers. Called once, last.
    fn closed(&self, reason: &str);
}

/// What a worker says about an item without returning its token.
#[derive(Clone, Debug)]
pub enum BareAnswer {
    /// An episode ran.
    Orchestrator(OrchestratorResponse),
    /// An activity ran.
    Activity(ActivityResponse),
}

/// A worker's end of its connection. Dropping it detaches the worker: what it had goes to others.
pub struct Attachment {
    shared: Arc<Shared>,
    worker: WorkerId,
}

impl Attachment {
    pub(crate) fn new(shared: Arc<Shared>, worker: WorkerId) -> Self {
        Self { shared, worker }
    }

    /// The worker's name within the hub.
    pub fn worker(&self) -> WorkerId {
        self.worker
    }

    /// Answers items. There is always room: each item came with the place for its answer.
    pub fn answer(&self, answers: Vec<Answer>) {
        if !answers.is_empty() {
            let worker = self.worker;
            self.shared.push_all(answers.into_iter().map(|answer| Incoming::Answer(worker, answer)));
        }
    }

    /// So many items of a kind have left for the worker's connection. Of no account unless the worker
    /// announced that it takes any number of them.
    pub fn sent(&self, kind: WorkKind, items: usize) {
        self.shared.push(Incoming::Sent(self.worker, kind, items));
    }

    /// Has the hub drain the worker: it gets nothing more, and once it has answered what it has it hears so.
    pub fn drain(&self) {
        self.shared.push(Incoming::Drain(self.worker, None));
    }

    /// Takes the worker away from the hub. What it had is given to others.
    pub fn detach(self) {}
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.shared.push(Incoming::Left(self.worker));
    }
}
