//! Clients that wait for an instance to begin or to end.

use super::residence::Deferred;
use super::{Effect, Input, Partition, Wake};
use crate::ids::{Birth, InstanceId};
use crate::instance::Instance;
use crate::planted::planted;
use crate::request::{Refusal, Reply, Request, RequestId, Until, Wait};
use crate::time::Time;
use alloc::string::ToString;
use alloc::vec::Vec;
use duramen_proto::OrchestrationStatus;

#[derive(Clone, Debug)]
pub(super) struct Waiter {
    request: RequestId,
    birth: Option<Birth>,
    until: Until,
    /// When its time ends.
    ends: Option<Time>,
    /// Nobody had the id when it came, and nobody has had it since.
    unknown: bool,
    /// Whether its time ends only because of that: the caller gave none.
    lent: bool,
}

impl Waiter {
    fn is_met_by(&self, instance: &Instance) -> bool {
        match self.until {
            Until::Started => instance.status() != OrchestrationStatus::Pending,
            Until::Completed => instance.ended(),
        }
    }
}

impl Partition {
    /// Answers a wait now, or keeps it.
    pub(super) fn wait(&mut self, request: RequestId, wait: Wait) {
        let here = self.by_id.get(&wait.id).map(|birth| &self.instances[birth]);
        let unknown = here.is_none();
        let timeout = wait.timeout.or_else(|| unknown.then_some(self.config.settings.unknown_wait));
        let ends = timeout.map(|timeout| self.ledger.now.plus(timeout));
        let lent = wait.timeout.is_none();
        let waiter = Waiter { request, birth: wait.birth, until: wait.until, ends, unknown, lent };
        if let Some(instance) = here {
            let touched = instance.touched;
            let reply = if wait.birth.is_some_and(|birth| birth != instance.birth()) {
                Some(Reply::Refused(Refusal::Replaced(wait.id.to_string())))
            } else {
                waiter.is_met_by(instance).then(|| Reply::State(Some(instance.state())))
            };
            if let Some(reply) = reply {
                return self.reply_when_durable(Effect::Reply(request, reply), touched);
            }
        }
        if let Some(ends) = ends {
            self.ledger.wakes.insert((ends, Wake::Wait(wait.id.clone(), request)));
        }
        self.waiting_at.insert(request, wait.id.clone());
        self.waiters.entry(wait.id).or_default().push(waiter);
    }

    /// Answers the waiters of every instance that has begun or ended.
    pub(super) fn answer_waiters(&mut self) {
        if self.waiters.is_empty() {
            self.ledger.moved.clear();
            return;
        }
        for birth in core::mem::take(&mut self.ledger.moved) {
            let Some(instance) = self.instances.get(&birth) else { continue };
            if !self.waiters.contains_key(&instance.id) {
                continue;
            }
            let (id, state) = (instance.id.clone(), instance.state());
            let touched = instance.touched;
            let met = |waiter: &Waiter| waiter.birth.is_none_or(|bound| bound == birth) && waiter.is_met_by(instance);
            let waiters = self.waiters.get_mut(&id).expect("there are some");
            let mut answered = Vec::new();
            waiters.retain(|waiter| {
                let met = met(waiter);
                answered.extend(met.then(|| waiter.clone()));
                !met
            });
            self.drop_if_empty(&id);
            for waiter in answered {
                self.strike(&id, &waiter);
                self.reply_when_durable(Effect::Reply(waiter.request, Reply::State(Some(state.clone()))), touched);
            }
        }
    }

    fn drop_if_empty(&mut self, id: &InstanceId) {
        if self.waiters.get(id).is_some_and(Vec::is_empty) {
            self.waiters.remove(id);
        }
    }

    /// Every waiter of an id.
    pub(super) fn take_waiters(&mut self, id: &InstanceId) -> Vec<RequestId> {
        let waiters = self.waiters.remove(id).unwrap_or_default();
        waiters.iter().for_each(|waiter| self.strike(id, waiter));
        waiters.iter().map(|waiter| waiter.request).collect()
    }

    /// The waiters of an id that are bound to one birth.
    pub(super) fn take_bound_waiters(&mut self, id: &InstanceId, birth: Birth) -> Vec<RequestId> {
        planted!(WaitersLeft => return Vec::new());
        let mut taken = Vec::new();
        if let Some(waiters) = self.waiters.get_mut(id) {
            waiters.retain(|waiter| {
                let bound = waiter.birth == Some(birth);
                taken.extend(bound.then(|| waiter.clone()));
                !bound
            });
        }
        self.drop_if_empty(id);
        taken.iter().for_each(|waiter| self.strike(id, waiter));
        taken.iter().map(|waiter| waiter.request).collect()
    }

    pub(super) fn cancel_wait(&mut self, request: RequestId) {
        if let Some(id) = self.waiting_at.get(&request).cloned() {
            self.take_waiter(&id, request);
            return;
        }
        // It may not have got as far as waiting: its instance is being loaded.
        for deferred in self.loading.values_mut() {
            deferred.retain(
                |what| !matches!(what, Deferred::Input(Input::Request(id, Request::Wait(_))) if *id == request),
            );
        }
    }

    /// Forgets where a waiter that was taken out stood.
    fn strike(&mut self, id: &InstanceId, waiter: &Waiter) {
        self.waiting_at.remove(&waiter.request);
        if let Some(ends) = waiter.ends {
            self.ledger.wakes.remove(&(ends, Wake::Wait(id.clone(), waiter.request)));
        }
    }

    fn take_waiter(&mut self, id: &InstanceId, request: RequestId) -> Option<Waiter> {
        let waiters = self.waiters.get_mut(id)?;
        let place = waiters.iter().position(|waiter| waiter.request == request)?;
        let waiter = waiters.remove(place);
        self.drop_if_empty(id);
        self.strike(id, &waiter);
        Some(waiter)
    }

    /// Somebody has the id now: waits for it go on as for any other instance.
    pub(super) fn known(&mut self, id: &InstanceId) {
        let Some(waiters) = self.waiters.get_mut(id) else { return };
        for waiter in waiters.iter_mut().filter(|waiter| waiter.unknown) {
            waiter.unknown = false;
            if waiter.lent
                && let Some(ends) = waiter.ends.take()
            {
                self.ledger.wakes.remove(&(ends, Wake::Wait(id.clone(), waiter.request)));
            }
        }
    }

    /// The time of a wait is over.
    pub(super) fn end_wait(&mut self, id: &InstanceId, request: RequestId) {
        let Some(waiter) = self.take_waiter(id, request) else { return };
        if waiter.unknown {
            // That it is gone may not be durable yet.
            let touched = self.leaving.tombstones.get(id).copied().unwrap_or(0);
            return self.reply_when_durable(Effect::Reply(request, Reply::State(None)), touched);
        }
        self.reply(request, Reply::Refused(Refusal::TimedOut(id.to_string())));
    }

    /// Clients that wait for an instance.
    pub fn waiting_clients(&self) -> usize {
        self.waiting_at.len()
    }
}
