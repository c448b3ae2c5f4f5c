//! Which instances are in memory: loading them when they are touched, and letting them go once all
//! that they are is in the tables and nobody has touched them for a while.

use super::returns::Return;
use super::{Effect, Input, Partition};
use crate::checkpoint::Image;
use crate::ids::{Birth, InstanceId, Position};
use crate::instance::Instance;
use crate::limits::LEAVE_AT_A_TIME;
use crate::planted;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

/// Something that waits for an instance to be loaded.
#[derive(Debug)]
pub(super) enum Deferred {
    Input(Input),
    /// A timer is due.
    Due(Birth, u64),
    /// A dispatch counts against a task.
    Lost(super::ledger::Out, super::Lost),
    /// The pause of an item that came back is over.
    Offer(crate::dispatch::Item),
    /// The worker has had its time to answer a termination.
    Terminate(Birth),
    /// The outbox of a pair within the partition can go on.
    Pump(super::outbox::Pair),
    /// The inbound messages of a pair can go on.
    Arrive(super::outbox::Pair),
}

/// Where an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Residence {
    Here(Birth),
    /// There is none.
    Nowhere,
    /// It is being loaded, or has to be.
    Elsewhere,
}

/// What may leave memory, and what is remembered of what has left.
#[derive(Default)]
pub(super) struct Leaving {
    /// Instances that a checkpoint changed: they may be settled when it is.
    changed: VecDeque<(u64, Birth)>,
    /// Instances that are settled and live, by when they were last touched ([`Instance::idle_since`]).
    /// One that was touched since stands too early, which is noticed when its turn comes.
    idle: BTreeSet<(Time, Birth)>,
    /// Instances that are not in memory, and to whose next episode the dispatcher has a reference.
    pub(super) offered: BTreeSet<Birth>,
    /// Ids that are known to be gone, and the checkpoint since which they are.
    pub(super) tombstones: BTreeMap<InstanceId, u64>,
    graves: VecDeque<(u64, InstanceId)>,
    /// What left, to be compared with what comes back (invariant 11), and how many events had left
    /// before.
    #[cfg(any(debug_assertions, feature = "audit"))]
    left: BTreeMap<InstanceId, (usize, Image)>,
}

impl Leaving {
    pub(super) fn tombstones(&self) -> usize {
        self.tombstones.len().max(self.graves.len())
    }

    /// Notes that a checkpoint changed an instance, once until that is settled.
    pub(super) fn note(&mut self, number: u64, instance: &mut Instance) {
        if !core::mem::replace(&mut instance.noted, true) {
            self.changed.push_back((number, instance.birth()));
        }
    }

    /// Instances of which something is noted.
    pub(super) fn noted(&self) -> usize {
        self.changed.len().max(self.idle.len())
    }

    /// Compares what comes back with what left.
    #[cfg(any(debug_assertions, feature = "audit"))]
    fn compare(&mut self, id: &InstanceId, image: &Image) {
        let Some((gone, mut left)) = self.left.remove(id) else { return };
        let mut history = image.history.get(..gone).unwrap_or_default().to_vec();
        history.append(&mut left.history);
        left.history = history;
        assert_eq!(left, *image, "instance {id} came back other than it left (invariant 11)");
    }
}

impl Partition {
    pub(super) fn residence(&self, id: &InstanceId) -> Residence {
        if self.loading.contains_key(id) {
            Residence::Elsewhere
        } else if let Some(birth) = self.by_id.get(id) {
            Residence::Here(*birth)
        } else if self.leaving.tombstones.contains_key(id) {
            Residence::Nowhere
        } else {
            Residence::Elsewhere
        }
    }

    /// The same for somebody who needs all of the instance's history.
    pub(super) fn residence_with_history(&self, id: &InstanceId) -> Residence {
        match self.residence(id) {
            Residence::Here(birth) if self.instances[&birth].history.gone() > 0 => Residence::Elsewhere,
            residence => residence,
        }
    }

    pub(super) fn keep(&mut self, instance: Instance) {
        let birth = instance.birth();
        self.by_id.insert(instance.id.clone(), birth);
        self.known(&instance.id);
        self.instances.insert(birth, Box::new(instance));
    }

    /// Lets something wait for an instance, and asks for the instance if nobody has yet. While one that
    /// is here is asked for because of its history, everything about it waits.
    pub(super) fn defer(&mut self, id: InstanceId, what: Option<Deferred>) {
        if let Some(waiting) = self.loading.get_mut(&id) {
            waiting.extend(what);
            return;
        }
        self.ledger.out.push(Effect::Load(id.clone()));
        self.loading.insert(id, what.into_iter().collect());
    }

    pub(super) fn loaded(&mut self, id: InstanceId, image: Option<Box<Image>>) {
        let Some(waiting) = self.loading.remove(&id) else { return };
        let absent = image.is_none();
        match (image, self.by_id.get(&id).copied()) {
            (Some(image), _) => self.take_in(&id, *image),
            (None, Some(birth)) => {
                let gone = self.instances[&birth].history.gone();
                assert!(gone == 0, "the store does not have {id}, of which {gone} history events are settled");
            }
            (None, None) => {}
        }
        for what in waiting {
            // What is now known to be nowhere need not be asked for again.
            let nowhere = absent && !self.by_id.contains_key(&id);
            if nowhere {
                self.leaving.tombstones.entry(id.clone()).or_insert(self.settled);
            }
            self.resume_deferred(what);
            self.deliver_letters();
            if nowhere && self.leaving.tombstones.get(&id) == Some(&self.settled) {
                self.leaving.tombstones.remove(&id);
            }
        }
        // One that was only looked at may leave again, although nothing is settled for it.
        if let Some(birth) = self.by_id.get(&id) {
            self.rest(*birth);
        }
        self.let_go();
    }

    fn take_in(&mut self, id: &InstanceId, image: Image) {
        if let Some(birth) = self.by_id.get(id)
            && let Some(here) = self.instances.get_mut(birth)
        {
            // It has changed since; what had left of its history has not, and nothing that could begin a
            // new one has been done to it meanwhile.
            assert!(here.head.run == image.head.run, "the history of another run of {id} was loaded");
            return here.history.take_back(image.history);
        }
        #[cfg(any(debug_assertions, feature = "audit"))]
        self.leaving.compare(id, &image);
        let mut instance = Instance::load(image);
        instance.used = self.ledger.now;
        instance.offered = self.leaving.offered.remove(&instance.birth());
        instance.watch_termination(&mut self.ledger);
        instance.offer_if_due(&mut self.ledger);
        self.keep(instance);
    }

    /// A worker is gone: what it was to get once an instance is loaded is offered again then.
    pub(super) fn withdraw_deferred_grants(&mut self, worker: crate::work::WorkerId) {
        for deferred in self.loading.values_mut().flatten() {
            if let Deferred::Input(Input::Granted(grant)) = deferred
                && grant.worker == worker
            {
                *deferred = Deferred::Offer(grant.item.clone());
            }
        }
    }

    fn resume_deferred(&mut self, what: Deferred) {
        match what {
            Deferred::Input(Input::Request(id, request)) => self.request(id, request),
            Deferred::Input(Input::Answer(worker, answer)) => self.answer(worker, answer),
            Deferred::Input(Input::Granted(grant)) => self.granted(grant),
            Deferred::Input(Input::Oversized(item, bytes, limit)) => self.fail_oversized(item, bytes, limit),
            Deferred::Input(_) => unreachable!("only inputs about one instance wait for it"),
            Deferred::Due(birth, number) => self.fire(birth, number),
            Deferred::Lost(out, lost) => self.take_back(out, Return::Lost(lost)),
            Deferred::Offer(item) => self.offer_again(item),
            Deferred::Terminate(birth) => self.end_unanswered(birth),
            Deferred::Pump(pair) => self.pump(pair),
            Deferred::Arrive(pair) => self.take_arrived(pair),
        }
    }

    /// Removes an instance for good, in this checkpoint.
    pub(super) fn remove(&mut self, birth: Birth) {
        // Whoever waits for just this one is told before nothing is left to tell of.
        self.answer_waiters();
        let Some(mut instance) = self.instances.remove(&birth) else { return };
        instance.forget(&mut self.ledger);
        self.wake_up(&mut instance);
        self.by_id.remove(&instance.id);
        self.ledger.note_followed(birth, &instance.id);
        let number = self.ledger.number;
        self.leaving.tombstones.insert(instance.id.clone(), number);
        self.leaving.graves.push_back((number, instance.id.clone()));
    }

    pub(super) fn settled_to(&mut self, position: Position) {
        while self.landed.front().is_some_and(|(_, at)| *at <= position) {
            (self.settled, _) = self.landed.pop_front().expect("it has a front");
        }
        self.let_go();
    }

    /// Lets go what may leave memory by now; a bounded part of it, so that the loop goes on.
    pub(super) fn let_go(&mut self) {
        let settled = self.settled;
        self.ledger.forget_followed();
        self.ledger.timers.settle(settled, LEAVE_AT_A_TIME);
        for _ in 0..LEAVE_AT_A_TIME {
            let Some((number, id)) = self.leaving.graves.pop_front_if(|(number, _)| *number <= settled) else { break };
            if self.leaving.tombstones.get(&id) == Some(&number) {
                self.leaving.tombstones.remove(&id);
            }
        }
        let settled = self.rested();
        for _ in 0..LEAVE_AT_A_TIME {
            let Some((_, birth)) = self.leaving.changed.pop_front_if(|(number, _)| *number <= settled) else { break };
            self.rest(birth);
        }
        for _ in 0..LEAVE_AT_A_TIME {
            if !self.let_go_idle() {
                break;
            }
        }
    }

    /// When there is something to let go.
    pub(super) fn leaves_at(&self) -> Option<Time> {
        let due = |number: Option<&u64>| number.is_some_and(|number| *number <= self.settled);
        if due(self.leaving.changed.front().map(|(number, _)| number))
            || due(self.leaving.graves.front().map(|(number, _)| number))
            || self.ledger.timers.has_settled(self.settled)
        {
            return Some(Time::MIN);
        }
        let (since, _) = self.leaving.idle.first()?;
        Some(if self.is_crowded() { Time::MIN } else { since.plus(self.config.settings.idle_after) })
    }

    /// The last checkpoint that is settled: what it changed may leave.
    fn rested(&self) -> u64 {
        planted::rested(self.settled, self.committed)
    }

    fn is_crowded(&self) -> bool {
        self.instances.len() > self.config.settings.resident
    }

    /// An instance may be settled by now: one that has ended leaves, another is idle from now on.
    fn rest(&mut self, birth: Birth) {
        let settled = self.rested();
        let Some(instance) = self.instances.get_mut(&birth) else { return };
        instance.noted = false;
        if instance.touched > settled {
            // It was changed again meanwhile.
            return self.leaving.note(instance.touched, instance);
        }
        if instance.ended() {
            return self.evict(birth);
        }
        if instance.idle_since.is_none() {
            instance.idle_since = Some(instance.used);
            self.leaving.idle.insert((instance.used, birth));
        }
    }

    /// It is idle no longer.
    fn wake_up(&mut self, instance: &mut Instance) {
        if let Some(since) = instance.idle_since.take() {
            self.leaving.idle.remove(&(since, instance.birth()));
        }
    }

    /// Lets go the instance that was touched first, if there are too many or it has been idle for long
    /// enough; says whether it is worth while to look again.
    fn let_go_idle(&mut self) -> bool {
        let Some(&(since, birth)) = self.leaving.idle.first() else { return false };
        if !self.is_crowded() && since.plus(self.config.settings.idle_after) > self.ledger.now {
            return false;
        }
        self.leaving.idle.pop_first();
        let Some(instance) = self.instances.get_mut(&birth) else { return true };
        instance.idle_since = None;
        if instance.used > since {
            // One that has changed since comes back when that is settled.
            self.rest(birth);
        } else {
            self.evict(birth);
        }
        true
    }

    /// An instance leaves memory only when it is settled, so it is never read from two places.
    fn evict(&mut self, birth: Birth) {
        let loading = |instance: &Instance| self.loading.contains_key(&instance.id);
        let leaves =
            |instance: &Instance| instance.touched <= self.rested() && instance.is_evictable() && !loading(instance);
        if !self.instances.get(&birth).is_some_and(|instance| leaves(instance)) {
            return;
        }
        let mut instance = self.instances.remove(&birth).expect("it was just there");
        self.wake_up(&mut instance);
        if let Some(worker) = instance.session {
            self.ledger.out.push(Effect::EndSession(worker, instance.run()));
        }
        if self.by_id.get(&instance.id) == Some(&birth) {
            self.by_id.remove(&instance.id);
        }
        if instance.offered && !instance.ended() {
            self.leaving.offered.insert(birth);
        }
        #[cfg(any(debug_assertions, feature = "audit"))]
        self.leaving.left.insert(instance.id.clone(), (instance.history.gone(), instance.image()));
    }
}
