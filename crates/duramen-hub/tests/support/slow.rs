//! A store whose disk takes its time for each sync, and may fail.

use duramen_backend::Memory;
use duramen_backend::{Backend, Event, Events, Failure, Hurry, Query, QueryId};
use duramen_core::checkpoint::{Checkpoint, TimerWindow};
use duramen_core::ids::{Epoch, InstanceId, PartitionId, Position, Slot};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

type Append = (PartitionId, Epoch, Vec<Checkpoint>);

/// What is appended while a sync runs becomes durable with the next one.
pub(crate) struct SlowDisk {
    store: Arc<Memory>,
    events: OnceLock<Events>,
    appended: (Sender<()>, Mutex<Receiver<()>>),
    queue: Mutex<Option<Sender<Append>>>,
    /// Dropped when the disk breaks.
    whole: Mutex<Option<Sender<()>>>,
    disk: Mutex<Option<JoinHandle<()>>>,
}

impl SlowDisk {
    pub(crate) fn new(sync: Duration) -> Arc<Self> {
        let (queue, appends) = channel();
        let (whole, broken) = channel();
        let (append, appended) = channel();
        let store = Arc::new(Memory::new());
        let disk = std::thread::spawn({
            let store = Arc::clone(&store);
            move || write(&store, &appends, &broken, sync)
        });
        Arc::new(Self {
            store,
            events: OnceLock::new(),
            appended: (append, Mutex::new(appended)),
            queue: Mutex::new(Some(queue)),
            whole: Mutex::new(Some(whole)),
            disk: Mutex::new(Some(disk)),
        })
    }

    /// Waits until something is being written.
    pub(crate) fn wait_for_append(&self) {
        let appended = self.appended.1.lock().unwrap();
        appended.recv_timeout(super::PATIENCE).expect("something is appended");
    }

    /// Says that there is no space, or that there is some again.
    pub(crate) fn space(&self, short: bool) {
        self.events.get().expect("a hub listens")(Event::Space { short });
    }

    /// Breaks the disk: what is appended from now on is lost.
    pub(crate) fn fail(&self) {
        self.whole.lock().unwrap().take();
        let failure = Failure { what: "failed to sync journal 1".into(), reason: "no space left on device".into() };
        self.events.get().expect("a hub listens")(Event::Failed(failure));
    }
}

fn write(store: &Memory, appends: &Receiver<Append>, broken: &Receiver<()>, sync: Duration) {
    while let Ok(first) = appends.recv() {
        let batch: Vec<_> = std::iter::once(first).chain(appends.try_iter()).collect();
        if broken.recv_timeout(sync) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
        for (partition, epoch, checkpoints) in batch {
            store.append(partition, epoch, checkpoints, Hurry::Busy);
        }
    }
}

impl Backend for SlowDisk {
    fn listen(&self, events: Events) {
        let _ = self.events.set(Arc::clone(&events));
        self.store.listen(events);
    }

    fn acquire(&self, partition: PartitionId, slots: Vec<Slot>) {
        self.store.acquire(partition, slots);
    }

    fn append(&self, partition: PartitionId, epoch: Epoch, checkpoints: Vec<Checkpoint>, _hurry: Hurry) {
        let _ = self.appended.0.send(());
        if let Some(queue) = &*self.queue.lock().unwrap() {
            let _ = queue.send((partition, epoch, checkpoints));
        }
    }

    fn load(&self, partition: PartitionId, id: InstanceId) {
        self.store.load(partition, id);
    }

    fn timers(&self, partition: PartitionId, slots: Vec<Slot>, window: TimerWindow) {
        self.store.timers(partition, slots, window);
    }

    fn query(&self, query: QueryId, what: Query) {
        self.store.query(query, what);
    }

    fn settle(&self, position: Position) {
        self.store.settle(position);
    }

    fn close(&self) {
        self.queue.lock().unwrap().take();
        if let Some(disk) = self.disk.lock().unwrap().take() {
            disk.join().expect("the disk's thread ends");
        }
        self.store.close();
    }
}
