//! Which instances are in memory: loading them when they are touched, and letting them go once all
//! that they are is in the tables.

use super::{Input, Partition};
use crate::checkpoint::Image;
use crate::ids::{Birth, InstanceId, Position};
use crate::instance::Instance;
use crate::limits::Settings;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};

/// Something that waits for an instance to be loaded.
#[derive(Debug)]
pub(super) enum Deferred {
    Input(Input),
    /// A timer is due.
    Due(Birth, u64),
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

/// Instances that may leave memory once a checkpoint is settled, and ids whose purge is not.
#[derive(Default)]
pub(super) struct Leaving {
    instances: VecDeque<(u64, Birth)>,
    pub(super) tombstones: BTreeMap<InstanceId, u64>,
    graves: VecDeque<(u64, InstanceId)>,
    /// What left, to be compared with what comes back (invariant 11).
    #[cfg(any(debug_assertions, feature = "audit"))]
    left: BTreeMap<InstanceId, Image>,
}

impl Leaving {
    pub(super) fn tombstones(&self) -> usize {
        self.tombstones.len().max(self.graves.len())
    }

    /// Notes that a checkpoint changed an instance.
    pub(super) fn note(&mut self, number: u64, instance: &Instance, settings: &Settings) {
        if instance.ended() || settings.evict_at_once {
            self.instances.push_back((number, instance.birth()));
        }
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

    pub(super) fn keep(&mut self, instance: Instance) {
        let birth = instance.birth();
        self.by_id.insert(instance.id.clone(), birth);
        self.known(&instance.id);
        self.instances.insert(birth, Box::new(instance));
    }

    /// Lets something wait for an instance, and asks for the instance if nobody has yet.
    pub(super) fn defer(&mut self, id: InstanceId, what: Option<Deferred>) {
        if let Some(waiting) = self.loading.get_mut(&id) {
            waiting.extend(what);
            return;
        }
        self.ledger.out.push(super::Effect::Load(id.clone()));
        self.loading.insert(id, what.into_iter().collect());
    }

    pub(super) fn loaded(&mut self, id: InstanceId, image: Option<Box<Image>>) {
        let Some(waiting) = self.loading.remove(&id) else { return };
        let absent = image.is_none();
        if let Some(image) = image {
            #[cfg(any(debug_assertions, feature = "audit"))]
            if let Some(left) = self.leaving.left.remove(&id) {
                assert_eq!(left, *image, "instance {id} came back other than it left (invariant 11)");
            }
            let mut instance = Instance::load(*image);
            instance.watch_termination(&mut self.ledger);
            instance.offer_if_due(&mut self.ledger);
            self.leaving.note(self.settled, &instance, &self.config.settings);
            self.keep(instance);
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
        // One that was only looked at leaves again, although nothing is settled for it.
        self.let_go();
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
            Deferred::Input(_) => unreachable!("only inputs about one instance wait for it"),
            Deferred::Due(birth, number) => self.fire(birth, number),
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
        self.by_id.remove(&instance.id);
        let number = self.ledger.number;
        self.leaving.tombstones.insert(instance.id.clone(), number);
        self.leaving.graves.push_back((number, instance.id.clone()));
    }

    pub(super) fn settled_to(&mut self, position: Position) {
        while self.landed.front().is_some_and(|(_, at)| *at <= position) {
            (self.settled, _) = self.landed.pop_front().expect("it has a front");
        }
        while self.leaving.graves.front().is_some_and(|(number, _)| *number <= self.settled) {
            let (number, id) = self.leaving.graves.pop_front().expect("it has a front");
            if self.leaving.tombstones.get(&id) == Some(&number) {
                self.leaving.tombstones.remove(&id);
            }
        }
        self.let_go();
    }

    /// Lets go what may leave memory by now.
    fn let_go(&mut self) {
        while self.leaving.instances.front().is_some_and(|(number, _)| *number <= self.settled) {
            let (_, birth) = self.leaving.instances.pop_front().expect("it has a front");
            self.evict(birth);
        }
    }

    /// An instance leaves memory only when it is settled, so it is never read from two places.
    fn evict(&mut self, birth: Birth) {
        let leaves = |instance: &Instance| instance.touched <= self.settled && instance.is_evictable();
        if !self.instances.get(&birth).is_some_and(|instance| leaves(instance)) {
            return;
        }
        let instance = self.instances.remove(&birth).expect("it was just there");
        if let Some(worker) = instance.session {
            self.ledger.out.push(super::Effect::EndSession(worker, instance.run()));
        }
        if self.by_id.get(&instance.id) == Some(&birth) {
            self.by_id.remove(&instance.id);
        }
        #[cfg(any(debug_assertions, feature = "audit"))]
        self.leaving.left.insert(instance.id.clone(), instance.image());
    }
}
