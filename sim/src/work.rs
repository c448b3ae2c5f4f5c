//! Workers at work, with all their bad habits.

use crate::check::ensure;
use crate::handed::instance_of;
use crate::held::name_of_worker;
use crate::machine::Machine;
use crate::model::decode;
use crate::plan::Fault;
use crate::post::{Post, with_token};
use crate::world::{Issued, Key, World};
use bytes::Bytes;
use duramen_core::ids::Token;
use duramen_core::work::{ActivityWork, Answer, OrchestratorWork, Session, Work, WorkItem};
use duramen_proto::orchestrator_action::OrchestratorActionType as Action;
use duramen_proto::{
    ActivityResponse, CompleteOrchestrationAction, OrchestrationStatus, OrchestratorAction, OrchestratorResponse,
    TaskFailureDetails,
};

impl World {
    pub(crate) fn work(&mut self, hub: usize, id: u64) {
        let worker = self.hubs[hub].workers.get_mut(&id).expect("it is here");
        let at = self.rng.below(worker.items.len());
        let item = worker.items.remove(at);
        let (bare, in_process) = (worker.bare, worker.in_process);
        if self.happens(Fault::SessionLost, 20) {
            self.cover.count("fault: SessionLost");
            let worker = self.hubs[hub].workers.get_mut(&id).expect("it is here");
            worker.forgetful = true;
            worker.sessions.clear();
        }
        let token = item.token;
        let post = |answer: Answer| Post { answer, bare, muddled: false, lost: None };
        let answer = if !bare && self.happens(Fault::Abandon, 25) {
            self.cover.count("fault: Abandon");
            self.forget_session(hub, id, &item);
            Answer::Abandoned(token, "as the schedule says".into())
        } else if in_process && self.happens(Fault::WrittenOff, 8) {
            self.cover.count("fault: WrittenOff");
            self.restart_at_end = true;
            self.causes.wrote_off.insert(name_of_worker(id));
            if self.rng.percent(50) {
                // The thread comes back after all, when nobody waits for it any more.
                let late = self.answer_of(hub, id, &item);
                self.hubs[hub].answers.push((id, post(late)));
            }
            self.forget_session(hub, id, &item);
            self.hubs[hub].workers.get_mut(&id).expect("it is here").forgetful = true;
            Answer::WrittenOff(token)
        } else if let Work::Orchestrator(work) = &item.work
            && self.happens(Fault::Garbage, if self.causes.garbled.contains(&work.session.run.0) { 150 } else { 8 })
        {
            self.cover.count("fault: Garbage");
            self.causes.garbled.insert(work.session.run.0);
            self.forget_session(hub, id, &item);
            self.hubs[hub].workers.get_mut(&id).expect("it is here").forgetful = true;
            Answer::Orchestrator(token, self.garbage(work))
        } else {
            self.answer_of(hub, id, &item)
        };
        if self.happens(Fault::WrongToken, 15) {
            self.cover.count("fault: WrongToken");
            let other = self.some_token();
            let answer =
                if bare { self.rename(&answer, other) } else { self.retoken(&answer, other, instance_of(&item)) };
            self.hubs[hub].answers.push((id, Post { answer, bare, muddled: true, lost: None }));
        }
        if self.happens(Fault::LostAnswer, 12) {
            self.cover.count("fault: LostAnswer");
            // It is never answered: the item is still the worker's until somebody takes it back.
            return;
        }
        // Of two that are the same it is the later one that comes too often, and either may be.
        let repeated = self.happens(Fault::RepeatedAnswer, 40);
        let late = self.happens(Fault::LateAnswer, 20);
        let post = Post { muddled: repeated || late, ..post(answer) };
        if repeated {
            self.cover.count("fault: RepeatedAnswer");
            self.hubs[hub].answers.push((id, post.clone()));
        }
        if late {
            self.cover.count("fault: LateAnswer");
            self.strays.push(post.clone());
        }
        self.hubs[hub].answers.push((id, post));
    }

    /// What a worker that is all right answers.
    pub(crate) fn answer_of(&mut self, hub: usize, id: u64, item: &WorkItem) -> Answer {
        match &item.work {
            Work::Orchestrator(work) => Answer::Orchestrator(item.token, self.episode(hub, id, item.token, work)),
            Work::Activity(work) => Answer::Activity(item.token, self.activity(item.token, work)),
        }
    }

    /// An answer under the token of another item. If that is one of the same instance, nothing tells
    /// the hub so.
    fn retoken(&mut self, answer: &Answer, token: Token, instance: &str) -> Answer {
        let other = &self.tokens[&token.0];
        if let Key::Episode { run, .. } = &other.item
            && other.instance == instance
        {
            self.causes.garbled.insert(*run);
        }
        let mut answer = with_token(answer.clone(), token);
        self.result_of_its_own(&mut answer);
        answer
    }

    /// The same without a token: an answer that names what another item is of.
    fn rename(&mut self, answer: &Answer, token: Token) -> Answer {
        let Issued { instance, item, .. } = self.tokens[&token.0].clone();
        let mut answer = answer.clone();
        match (&mut answer, item) {
            (Answer::Orchestrator(_, response), _) => response.instance_id = instance,
            (Answer::Activity(_, response), Key::Task { event, .. }) => {
                (response.instance_id, response.task_id) = (instance, decode(&event).event_id);
            }
            (Answer::Activity(_, response), Key::Episode { .. }) => response.instance_id = instance,
            (Answer::Abandoned(..) | Answer::WrittenOff(_) | Answer::TooLarge(..), _) => {}
        }
        self.result_of_its_own(&mut answer);
        answer
    }

    fn result_of_its_own(&mut self, answer: &mut Answer) {
        if let Answer::Activity(_, response) = answer {
            response.result = Some(format!("w-{}", self.number()));
            response.failure_details = None;
        }
    }

    fn forget_session(&mut self, hub: usize, id: u64, item: &WorkItem) {
        if let (Work::Orchestrator(work), Some(worker)) = (&item.work, self.hubs[hub].workers.get_mut(&id)) {
            let gone = worker.sessions.remove(&work.session.run.0);
            // The item may be an old one that was taken back meanwhile, and the session of the one after it.
            worker.forgetful |= gone.is_some_and(|(session, _)| session != work.session);
        }
    }

    fn some_token(&mut self) -> Token {
        let tokens: Vec<u64> = self.tokens.keys().rev().take(30).copied().collect();
        Token(*self.rng.pick(&tokens))
    }

    fn episode(&mut self, hub: usize, id: u64, token: Token, work: &OrchestratorWork) -> OrchestratorResponse {
        let run = work.session.run.0;
        let worker = self.hubs[hub].workers.get_mut(&id).expect("it is here");
        let held = worker.sessions.remove(&run);
        // A deposed owner may mix what it knows with what the new owner says; nothing of it becomes durable.
        let deposed = self.hubs[hub].deposed;
        let odd = deposed || self.causes.garbled.contains(&run) || work.session.rewinds > 0;
        if held.as_ref().is_some_and(|(session, _)| *session != work.session) {
            // The item is an old one that was taken back meanwhile: its session takes the place.
            self.hubs[hub].workers.get_mut(&id).expect("it is here").forgetful = true;
        }
        let mut machine = match &work.past {
            None => match held.filter(|(session, _)| *session == work.session) {
                Some((_, machine)) => machine,
                None => {
                    self.cover.count("model: a worker asks for the history");
                    return OrchestratorResponse {
                        instance_id: work.instance.to_string(),
                        requires_history: true,
                        ..OrchestratorResponse::default()
                    };
                }
            },
            Some(past) => {
                let mut machine = Machine::new(work.instance.as_str());
                for event in past {
                    if let Err(why) = machine.feed(&decode(event)) {
                        return self.differs(work, odd, &why);
                    }
                }
                machine.past_is_over();
                ensure!(
                    odd || machine.unmatched() == 0,
                    "a history has every action of its program",
                    "{}: {} actions are missing",
                    work.instance,
                    machine.unmatched()
                );
                machine
            }
        };
        for event in &work.new {
            if let Err(why) = machine.feed(&decode(event)) {
                return self.differs(work, odd, &why);
            }
        }
        let mut actions = machine.take_new();
        if self.rng.percent(30) {
            // Go sends its actions in random order; the ids of one sender's messages would tell.
            let sends =
                actions.iter().any(|action| matches!(action.orchestrator_action_type, Some(Action::SendEvent(_))));
            if !sends && actions.len() > 1 {
                actions.rotate_left(1);
            }
        }
        let response = OrchestratorResponse {
            instance_id: work.instance.to_string(),
            actions,
            custom_status: machine.status(),
            ..OrchestratorResponse::default()
        };
        let worker = self.hubs[hub].workers.get_mut(&id).expect("it is here");
        if worker.keeps && !machine.finished && !worker.unkept.remove(&token.0) {
            let next = Session { episodes: work.session.episodes + 1, ..work.session };
            worker.sessions.insert(run, (next, machine));
        }
        response
    }

    /// Program and history differ: where nobody meddled, that is the hub's mistake.
    fn differs(&mut self, work: &OrchestratorWork, odd: bool, why: &str) -> OrchestratorResponse {
        ensure!(odd, "a program meets its own history", "{}: {why}\n{}", work.instance, events(work));
        self.cover.count("model: a worker finds a difference");
        let failure = TaskFailureDetails {
            error_type: "NonDeterminism".into(),
            error_message: why.to_owned(),
            ..TaskFailureDetails::default()
        };
        complete_with(work, OrchestrationStatus::Failed, -1, Some(failure))
    }

    fn activity(&mut self, token: Token, work: &ActivityWork) -> ActivityResponse {
        let event = decode(&work.scheduled);
        let fails = !self.quiet && self.rng.percent(20);
        let failure = fails.then(|| TaskFailureDetails {
            error_type: "Sim".into(),
            error_message: format!("r-{token}"),
            ..TaskFailureDetails::default()
        });
        ActivityResponse {
            instance_id: work.instance.to_string(),
            task_id: event.event_id,
            result: (!fails).then(|| format!("r-{token}")),
            failure_details: failure,
            ..ActivityResponse::default()
        }
    }
}

fn complete_with(
    work: &OrchestratorWork,
    status: OrchestrationStatus,
    id: i32,
    failure: Option<TaskFailureDetails>,
) -> OrchestratorResponse {
    let completion = CompleteOrchestrationAction {
        orchestration_status: status.into(),
        failure_details: failure,
        ..CompleteOrchestrationAction::default()
    };
    OrchestratorResponse {
        instance_id: work.instance.to_string(),
        actions: vec![OrchestratorAction {
            id,
            orchestrator_action_type: Some(Action::CompleteOrchestration(completion)),
        }],
        ..OrchestratorResponse::default()
    }
}

fn events(work: &OrchestratorWork) -> String {
    let past: Vec<&Bytes> = work.past.iter().flatten().collect();
    let lines = past.into_iter().map(|event| ("past", event)).chain(work.new.iter().map(|event| ("new", event)));
    lines.map(|(which, event)| format!("    {which} {:?}", decode(event))).collect::<Vec<_>>().join("\n")
}
