//! Items of work on their way to workers and back.

use super::ledger::Out;
use super::residence::{Deferred, Residence};
use super::{Effect, Input, Partition, Wake};
use crate::checkpoint::{Change, TaskKey};
use crate::dispatch::{Grant, Item};
use crate::event::{self, Kind};
use crate::ids::{Birth, Token};
use crate::instance::{HandOut, task_event};
use crate::limits::{PAYLOAD_BYTES, REDELIVERY_PAUSE};
use crate::planted::{self, Bug, planted};
use crate::time::Time;
use crate::work::{ActivityWork, Answer, Work, WorkItem, WorkKind, WorkerId};
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;
use duramen_proto::history_event::EventType;
use duramen_proto::{ActivityResponse, OrchestratorResponse, TaskCompletedEvent};

impl Partition {
    /// Builds an item for a worker, or gives the credit back if it is not open.
    pub(super) fn granted(&mut self, grant: Grant) {
        let id = grant.item.instance();
        let residence = match (&grant.item, self.residence(id)) {
            // Whoever does not hold the session is shown the whole history.
            (Item::Episode { .. }, Residence::Here(birth)) if self.instances[&birth].session != Some(grant.worker) => {
                self.residence_with_history(id)
            }
            (Item::Episode { .. } | Item::Task { .. }, residence) => residence,
        };
        match residence {
            Residence::Elsewhere => {
                let id = id.clone();
                self.defer(id, Some(Deferred::Input(Input::Granted(grant))));
            }
            Residence::Nowhere => self.refuse(&grant),
            Residence::Here(birth) => match grant.item {
                Item::Episode { birth: named, run, .. } if named == birth && self.instances[&birth].run() == run => {
                    self.grant_episode(grant, birth);
                }
                Item::Task { birth: named, number, .. } if named == birth => self.grant_task(grant, birth, number),
                Item::Episode { .. } | Item::Task { .. } => self.refuse(&grant),
            },
        }
    }

    fn refuse(&mut self, grant: &Grant) {
        planted!(CreditLost => return);
        self.ledger.out.push(Effect::Refused(grant.clone()));
    }

    fn grant_episode(&mut self, grant: Grant, birth: Birth) {
        let instance = self.instances.get_mut(&birth).expect("a resident instance is here");
        instance.offered = false;
        if !instance.is_due() {
            return self.refuse(&grant);
        }
        let token = self.ledger.numbers.token();
        let to = HandOut { worker: grant.worker, token, in_process: grant.in_process, durable: self.committed };
        let moved_from = instance.session.filter(|holder| *holder != to.worker);
        let Some(item) = instance.hand_out(to, &self.ledger) else {
            instance.offer_if_due(&mut self.ledger);
            return self.refuse(&grant);
        };
        self.ledger.forget_late(&grant.item);
        if let Some(holder) = moved_from {
            // Its session is one episode behind from now on.
            instance.session = None;
            self.ledger.out.push(Effect::EndSession(holder, instance.run()));
        }
        self.put_out(token, grant);
        self.ledger.in_process += usize::from(to.in_process);
        self.ledger.out.push(Effect::Work(to.worker, item));
    }

    fn put_out(&mut self, token: Token, grant: Grant) {
        let Grant { item, worker, in_process, sessions } = grant;
        let kind = item.kind();
        let in_process = in_process && kind == WorkKind::Orchestrator;
        let out = Out { item, worker, in_process, sessions, since: self.ledger.now };
        match kind {
            WorkKind::Orchestrator => self.ledger.episodes.insert(token, out),
            WorkKind::Activity => self.ledger.activities.insert(token, out),
        };
    }

    fn grant_task(&mut self, grant: Grant, birth: Birth, number: u64) {
        let instance = &self.instances[&birth];
        let Some(task) = instance.tasks.get(&number) else { return self.refuse(&grant) };
        if self.ledger.running.contains_key(&(birth, number)) {
            return self.refuse(&grant);
        }
        self.ledger.forget_late(&grant.item);
        let token = self.ledger.numbers.token();
        let work = ActivityWork {
            instance: instance.id.clone(),
            execution_id: if task.run == instance.head.run && task.execution_id == *instance.execution_id {
                instance.execution_id.clone()
            } else {
                task.execution_id.as_str().into()
            },
            orchestration_version: task.version.as_deref().map(Into::into),
            scheduled: task_event(task).clone(),
        };
        let worker = grant.worker;
        self.ledger.running.insert((birth, number), token);
        self.put_out(token, grant);
        self.ledger.out.push(Effect::Work(worker, WorkItem { token, work: Work::Activity(work) }));
    }

    /// Takes an answer. One with a token that is not current changes nothing (invariant 5).
    pub(super) fn answer(&mut self, worker: WorkerId, answer: Answer) {
        let token = answer.token();
        if self.ledger.late(token).is_some_and(|out| answer.may_be_about(&out.item)) {
            return self.answer_late(worker, answer);
        }
        let out = self.ledger.episodes.get(&token).or_else(|| self.ledger.activities.get(&token));
        let Some(out) = out
            .filter(|out| (out.worker == worker || planted::has(Bug::SecondAnswer)) && answer.may_be_about(&out.item))
        else {
            return;
        };
        let id = out.item.instance().clone();
        if self.residence(&id) == Residence::Elsewhere {
            return self.defer(id, Some(Deferred::Input(Input::Answer(worker, answer))));
        }
        let out = self.ledger.recall(token).expect("it was just there");
        self.ledger.out.push(Effect::Freed(worker, out.item.kind()));
        match answer {
            Answer::Orchestrator(_, response) => self.episode_answered(out, response),
            Answer::Activity(_, response) => self.activity_answered(out, response),
            Answer::Abandoned(_, _) => self.take_back(out),
            Answer::WrittenOff(_) => self.write_off(&out),
        }
    }

    /// An item was taken back and nobody has been handed it since: an answer is as good as ever, and
    /// may come over another connection than the one that was lost.
    fn answer_late(&mut self, worker: WorkerId, answer: Answer) {
        let out = self.ledger.late(answer.token()).expect("the caller has seen it").clone();
        let id = out.item.instance().clone();
        if self.residence(&id) == Residence::Elsewhere {
            return self.defer(id, Some(Deferred::Input(Input::Answer(worker, answer))));
        }
        match answer {
            Answer::Orchestrator(_, response) if !response.requires_history => {
                self.ledger.forget_late(&out.item);
                let Item::Episode { birth, run, .. } = out.item else { return };
                let Some(instance) = self.instances.get_mut(&birth) else { return };
                if instance.run() == run && instance.fixed.is_some() && instance.episode.is_none() {
                    // The reference that the dispatcher may have is to what has now been answered.
                    instance.offered = false;
                    instance.answer(response, None, &mut self.ledger);
                }
            }
            Answer::Activity(_, response) => {
                self.ledger.forget_late(&out.item);
                self.activity_answered(out, response);
            }
            Answer::Orchestrator(..) | Answer::Abandoned(..) | Answer::WrittenOff(_) => {}
        }
    }

    fn episode_answered(&mut self, out: Out, response: OrchestratorResponse) {
        let Item::Episode { birth, .. } = out.item else { return };
        let Some(instance) = self.instances.get_mut(&birth) else { return };
        if response.requires_history {
            instance.take_back();
            return instance.offer_if_due(&mut self.ledger);
        }
        let session = out.sessions.then_some(out.worker);
        instance.answer(response, session, &mut self.ledger);
        if instance.session.is_some() {
            let chunk = self.config.settings.history_chunk;
            instance.history.let_go(chunk, self.settled, self.ledger.number);
        }
    }

    fn activity_answered(&mut self, out: Out, response: ActivityResponse) {
        let Item::Task { id, birth, number, .. } = out.item else { return };
        let birth = planted::answered(birth, || self.by_id.get(&id).copied());
        self.ledger.returns.remove(&(birth, number));
        let Some(instance) = self.instances.get_mut(&birth) else { return };
        let Some(task) = instance.tasks.remove(&number) else { return };
        self.ledger.write(Change::TaskClosed(TaskKey { birth: birth.0, number }));
        self.ledger.touch(instance);
        if !instance.waits_for(crate::ids::Run(task.run)) {
            return;
        }
        let (now, id) = (self.ledger.now, event::id_of(task_event(&task)));
        let result = match response.failure_details {
            Some(mut failure) => {
                event::bound_failure(&mut failure);
                event::task_failed(now, id, failure)
            }
            None if response.result.as_ref().is_some_and(|result| result.len() > PAYLOAD_BYTES) => {
                let bytes = response.result.map_or(0, |result| result.len());
                let message = format!(
                    "the activity's result has {bytes} bytes, more than the {PAYLOAD_BYTES} allowed; store it elsewhere and return a reference"
                );
                event::task_failed(now, id, event::failure("ResultTooLarge", message))
            }
            None => {
                let completed = TaskCompletedEvent { task_scheduled_id: id, result: response.result };
                event::inbound(now, EventType::TaskCompleted(completed))
            }
        };
        instance.receive(Kind::Result, result, &mut self.ledger);
    }

    /// An episode never came back from its thread: it is not handed out again in this process.
    fn write_off(&mut self, out: &Out) {
        if let Item::Episode { birth, .. } = &out.item
            && let Some(instance) = self.instances.get_mut(birth)
        {
            instance.take_back();
            instance.written_off = !planted::has(Bug::WrittenOffAgain);
            planted!(WrittenOffAgain => instance.offer_if_due(&mut self.ledger));
        }
    }

    pub(super) fn worker_gone(&mut self, worker: WorkerId) {
        let with_worker = |out: &&Out| out.worker == worker;
        let of = |outs: &alloc::collections::BTreeMap<Token, Out>| -> Vec<Token> {
            outs.iter().filter(|(_, out)| with_worker(out)).map(|(token, _)| *token).collect()
        };
        let tokens: Vec<Token> = of(&self.ledger.episodes).into_iter().chain(of(&self.ledger.activities)).collect();
        for token in tokens {
            let out = self.ledger.recall(token).expect("it was just listed");
            planted!(OldToken => self.ledger.activities.insert(token, out.clone()));
            self.ledger.keep_late(token, &out);
            self.take_back(out);
        }
        self.withdraw_deferred_grants(worker);
        self.instances.each(|instance| {
            instance.session.take_if(|holder| *holder == worker);
        });
    }

    /// Offers an item that came back unanswered again, later and later.
    pub(super) fn take_back(&mut self, out: Out) {
        let returns = match &out.item {
            Item::Episode { birth, .. } => {
                let Some(instance) = self.instances.get_mut(birth) else { return };
                instance.take_back();
                instance.returns += 1;
                // Nobody has a reference until the pause is over.
                instance.offered = true;
                instance.returns
            }
            Item::Task { birth, number, .. } => {
                let returns = self.ledger.returns.entry((*birth, *number)).or_default();
                *returns += 1;
                *returns
            }
        };
        self.ledger.wakes.insert((self.ledger.now.plus(pause(returns)), Wake::Offer(out.item)));
    }

    /// The pause of an item that came back is over.
    pub(super) fn offer_again(&mut self, item: Item) {
        let (birth, id) = match &item {
            Item::Episode { birth, id, .. } | Item::Task { birth, id, .. } => (*birth, id.clone()),
        };
        if self.residence(&id) == Residence::Elsewhere {
            return self.defer(id, Some(Deferred::Offer(item)));
        }
        let Some(instance) = self.instances.get_mut(&birth) else { return };
        match item {
            Item::Episode { .. } => {
                instance.offered = false;
                instance.offer_if_due(&mut self.ledger);
            }
            Item::Task { number, .. } => {
                if let Some(task) = instance.tasks.get(&number) {
                    let offer = instance.offer_of(task, 0);
                    self.ledger.offer(offer);
                }
            }
        }
    }

    /// Takes back what has been with its worker for too long.
    pub(super) fn take_back_overdue(&mut self) {
        while let Some(token) = self.overdue() {
            let out = self.ledger.revoke(token).expect("it was just found");
            self.ledger.keep_late(token, &out);
            self.take_back(out);
        }
    }

    fn overdue(&self) -> Option<Token> {
        let due = |limit: Duration| move |(_, out): &(&Token, &Out)| out.since.plus(limit) <= self.ledger.now;
        let episode = self.ledger.episodes.first_key_value().filter(due(self.config.settings.episode_limit));
        let activity = || {
            let limit = self.config.settings.activity_limit?;
            self.ledger.activities.first_key_value().filter(due(limit))
        };
        episode.or_else(activity).map(|(token, _)| *token)
    }

    /// When the oldest item has been with its worker for too long. Tokens rise with time.
    pub(super) fn overdue_at(&self) -> Option<Time> {
        let episode =
            self.ledger.episodes.values().next().map(|out| out.since.plus(self.config.settings.episode_limit));
        let limit = self.config.settings.activity_limit;
        let activity = limit.and_then(|limit| self.ledger.activities.values().next().map(|out| out.since.plus(limit)));
        episode.into_iter().chain(activity).min()
    }
}

/// The pause before the n-th return of an item is offered: nothing, then doubling from 100 ms.
fn pause(returns: u32) -> Duration {
    if returns <= 1 {
        return Duration::ZERO;
    }
    REDELIVERY_PAUSE.min(Duration::from_millis(100) * 2u32.saturating_pow((returns - 2).min(20)))
}
