//! The loop of a hub: what it holds between two visits of a thread.
//!
//! A visit is a few turns. A turn takes what has arrived, lets the core work on it, lets out what may
//! leave, and writes what has to be written.

mod operator;
mod pending;
mod retain;
mod route;
mod sleep;
mod stop;
mod turn;
mod workers;

use crate::clock::Jumps;
use crate::error::HubError;
use crate::hub::Shared;
use crate::inbox::Incoming;
use crate::options::Options;
use duramen_backend::Event;
use duramen_core::checkpoint::Outstanding;
use duramen_core::dispatch::{Dispatcher, Grant};
use duramen_core::ids::{Epoch, PartitionId, Position, StoreId};
use duramen_core::limits::{UNSYNCED_BYTES, UNSYNCED_CHECKPOINTS};
use duramen_core::partition::{Effect, Partition};
use duramen_core::time::Time;
use pending::Pending;
use retain::Retain;
use route::Mail;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;
use workers::Workers;

/// Turns after which a loop gives its thread to another one that waits.
const TURNS_OF_A_VISIT: usize = 64;

pub(crate) struct Driver {
    phase: Phase,
    slices: Vec<Slice>,
    dispatcher: Dispatcher,
    workers: Workers,
    pending: Pending,
    /// What was taken from the inbox and not yet fed to a partition.
    arrived: VecDeque<Incoming>,
    now: Time,
    jumps: Jumps,
    /// Absent when everything is kept.
    retain: Option<Retain>,
    /// When the end of an open turn is to be taken for reached on a virtual clock.
    nudge: Option<(Instant, Time)>,
    unsynced: Unsynced,
    /// The store has space for nothing but what gives space back.
    short_of_space: bool,
    spare: Spare,
}

/// Where the hub is in its life.
enum Phase {
    /// Waits for its leases.
    Opening { acquired: Vec<Option<Lease>>, opened: oneshot::Sender<Result<(), HubError>> },
    /// At work.
    Running,
    /// Hands out nothing more, and waits for what is with workers.
    Draining { until: Instant, done: Vec<oneshot::Sender<Result<(), HubError>>> },
    /// Does nothing more.
    Stopped(HubError),
}

/// What a backend gave for `acquire`.
struct Lease {
    epoch: Epoch,
    store: StoreId,
    outstanding: Box<Outstanding>,
}

/// A partition and what belongs to it here.
struct Slice {
    id: PartitionId,
    epoch: Epoch,
    partition: Partition,
    /// Checkpoints on their way to disk, by number, with their sizes.
    unsynced: VecDeque<(u64, usize)>,
    /// Sent to it by other partitions.
    mail: VecDeque<Mail>,
}

/// What is on its way to disk, of all partitions.
#[derive(Default)]
struct Unsynced {
    checkpoints: usize,
    bytes: usize,
}

impl Unsynced {
    fn is_full(&self) -> bool {
        self.checkpoints >= UNSYNCED_CHECKPOINTS || self.bytes >= UNSYNCED_BYTES
    }
}

/// Vectors that keep their room from turn to turn.
#[derive(Default)]
struct Spare {
    events: Vec<Event>,
    incoming: Vec<Incoming>,
    effects: Vec<Vec<Effect>>,
    grants: Vec<(PartitionId, Grant)>,
    commits: Vec<Commit>,
}

/// A checkpoint that has become durable.
struct Commit {
    partition: PartitionId,
    number: u64,
    position: Position,
}

impl Driver {
    pub(crate) fn new(options: &Options, opened: oneshot::Sender<Result<(), HubError>>) -> Self {
        Self {
            phase: Phase::Opening { acquired: (0..options.partitions).map(|_| None).collect(), opened },
            slices: Vec::new(),
            dispatcher: Dispatcher::new(),
            workers: Workers::default(),
            pending: Pending::default(),
            arrived: VecDeque::new(),
            now: options.clock.now(),
            jumps: Jumps::new(),
            retain: Retain::new(options),
            nudge: None,
            unsynced: Unsynced::default(),
            short_of_space: false,
            spare: Spare::default(),
        }
    }

    /// Works on a thread of the pool until there is nothing to do; says whether there still is.
    pub(crate) fn visit(&mut self, shared: &Arc<Shared>) -> bool {
        shared.inbox().running();
        for _ in 0..TURNS_OF_A_VISIT {
            self.turn(shared);
            self.retain(shared);
            if self.has_food() || shared.inbox().has_work(self.takes_more()) || self.skip_time(shared) {
                continue;
            }
            self.set_timer(shared);
            if shared.inbox().leave(self.takes_more()) {
                return false;
            }
        }
        shared.inbox().requeue();
        true
    }

    /// Whether something that was taken waits and could be fed now.
    fn has_food(&self) -> bool {
        self.takes_input() && (!self.arrived.is_empty() || self.slices.iter().any(|slice| !slice.mail.is_empty()))
    }

    /// Whether the loop would take more from the inbox than the backend's events.
    fn takes_more(&self) -> bool {
        self.arrived.is_empty() && self.takes_input()
    }

    /// Whether the partitions may be fed: not while too much is on its way to disk, nor when the turn
    /// is full.
    fn takes_input(&self) -> bool {
        match self.phase {
            Phase::Opening { .. } => false,
            Phase::Running | Phase::Draining { .. } => {
                !self.unsynced.is_full() && self.slices.iter().all(|slice| !slice.is_full())
            }
            Phase::Stopped(_) => true,
        }
    }
}

impl Slice {
    fn is_full(&self) -> bool {
        self.partition.turn_bytes() >= duramen_core::limits::TURN_BYTES
    }
}
