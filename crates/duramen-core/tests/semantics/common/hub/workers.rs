//! Workers: they come and go, and run the script.

use super::*;

/// Workers elsewhere have answered something under a token before the test begins.
pub(super) fn show_token(dispatcher: &mut Dispatcher, id: WorkerId) {
    dispatcher.answered(id, &Answer::Orchestrator(Token(0), OrchestratorResponse::default()));
}

impl Hub {
    pub fn join(&mut self, id: WorkerId, announcement: Announcement) {
        self.dispatcher.join(id, announcement.clone());
        show_token(&mut self.dispatcher, id);
        self.joined(id, announcement);
    }

    /// The same with one of which nobody knows yet whether it returns tokens.
    pub fn join_unshown(&mut self, id: WorkerId, announcement: Announcement) {
        self.dispatcher.join(id, announcement.clone());
        self.joined(id, announcement);
    }

    fn joined(&mut self, id: WorkerId, announcement: Announcement) {
        self.workers.insert(id, Worker { announcement, sessions: BTreeMap::new() });
        self.grant();
        self.run();
    }

    /// All workers are gone, and nobody hears of it: the hub dies at the same moment.
    pub fn workers_vanish(&mut self) {
        self.workers.clear();
        self.jobs.clear();
        self.held.clear();
    }

    /// A worker is drained and goes.
    pub fn drain(&mut self, id: WorkerId) {
        self.dispatcher.drain(id);
        self.go(id, Departure::Left);
    }

    pub fn leave(&mut self, id: WorkerId) {
        let in_process = self.workers.get(&id).is_some_and(|worker| worker.announcement.in_process);
        self.go(id, if in_process { Departure::Left } else { Departure::Lost });
    }

    fn go(&mut self, id: WorkerId, departure: Departure) {
        self.workers.remove(&id);
        self.dispatcher.leave(id, self.now);
        self.jobs.retain(|(worker, _)| *worker != id);
        for partition in self.partitions.keys() {
            self.queue.push_back((*partition, Input::WorkerGone(id, departure)));
        }
        self.run();
    }

    /// Replaces the worker by one elsewhere.
    pub fn go_remote(&mut self) {
        self.leave(WORKER);
        self.join(WORKER, remote());
    }

    pub fn orchestrator(&mut self, name: &str, code: impl Fn(&mut script::Context) -> Option<String> + 'static) {
        self.script.orchestrators.insert(name.into(), Rc::new(code));
    }

    pub fn raw(&mut self, name: &str, code: impl Fn(&OrchestratorWork) -> OrchestratorResponse + 'static) {
        self.script.raw.insert(name.into(), Rc::new(code));
    }

    pub fn activity(&mut self, name: &str, code: impl Fn(&str) -> Result<String, TaskFailureDetails> + 'static) {
        let code = move |work: &ActivityWork| code(&scheduled(work).1.input.unwrap_or_default()).map(Some);
        self.script.activities.insert(name.into(), Rc::new(code));
    }

    /// Puts items of a function aside; the answers are the test's.
    pub fn hold(&mut self, name: &str) {
        self.held_names.insert(name.into());
    }

    /// Lets the function's items run, those put aside first.
    pub fn release(&mut self, name: &str) {
        self.held_names.remove(name);
        let (free, held) = std::mem::take(&mut self.held).into_iter().partition(|(_, item)| name_of(item) == name);
        self.held = held;
        self.jobs.extend::<Vec<_>>(free);
        self.run();
    }

    /// The one item that is put aside.
    pub fn take_held(&mut self) -> (WorkerId, WorkItem) {
        assert_eq!(self.held.len(), 1, "one item is held: {:?}", self.held);
        self.held.remove(0)
    }

    pub fn answer(&mut self, worker: WorkerId, answer: Answer) {
        self.submit_answer(worker, answer);
        self.run();
    }

    /// Puts an answer into the queue without running the loop.
    pub fn submit_answer(&mut self, worker: WorkerId, answer: Answer) {
        self.dispatcher.answered(worker, &answer);
        for partition in self.partitions.keys() {
            self.queue.push_back((*partition, Input::Answer(worker, answer.clone())));
        }
    }

    /// Runs an item as the script has it.
    pub fn perform(&mut self, worker: WorkerId, item: &WorkItem) -> Answer {
        match &item.work {
            Work::Orchestrator(work) => {
                let Some(past) = self.past_of(worker, work) else {
                    let response = OrchestratorResponse { requires_history: true, ..OrchestratorResponse::default() };
                    return Answer::Orchestrator(item.token, response);
                };
                if self.audited {
                    audit::episode(work, &past);
                }
                let response = script::episode(&self.script, work, &past);
                let keeps = self.workers.get(&worker).is_some_and(|worker| worker.announcement.sessions);
                if keeps && !response.requires_history {
                    let mut history = past;
                    script::remember(&mut history, &work.new, &response);
                    let session = Session { episodes: work.session.episodes + 1, ..work.session };
                    let worker = self.workers.get_mut(&worker).expect("it was just there");
                    worker.sessions.insert(session.run, (session, history));
                }
                Answer::Orchestrator(item.token, response)
            }
            Work::Activity(work) => {
                let (id, task) = scheduled(work);
                self.ran.borrow_mut().push(task.name.clone());
                let code = self.script.activities.get(&task.name).cloned();
                let result =
                    code.map_or_else(|| Err(script::failure("ActivityTaskNotFound", &task.name)), |code| code(work));
                Answer::Activity(item.token, activity_response(work, id, result))
            }
        }
    }

    /// The history before an episode; `None` when the worker was told to forget it meanwhile.
    fn past_of(&mut self, worker: WorkerId, work: &OrchestratorWork) -> Option<Vec<HistoryEvent>> {
        if let Some(past) = &work.past {
            return Some(text::decode(past));
        }
        let sessions = &mut self.workers.get_mut(&worker).expect("a worker with work is here").sessions;
        let Some((session, history)) = sessions.remove(&work.session.run) else {
            let ended = self.ended_sessions.contains(&(worker, work.session.run));
            assert!(ended, "an item without history goes to the worker that holds the session");
            return None;
        };
        assert_eq!(session, work.session, "the session goes on where it was");
        Some(history)
    }
}
