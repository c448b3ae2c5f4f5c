//! A set of slots with one owner: a single-threaded state machine over its instances.
//!
//! One turn of its loop is `handle` for each input, `cut` once, and later `committed` when the
//! backend has made the checkpoint durable. What `handle` returns leaves at once; what must not be
//! seen before it is durable (invariant 1) comes out of `committed`.

mod clock;
mod footprint;
mod held;
mod ledger;
mod letters;
mod outbox;
mod requests;
mod residence;
mod returns;
mod start;
mod timers;
mod turn;
mod waits;
mod work;

pub use footprint::Footprint;
pub(crate) use held::Lost;
pub use held::{Counted, HeldItem, HeldKey, NoHeldKey, Verdict};
pub(crate) use ledger::{Ledger, Out, Wake};
pub use returns::{Departure, InFlight};

use crate::checkpoint::{DueTimers, Image, Losses, Outstanding, PairMark, Queued, Ready, TimerWindow};
use crate::dispatch::{Grant, Item, Offer, Withdrawn};
use crate::ids::{Birth, Epoch, InstanceId, Numbers, PartitionId, Position, Run, Slot, StoreId};
use crate::instance::{Instance, is_held};
use crate::limits::Settings;
use crate::lookup::Lookup;
use crate::request::{Reply, Request, RequestId};
use crate::time::Time;
use crate::work::{Answer, ItemBytes, WorkItem, WorkKind, WorkerId};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use outbox::Outbox;
use residence::{Deferred, Leaving};
use waits::Waiter;

/// What a partition is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its number within the hub.
    pub id: PartitionId,
    /// The lease that it holds.
    pub epoch: Epoch,
    /// The store.
    pub store: StoreId,
    /// What it owns.
    pub slots: Vec<Slot>,
    /// The hub's settings.
    pub settings: Settings,
}

/// What happens to a partition.
#[derive(Debug)]
pub enum Input {
    /// A client asks.
    Request(RequestId, Request),
    /// The client no longer waits for the reply.
    Cancelled(RequestId),
    /// A worker answers.
    Answer(WorkerId, Answer),
    /// The dispatcher has a worker for an item.
    Granted(Grant),
    /// A worker is gone: what it has goes to others.
    WorkerGone(WorkerId, Departure),
    /// No connected worker takes an item, because of its size: so many bytes, and so many are taken.
    Oversized(Item, usize, usize),
    /// An operator wants to see what is held.
    ShowHeld(RequestId),
    /// A message from a slot of another partition.
    Message(PairMark, Bytes),
    /// Another partition has made durable what it took of a pair.
    Acknowledged(PairMark),
    /// What a [`Effect::Load`] asked for.
    Loaded(InstanceId, Option<Box<Image>>),
    /// The backend has settled up to here.
    Settled(Position),
    /// What a [`Effect::Timers`] asked for.
    Timers(DueTimers),
}

/// What a partition wants done.
#[derive(Debug)]
pub enum Effect {
    /// Tell a client.
    Reply(RequestId, Reply),
    /// Put a request to the partition of another instance; the reply is the request's.
    Forward(RequestId, Request),
    /// Get an instance from the backend.
    Load(InstanceId),
    /// Get a stretch of timers from the backend.
    Timers(TimerWindow),
    /// Offer an item to the dispatcher.
    Offer(Offer),
    /// An item is needed no more, wherever it is: it was offered, is to be offered again, or has been given out
    /// meanwhile.
    Withdrawn(Withdrawn),
    /// Give an item to a worker.
    Work(WorkerId, WorkItem),
    /// A grant is to an item that is no longer open.
    Refused(Grant),
    /// A worker has room for one more item.
    Freed(WorkerId, WorkKind),
    /// A session will not be used again.
    EndSession(WorkerId, Run),
    /// Bring a message to the partition that owns the target slot.
    Message(PairMark, Bytes),
    /// Tell the partition that owns the source slot what has been taken.
    Acknowledge(PairMark),
    /// Note that a dispatch has counted against an item: for the log.
    Counted(Counted),
}

/// The state machine.
pub struct Partition {
    config: Config,
    owned: Vec<bool>,
    ledger: Ledger,
    instances: Lookup<Birth, Box<Instance>>,
    by_id: Lookup<InstanceId, Birth>,
    /// Inputs for instances that are being loaded, in order.
    loading: BTreeMap<InstanceId, VecDeque<Deferred>>,
    waiters: BTreeMap<InstanceId, Vec<Waiter>>,
    /// Where a request waits, for when it is cancelled.
    waiting_at: BTreeMap<RequestId, InstanceId>,
    outbox: Outbox,
    /// Checkpoints on their way, and what waits for each.
    in_flight: VecDeque<(u64, Vec<Effect>)>,
    /// Vectors that keep their room from turn to turn: a turn under load holds thousands of entries,
    /// and growing anew each time costs more than filling them.
    spare: Vec<Vec<Effect>>,
    committed: u64,
    /// Durable checkpoints that are not settled yet.
    landed: VecDeque<(u64, Position)>,
    settled: u64,
    leaving: Leaving,
}

impl Partition {
    /// Takes up what the partition's last owner left. Gives what it wants done first.
    pub fn open(config: Config, outstanding: Outstanding, now: Time) -> (Self, Vec<Effect>) {
        let mut owned = vec![false; Slot::COUNT];
        config.slots.iter().for_each(|slot| owned[usize::from(slot.0)] = true);
        let numbers = Numbers::new(config.store, config.epoch);
        // Ids come from outside: whoever makes them must not know where they fall.
        let seed = config.store.0.rotate_left(32) ^ u64::from(config.epoch.0);
        let mut partition = Self {
            ledger: Ledger::new(config.epoch, numbers, now, &config.settings),
            config,
            owned,
            instances: Lookup::new(seed),
            by_id: Lookup::new(seed),
            loading: BTreeMap::new(),
            waiters: BTreeMap::new(),
            waiting_at: BTreeMap::new(),
            outbox: Outbox::new(&outstanding),
            in_flight: VecDeque::new(),
            spare: Vec::new(),
            committed: 0,
            landed: VecDeque::new(),
            settled: 0,
            leaving: Leaving::default(),
        };
        partition.take_up(outstanding);
        // There may be a million offers, and no later turn has as many: their room goes with them.
        let out = core::mem::take(&mut partition.ledger.out);
        (partition, out)
    }

    fn take_up(&mut self, outstanding: Outstanding) {
        self.take_up_timers();
        self.ledger.out.reserve_exact(outstanding.tasks.len() + outstanding.ready.len());
        for Queued { key, id, name, runs_as, action, held } in outstanding.tasks {
            let item = Item::Task { id, birth: Run(key.birth), number: key.number, action };
            self.take_up_item(item, name, runs_as, held);
        }
        outstanding.ready.into_iter().for_each(|ready| self.take_up_ready(ready));
        self.take_up_outbox();
    }

    /// An instance with something in its inbox is not loaded before a worker takes its episode. That one
    /// is due is a hint: it may be suspended, or still to start.
    fn take_up_ready(&mut self, ready: Ready) {
        let Ready { birth, run, id, name, version, terminating, held } = ready;
        let item = Item::Episode { id: id.clone(), birth: Run(birth), run: Run(run) };
        if terminating {
            // Its worker has a while to answer, from now on.
            if let Some(losses) = held.filter(|losses| is_held(Some(losses))) {
                self.take_up_held(&item, name, version, *losses);
            }
            return self.defer(id, None);
        }
        if !is_held(held.as_deref()) {
            self.leaving.offered.insert(Run(birth));
        }
        self.take_up_item(item, name, version, held);
    }

    fn take_up_item(&mut self, item: Item, name: Arc<str>, version: Option<Arc<str>>, held: Option<Box<Losses>>) {
        if let Some(losses) = held.filter(|losses| is_held(Some(losses))) {
            return self.take_up_held(&item, name, version, *losses);
        }
        let bytes = ItemBytes::default();
        self.ledger.offer(Offer { item, name, version, after: 0, prefer: None, bytes, follows: false });
    }

    /// Applies one input.
    pub fn handle(&mut self, input: Input, now: Time, out: &mut Vec<Effect>) {
        self.ledger.now = now;
        self.move_window();
        match input {
            Input::Request(id, request) => self.request(id, request),
            Input::Cancelled(id) => self.cancel_wait(id),
            Input::Answer(worker, answer) => self.answer(worker, answer),
            Input::Granted(grant) => self.granted(grant),
            Input::WorkerGone(worker, departure) => self.worker_gone(worker, departure),
            Input::Oversized(item, bytes, limit) => self.fail_oversized(item, bytes, limit),
            Input::ShowHeld(request) => self.show_held(request),
            Input::Message(mark, message) => self.arrive(mark, message),
            Input::Acknowledged(mark) => self.outbox.acknowledged(mark),
            Input::Loaded(id, image) => self.loaded(id, image),
            Input::Settled(position) => self.settled_to(position),
            Input::Timers(due) => self.take_timers(due),
        }
        self.follow_up();
        out.append(&mut self.ledger.out);
    }

    /// Carries out what the last input set in motion within the partition.
    fn follow_up(&mut self) {
        self.deliver_letters();
        self.answer_waiters();
    }

    /// The partition's number.
    pub fn id(&self) -> PartitionId {
        self.config.id
    }

    /// The lease that the partition holds.
    pub fn epoch(&self) -> Epoch {
        self.config.epoch
    }

    /// Whether the partition owns the slot of an instance.
    pub fn owns(&self, slot: Slot) -> bool {
        self.owned[usize::from(slot.0)]
    }

    /// Whether nothing is under way: no item with a worker, nothing to write, nothing on its way to
    /// disk, nothing being read.
    pub fn idle(&self) -> bool {
        self.ledger.episodes.is_empty()
            && self.ledger.activities.is_empty()
            && self.ledger.opened.is_none()
            && self.in_flight.is_empty()
            && self.loading.is_empty()
            && !self.ledger.timers.is_reading()
    }

    /// Instances in memory.
    pub fn resident(&self) -> usize {
        self.instances.len()
    }

    /// Whether an instance is in memory. A load of one that is asks for what of its history is not.
    pub fn has_in_memory(&self, id: &InstanceId) -> bool {
        self.by_id.contains_key(id)
    }
}
