//! Lists of instances.

use crate::Cursor;
use duramen_core::checkpoint::Row;
use duramen_core::time::Time;
use duramen_proto::OrchestrationStatus;

/// Which instances, and how many at a time. An empty filter lets everything through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Only these statuses.
    pub statuses: Vec<OrchestrationStatus>,
    /// Created at this time or later.
    pub created_from: Option<Time>,
    /// Created before this time.
    pub created_to: Option<Time>,
    /// Ended at this time or later.
    pub completed_from: Option<Time>,
    /// Ended before this time.
    pub completed_to: Option<Time>,
    /// The id begins with this.
    pub prefix: Option<String>,
    /// The orchestrator's name.
    pub name: Option<String>,
    /// Has this tag with this value.
    pub tag: Option<(String, String)>,
    /// The instance id of the parent.
    pub parent: Option<String>,
    /// How the rows are ordered.
    pub order: Order,
    /// Rows of a page, at least 1.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// Only heads and tails are wanted: inputs, outputs, custom statuses and last events may be left out.
    pub bare: bool,
    /// The rows are wanted as they are settled now, without waiting for what is not: they are hints.
    /// [`Page::as_of`] is not said then.
    pub hints: bool,
}

/// The order of a list. A cursor is a position in it, valid with any page size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By (created, birth), or by id when a prefix is given.
    #[default]
    Created,
    /// By (completed, id); only instances that have ended.
    Completed,
}

/// Some rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// In order.
    pub rows: Vec<Row>,
    /// Where to go on; absent when nothing is left.
    pub next: Option<Cursor>,
    /// When the rows were as they are shown. Absent when everything that was durable when the query
    /// came is in them.
    pub as_of: Option<Time>,
}
