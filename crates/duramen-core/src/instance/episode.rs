//! One episode: handing it out, and applying its answer.

use super::acceptance::objection;
use super::actions::Applied;
use super::{Fixed, Instance};
use crate::checkpoint::{Change, CustomStatus, HistoryParts, Part, Place, Taken};
use crate::event::{self, Kind};
use crate::ids::Token;
use crate::partition::Ledger;
use crate::planted::{self, Bug, planted};
use crate::time::Time;
use crate::work::{OrchestratorWork, Session, Work, WorkItem, WorkerId};
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;
use duramen_proto::history_event::EventType;
use duramen_proto::orchestrator_action::OrchestratorActionType as Action;
use duramen_proto::{
    CompleteOrchestrationAction, OrchestrationStatus, OrchestrationTraceContext, OrchestratorAction,
    OrchestratorResponse, TaskFailureDetails,
};
use prost::Message as _;

/// Who gets an episode, and how.
#[derive(Clone, Copy)]
pub(crate) struct HandOut {
    pub(crate) worker: WorkerId,
    pub(crate) token: Token,
    /// Whether it may be before what is in it is durable.
    pub(crate) early: bool,
    /// The last checkpoint that is durable.
    pub(crate) durable: u64,
}

impl Instance {
    /// Builds the item for a worker. The caller has seen that one is due. `None` when nothing of it
    /// may go there yet.
    pub(crate) fn hand_out(&mut self, to: HandOut, ledger: &Ledger) -> Option<WorkItem> {
        if self.fixed.is_none() {
            let taken = self.choose((!to.early).then_some(to.durable));
            if taken.is_empty() {
                return None;
            }
            self.fixed = Some(self.fix(taken, ledger.now));
        }
        let fixed = self.fixed.as_ref().expect("it was fixed just now");
        if !to.early && self.advanced.max(fixed.number) > to.durable {
            return None;
        }
        let mut new = Vec::with_capacity(fixed.taken.len() + 1);
        new.push(fixed.started.clone());
        let shown =
            fixed.taken.iter().map(|sequence| self.entry(*sequence)).filter(|entry| entry.kind != Kind::Rewound);
        new.extend(shown.map(|entry| entry.event.clone()));
        let holds_session = self.session == Some(to.worker)
            || (planted::has(Bug::SessionAfterRecovery) && to.early && self.touched == 0 && self.tail.episodes > 0);
        self.offered = false;
        self.episode = Some(to.token);
        let work = OrchestratorWork {
            instance: self.id.clone(),
            execution_id: self.execution_id.clone(),
            name: self.name.clone(),
            version: self.version.clone(),
            session: Session {
                epoch: planted::session_epoch(ledger.epoch),
                run: self.run(),
                rewinds: self.head.rewinds.len() as u32,
                episodes: self.tail.episodes,
            },
            past: (!holds_session).then(|| self.history.whole().to_vec()),
            new,
            trace: self.tail.trace.clone(),
        };
        Some(WorkItem { token: to.token, work: Work::Orchestrator(work) })
    }

    /// Fails the instance instead of handing its next episode out: as if its worker had answered so.
    pub(crate) fn fail_episode(&mut self, failure: TaskFailureDetails, ledger: &mut Ledger) {
        // What waits behind a suspension is taken too: the end is for all of it.
        self.tail.suspended = false;
        if self.fixed.is_none() {
            self.fixed = Some(self.fix(self.choose(None), ledger.now));
        }
        ledger.forget_late(&self.item());
        self.offered = false;
        let completion = CompleteOrchestrationAction {
            orchestration_status: OrchestrationStatus::Failed.into(),
            failure_details: Some(failure),
            ..CompleteOrchestrationAction::default()
        };
        let action = Some(Action::CompleteOrchestration(completion));
        let response = OrchestratorResponse {
            actions: vec![OrchestratorAction { id: -1, orchestrator_action_type: action }],
            orchestration_trace_context: decode_trace(&self.tail.trace),
            ..OrchestratorResponse::default()
        };
        self.answer(response, None, ledger);
    }

    fn fix(&self, taken: Vec<u64>, now: Time) -> Fixed {
        let fired = taken.iter().map(|sequence| self.entry(*sequence)).filter(|entry| entry.kind == Kind::Fired);
        let latest_fire = fired.filter_map(|entry| match event::decode_type(&entry.event) {
            EventType::TimerFired(fired) => fired.fire_at.map(Time::from),
            _ => None,
        });
        let time = self.next_episode_time(now).max(latest_fire.max().unwrap_or_default());
        let number = taken.iter().map(|sequence| self.entry(*sequence).number).max().unwrap_or(0);
        Fixed { time, started: event::orchestrator_started(time), taken, number }
    }

    /// Strictly later than the episode before, whatever the wall clock does.
    pub(super) fn next_episode_time(&self, now: Time) -> Time {
        planted!(EpisodeTimeBack => return now);
        let created = Time::from(self.head.created.unwrap_or_default());
        let last = self.tail.episode_time.map(Time::from);
        let after_last = last.map_or(Time::EPOCH, |last| last.plus(Duration::from_micros(1)));
        now.max(created).max(after_last)
    }

    /// Takes back an episode that was not answered: the next worker gets the same events.
    pub(crate) fn take_back(&mut self) {
        planted!(EpisodeNotFixed => self.fixed = None);
        self.episode = None;
        self.session = None;
    }

    /// Applies the answer to the episode that is under way.
    pub(crate) fn answer(&mut self, response: OrchestratorResponse, session: Option<WorkerId>, ledger: &mut Ledger) {
        let fixed = self.fixed.take().expect("an episode under way has its events fixed");
        self.episode = None;
        self.advanced = ledger.number;
        self.clear_losses(ledger);
        self.session = session;
        let run = self.head.run;
        let first = self.history.len() as u64;
        let mut parts = self.take(&fixed);
        self.note_answer(fixed.time, ledger);

        let mut applied = match objection(&self.name, &response) {
            Some(failure) => Applied::failed(failure),
            None => {
                self.set_custom_status(&response, ledger);
                self.tail.trace = response.orchestration_trace_context.as_ref().map_or_else(Bytes::new, encode_trace);
                self.apply_actions(response.actions, ledger)
            }
        };
        applied.complete(self, ledger.now);
        parts.extend(applied.events.iter().map(|event| Part::from(Place::Here(event.clone()))));
        self.tail.history_events = self.history.len() as u64;
        ledger.write(Change::History(HistoryParts { run, parts, replace: false, first }));
        ledger.write(Change::Taken(Taken { run, sequences: fixed.taken }));
        self.settle_actions(applied, ledger);
        self.offer_if_due(ledger);
    }

    /// Moves what an episode took from the inbox to the history.
    pub(super) fn take(&mut self, fixed: &Fixed) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::with_capacity(fixed.taken.len() + 4);
        self.history.push(fixed.started.clone());
        parts.push(Place::Here(fixed.started.clone()).into());
        for sequence in &fixed.taken {
            let place = self.inbox.binary_search_by_key(sequence, |entry| entry.sequence);
            let entry = self.inbox.remove(place.expect("an episode takes what is in the inbox")).expect("it was found");
            if entry.kind == Kind::Terminated {
                self.terminating = None;
                self.tail.terminating = self.inbox.iter().any(|entry| entry.kind == Kind::Terminated);
            }
            if entry.kind != Kind::Rewound {
                self.history.push(entry.event);
                parts.push(Place::Inbox(*sequence).into());
            }
        }
        parts
    }

    fn note_answer(&mut self, time: Time, ledger: &mut Ledger) {
        self.tail.episode_time = Some(time.into());
        self.tail.episodes += 1;
        if !self.tail.begun {
            self.tail.begun = true;
            ledger.moved.push(self.birth());
        }
        if !self.tail.suspended {
            self.set_status(OrchestrationStatus::Running);
        }
        self.change(ledger);
    }

    /// An answer carries the value of the whole replay: absent clears what this generation has set,
    /// and leaves what an earlier one had set. A failure that the SDK itself reports (action id −1)
    /// says nothing of it.
    fn set_custom_status(&mut self, response: &OrchestratorResponse, ledger: &mut Ledger) {
        let run = self.head.run;
        let current = self.custom_status.as_ref();
        let by_sdk = response.actions.iter().any(|action| {
            action.id == -1 && matches!(action.orchestrator_action_type, Some(Action::CompleteOrchestration(_)))
        });
        let value = match &response.custom_status {
            Some(value) if current.is_some_and(|now| now.set_by == run && now.value.as_ref() == Some(value)) => return,
            Some(value) => Some(value.clone()),
            None if by_sdk => return,
            None if current.is_some_and(|now| now.set_by == run && now.value.is_some()) => None,
            None => return,
        };
        let status = CustomStatus { birth: self.head.birth, value, set_by: run };
        ledger.write(Change::CustomStatus(status.clone()));
        self.custom_status = Some(status);
    }
}

fn decode_trace(trace: &Bytes) -> Option<OrchestrationTraceContext> {
    if trace.is_empty() {
        return None;
    }
    // It was encoded here.
    OrchestrationTraceContext::decode(trace.clone()).ok()
}

fn encode_trace(trace: &OrchestrationTraceContext) -> Bytes {
    trace.encode_to_vec().into()
}
