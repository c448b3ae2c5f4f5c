//! The executions that one thread keeps between their episodes.

use super::twice::{Begin, Twice};
use crate::App;
use duramen_core::ids::{Run, Token};
use duramen_core::work::{Answer, OrchestratorWork, Session};
use duramen_proto::{OrchestrationTraceContext, OrchestratorResponse};
use prost::Message;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

pub(super) struct Sessions {
    app: Arc<App>,
    default_version: Option<Arc<str>>,
    capacity: usize,
    run_twice: bool,
    kept: HashMap<Run, Kept>,
    /// Least lately used first. An entry counts only when its number is that of the session.
    order: VecDeque<(Run, u64)>,
    uses: u64,
    /// Runs that are no longer kept, for whoever routes items.
    pub(super) gone: Vec<Run>,
}

struct Kept {
    /// How the item must be named that goes on from here.
    next: Session,
    used: u64,
    execution: Twice,
}

impl Sessions {
    pub(super) fn new(app: Arc<App>, default_version: Option<Arc<str>>, capacity: usize, run_twice: bool) -> Self {
        Self {
            app,
            default_version,
            capacity,
            run_twice,
            kept: HashMap::new(),
            order: VecDeque::new(),
            uses: 0,
            gone: Vec::new(),
        }
    }

    /// Runs one episode.
    pub(super) fn run(&mut self, token: Token, work: OrchestratorWork) -> Answer {
        let run = work.session.run;
        let kept = self.kept.remove(&run);
        let fits = kept.filter(|kept| work.past.is_none() && kept.next == work.session);
        let execution = match (fits, &work.past) {
            (Some(kept), _) => Some(kept.execution),
            (None, Some(_)) => Some(self.begin(&work)),
            // Nothing has been seen because nothing has happened.
            (None, None) if work.session.episodes == 0 => Some(self.begin(&work)),
            (None, None) => None,
        };
        let Some(mut execution) = execution else {
            self.gone.push(run);
            let response = OrchestratorResponse { requires_history: true, ..response(&work) };
            return Answer::Orchestrator(token, response);
        };
        let end = match execution.episode(work.past.as_deref().unwrap_or_default(), &work.new) {
            Ok(end) => end,
            Err(error) => {
                self.gone.push(run);
                let reason = format!("the history of instance {} does not parse: {error}", work.instance);
                return Answer::Abandoned(token, reason);
            }
        };
        if end.ended {
            self.gone.push(run);
        } else {
            self.keep(run, work.session, execution);
        }
        Answer::Orchestrator(
            token,
            OrchestratorResponse { actions: end.actions, custom_status: end.custom_status, ..response(&work) },
        )
    }

    /// Forgets a session.
    pub(super) fn end(&mut self, run: Run) {
        if self.kept.remove(&run).is_some() {
            self.gone.push(run);
        }
    }

    fn begin(&self, work: &OrchestratorWork) -> Twice {
        let default_version = self.default_version.clone();
        Twice::new(Begin { app: &self.app, instance_id: work.instance.as_str(), default_version }, self.run_twice)
    }

    fn keep(&mut self, run: Run, session: Session, execution: Twice) {
        self.uses += 1;
        let next = Session { episodes: session.episodes + 1, ..session };
        self.kept.insert(run, Kept { next, used: self.uses, execution });
        self.order.push_back((run, self.uses));
        while self.kept.len() > self.capacity {
            let Some((run, used)) = self.order.pop_front() else { return };
            if self.kept.get(&run).is_some_and(|kept| kept.used == used) {
                self.end(run);
            }
        }
        // Entries that no longer count go when they are the larger part.
        if self.order.len() > 64 + 2 * self.kept.len() {
            let kept = &self.kept;
            self.order.retain(|(run, used)| kept.get(run).is_some_and(|kept| kept.used == *used));
        }
    }
}

fn response(work: &OrchestratorWork) -> OrchestratorResponse {
    let trace = (!work.trace.is_empty()).then(|| OrchestrationTraceContext::decode(&*work.trace).ok()).flatten();
    OrchestratorResponse {
        instance_id: work.instance.as_str().to_string(),
        orchestration_trace_context: trace,
        ..Default::default()
    }
}
