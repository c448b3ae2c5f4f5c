//! Workers: those of this process and those elsewhere, with sessions, and with all their bad habits.

use crate::check::{ensure, fail};
use crate::hub::Hub;
use crate::machine::Machine;
use crate::model::decode;
use crate::plan::Fault;
use crate::world::{Issued, Key, World, tell};
use bytes::Bytes;
use duramen_core::ids::{Slot, Token};
use duramen_core::partition::Input;
use duramen_core::work::{
    ActivityWork, Announcement, Answer, Filters, OrchestratorWork, Session, Work, WorkItem, WorkerId,
};
use duramen_proto::history_event::EventType;
use duramen_proto::orchestrator_action::OrchestratorActionType as Action;
use duramen_proto::{
    ActivityResponse, CompleteOrchestrationAction, CreateSubOrchestrationAction, CreateTimerAction,
    OrchestrationStatus, OrchestratorAction, OrchestratorResponse, ScheduleTaskAction, SendEntityMessageAction,
    TaskFailureDetails,
};
use std::collections::BTreeSet;

pub(crate) struct Worker {
    pub(crate) in_process: bool,
    pub(crate) room: (usize, usize),
    pub(crate) items: Vec<WorkItem>,
    /// By run: what the next item has to name, and how far the program is.
    pub(crate) sessions: std::collections::BTreeMap<u64, (Session, Machine)>,
    /// Does nothing until this step.
    pub(crate) hangs_until: u64,
    /// Whether it has ever forgotten a session by itself.
    forgetful: bool,
    /// Items after which no session is kept.
    unkept: BTreeSet<u64>,
}

impl Worker {
    pub(crate) fn end_session(&mut self, run: u64) {
        self.sessions.remove(&run);
        let of_run = |item: &&WorkItem| matches!(&item.work, Work::Orchestrator(work) if work.session.run.0 == run);
        self.unkept.extend(self.items.iter().filter(of_run).map(|item| item.token.0));
    }
}

impl World {
    pub(crate) fn join_worker(&mut self) {
        let id = self.number();
        let hub = self.owner();
        let in_process = self.rng.percent(55);
        let room = (1 + self.rng.below(6), 1 + self.rng.below(8));
        // A few take only one kind of work, and names are compared without case.
        let filters = match self.rng.below(8) {
            0 if !self.quiet => Some(Filters { orchestrators: vec![("PROGRAM".into(), vec![])], activities: vec![] }),
            1 if !self.quiet => Some(Filters { orchestrators: vec![], activities: vec![("aCt".into(), vec![])] }),
            _ => None,
        };
        let worker = Worker {
            in_process,
            room,
            items: Vec::new(),
            sessions: Default::default(),
            hangs_until: 0,
            forgetful: false,
            unkept: BTreeSet::new(),
        };
        self.hubs[hub].workers.insert(id, worker);
        if in_process {
            self.in_process.insert(id);
        }
        let announcement = Announcement { in_process, orchestrators: room.0, activities: room.1, filters };
        self.hubs[hub].dispatcher.join(WorkerId(id), announcement);
        tell!(self, "worker {id} comes ({})", if in_process { "in process" } else { "remote" });
    }

    /// An item reaches a worker; what it shows must be durable, but for in-process episodes.
    pub(crate) fn give_work(&mut self, hub: usize, to: WorkerId, item: WorkItem) {
        let deposed = self.hubs[hub].deposed;
        let epoch = (item.token.0 >> 40) as u32;
        let in_process = self.in_process.contains(&to.0);
        let key = match &item.work {
            Work::Orchestrator(work) => {
                self.check_episode(work, epoch, in_process, deposed, hub, to);
                Key::Episode { run: work.session.run.0, episode: work.session.episodes }
            }
            Work::Activity(work) => {
                let open = self.durable.instance(work.instance.as_str()).is_some_and(|instance| {
                    instance.tasks.values().any(|task| {
                        task.execution_id == *work.execution_id
                            && matches!(&task.event, Some(part) if matches!(&part.place, Some(duramen_core::checkpoint::Place::Here(event)) if *event == work.scheduled))
                    })
                });
                ensure!(
                    open || deposed,
                    "an activity leaves when its task is durable",
                    "{} {} {:?}",
                    work.instance,
                    work.execution_id,
                    decode(&work.scheduled)
                );
                Key::Task { execution: work.execution_id.to_string(), event: work.scheduled.clone() }
            }
        };
        let again = self.latest.insert((epoch, key.clone()), item.token.0);
        if let Some(again) = again.and_then(|token| self.tokens.get(&token)) {
            self.cover.count("model: an item is handed out again");
            let _ = again;
        }
        let fresh = self
            .tokens
            .insert(
                item.token.0,
                Issued { worker: to.0, instance: instance_of(&item).to_owned(), item: key, epoch, answered: false },
            )
            .is_none();
        ensure!(fresh, "a token is given out once", "{}", item.token);
        tell!(self, "worker {} gets {}", to.0, name(&item));
        if let Some(worker) = self.hubs[hub].workers.get_mut(&to.0) {
            worker.items.push(item);
        } else {
            self.cover.count("an item for a worker that is gone");
        }
    }

    fn check_episode(
        &mut self,
        work: &OrchestratorWork,
        epoch: u32,
        in_process: bool,
        deposed: bool,
        hub: usize,
        to: WorkerId,
    ) {
        let id = work.instance.as_str();
        ensure!(work.session.epoch.0 == epoch, "a session is of its lease", "{id}: {:?} in {epoch}", work.session);
        let first = work.new.first().map(crate::model::kind);
        ensure!(
            matches!(first, Some(EventType::OrchestratorStarted(_))),
            "an item begins with OrchestratorStarted",
            "{id}: {first:?}"
        );
        // The same item, however often: the same events at the same time.
        let key = (epoch, work.session.run.0, work.session.episodes);
        if let Some(before) = self.shown.get(&key) {
            self.cover.count("model: an episode is handed out again");
            ensure!(*before == work.new, "an item is the same when it is handed out again", "{id}: {key:?}");
        } else {
            self.shown.insert(key, work.new.clone());
        }
        if work.past.is_none() {
            let worker = self.hubs[hub].workers.get(&to.0);
            let held = worker.and_then(|worker| worker.sessions.get(&work.session.run.0)).map(|(session, _)| *session);
            let forgetful = worker.is_none_or(|worker| worker.forgetful);
            self.cover.count("model: a session is used");
            ensure!(
                forgetful || held == Some(work.session),
                "a session is used by who holds it",
                "{id}: {:?}, and the worker holds {held:?}",
                work.session
            );
        }
        if in_process || deposed {
            return;
        }
        let instance = self.durable.instance(id);
        let durable = instance.is_some_and(|instance| {
            let past = work.past.as_ref().is_none_or(|past| *past == instance.run.history);
            let mut new = work.new.iter().skip(1);
            past && new.all(|event| instance.run.inbox.values().any(|waiting| waiting == event))
        });
        ensure!(
            durable,
            "an episode leaves the process when its events are durable",
            "{id}: {:?} with {:?}, and durable is {:?}",
            work.session,
            work.new.iter().map(crate::model::kind).collect::<Vec<_>>(),
            instance.map(|instance| (instance.run.history.len(), instance.run.inbox.keys().collect::<Vec<_>>()))
        );
    }

    /// A worker does one of its items.
    pub(crate) fn worker_step(&mut self) -> bool {
        let hub = self.any_hub();
        let steps = self.steps;
        let busy: Vec<u64> = self.hubs[hub]
            .workers
            .iter()
            .filter(|(_, worker)| !worker.items.is_empty() && worker.hangs_until <= steps)
            .map(|(id, _)| *id)
            .collect();
        if busy.is_empty() {
            return false;
        }
        let id = *self.rng.pick(&busy);
        if self.happens(Fault::WorkerHang, 15) {
            self.cover.count("fault: WorkerHang");
            let until = steps + 50 + self.rng.below(400) as u64;
            self.hubs[hub].workers.get_mut(&id).expect("it is here").hangs_until = until;
            return true;
        }
        self.work(hub, id);
        true
    }

    pub(crate) fn work(&mut self, hub: usize, id: u64) {
        let worker = self.hubs[hub].workers.get_mut(&id).expect("it is here");
        let at = self.rng.below(worker.items.len());
        let item = worker.items.remove(at);
        if self.happens(Fault::SessionLost, 20) {
            self.cover.count("fault: SessionLost");
            let worker = self.hubs[hub].workers.get_mut(&id).expect("it is here");
            worker.forgetful = true;
            worker.sessions.clear();
        }
        let token = item.token;
        let answer = if self.happens(Fault::Abandon, 25) {
            self.cover.count("fault: Abandon");
            self.forget_session(hub, id, &item);
            Answer::Abandoned(token, "as the schedule says".into())
        } else if self.happens(Fault::Garbage, 8)
            && let Work::Orchestrator(work) = &item.work
        {
            self.cover.count("fault: Garbage");
            self.causes.garbled.insert(work.session.run.0);
            self.forget_session(hub, id, &item);
            self.hubs[hub].workers.get_mut(&id).expect("it is here").forgetful = true;
            Answer::Orchestrator(token, self.garbage(work))
        } else {
            match &item.work {
                Work::Orchestrator(work) => Answer::Orchestrator(token, self.episode(hub, id, token, work)),
                Work::Activity(work) => Answer::Activity(token, self.activity(token, work)),
            }
        };
        if self.happens(Fault::WrongToken, 15) {
            self.cover.count("fault: WrongToken");
            let other = self.some_token();
            let wrong = self.retoken(&answer, other, instance_of(&item));
            self.hubs[hub].answers.push((id, wrong));
        }
        if self.happens(Fault::LostAnswer, 12) {
            self.cover.count("fault: LostAnswer");
            // It is never answered: the item is still the worker's until somebody takes it back.
            return;
        }
        if self.happens(Fault::RepeatedAnswer, 40) {
            self.cover.count("fault: RepeatedAnswer");
            self.hubs[hub].answers.push((id, answer.clone()));
        }
        if self.happens(Fault::LateAnswer, 20) {
            self.cover.count("fault: LateAnswer");
            self.strays.push(answer.clone());
        }
        self.hubs[hub].answers.push((id, answer));
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
        match answer {
            Answer::Orchestrator(_, response) => Answer::Orchestrator(token, response.clone()),
            Answer::Activity(_, response) => {
                let result = Some(format!("w-{}", self.number()));
                Answer::Activity(token, ActivityResponse { result, failure_details: None, ..response.clone() })
            }
            Answer::Abandoned(_, why) => Answer::Abandoned(token, why.clone()),
            Answer::WrittenOff(_) => Answer::WrittenOff(token),
        }
    }

    fn forget_session(&mut self, hub: usize, id: u64, item: &WorkItem) {
        if let (Work::Orchestrator(work), Some(worker)) = (&item.work, self.hubs[hub].workers.get_mut(&id)) {
            worker.sessions.remove(&work.session.run.0);
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
        if worker.in_process && !machine.finished && !worker.unkept.remove(&token.0) {
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

    /// What no orchestrator would answer, and a broken worker might.
    fn garbage(&mut self, work: &OrchestratorWork) -> OrchestratorResponse {
        let task = ScheduleTaskAction { name: "Act".into(), input: Some("x".into()), ..ScheduleTaskAction::default() };
        let schedule =
            |id: i32| OrchestratorAction { id, orchestrator_action_type: Some(Action::ScheduleTask(task.clone())) };
        let child = |id: i32, of: &str| OrchestratorAction {
            id,
            orchestrator_action_type: Some(Action::CreateSubOrchestration(CreateSubOrchestrationAction {
                instance_id: of.into(),
                name: "Program".into(),
                input: Some(format!("g-{}-{id}/1/0/3", work.execution_id)),
                ..CreateSubOrchestrationAction::default()
            })),
        };
        let completion = |id: i32, status: OrchestrationStatus| OrchestratorAction {
            id,
            orchestrator_action_type: Some(Action::CompleteOrchestration(CompleteOrchestrationAction {
                orchestration_status: status.into(),
                ..CompleteOrchestrationAction::default()
            })),
        };
        let entity = OrchestratorAction {
            id: 9,
            orchestrator_action_type: Some(Action::SendEntityMessage(SendEntityMessageAction::default())),
        };
        let timer = |id: i32| OrchestratorAction {
            id,
            orchestrator_action_type: Some(Action::CreateTimer(CreateTimerAction { fire_at: None })),
        };
        let empty = OrchestratorAction { id: 3, orchestrator_action_type: None };
        let failed = OrchestrationStatus::Failed;
        let actions = match self.rng.below(9) {
            0 => vec![schedule(1), completion(2, OrchestrationStatus::Pending)],
            1 => vec![schedule(1), timer(1), entity],
            2 => vec![child(5, ""), child(5, ""), completion(6, failed)],
            3 => vec![child(5, ""), child(5, "")],
            4 => vec![completion(1, failed), completion(2, OrchestrationStatus::Completed)],
            5 => vec![child(1, "a/b"), child(2, "@entity@1"), completion(-1, failed)],
            6 => vec![empty, schedule(1), schedule(1), completion(1, OrchestrationStatus::Terminated)],
            7 => vec![child(1, work.instance.as_str()), schedule(i32::MAX), completion(i32::MIN, failed)],
            _ => vec![completion(0, OrchestrationStatus::Running)],
        };
        OrchestratorResponse { instance_id: work.instance.to_string(), actions, ..OrchestratorResponse::default() }
    }

    /// An answer arrives at its hub.
    pub(crate) fn answer_step(&mut self) -> bool {
        if !self.strays.is_empty() && !self.quiet && self.rng.percent(10) {
            let at = self.rng.below(self.strays.len());
            let stray = self.strays.remove(at);
            let hub = self.owner();
            let workers: Vec<u64> = self.hubs[hub].workers.keys().copied().collect();
            if !workers.is_empty() {
                let worker = *self.rng.pick(&workers);
                self.cover.count("model: an answer of an earlier life");
                self.deliver_answer(hub, worker, stray);
                return true;
            }
        }
        let hub = self.any_hub();
        if self.hubs[hub].answers.is_empty() {
            return false;
        }
        let at = self.rng.below(self.hubs[hub].answers.len());
        let (worker, answer) = self.hubs[hub].answers.remove(at);
        self.deliver_answer(hub, worker, answer);
        true
    }

    pub(crate) fn deliver_answer(&mut self, hub: usize, worker: u64, answer: Answer) {
        let token = answer.token();
        let epoch = (token.0 >> 40) as u32;
        let part = self.hubs[hub].parts.iter().position(|part| part.epoch.is_some_and(|of| of.0 == epoch));
        let current = self.tokens.get(&token.0).is_some_and(|issued| {
            !issued.answered
                && names(&answer, issued)
                && self.latest.get(&(epoch, issued.item.clone())) == Some(&token.0)
        });
        let Some(part) = part else {
            self.cover.count("model: an answer to a lease that is over");
            return;
        };
        if !current {
            self.cover.count("model: a stale answer");
        }
        tell!(self, "answer of worker {worker} to {token} ({})", if current { "current" } else { "stale" });
        if current && self.hubs[hub].parts[part].core.is_some() {
            let issued = self.tokens.get_mut(&token.0).expect("it is current");
            // An answer over another connection may or may not be taken.
            issued.answered = issued.worker == worker;
            match (&answer, &issued.item) {
                (Answer::Orchestrator(_, response), Key::Episode { run, episode }) if !response.requires_history => {
                    self.causes.episodes.insert((issued.epoch, *run, *episode));
                }
                (Answer::Activity(_, response), Key::Task { .. }) => {
                    let failure = response.failure_details.as_ref().map(|failure| failure.error_message.clone());
                    self.causes.results.extend(response.result.clone().or(failure));
                }
                _ => {}
            }
        }
        self.hubs[hub].parts[part].inputs.push_back(Input::Answer(WorkerId(worker), answer));
    }

    pub(crate) fn worker_fault(&mut self) -> bool {
        let hub = self.owner();
        let workers: Vec<u64> = self.hubs[hub].workers.keys().copied().collect();
        if workers.len() < 4 && self.rng.percent(50) || workers.is_empty() {
            self.join_worker();
            return true;
        }
        if !self.happens(Fault::WorkerVanish, 500) {
            return false;
        }
        self.cover.count("fault: WorkerVanish");
        let id = *self.rng.pick(&workers);
        if let Some(mut gone) = self.leave_worker(hub, id)
            && !gone.in_process
        {
            // Its connection is gone, and it works on.
            for item in gone.items.drain(..) {
                if let Work::Activity(work) = &item.work {
                    let answer = Answer::Activity(item.token, self.activity(item.token, work));
                    self.strays.push(answer);
                }
            }
        }
        true
    }
}

/// The owner of an instance among the partitions of a hub.
pub(crate) fn part_of(hub: &Hub, slot: Slot) -> usize {
    hub.part_of(slot).unwrap_or_else(|| fail("slots have owners", format!("{slot:?}")))
}

fn names(answer: &Answer, issued: &Issued) -> bool {
    match (answer, &issued.item) {
        (Answer::Orchestrator(_, response), Key::Episode { .. }) => response.instance_id == issued.instance,
        (Answer::Activity(_, response), Key::Task { .. }) => response.instance_id == issued.instance,
        (Answer::Orchestrator(..) | Answer::Activity(..), _) => false,
        (Answer::Abandoned(..) | Answer::WrittenOff(_), _) => true,
    }
}

fn instance_of(item: &WorkItem) -> &str {
    match &item.work {
        Work::Orchestrator(work) => work.instance.as_str(),
        Work::Activity(work) => work.instance.as_str(),
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

fn name(item: &WorkItem) -> String {
    match &item.work {
        Work::Orchestrator(work) => format!(
            "episode {} of {} run {:x} ({} past, {} new) token {}",
            work.session.episodes,
            work.instance,
            work.session.run.0,
            work.past.as_ref().map_or("session".into(), |past| past.len().to_string()),
            work.new.len(),
            item.token
        ),
        Work::Activity(work) => {
            format!("activity #{} of {} token {}", decode(&work.scheduled).event_id, work.instance, item.token)
        }
    }
}
