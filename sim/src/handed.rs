//! Items on their way to workers: what they show must be durable, unless it is for whoever forgets it with the lease,
//! and be theirs.

use crate::check::ensure;
use crate::model::decode;
use crate::world::{Issued, Key, World, tell};
use duramen_core::work::{OrchestratorWork, Work, WorkItem, WorkerId};
use duramen_proto::history_event::EventType;

impl World {
    /// An item reaches a worker.
    pub(crate) fn give_work(&mut self, hub: usize, to: WorkerId, item: WorkItem) {
        let deposed = self.hubs[hub].deposed;
        let epoch = item.token.epoch().0;
        let key = match &item.work {
            Work::Orchestrator(work) => {
                self.check_episode(work, epoch, deposed, hub, to);
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
        if let Key::Episode { run, episode } = key {
            let off = self.written_off.contains(&(epoch, run, episode));
            ensure!(!off, "what was written off is not handed out again", "{}", name(&item));
        }
        let early = matches!(key, Key::Episode { .. }) && self.keepers.contains(&to.0);
        if !deposed && !early {
            self.check_losses(instance_of(&item), epoch, &key);
        }
        let again = self.latest.insert((epoch, key.clone()), item.token.0);
        if let Some(again) = again.and_then(|token| self.tokens.get(&token)) {
            self.cover.count("model: an item is handed out again");
            let _ = again;
        }
        let fresh = self
            .tokens
            .insert(
                item.token.0,
                Issued {
                    worker: to.0,
                    instance: instance_of(&item).to_owned(),
                    item: key,
                    epoch,
                    since: self.moment(),
                    answered: false,
                    given_back: false,
                },
            )
            .is_none();
        ensure!(fresh, "a token is given out once", "{}", item.token);
        tell!(self, "worker {} gets {}", to.0, name(&item));
        self.hubs[hub].dispatcher.handed(to, &item);
        if self.hubs[hub].workers.get(&to.0).is_some_and(|worker| worker.bare) {
            self.book(hub, to.0, &item);
        }
        if let Some(worker) = self.hubs[hub].workers.get_mut(&to.0) {
            worker.items.push(item);
        } else {
            self.cover.count("an item for a worker that is gone");
        }
    }

    fn check_episode(&mut self, work: &OrchestratorWork, epoch: u32, deposed: bool, hub: usize, to: WorkerId) {
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
        if self.keepers.contains(&to.0) || deposed {
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
            "an episode goes to who may remember it when its events are durable",
            "{id}: {:?} with {:?}, and durable is {:?}",
            work.session,
            work.new.iter().map(crate::model::kind).collect::<Vec<_>>(),
            instance.map(|instance| (instance.run.history.len(), instance.run.inbox.keys().collect::<Vec<_>>()))
        );
    }
}

pub(crate) fn instance_of(item: &WorkItem) -> &str {
    match &item.work {
        Work::Orchestrator(work) => work.instance.as_str(),
        Work::Activity(work) => work.instance.as_str(),
    }
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
