//! What a partition keeps besides its instances: the checkpoint that is being made, numbers, and the
//! indexes over timers and tokens. Instances write into it while they change.

use super::Effect;
use super::held::HeldItems;
use super::timers::Timers;
use crate::checkpoint::{Change, Delta, Timer};
use crate::dispatch::{Item, Offer};
use crate::ids::{Birth, Epoch, InstanceId, Numbers, Slot, Token};
use crate::instance::Instance;
use crate::limits::{Settings, UNSHOWN_PAUSE};
use crate::message::{Body, Message};
use crate::planted::planted;
use crate::request::RequestId;
use crate::time::Time;
use crate::work::{ItemBytes, WorkerId};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A message on its way out of an instance.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) from: Slot,
    pub(crate) to: InstanceId,
    pub(crate) message: Message,
}

/// An item that is with a worker.
#[derive(Clone, Debug)]
pub(crate) struct Out {
    pub(crate) item: Item,
    pub(crate) worker: WorkerId,
    /// What the worker calls itself.
    pub(crate) name: Arc<str>,
    pub(crate) in_process: bool,
    /// Whether the worker keeps the session.
    pub(crate) sessions: bool,
    pub(crate) since: Time,
}

/// A task that came back unanswered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Returned {
    /// How often without that counting against it.
    pub(crate) times: u32,
    /// Its size, if it did not fit somewhere.
    pub(crate) bytes: ItemBytes,
}

/// Something that is to be looked at again at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wake {
    /// An item that came back may be offered again.
    Offer(Item),
    /// A worker has had its time to answer a termination.
    Terminate(InstanceId, Birth),
    /// A wait ends.
    Wait(InstanceId, RequestId),
    /// Outboxes with unacknowledged messages are sent again.
    Resend,
}

pub(crate) struct Ledger {
    pub(crate) epoch: Epoch,
    pub(crate) numbers: Numbers,
    pub(crate) now: Time,
    /// What leaves at once.
    pub(crate) out: Vec<Effect>,

    /// The number of the checkpoint that is being made.
    pub(crate) number: u64,
    pub(crate) deltas: Vec<Delta>,
    pub(crate) bytes: usize,
    /// What leaves once that checkpoint is durable.
    pub(crate) held: Vec<Effect>,
    /// Whether something in `held` may not wait for episodes under way.
    pub(crate) must_leave: bool,
    /// Instances about which a reply waits in `held` that may wait for their episodes.
    pub(crate) patient: Vec<Birth>,
    /// When the first change was made.
    pub(crate) opened: Option<Time>,
    /// Instances that the checkpoint touches; their tails are written at the cut.
    pub(crate) dirty: Vec<Birth>,

    /// Instances that began or ended in this call, for their waiters.
    pub(crate) moved: Vec<Birth>,
    pub(crate) letters: VecDeque<Letter>,
    pub(crate) timers: Timers,
    pub(crate) episodes: BTreeMap<Token, Out>,
    pub(crate) activities: BTreeMap<Token, Out>,
    /// The token of each task that is with a worker.
    pub(crate) running: BTreeMap<(Birth, u64), Token>,
    /// Items that were taken back and that nobody has been handed since: their tokens are current.
    late: BTreeMap<Token, Out>,
    /// The token of each of them.
    late_of: BTreeMap<Item, Token>,
    /// Tasks that came back unanswered.
    pub(crate) returns: BTreeMap<(Birth, u64), Returned>,
    pub(crate) held_items: HeldItems,
    /// Dispatches that count against an item before it is held.
    pub(crate) hold_after: u32,
    pub(crate) wakes: BTreeSet<(Time, Wake)>,
    /// Episodes that are with in-process workers.
    pub(crate) in_process: usize,
    /// Ids of instances that were there when the lease began and are gone, and until when that counts.
    followed: BTreeSet<InstanceId>,
    followed_until: Time,
}

impl Ledger {
    pub(crate) fn new(epoch: Epoch, numbers: Numbers, now: Time, settings: &Settings) -> Self {
        Self {
            epoch,
            numbers,
            now,
            out: Vec::new(),
            number: 1,
            deltas: Vec::new(),
            bytes: 0,
            held: Vec::new(),
            must_leave: false,
            patient: Vec::new(),
            opened: None,
            dirty: Vec::new(),
            moved: Vec::new(),
            letters: VecDeque::new(),
            timers: Timers::new(now, settings),
            episodes: BTreeMap::new(),
            activities: BTreeMap::new(),
            running: BTreeMap::new(),
            late: BTreeMap::new(),
            late_of: BTreeMap::new(),
            returns: BTreeMap::new(),
            held_items: HeldItems::default(),
            hold_after: settings.hold_after,
            wakes: BTreeSet::new(),
            in_process: 0,
            followed: BTreeSet::new(),
            followed_until: now.plus(UNSHOWN_PAUSE),
        }
    }

    /// Adds a change to the checkpoint.
    pub(crate) fn write(&mut self, change: Change) {
        let delta = Delta { change: Some(change) };
        self.bytes += prost::Message::encoded_len(&delta);
        self.deltas.push(delta);
        self.opened.get_or_insert(self.now);
    }

    /// Notes that the checkpoint changes the tail of an instance.
    pub(crate) fn touch(&mut self, instance: &mut Instance) {
        instance.used = self.now;
        if instance.touched != self.number {
            instance.touched = self.number;
            self.dirty.push(instance.birth());
            self.opened.get_or_insert(self.now);
        }
    }

    /// Lets an effect leave once the checkpoint is durable, and the checkpoint soon.
    pub(crate) fn hold(&mut self, effect: Effect) {
        planted!(EffectBeforeDurable => return self.out.push(effect));
        self.held.push(effect);
        self.must_leave = true;
    }

    /// The same for a reply about an instance: it waits for an episode under way in this process.
    pub(crate) fn hold_patiently(&mut self, effect: Effect, about: Birth) {
        self.held.push(effect);
        self.patient.push(about);
    }

    pub(crate) fn send(&mut self, from: Slot, to: InstanceId, body: Body) {
        let message = Message { to: alloc::string::String::from(to.as_str()), body: Some(body) };
        self.letters.push_back(Letter { from, to, message });
    }

    pub(crate) fn open_timer(&mut self, timer: &Timer, id: &InstanceId) {
        self.timers.open(timer, id, self.number);
    }

    pub(crate) fn close_timer(&mut self, timer: &Timer) {
        self.timers.close(timer);
    }

    /// Takes an item back from the worker that has it; what that worker answers is stale.
    pub(crate) fn recall(&mut self, token: Token) -> Option<Out> {
        if let Some(out) = self.episodes.remove(&token) {
            self.in_process -= usize::from(out.in_process);
            return Some(out);
        }
        let out = self.activities.remove(&token)?;
        if let Item::Task { birth, number, .. } = &out.item {
            self.running.remove(&(*birth, *number));
        }
        Some(out)
    }

    /// Lets an item that is taken back be answered until somebody else has it.
    pub(crate) fn keep_late(&mut self, token: Token, out: &Out) {
        self.late_of.insert(out.item.clone(), token);
        self.late.insert(token, out.clone());
    }

    /// What was taken back under a token that is still current.
    pub(crate) fn late(&self, token: Token) -> Option<&Out> {
        self.late.get(&token)
    }

    /// Items that were taken back and may still be answered.
    pub(crate) fn late_items(&self) -> usize {
        self.late.len().max(self.late_of.len())
    }

    /// Somebody has the item, or nobody will: what comes under its old token is stale.
    pub(crate) fn forget_late(&mut self, item: &Item) {
        if let Some(token) = self.late_of.remove(item) {
            self.late.remove(&token);
        }
    }

    /// Takes an item back from a worker that may still be busy with it: it has room again, and keeps
    /// no session of an answer that will be stale.
    pub(crate) fn revoke(&mut self, token: Token) -> Option<Out> {
        let out = self.recall(token)?;
        self.out.push(Effect::Freed(out.worker, out.item.kind()));
        if let Item::Episode { run, .. } = &out.item
            && out.sessions
        {
            self.out.push(Effect::EndSession(out.worker, *run));
        }
        Some(out)
    }

    /// Offers an item to the dispatcher now.
    pub(crate) fn offer(&mut self, offer: Offer) {
        let offer = self.marked(offer);
        self.out.push(Effect::Offer(offer));
    }

    /// The same once the checkpoint is durable.
    pub(crate) fn offer_when_durable(&mut self, offer: Offer) {
        let offer = self.marked(offer);
        self.hold(Effect::Offer(offer));
    }

    fn marked(&self, offer: Offer) -> Offer {
        let follows = self.followed.contains(offer.item.instance());
        Offer { follows, ..offer }
    }

    /// An instance goes. While a worker of the hub before may still have something of it, what another
    /// begins under its id can be taken for that.
    pub(crate) fn note_followed(&mut self, birth: Birth, id: &InstanceId) {
        if birth.epoch() < self.epoch && self.now < self.followed_until {
            self.followed.insert(id.clone());
        }
    }

    /// Forgets what nobody has any more.
    pub(crate) fn forget_followed(&mut self) {
        if self.now >= self.followed_until {
            self.followed.clear();
        }
    }
}
