//! What can be wrong with a checkpoint.

/// A change that does not fit the rows it is about. The journal that it comes from is damaged, or
/// whoever wrote it made a mistake; it is never skipped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// A delta without a change that this version knows.
    #[error(
        "checkpoint {number} holds a change of a kind that this version does not know; open the store with the version of Duramen that wrote it, or a newer one"
    )]
    UnknownChange {
        /// The checkpoint.
        number: u64,
    },
    /// A field that is always set is absent.
    #[error("{change} has no {field}")]
    NoField {
        /// The kind of change.
        change: &'static str,
        /// The field.
        field: &'static str,
    },
    /// There is no such instance.
    #[error("{change} names the instance of birth {birth:#x}, which does not exist")]
    NoInstance {
        /// The kind of change.
        change: &'static str,
        /// The birth.
        birth: u64,
    },
    /// There is no such run.
    #[error("{change} names the run {run:#x}, which does not exist")]
    NoRun {
        /// The kind of change.
        change: &'static str,
        /// The run.
        run: u64,
    },
    /// There is no such row below a run, an instance or a pair of slots.
    #[error("{change} names {what} {number} of {of:#x}, which does not exist")]
    NoRow {
        /// The kind of change.
        change: &'static str,
        /// What kind of row.
        what: &'static str,
        /// Its number.
        number: u64,
        /// The run or birth that it would belong to.
        of: u64,
    },
    /// A text lies outside of its event.
    #[error("{change} of instance {birth:#x} has a text at {start}, {length} bytes long, in an event of {event} bytes")]
    NoText {
        /// The kind of change.
        change: &'static str,
        /// The birth.
        birth: u64,
        /// First byte.
        start: u32,
        /// Bytes.
        length: u32,
        /// Bytes of the event.
        event: usize,
    },
    /// Two instances with one id.
    #[error("instance {id:?} of birth {birth:#x} comes while the one of birth {other:#x} has its id")]
    IdTaken {
        /// The id.
        id: String,
        /// The new one.
        birth: u64,
        /// The one that exists.
        other: u64,
    },
    /// A number that must grow does not.
    #[error("{change} has the number {number} after {last}")]
    OutOfOrder {
        /// The kind of change.
        change: &'static str,
        /// The number.
        number: u64,
        /// The last one.
        last: u64,
    },
}
