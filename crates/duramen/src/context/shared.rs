//! What the context, its futures and the session that drives them have in common.

use crate::json::JsonError;
use duramen_core::replay::Replay;
use duramen_proto::TaskFailureDetails;
use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

/// Of one execution.
pub(crate) struct Shared {
    pub(crate) replay: RefCell<Replay>,
    start: OnceCell<Start>,
    pub(crate) continued: RefCell<Option<Continued>>,
    /// A panic of author code that runs while the replay is at work.
    pub(crate) panicked: RefCell<Option<Box<TaskFailureDetails>>>,
    pub(crate) guids: Cell<u32>,
    pub(crate) randoms: Cell<u64>,
    step: Cell<Option<Step>>,
}

/// The input of the next generation, and its version when that changes.
pub(crate) type Continued = (Result<String, JsonError>, Option<String>);

/// What an execution was started with.
#[derive(Debug, Default)]
pub(crate) struct Start {
    pub(crate) instance_id: String,
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    pub(crate) input: Option<String>,
    pub(crate) parent_instance_id: Option<String>,
    pub(crate) default_version: Option<Arc<str>>,
}

/// The last durable thing that the code asked for, and where.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    what: &'static str,
    place: &'static Location<'static>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            replay: RefCell::new(Replay::new()),
            start: OnceCell::new(),
            continued: RefCell::new(None),
            panicked: RefCell::new(None),
            guids: Cell::new(0),
            randoms: Cell::new(0),
            step: Cell::new(None),
        }
    }

    /// Sets what the execution was started with. There is no context before that.
    pub(crate) fn begin(&self, start: Start) {
        // A second start of an execution is dropped by the replay.
        let _ = self.start.set(start);
    }

    pub(crate) fn start(&self) -> &Start {
        self.start.get().expect("the context is made after the start is known")
    }

    #[track_caller]
    pub(crate) fn step(&self, what: &'static str) {
        self.step.set(Some(Step { what, place: Location::caller() }));
    }

    /// For messages about an await that leads nowhere: Rust does not tell its place.
    pub(crate) fn last_step(&self) -> String {
        match self.step.get() {
            Some(Step { what, place }) => format!("the last durable step before it is {what} at {place}"),
            None => "there is no durable step before it".to_string(),
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("start", &self.start).finish_non_exhaustive()
    }
}
