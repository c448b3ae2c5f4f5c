//! Items of work on their way to workers and back.

use super::ledger::Out;
use super::residence::{Deferred, Residence};
use super::returns::Return;
use super::{Effect, Input, Partition};
use crate::checkpoint::LossCause;
use crate::dispatch::{Grant, Item};
use crate::ids::{Birth, Token};
use crate::instance::{HandOut, is_held, task_event};
use crate::planted::{self, Bug, planted};
use crate::work::{ActivityWork, Answer, Work, WorkItem, WorkKind, WorkerId};
use duramen_proto::{ActivityResponse, OrchestratorResponse};

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
        let to = HandOut { worker: grant.worker, token, early: grant.early, durable: self.committed };
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
        self.ledger.in_process += usize::from(grant.in_process);
        self.put_out(token, grant);
        self.ledger.out.push(Effect::Work(to.worker, item));
    }

    fn put_out(&mut self, token: Token, grant: Grant) {
        let Grant { item, worker, in_process, sessions, early: _, name } = grant;
        let kind = item.kind();
        let in_process = in_process && kind == WorkKind::Orchestrator;
        let out = Out { item, worker, name, in_process, sessions, since: self.ledger.now };
        match kind {
            WorkKind::Orchestrator => self.ledger.episodes.insert(token, out),
            WorkKind::Activity => self.ledger.activities.insert(token, out),
        };
    }

    fn grant_task(&mut self, grant: Grant, birth: Birth, number: u64) {
        let instance = &self.instances[&birth];
        let Some(task) = instance.tasks.get(&number) else { return self.refuse(&grant) };
        if self.ledger.running.contains_key(&(birth, number)) || is_held(task.losses.as_ref()) {
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
            Answer::Activity(_, response) => self.activity_answered(out.item, response),
            Answer::Abandoned(_, _) => self.take_back(out, Return::GivenBack),
            Answer::WrittenOff(_) => self.write_off(out),
            Answer::TooLarge(_, bytes) => self.take_back(out, Return::TooLarge(bytes)),
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
                self.activity_answered(out.item, response);
            }
            Answer::Orchestrator(..) | Answer::Abandoned(..) | Answer::WrittenOff(_) | Answer::TooLarge(..) => {}
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

    pub(super) fn activity_answered(&mut self, item: Item, response: ActivityResponse) {
        let Item::Task { id, birth, number, .. } = item else { return };
        let birth = planted::answered(birth, || self.by_id.get(&id).copied());
        if let Some(instance) = self.instances.get_mut(&birth) {
            instance.task_answered(number, response, &mut self.ledger);
        }
    }

    /// An item never came back from its thread: it is not handed out again in this process.
    fn write_off(&mut self, out: Out) {
        if let Item::Episode { birth, .. } = &out.item
            && let Some(instance) = self.instances.get_mut(birth)
        {
            instance.take_back();
            instance.written_off = !planted::has(Bug::WrittenOffAgain);
            planted!(WrittenOffAgain => instance.offer_if_due(&mut self.ledger));
        }
        self.take_back(out, self.lost(LossCause::WrittenOff));
    }
}
