//! The store: opening it, and what can be submitted to it.

use crate::commit::Committer;
use crate::error::OpenError;
use crate::files::{Counters, Files, Place};
use crate::folder::Folder;
use crate::pace::{Pace, Settling};
use crate::reading::Read;
use crate::rows::Database;
use crate::shift::Shift;
use duramen_backend::journal::{Io, Journal, SegmentSizes, is_unfinished, segment_number};
use duramen_backend::recovery::{Recovered, Recovery};
use duramen_backend::rows::Rows;
use duramen_backend::settler::Settled;
use duramen_backend::{Backend, Event, Events, Failure, Hurry, Query, QueryId};
use duramen_core::checkpoint::{Checkpoint, TimerWindow};
use duramen_core::ids::{Epoch, InstanceId, PartitionId, Position, Slot, StoreId};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

/// How a folder is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How large the segments of the journal are made.
    pub sizes: SegmentSizes,
    /// When what is durable is settled.
    pub settling: Settling,
    /// Segments to be made before the store opens, besides the one that is always made in time. For
    /// measurements: it takes the filling of new files out of them.
    pub prepare: usize,
}

/// A store in a folder. Calls come from any thread.
pub struct Embedded(pub(crate) Store<Database>);

impl Embedded {
    /// Opens the store in a folder; makes both if they are not there.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let folder = Folder::open(path)?;
        let rows = Database::open(path)?;
        Store::open(path, Files::new(Place::Folder(folder)), rows, options).map(Self)
    }

    /// What was asked of the file system since the store was opened, opening it included, and how far
    /// settling is.
    pub fn counters(&self) -> Counters {
        self.0.counters()
    }
}

/// A store over files and rows, whatever these are.
pub(crate) struct Store<R: Rows + 'static> {
    pub(crate) committer: Arc<Committer<R>>,
}

impl<R: Rows + 'static> Store<R> {
    pub(crate) fn open(path: &Path, files: Files, rows: R, options: Options) -> Result<Self, OpenError> {
        let recovered = recover(path, &files, rows, options.sizes)?;
        if let Some(torn) = &recovered.torn {
            tracing::warn!(
                file = files.name(&torn.file),
                offset = torn.offset,
                batch = torn.batch,
                "cut off what stood behind the end of the journal: it was being written when the process ended, and was never acknowledged"
            );
        }
        let mut journal = recovered.journal;
        let failed = |failure: Failure| OpenError::Files {
            what: "make durable what was read from",
            path: path.to_owned(),
            source: io::Error::other(failure.to_string()),
        };
        files.perform(&recovered.io).map_err(failed)?;
        for _ in 0..options.prepare {
            let plan = journal.plan_next();
            files.perform(&plan.io).map_err(failed)?;
            journal.prepared(plan);
        }
        let pace = Pace::new(options.settling);
        let committer = Committer::new(files, journal, recovered.leases, recovered.settler, pace);
        // What the journal holds beyond the tables goes into them before anybody reads.
        let mut settled = committer.settler.settle();
        if matches!(settled, Settled::Full(_)) && committer.fall_short() {
            settled = committer.settler.settle();
        }
        match settled {
            Settled::Done => committer.chores.recycle(),
            Settled::Full(source) => return Err(OpenError::NoSpace { folder: path.to_owned(), source }),
            Settled::Failed => {
                let failure = committer.settler.outlet().failure();
                return Err(failed(failure.expect("a store that failed has said so, and nobody listens yet")));
            }
        }
        if committer.is_short() {
            committer.settler.outlet().put([Event::Space { short: true }]);
            committer.pace.look_for_space();
        }
        let store = Self { committer: Arc::new(committer) };
        store.begin();
        Ok(store)
    }

    /// Lets the threads come when they are called, and calls them: there may be something left of the last time.
    fn begin(&self) {
        let committer = &self.committer;
        let come = |shift: &Shift, name: &'static str, run: fn(&Committer<R>)| {
            let committer = Arc::downgrade(committer);
            shift.begin(Box::new(move || {
                let committer = committer.upgrade()?;
                let settler = Arc::clone(&committer);
                let spawned = thread::Builder::new().name(name.to_owned()).spawn(move || run(&committer));
                // Whoever called it delivers what is said here: a lock of theirs is held.
                let failed = |error: io::Error| {
                    let what = format!("failed to start the thread {name}");
                    settler.settler.fail(Failure { what, reason: error.to_string() });
                };
                spawned.map_err(failed).ok()
            }));
        };
        come(&committer.shift, "duramen-write", Committer::run);
        come(&committer.pace.shift, "duramen-settle", Committer::run_settling);
        come(&committer.chores.shift, "duramen-chores", Committer::run_chores);
        come(&committer.settles.reading.shift, "duramen-read", Committer::run_reading);
        committer.begin();
        committer.pace.begin();
        committer.chores.begin();
        committer.settles.reading.begin();
    }

    /// Tells the listener if a thread that was called could not come.
    fn called(&self) {
        if self.committer.settler.has_failed() {
            self.committer.settler.outlet().deliver();
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        let committer = &self.committer;
        let (unsettled_bytes, unsettled_bytes_max) = committer.pace.unsettled();
        Counters {
            settles: committer.settles.count.load(Ordering::Relaxed),
            settled_position: committer.settler.settled().0,
            unsettled_bytes,
            unsettled_bytes_max,
            no_space: committer.is_short(),
            batch_p999: committer.batches.per_mille(999),
            batch_max: committer.batches.max(),
            ..committer.files.counters()
        }
    }
}

/// Reads what is there.
fn recover<R: Rows>(path: &Path, files: &Files, rows: R, sizes: SegmentSizes) -> Result<Recovered<R>, OpenError> {
    let unreadable =
        |source| OpenError::Files { what: "read the journal of the store in", path: path.to_owned(), source };
    let damaged = |source| OpenError::Recovery { folder: path.to_owned(), source };
    let mut recovery = Recovery::new(rows, sizes).map_err(damaged)?;
    let mut unfinished = Vec::new();
    for file in files.list().map_err(unreadable)? {
        if is_unfinished(&file) {
            unfinished.push(Io::Remove { file });
        } else if segment_number(&file).is_some() {
            recovery.segment(&file, files.read(&file).map_err(unreadable)?).map_err(damaged)?;
        }
    }
    let mut recovered = recovery.finish(|| Journal::create(random_store_id(), sizes)).map_err(damaged)?;
    recovered.io.splice(0..0, unfinished);
    Ok(recovered)
}

/// The standard library's only source of chance is the key of its hashers.
fn random_store_id() -> StoreId {
    StoreId(RandomState::new().hash_one(std::time::SystemTime::now()))
}

impl<R: Rows + 'static> Backend for Store<R> {
    fn listen(&self, events: Events) {
        self.committer.settler.outlet().listen(events);
    }

    fn acquire(&self, partition: PartitionId, slots: Vec<Slot>) {
        self.committer.submit(Hurry::Busy, |queue| queue.acquire(partition, slots));
        self.called();
    }

    fn append(&self, partition: PartitionId, epoch: Epoch, checkpoints: Vec<Checkpoint>, hurry: Hurry) {
        let checkpoints = checkpoints.into_iter().map(Into::into).collect();
        self.committer.submit(hurry, |queue| {
            queue.append(partition, epoch, checkpoints);
            Ok(())
        });
        self.called();
    }

    fn load(&self, partition: PartitionId, id: InstanceId) {
        self.committer.settles.reading.put(Read::Load(partition, id));
        self.called();
    }

    fn timers(&self, partition: PartitionId, slots: Vec<Slot>, window: TimerWindow) {
        self.committer.settles.reading.put(Read::Timers(partition, slots, window));
        self.called();
    }

    fn query(&self, query: QueryId, what: Query) {
        if self.committer.settler.query(query, what) {
            self.committer.settles.reading.await_settle();
            self.committer.pace.ask();
        } else {
            self.committer.settles.reading.put(Read::Queries { late: false });
        }
        self.called();
    }

    fn settle(&self, position: Position) {
        if self.committer.settler.settle_to(position) {
            self.committer.pace.ask();
        }
        self.committer.settler.outlet().deliver();
    }

    fn close(&self) {
        let committer = &self.committer;
        // The writer first: it may still have something for the others, and so on.
        committer.close();
        committer.shift.join();
        committer.pace.close();
        committer.pace.shift.join();
        committer.chores.close();
        committer.chores.shift.join();
        committer.settles.reading.close();
        committer.settles.reading.shift.join();
        committer.files.release();
    }
}

impl<R: Rows> Drop for Store<R> {
    fn drop(&mut self) {
        self.close();
    }
}

impl Backend for Embedded {
    fn listen(&self, events: Events) {
        self.0.listen(events);
    }

    fn acquire(&self, partition: PartitionId, slots: Vec<Slot>) {
        self.0.acquire(partition, slots);
    }

    fn append(&self, partition: PartitionId, epoch: Epoch, checkpoints: Vec<Checkpoint>, hurry: Hurry) {
        self.0.append(partition, epoch, checkpoints, hurry);
    }

    fn load(&self, partition: PartitionId, id: InstanceId) {
        self.0.load(partition, id);
    }

    fn timers(&self, partition: PartitionId, slots: Vec<Slot>, window: TimerWindow) {
        self.0.timers(partition, slots, window);
    }

    fn query(&self, query: QueryId, what: Query) {
        self.0.query(query, what);
    }

    fn settle(&self, position: Position) {
        self.0.settle(position);
    }

    fn close(&self) {
        self.0.close();
    }
}
