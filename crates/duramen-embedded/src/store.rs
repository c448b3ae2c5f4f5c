//! The store: opening it, and what can be submitted to it.

use crate::commit::Committer;
use crate::error::OpenError;
use crate::files::{Counters, Files, Place};
use crate::folder::Folder;
use duramen_backend::journal::{Io, Journal, SegmentSizes, is_unfinished, segment_number};
use duramen_backend::recovery::{Recovered, Recovery};
use duramen_backend::settler::Settler;
use duramen_backend::tables::Tables;
use duramen_backend::{Backend, Events, Failure, Hurry, Query, QueryId};
use duramen_core::checkpoint::{Checkpoint, TimerWindow};
use duramen_core::ids::{Epoch, InstanceId, PartitionId, Position, Slot, StoreId};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// How a folder is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How large the segments of the journal are made.
    pub sizes: SegmentSizes,
    /// Segments to be made before the store opens, besides the one that is always made in time. For
    /// measurements: it takes the filling of new files out of them.
    pub prepare: usize,
}

/// A store in a folder. Calls come from any thread.
pub struct Embedded {
    committer: Arc<Committer>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Embedded {
    /// Opens the store in a folder; makes both if they are not there.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let folder = Folder::open(path)?;
        Self::open_files(path, Files::new(Place::Folder(folder)), options)
    }

    pub(crate) fn open_files(path: &Path, files: Files, options: Options) -> Result<Self, OpenError> {
        let recovered = recover(path, &files, options.sizes)?;
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
        let committer = Arc::new(Committer::new(files, journal, recovered.leases, recovered.settler));
        let store = Self { committer, threads: Mutex::default() };
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            let spawned = thread::Builder::new().name(name.to_owned()).spawn(run);
            spawned.map_err(|source| OpenError::Files { what: "start a thread for", path: path.to_owned(), source })
        };
        let (writer, settler) = (store.committer.clone(), store.committer.clone());
        let threads = [
            spawn("duramen-write", Box::new(move || writer.run()))?,
            spawn("duramen-settle", Box::new(move || settler.run_chores()))?,
        ];
        store.threads.lock().unwrap_or_else(PoisonError::into_inner).extend(threads);
        Ok(store)
    }

    /// What was asked of the file system since the store was opened, opening it included.
    pub fn counters(&self) -> Counters {
        self.committer.files.counters()
    }

    fn read(&self, read: impl FnOnce(&Settler<Tables>)) {
        read(&self.committer.settler);
        self.committer.settler.outlet().deliver();
    }
}

/// Reads what is there.
fn recover(path: &Path, files: &Files, sizes: SegmentSizes) -> Result<Recovered<Tables>, OpenError> {
    let unreadable =
        |source| OpenError::Files { what: "read the journal of the store in", path: path.to_owned(), source };
    let damaged = |source| OpenError::Recovery { folder: path.to_owned(), source };
    let mut recovery = Recovery::new(Tables::default(), sizes).map_err(damaged)?;
    let mut unfinished = Vec::new();
    for file in files.list().map_err(unreadable)? {
        if is_unfinished(&file) {
            unfinished.push(Io::Remove { file });
        } else if segment_number(&file).is_some() {
            recovery.segment(&file, files.read(&file).map_err(unreadable)?).map_err(damaged)?;
        }
    }
    let create = || Journal::create(random_store_id(), sizes);
    let mut recovered = recovery.finish(create).map_err(damaged)?;
    recovered.io.splice(0..0, unfinished);
    Ok(recovered)
}

/// The standard library's only source of chance is the key of its hashers.
fn random_store_id() -> StoreId {
    StoreId(RandomState::new().hash_one(std::time::SystemTime::now()))
}

impl Backend for Embedded {
    fn listen(&self, events: Events) {
        self.committer.settler.outlet().listen(events);
    }

    fn acquire(&self, partition: PartitionId, slots: Vec<Slot>) {
        self.committer.submit(Hurry::Busy, |queue| queue.acquire(partition, slots));
    }

    fn append(&self, partition: PartitionId, epoch: Epoch, checkpoints: Vec<Checkpoint>, hurry: Hurry) {
        let checkpoints = checkpoints.into_iter().map(Into::into).collect();
        self.committer.submit(hurry, |queue| {
            queue.append(partition, epoch, checkpoints);
            Ok(())
        });
    }

    fn load(&self, partition: PartitionId, id: InstanceId) {
        self.read(|settler| settler.load(partition, id));
    }

    fn timers(&self, partition: PartitionId, slots: Vec<Slot>, window: TimerWindow) {
        self.read(|settler| settler.timers(partition, &slots, window));
    }

    fn query(&self, query: QueryId, what: Query) {
        self.read(|settler| {
            settler.query(query, what);
            self.committer.settle();
        });
    }

    fn settle(&self, position: Position) {
        self.read(|settler| {
            if settler.settle_to(position) {
                self.committer.settle();
            }
        });
    }

    fn close(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // The writer first: it may still have something for the other to settle.
        for (thread, close) in threads.into_iter().zip([Committer::close, Committer::close_chores]) {
            close(&self.committer);
            // The thread that closes may be one of the store's own, in a listener that lets go of it.
            if thread.thread().id() != thread::current().id() && thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
        self.committer.files.release();
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.close();
    }
}
