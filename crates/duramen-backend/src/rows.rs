//! The settled side of a store: what is written to it at a time, and what is read from it.
//!
//! [`Changes`] are what the durable checkpoints since the last settle amount to, one change a row,
//! with everything resolved that they pointed to. A store of rows writes them in one transaction
//! together with the position that they stand for, and is never asked to think about them.

use crate::{Failure, Page, Query};
use bytes::Bytes;
use duramen_core::checkpoint::{
    CustomStatus, DueTimers, Head, Image, Outstanding, PairMark, Tail, Task, TaskKey, Timer, TimerWindow,
};
use duramen_core::ids::{Epoch, Position, Slot, StoreId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Timers that one read gives.
pub const TIMER_PAGE: usize = 4_096;
/// Rows that one query looks at. What it has found by then is its page, with a cursor.
pub const QUERY_SCAN: usize = 20_000;

/// What the rows of a store stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The store; rows in which nothing was ever written belong to none.
    pub store: StoreId,
    /// Everything at or below this position is in them.
    pub position: Position,
    /// The newest lease at that position. The journal's record of it may be gone.
    pub epoch: Epoch,
}

/// The rows of a store. Reads may come from any thread, and see whole transactions.
pub trait Rows: Send + Sync {
    /// What they stand for; `None` for rows in which nothing was ever written.
    fn standing(&self) -> Result<Option<Standing>, RowsError>;

    /// Writes changes and the position that they stand for: all or nothing, durable when it returns.
    fn write(&self, changes: &Changes) -> Result<(), RowsError>;

    /// The event of an inbox entry.
    fn arrived(&self, run: u64, sequence: u64) -> Result<Option<Bytes>, RowsError>;

    /// The event at a place of a run's history.
    fn history(&self, run: u64, index: u64) -> Result<Option<Bytes>, RowsError>;

    /// A task as it was written: its event may be a place in the history.
    fn task(&self, key: TaskKey) -> Result<Option<Task>, RowsError>;

    /// An instance with all that it has.
    fn load(&self, id: &str) -> Result<Option<Image>, RowsError>;

    /// A page of instances. A cursor of another order than the query's gives an empty page.
    fn query(&self, query: &Query) -> Result<Page, RowsError>;

    /// What is under way in these slots.
    fn outstanding(&self, slots: &[Slot]) -> Result<Outstanding, RowsError>;

    /// Timers of a stretch in these slots; at most [`TIMER_PAGE`] are looked at. The page that ends the
    /// stretch (`next` is absent) says in `beyond` when the first timer that is due at or after
    /// `window.before` is due, of these slots or of any: a partition asks for nothing more before that
    /// comes near, so it must not be later than the first in these slots, and is absent only when there
    /// is none in them. Pages with a `next` leave it absent.
    fn timers(&self, slots: &[Slot], window: TimerWindow) -> Result<DueTimers, RowsError>;

    /// Whether writes take their time, so that the journal on the same disk is not disturbed, or are
    /// done as fast as they can be, because appends wait for them.
    fn set_haste(&self, _haste: Haste) {}

    /// Does a slice of what can wait until nothing else is to be done: giving space back, moving what
    /// was written to where it stays. Says when it is to be called again.
    fn tidy(&self, _thrift: Thrift) -> Result<Tidied, RowsError> {
        Ok(Tidied::Done)
    }
}

/// How much writing rows may disturb what else is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// Writes rest now and then.
    Gentle,
    /// They do not.
    FlatOut,
}

/// How much free space rows may keep for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thrift {
    /// Some, for what is written next.
    Usual,
    /// None: the disk is full.
    Strict,
}

/// What is left to be tidied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tidied {
    /// Nothing, until the next write.
    Done,
    /// More, when there is time.
    More,
    /// Somebody reads what is in the way; in a second it may be different.
    Later,
}

/// Why rows were not written or read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RowsError {
    /// The changes do not fit the rows, or a row does not fit itself.
    #[error(transparent)]
    Damage(#[from] crate::Damage),
    /// There is no space. Nothing was written, and it may be tried again.
    #[error("{0}")]
    Full(Failure),
    /// Anything else.
    #[error("{0}")]
    Failed(#[from] Failure),
}

/// What a settle changes.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// What the rows stand for afterwards; always set.
    pub standing: Option<Standing>,
    /// By birth.
    pub instances: BTreeMap<u64, InstanceChange>,
    /// By run.
    pub runs: BTreeMap<u64, RunChange>,
    /// By (run, sequence): an entry and its instance's birth.
    pub inbox: BTreeMap<(u64, u64), RowChange<(u64, Bytes)>>,
    /// By key.
    pub tasks: BTreeMap<TaskKey, RowChange<Task>>,
    /// By (run, number).
    pub timers: BTreeMap<(u64, u64), RowChange<Timer>>,
    /// New messages, by (source, target, sequence).
    pub outbox: BTreeMap<(u32, u32, u64), Bytes>,
    /// By (source, target): messages up to this sequence go.
    pub acknowledged: BTreeMap<(u32, u32), u64>,
    /// By (source, target): the highest sequence sent.
    pub sent: BTreeMap<(u32, u32), u64>,
    /// By (source, target): the highest sequence received.
    pub received: BTreeMap<(u32, u32), u64>,
}

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum RowChange<T> {
    /// The rows have none, and get this one.
    New(T),
    /// The rows have one, and this replaces it.
    Replaced(T),
    /// The rows have one, and it goes. Those that go with their run or instance are not listed.
    Gone,
}

/// What becomes of an instance.
#[derive(Clone, Debug, PartialEq)]
pub enum InstanceChange {
    /// Something of it is written.
    Written(Box<InstanceWrite>),
    /// It goes, and every task of its birth with it; its run is among the closed ones.
    Gone,
}

/// The parts of an instance that are written. Those that are absent stay what they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InstanceWrite {
    /// Whether the rows have none of this birth; head and tail are then there.
    pub new: bool,
    /// The head, and the text of the input.
    pub head: Option<(Head, Option<Bytes>)>,
    /// The tail, and the text of the output.
    pub tail: Option<(Tail, Option<Bytes>)>,
    /// The custom status.
    pub custom_status: Option<CustomStatus>,
}

/// What becomes of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunChange {
    /// Whether the rows have nothing of it.
    pub new: bool,
    /// Whether its history, inbox and timers go. Nothing else is then written of it.
    pub closed: bool,
    /// Whether the history that is there goes first.
    pub rewritten: bool,
    /// The index of the first of `events` in the history.
    pub first: u64,
    /// Encoded events for the end of the history.
    pub events: Vec<Bytes>,
}

impl Changes {
    /// Whether no row changes.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
            && self.runs.is_empty()
            && self.inbox.is_empty()
            && self.tasks.is_empty()
            && self.timers.is_empty()
            && self.outbox.is_empty()
            && self.acknowledged.is_empty()
            && self.sent.is_empty()
            && self.received.is_empty()
    }
}

/// The slots of a partition, to be asked quickly.
pub struct SlotSet([bool; Slot::COUNT]);

impl SlotSet {
    /// Of these.
    pub fn new(slots: &[Slot]) -> Self {
        let mut set = [false; Slot::COUNT];
        slots.iter().for_each(|slot| set[usize::from(slot.0)] = true);
        Self(set)
    }

    /// Whether the instance of an id lives in one of them.
    pub fn holds_instance(&self, id: &str) -> bool {
        self.0[usize::from(duramen_core::ids::InstanceId::new(id).slot().0)]
    }

    /// Whether a slot, as it stands in a pair, is one of them.
    pub fn holds(&self, slot: u32) -> bool {
        self.0.get(slot as usize).copied().unwrap_or(false)
    }
}

/// Texts that stand in many rows, and in memory once.
#[derive(Default)]
pub struct SharedTexts(BTreeSet<Arc<str>>);

impl SharedTexts {
    /// The one copy of a text.
    pub fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let text: Arc<str> = text.into();
        self.0.insert(text.clone());
        text
    }
}

/// Pairs in which something was sent or received.
pub(crate) fn marks(pairs: &BTreeMap<(u32, u32), u64>, mine: impl Fn((u32, u32)) -> bool) -> Vec<PairMark> {
    let mark = |(&(source, target), &sequence): (&(u32, u32), &u64)| PairMark { source, target, sequence };
    pairs.iter().filter(|(pair, _)| mine(**pair)).map(mark).collect()
}
