//! The side of a store that comes after the journal: answers, tables, reads.

use crate::outlet::Outlet;
use crate::submission::{Encoded, Submitted};
use crate::tables::Settling;
use crate::{Event, Failure, Query, QueryId};
use duramen_core::checkpoint::Checkpoint;
use duramen_core::ids::{InstanceId, PartitionId, Position, StoreId};
use prost::Message;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Answers for batches that are durable, folds them into the tables, and reads from those.
///
/// What is durable is first put aside ([`committed`](Self::committed), cheap: the writer goes on) and
/// settled by whoever comes first: a thread of the backend, or a read that has to see it.
pub struct Settler {
    store: StoreId,
    outlet: Outlet,
    durable: Mutex<Vec<(Position, Encoded)>>,
    settling: Mutex<Settling>,
    failed: AtomicBool,
}

impl Settler {
    /// A settler over tables that hold everything up to where the journal was opened.
    pub fn new(store: StoreId, settling: Settling) -> Self {
        Self {
            store,
            outlet: Outlet::default(),
            durable: Mutex::default(),
            settling: Mutex::new(settling),
            failed: AtomicBool::new(false),
        }
    }

    /// Where events go.
    pub fn outlet(&self) -> &Outlet {
        &self.outlet
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

    /// Answers for a batch that is durable and ends at this position. Its checkpoints wait to be
    /// settled; those before a lease are, because its owner is told what they left.
    pub fn committed(&self, batch: Vec<Submitted>, position: Position) {
        let mut events = Vec::with_capacity(batch.len());
        let mut durable = Vec::with_capacity(batch.len());
        for submitted in batch {
            match submitted {
                Submitted::Append { partition, epoch, checkpoint } => {
                    events.push(Event::Appended { partition, epoch, number: checkpoint.number, position });
                    durable.push((position, checkpoint));
                }
                Submitted::Refused { partition, epoch, number, reason } => {
                    events.push(Event::Refused { partition, epoch, number, reason });
                }
                Submitted::Lease { partition, epoch, slots } => {
                    self.answer(&mut events, &mut durable);
                    self.settle();
                    let outstanding = Box::new(lock(&self.settling).tables().outstanding(&slots));
                    self.outlet.put([Event::Acquired { partition, epoch, store: self.store, outstanding }]);
                }
            }
        }
        self.answer(&mut events, &mut durable);
    }

    /// Lets events out together with the checkpoints that they are about. Another thread may deliver
    /// an event as soon as it is put in, and whoever has heard it must find its checkpoint in a read;
    /// nor may a checkpoint be settled before its event is in line.
    fn answer(&self, events: &mut Vec<Event>, checkpoints: &mut Vec<(Position, Encoded)>) {
        let mut durable = lock(&self.durable);
        durable.append(checkpoints);
        self.outlet.put(events.drain(..));
    }

    /// Folds everything that is durable into the tables.
    pub fn settle(&self) {
        let _ = self.settled();
    }

    /// The same, and the tables then; `None` after a failure.
    fn settled(&self) -> Option<MutexGuard<'_, Settling>> {
        // The tables are locked first, so that what is taken out of `durable` is folded in order.
        let mut settling = lock(&self.settling);
        if self.has_failed() {
            return None;
        }
        for (position, encoded) in std::mem::take(&mut *lock(&self.durable)) {
            // From a slice, so that a row shares no memory with the rest of its checkpoint.
            match Checkpoint::decode(&encoded.bytes[..]) {
                Ok(checkpoint) => settling.durable(position, checkpoint),
                Err(error) => {
                    let what = format!("failed to read checkpoint {} again", encoded.number);
                    self.fail(Failure { what, reason: error.to_string() });
                    return None;
                }
            }
        }
        let before = settling.settled();
        match settling.settle_all() {
            Ok(after) => {
                self.outlet.put((after > before).then_some(Event::Settled(after)));
                Some(settling)
            }
            Err(damage) => {
                let what = "failed to fold a checkpoint into the tables".to_owned();
                self.fail(Failure { what, reason: damage.to_string() });
                None
            }
        }
    }

    /// Answers that everything up to a position is settled, once it is: now, or by a later
    /// [`settle`](Self::settle) of something that is not durable yet.
    pub fn settle_to(&self, position: Position) {
        let before = lock(&self.settling).settled();
        if self.settled().is_some() && before >= position {
            // Nothing new was said, so the answer would be missing.
            self.outlet.put([Event::Settled(before)]);
        }
    }

    /// Answers a load.
    pub fn load(&self, partition: PartitionId, id: InstanceId) {
        if let Some(settling) = self.settled() {
            let image = settling.tables().load(id.as_str()).map(Box::new);
            self.outlet.put([Event::Loaded { partition, id, image }]);
        }
    }

    /// How many rows there are of what is open, with everything settled.
    pub fn open_rows(&self) -> usize {
        self.settled().map_or(0, |settling| settling.tables().open_rows())
    }

    /// Answers a query.
    pub fn query(&self, query: QueryId, what: &Query) {
        if let Some(settling) = self.settled() {
            self.outlet.put([Event::Queried { query, page: settling.tables().query(what) }]);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen_core::ids::Epoch;
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::thread;

    #[test]
    fn nobody_hears_of_a_checkpoint_before_it_can_be_read() {
        let settler = Arc::new(Settler::new(StoreId(1), Settling::default()));
        let (heard, events) = channel();
        settler.outlet().listen(Arc::new(move |event| drop(heard.send(event))));
        let reading = lock(&settler.durable);
        let (begin, begun) = channel();
        let writer = thread::spawn({
            let settler = Arc::clone(&settler);
            move || {
                let checkpoint = Checkpoint { number: 1, ..Checkpoint::default() }.into();
                let append = Submitted::Append { partition: PartitionId(0), epoch: Epoch(1), checkpoint };
                begin.send(()).expect("the test listens");
                settler.committed(vec![append], Position(1));
            }
        });
        begun.recv().expect("the writer runs");
        for _ in 0..10_000 {
            thread::yield_now();
            settler.outlet().deliver();
            assert!(events.try_recv().is_err(), "the checkpoint is not among what a read would fold");
        }
        drop(reading);
        writer.join().expect("the writer ends");
        settler.outlet().deliver();
        assert!(matches!(events.try_recv(), Ok(Event::Appended { number: 1, .. })));
    }
}
