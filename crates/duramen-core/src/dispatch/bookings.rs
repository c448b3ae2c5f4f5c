//! What is out on connections whose workers may answer without a token.
//!
//! Some SDKs return no token. Their answers are matched to what is out on the connection that
//! answers, by what they do name: the instance, or the instance and the action. That is safe only if
//! there is one such item and nothing older can come over the same connection, so until a connection
//! has shown a token
//!
//! - it never has two items of equal [`Key`]: an item stays booked until it is answered or the
//!   connection is gone, also when its run has ended meanwhile or somebody else has it by now;
//! - an item that may have been out elsewhere goes to it only after a pause: when a connection is
//!   lost, and when a hub begins, the answer to it may still be under way.
//!
//! What remains is a limit of those SDKs: an answer that comes twice, or later than the pause.

use super::Item;
use crate::event;
use crate::ids::{InstanceId, Token};
use crate::limits::UNSHOWN_PAUSE;
use crate::planted::{self, Bug};
use crate::time::Time;
use crate::work::{Answer, Work, WorkItem, WorkKind, WorkerId};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
use duramen_proto::OrchestratorResponse;
use duramen_proto::history_event::EventType;

/// What an answer without a token names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Episode(InstanceId),
    Task(InstanceId, i32),
}

impl Key {
    pub(super) fn of(item: &Item) -> Self {
        match item {
            Item::Episode { id, .. } => Self::Episode(id.clone()),
            Item::Task { id, action, .. } => Self::Task(id.clone(), *action),
        }
    }

    fn of_work(work: &Work) -> Self {
        match work {
            Work::Orchestrator(work) => Self::Episode(work.instance.clone()),
            Work::Activity(work) => Self::Task(work.instance.clone(), event::id_of(&work.scheduled)),
        }
    }

    pub(super) fn kind(&self) -> WorkKind {
        match self {
            Self::Episode(_) => WorkKind::Orchestrator,
            Self::Task(..) => WorkKind::Activity,
        }
    }
}

#[derive(Debug)]
enum Booking {
    /// Granted, and the partition has not said yet whether it is open.
    Granted,
    Out {
        token: Token,
        /// The history that an episode goes on from.
        past: Vec<Bytes>,
    },
}

type Booked = BTreeMap<Key, Booking>;

#[derive(Debug, Default)]
pub(super) struct Bookings {
    /// Connections that have not answered anything under a token.
    unshown: BTreeMap<WorkerId, Booked>,
    /// What may be out elsewhere, and until when it is kept from such connections.
    elsewhere: BTreeMap<Key, Time>,
    /// The same in the order in which they were noted.
    ends: VecDeque<(Time, Key)>,
}

impl Bookings {
    /// A connection to a worker in another process.
    pub(super) fn join(&mut self, worker: WorkerId) {
        self.unshown.insert(worker, Booked::new());
    }

    /// A connection is gone. What it had may still be answered, over another one.
    pub(super) fn leave(&mut self, worker: WorkerId, now: Time) {
        for (key, booking) in self.unshown.remove(&worker).into_iter().flatten() {
            match booking {
                Booking::Out { .. } => self.may_be_elsewhere(key, now),
                Booking::Granted => {}
            }
        }
    }

    fn may_be_elsewhere(&mut self, key: Key, now: Time) {
        let until = now.plus(UNSHOWN_PAUSE);
        self.elsewhere.insert(key.clone(), until);
        self.ends.push_back((until, key));
    }

    /// Forgets what has been elsewhere for long enough; says whether there was any.
    pub(super) fn pass_time(&mut self, now: Time) -> bool {
        let mut any = false;
        let latest = now.plus(UNSHOWN_PAUSE);
        if self.next_end().is_some_and(|until| until > latest) {
            // The clock was set back: nothing waits longer than one pause for that.
            self.ends.iter_mut().for_each(|(until, _)| *until = latest);
            self.elsewhere.values_mut().for_each(|until| *until = latest);
        }
        while let Some((_, key)) = self.ends.pop_front_if(|(until, _)| *until <= now) {
            // One that was noted again since stays.
            if self.elsewhere.get(&key).is_some_and(|until| *until <= now) {
                self.elsewhere.remove(&key);
            }
            any = true;
        }
        any
    }

    /// When the next of what may be elsewhere is no longer kept back.
    pub(super) fn next_end(&self) -> Option<Time> {
        self.ends.front().map(|(until, _)| *until)
    }

    pub(super) fn count(&self) -> usize {
        self.unshown.values().map(BTreeMap::len).sum::<usize>() + self.elsewhere.len().max(self.ends.len())
    }

    /// Whether any connection is bound.
    pub(super) fn bind(&self) -> bool {
        !self.unshown.is_empty()
    }

    /// Whether a worker may be granted an item of this key; `paused` says that a worker of the hub before may have it.
    pub(super) fn admits(&self, worker: WorkerId, key: &Key, paused: bool) -> bool {
        match self.unshown.get(&worker) {
            Some(booked) => {
                let booked = booked.contains_key(key) && !planted::has(Bug::BookingIgnored);
                let elsewhere = self.elsewhere.contains_key(key) && !planted::has(Bug::PauseIgnored);
                !booked && !elsewhere && !paused
            }
            None => true,
        }
    }

    pub(super) fn granted(&mut self, worker: WorkerId, key: Key) {
        if let Some(booked) = self.unshown.get_mut(&worker) {
            booked.insert(key, Booking::Granted);
        }
    }

    pub(super) fn refused(&mut self, worker: WorkerId, key: &Key) {
        if let Some(booked) = self.unshown.get_mut(&worker) {
            booked.remove(key);
        }
    }

    pub(super) fn handed(&mut self, worker: WorkerId, item: &WorkItem) {
        let Some(booked) = self.unshown.get_mut(&worker) else { return };
        let past = match &item.work {
            Work::Orchestrator(work) => work.past.clone().unwrap_or_default(),
            Work::Activity(_) => Vec::new(),
        };
        booked.insert(Key::of_work(&item.work), Booking::Out { token: item.token, past });
    }

    /// A connection has answered under a token: it is bound no longer. Says whether it was.
    pub(super) fn shown(&mut self, worker: WorkerId, answer: &Answer) -> bool {
        match answer {
            Answer::Orchestrator(..) | Answer::Activity(..) | Answer::Abandoned(..) | Answer::WrittenOff(_) => {
                self.unshown.remove(&worker).is_some()
            }
            // That is not the worker's word: the item never got to it.
            Answer::TooLarge(..) => false,
        }
    }

    /// An item that was handed out has not left after all.
    pub(super) fn kept_back(&mut self, worker: WorkerId, returned: Token) {
        if let Some(booked) = self.unshown.get_mut(&worker) {
            booked.retain(|_, booking| !matches!(booking, Booking::Out { token, .. } if *token == returned));
        }
    }

    /// The one item that an answer without a token can be about. It is booked no longer.
    pub(super) fn take_task(&mut self, worker: WorkerId, key: &Key) -> Option<Token> {
        self.take_if(worker, key, |_| true)
    }

    /// The same for an episode. An answer that would make an action whose event the history has
    /// already is one to an earlier episode.
    pub(super) fn take_episode(
        &mut self,
        worker: WorkerId,
        key: &Key,
        response: &OrchestratorResponse,
    ) -> Option<Token> {
        let asked: BTreeSet<i32> = response.actions.iter().map(|action| action.id).collect();
        self.take_if(worker, key, |past| {
            !past.iter().any(|event| is_action(event) && asked.contains(&event::id_of(event)))
        })
    }

    fn take_if(&mut self, worker: WorkerId, key: &Key, fits: impl FnOnce(&[Bytes]) -> bool) -> Option<Token> {
        let booked = self.unshown.get_mut(&worker)?;
        let Some(Booking::Out { token, past }) = booked.get(key) else { return None };
        if !fits(past) {
            return None;
        }
        let token = *token;
        booked.remove(key);
        Some(token)
    }
}

fn is_action(event: &Bytes) -> bool {
    matches!(
        event::decode_type(event),
        EventType::TaskScheduled(_)
            | EventType::SubOrchestrationInstanceCreated(_)
            | EventType::TimerCreated(_)
            | EventType::EventSent(_)
    )
}
