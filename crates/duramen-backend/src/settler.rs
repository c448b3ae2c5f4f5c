//! The side of a store that comes after the journal: answers, settling, reads.

use crate::buffer::Buffer;
use crate::outlet::Outlet;
use crate::rows::{Rows, RowsError, Standing};
use crate::submission::{Encoded, Submitted};
use crate::{Event, Failure, Query, QueryId};
use duramen_core::checkpoint::{Checkpoint, TimerWindow};
use duramen_core::ids::{Epoch, InstanceId, PartitionId, Position, Slot, StoreId};
use duramen_core::planted;
use duramen_core::time::Time;
use prost::Message;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Answers for batches that are durable, folds them, settles what they come to, and reads.
///
/// What is durable is first put aside ([`committed`](Self::committed), cheap: the writer goes on).
/// [`fold`](Self::fold) brings it into the buffer, in which changes of one row cancel out, and
/// [`settle`](Self::settle) writes the buffer. When to do which is the backend's choice.
pub struct Settler<R> {
    rows: R,
    outlet: Outlet,
    waiting: Mutex<Waiting>,
    /// Locked before `waiting`, so that what is taken out of that is folded in order.
    folded: Mutex<Folded>,
    failed: AtomicBool,
}

/// What is durable and not folded, and who waits for a settle.
struct Waiting {
    durable: VecDeque<Durable>,
    /// Where what is durable ends.
    end: Position,
    settled: Position,
    /// Bytes of checkpoints, folded or not, that are not settled.
    bytes: u64,
    /// Of those, the ones that are folded.
    folded_bytes: u64,
    /// The furthest position that somebody asked to be settled.
    asked: Position,
    /// Leases whose owners wait for what is outstanding.
    leases: usize,
    queries: Vec<(Position, QueryId, Query)>,
}

enum Durable {
    Checkpoint(Position, Encoded),
    Lease { position: Position, partition: PartitionId, epoch: Epoch, slots: Vec<Slot> },
}

struct Folded {
    buffer: Buffer,
    /// What the rows stand for once the buffer is written.
    standing: Standing,
    /// What they stand for now; `None` until something is written by this process.
    written: Option<Standing>,
}

/// How a settle went.
#[derive(Debug)]
pub enum Settled {
    /// All that was durable is in the rows.
    Done,
    /// There is no space. Nothing is lost; it may be tried again.
    Full(Failure),
    /// The store has failed.
    Failed,
}

impl<R: Rows> Settler<R> {
    /// A settler over rows, and what they stand for.
    pub fn new(rows: R, standing: Standing) -> Self {
        let waiting = Waiting {
            durable: VecDeque::new(),
            end: standing.position,
            settled: standing.position,
            bytes: 0,
            folded_bytes: 0,
            asked: Position(0),
            leases: 0,
            queries: Vec::new(),
        };
        Self {
            rows,
            outlet: Outlet::default(),
            waiting: Mutex::new(waiting),
            folded: Mutex::new(Folded { buffer: Buffer::default(), standing, written: None }),
            failed: AtomicBool::new(false),
        }
    }

    /// Where events go.
    pub fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    /// The rows.
    pub fn rows(&self) -> &R {
        &self.rows
    }

    /// Whether the store has failed.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Ends the store: no event follows this one.
    pub fn fail(&self, failure: Failure) {
        self.failed.store(true, Ordering::Release);
        self.outlet.put([Event::Failed(failure)]);
    }

    /// Bytes of checkpoints that are durable and not settled.
    pub fn unsettled_bytes(&self) -> u64 {
        self.waiting().bytes
    }

    /// The position that the rows stand for.
    pub fn settled(&self) -> Position {
        self.waiting().settled
    }

    /// Whether somebody waits for a settle: the owner of a new lease, a query, a caller of
    /// [`settle_to`](Self::settle_to).
    pub fn is_asked_for(&self) -> bool {
        let waiting = self.waiting();
        waiting.leases > 0 || !waiting.queries.is_empty() || waiting.asked > waiting.settled
    }

    /// Answers for a batch that is durable and ends at this position. The owner of a lease is told
    /// what was outstanding once all that came before is settled.
    pub fn committed(&self, batch: Vec<Submitted>, position: Position) {
        let mut events = Vec::with_capacity(batch.len());
        // Another thread may deliver an event as soon as it is put in, and whoever has heard it must
        // find its checkpoint in a query; so the lock is held until both are in.
        let mut waiting = self.waiting();
        // A lease is answered after a settle, and a position stands for a whole batch: so all of the
        // batch is folded before its leases.
        let mut leases = Vec::new();
        for submitted in batch {
            match submitted {
                Submitted::Append { partition, epoch, checkpoint } => {
                    events.push(Event::Appended { partition, epoch, number: checkpoint.number, position });
                    waiting.bytes += checkpoint.bytes.len() as u64;
                    waiting.durable.push_back(Durable::Checkpoint(position, checkpoint));
                }
                Submitted::Refused { partition, epoch, number, reason } => {
                    events.push(Event::Refused { partition, epoch, number, reason });
                }
                Submitted::Lease { partition, epoch, slots } => {
                    waiting.leases += 1;
                    leases.push(Durable::Lease { position, partition, epoch, slots });
                }
            }
        }
        waiting.durable.extend(leases);
        waiting.end = waiting.end.max(position);
        self.outlet.put(events);
    }

    /// Takes what an earlier process made durable and did not settle.
    pub(crate) fn recover(&self, position: Position, epoch: Epoch, checkpoint: Checkpoint) -> Result<(), RowsError> {
        let mut folded = self.folded();
        folded.buffer.fold(checkpoint, &self.rows)?;
        folded.standing.position = folded.standing.position.max(position);
        folded.standing.epoch = folded.standing.epoch.max(epoch);
        let mut waiting = self.waiting();
        waiting.end = waiting.end.max(position);
        Ok(())
    }

    /// Says which store the rows belong to; known once the journal is read.
    pub(crate) fn belongs_to(&self, store: StoreId) {
        self.folded().standing.store = store;
    }

    /// Notes a lease that an earlier process was given.
    pub(crate) fn recover_lease(&self, position: Position, epoch: Epoch) {
        let mut folded = self.folded();
        folded.standing.position = folded.standing.position.max(position);
        folded.standing.epoch = folded.standing.epoch.max(epoch);
    }

    /// Folds what is durable. A lease among it is answered, for which all before it is settled.
    pub fn fold(&self) -> Settled {
        self.fold_into(&mut self.folded())
    }

    /// Folds what is durable, and writes it to the rows.
    pub fn settle(&self) -> Settled {
        let mut folded = self.folded();
        match self.fold_into(&mut folded) {
            Settled::Done => self.write(&mut folded),
            other => other,
        }
    }

    fn fold_into(&self, folded: &mut Folded) -> Settled {
        while !self.has_failed() {
            let Some(next) = self.waiting().durable.pop_front() else { return Settled::Done };
            match next {
                Durable::Checkpoint(position, encoded) => {
                    // From a slice, so that a row shares no memory with the rest of its checkpoint.
                    let checkpoint = match Checkpoint::decode(&encoded.bytes[..]) {
                        Ok(checkpoint) => checkpoint,
                        Err(error) => {
                            let what = format!("failed to read checkpoint {} again", encoded.number);
                            return self.failed(Failure { what, reason: error.to_string() });
                        }
                    };
                    if let Err(error) = folded.buffer.fold(checkpoint, &self.rows) {
                        return self.failed(of_rows("failed to fold a checkpoint", error));
                    }
                    folded.standing.position = position;
                    self.waiting().folded_bytes += encoded.bytes.len() as u64;
                }
                Durable::Lease { position, partition, epoch, slots } => {
                    let before = folded.standing;
                    folded.standing = Standing { position, epoch: before.epoch.max(epoch), ..before };
                    match self.write(folded) {
                        Settled::Done => {}
                        other => {
                            let mut waiting = self.waiting();
                            waiting.durable.push_front(Durable::Lease { position, partition, epoch, slots });
                            folded.standing = before;
                            return other;
                        }
                    }
                    self.waiting().leases -= 1;
                    self.read("failed to read what is outstanding", |rows| {
                        let outstanding = Box::new(rows.outstanding(&slots)?);
                        let store = folded.standing.store;
                        Ok(Event::Acquired { partition, epoch, store, outstanding })
                    });
                }
            }
        }
        Settled::Failed
    }

    fn write(&self, folded: &mut Folded) -> Settled {
        if self.has_failed() {
            return Settled::Failed;
        }
        let standing = folded.standing;
        if folded.written == Some(standing) && folded.buffer.is_empty() {
            return Settled::Done;
        }
        let stands = Standing { position: planted::stands_for(standing.position), ..standing };
        match self.rows.write(folded.buffer.changes(stands)) {
            Ok(()) => {}
            Err(RowsError::Full(failure)) => return Settled::Full(failure),
            Err(error) => return self.failed(of_rows("failed to settle", error)),
        }
        folded.buffer.clear();
        folded.written = Some(standing);
        let mut waiting = self.waiting();
        waiting.bytes -= std::mem::take(&mut waiting.folded_bytes);
        waiting.settled = standing.position;
        self.outlet.put([Event::Settled(standing.position)]);
        Settled::Done
    }

    fn failed(&self, failure: Failure) -> Settled {
        self.fail(failure);
        Settled::Failed
    }

    /// Asks that everything up to a position be settled, and says whether that is still to be done.
    /// If it has been, that is said again.
    pub fn settle_to(&self, position: Position) -> bool {
        let mut waiting = self.waiting();
        waiting.asked = waiting.asked.max(position);
        if waiting.settled >= position {
            self.outlet.put([Event::Settled(waiting.settled)]);
            return false;
        }
        true
    }

    /// Takes a query, and says whether a settle has to come first.
    pub fn query(&self, query: QueryId, what: Query) -> bool {
        let mut waiting = self.waiting();
        let end = if what.hints { waiting.settled } else { waiting.end };
        waiting.queries.push((end, query, what));
        waiting.settled < end && waiting.bytes > 0
    }

    /// Takes the queries whose settle has come; `late` also those that still wait for it, each with
    /// the fact that it did.
    pub fn due_queries(&self, late: bool) -> Vec<(QueryId, Query, bool)> {
        let mut waiting = self.waiting();
        let (settled, bytes) = (waiting.settled, waiting.bytes);
        let ready = |end: Position| end <= settled || bytes == 0;
        let due = waiting.queries.extract_if(.., |(end, ..)| late || ready(*end));
        due.map(|(end, query, what)| (query, what, !ready(end))).collect()
    }

    /// Answers a query from what is settled.
    pub fn answer(&self, query: QueryId, what: &Query, as_of: Option<Time>) {
        self.read("failed to list instances", |rows| {
            let page = rows.query(what)?;
            Ok(Event::Queried { query, page: crate::Page { as_of, ..page } })
        });
    }

    /// Answers a load.
    pub fn load(&self, partition: PartitionId, id: InstanceId) {
        self.read("failed to load an instance", |rows| {
            let image = rows.load(id.as_str())?.map(Box::new);
            Ok(Event::Loaded { partition, id, image })
        });
    }

    /// Answers a question for timers.
    pub fn timers(&self, partition: PartitionId, slots: &[Slot], window: TimerWindow) {
        self.read("failed to read timers", |rows| Ok(Event::Timers { partition, due: rows.timers(slots, window)? }));
    }

    fn read(&self, what: &str, read: impl FnOnce(&R) -> Result<Event, RowsError>) {
        if self.has_failed() {
            return;
        }
        match read(&self.rows) {
            Ok(event) => self.outlet.put([event]),
            Err(error) => self.fail(of_rows(what, error)),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }

    fn folded(&self) -> MutexGuard<'_, Folded> {
        lock(&self.folded)
    }
}

fn of_rows(what: &str, error: RowsError) -> Failure {
    match error {
        RowsError::Damage(damage) => Failure { what: what.to_owned(), reason: damage.to_string() },
        RowsError::Full(failure) | RowsError::Failed(failure) => failure,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Sample;
    use crate::tables::Tables;

    /// What stands behind a lease in its batch is in the rows when they say that the batch is.
    #[test]
    fn a_position_stands_for_a_whole_batch() {
        let standing = Standing { store: StoreId(1), position: Position(0), epoch: Epoch(0) };
        let rows = Tables::default();
        let settler = Settler::new(rows.clone(), standing);
        let append = |number, id: &str| {
            let deltas = Sample::new(id, number).start(b"<".as_slice().into());
            let checkpoint = Checkpoint { number, deltas }.into();
            Submitted::Append { partition: PartitionId(0), epoch: Epoch(1), checkpoint }
        };
        let lease = Submitted::Lease { partition: PartitionId(1), epoch: Epoch(2), slots: vec![Slot(7)] };
        settler.committed(vec![append(1, "before"), lease, append(2, "behind")], Position(5));
        assert!(matches!(settler.fold(), Settled::Done));
        let stands = rows.standing().expect("they can be read").expect("the lease was settled");
        assert_eq!((stands.position, stands.epoch), (Position(5), Epoch(2)));
        assert!(["before", "behind"].iter().all(|id| rows.load(id).expect("it can be read").is_some()));
    }
}
