//! Which replies a client may get: what is shown is durable, and was true at some moment between the
//! request and the reply.

use crate::check::{ensure, fail};
use crate::model::{Facet, State};
use duramen_core::limits::BadInput;
use duramen_core::request::{OnExisting, PurgeOne, Refusal, Reply, Request, Seen, Until};
use duramen_core::time::Time;
use duramen_proto::history_event::EventType;
use duramen_proto::{OrchestrationState, OrchestrationStatus};

/// A request that has not been answered.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) request: Request,
    /// The place in the model's log when it was sent.
    pub(crate) since: u64,
    pub(crate) sent: Time,
    /// The life of the hub that it was sent to.
    pub(crate) life: u64,
}

pub(crate) struct Moment<'a> {
    pub(crate) durable: &'a State,
    pub(crate) now: Time,
    /// The place in the model's log at which the one who answers lost its lease: it may show what was
    /// true then, and nothing older.
    pub(crate) deposed: Option<u64>,
    /// Time never went back.
    pub(crate) steady: bool,
}

impl Moment<'_> {
    pub(crate) fn check(&self, call: &Call, reply: &Reply) {
        let id = call.request.instance();
        let since = call.since.min(self.deposed.unwrap_or(call.since));
        let facets = self.durable.facets_since(id.as_str(), since);
        let any = |what: fn(&Facet) -> bool| facets.iter().any(what);
        let see = |holds: bool, check: &'static str| {
            ensure!(holds, check, "{:?} was answered {reply:?}; the instance was {facets:?}", call.request);
        };
        match reply {
            Reply::Started { id: started, birth, attached } => {
                let known = self.durable.ever.births.get(&birth.0);
                see(known.is_some_and(|(of, _)| *of == started.as_str()), "a start that was acknowledged is durable");
                if let (Request::Start(start), false) = (&call.request, attached) {
                    see(
                        known.is_some_and(|(_, input)| *input == start.request.input),
                        "a start that was acknowledged is the one that was asked for",
                    );
                }
                if *attached {
                    see(any(|facet| facet.exists), "a start attaches to what exists");
                }
            }
            Reply::State(None) => see(any(|facet| !facet.exists), "what is not there was not there"),
            Reply::State(Some(state)) => self.shown(call, state, &facets),
            Reply::Done => self.done(call, &facets, reply),
            Reply::Purged(true) => {
                see(any(|facet| facet.exists && facet.ended), "only what has ended is purged");
                see(any(|facet| !facet.exists), "a purge that was acknowledged is durable");
            }
            Reply::Purged(false) => {
                // What has failed may have been rewound, and have failed again.
                let differs = |seen: &Seen| {
                    let other = |facet: &Facet| facet.birth != seen.birth.0 || facet.status != seen.status as i32;
                    seen.status == OrchestrationStatus::Failed || facets.iter().any(other)
                };
                let other = matches!(&call.request, Request::Purge(PurgeOne { seen: Some(seen), .. }) if differs(seen));
                see(other || any(|facet| !facet.exists || !facet.ended), "what has ended is purged");
            }
            Reply::History(events) => {
                see(any(|facet| facet.exists), "what is shown exists");
                let execution = |events: &[bytes::Bytes]| {
                    events.iter().find_map(|event| match crate::model::kind(event) {
                        EventType::ExecutionStarted(started) => Some(started.orchestration_instance),
                        _ => None,
                    })
                };
                if let Some(instance) = self.durable.instance(id.as_str())
                    && execution(&instance.run.history) == execution(events)
                    && !events.is_empty()
                {
                    // Rewinds are shown with the history and are no part of it.
                    let shown =
                        |event: &&bytes::Bytes| !matches!(crate::model::kind(event), EventType::ExecutionRewound(_));
                    let shown: Vec<_> = events.iter().filter(shown).cloned().collect();
                    see(instance.run.history.starts_with(&shown), "a history that is shown is durable");
                }
            }
            Reply::Held(items) => fail("a reply is of its request", format!("{call:?} was answered {items:?}")),
            Reply::Refused(refusal) => self.refused(call, refusal, &facets),
        }
    }

    fn shown(&self, call: &Call, state: &OrchestrationState, facets: &[Facet]) {
        let id = call.request.instance();
        let see = |holds: bool, check: &'static str| {
            ensure!(holds, check, "{:?} was shown {state:?}; the instance was {facets:?}", call.request);
        };
        let execution = state.execution_id.clone().unwrap_or_default();
        let birth = self.durable.ever.executions.get(&execution).copied();
        see(state.instance_id == id.as_str(), "a reply is about what was asked for");
        see(birth.is_some(), "what is shown is durable");
        let birth = birth.unwrap_or_default();
        let ended = state.completed_timestamp.is_some();
        let pending = state.orchestration_status == OrchestrationStatus::Pending as i32;
        if ended {
            let outcome = (execution, state.orchestration_status, state.output.clone());
            see(self.durable.ever.outcomes.contains(&outcome), "an outcome that is shown is durable");
        } else if !pending {
            let suspended = facets.iter().any(|facet| facet.suspended);
            see(suspended || self.durable.ever.begun.contains(&birth), "a beginning that is shown is durable");
        }
        if state.custom_status.is_some() {
            let known = self.durable.ever.custom.contains(&(birth, state.custom_status.clone()));
            see(known, "a custom status that is shown is durable");
        }
        let true_then = |facet: &Facet| facet.exists && facet.birth == birth && facet.ended == ended;
        see(facets.iter().any(true_then), "what is shown was true");
        if let Request::Wait(wait) = &call.request {
            see(if wait.until == Until::Completed { ended } else { !pending }, "a wait is answered when it is met");
            see(wait.birth.is_none_or(|bound| bound.0 == birth), "a bound wait is about its birth");
        }
    }

    fn done(&self, call: &Call, facets: &[Facet], reply: &Reply) {
        let any = |what: fn(&Facet) -> bool| facets.iter().any(what);
        let known = |text: &Option<String>| text.as_ref().is_some_and(|text| self.durable.ever.texts.contains(text));
        let holds = match &call.request {
            Request::Raise { input, .. } => known(input) || any(|facet| facet.ended),
            Request::Suspend { reason, .. } => known(reason) || any(|facet| facet.ended || facet.suspended),
            Request::Resume { reason, .. } => known(reason) || any(|facet| facet.ended || !facet.suspended),
            Request::Terminate { output, .. } => known(output) || any(|facet| facet.ended),
            Request::Rewind { reason, .. } => known(reason),
            Request::Decide { id, key, .. } => {
                let held = self.durable.losses(id.as_str(), *key).and_then(|losses| losses.held);
                !self.steady || held.is_none_or(|since| Time::from(since) >= call.sent)
            }
            other => fail("a reply is of its request", format!("{other:?} was answered {reply:?}")),
        };
        ensure!(
            holds && any(|facet| facet.exists),
            "what was acknowledged is durable",
            "{:?} was answered {reply:?}; the instance was {facets:?}",
            call.request
        );
    }

    fn refused(&self, call: &Call, refusal: &Refusal, facets: &[Facet]) {
        let any = |what: &dyn Fn(&Facet) -> bool| facets.iter().any(what);
        let live = |facet: &Facet| facet.exists && !facet.ended;
        let holds = match (refusal, &call.request) {
            (Refusal::NotFound(_), _) => any(&|facet| !facet.exists),
            (Refusal::BadInput(BadInput::Reserved { .. }), Request::Start(start)) => {
                is_of_a_child(&start.request.instance_id) && any(&|facet| !facet.exists)
            }
            (Refusal::BadInput(BadInput::Reserved { .. }), Request::Restart { id, new_id: None }) => {
                is_of_a_child(id.as_str())
            }
            (Refusal::AlreadyExists { .. }, Request::Start(start)) => match &start.on_existing {
                OnExisting::Reject => any(&live),
                OnExisting::Replace(_) | OnExisting::ReplaceAny(_) | OnExisting::AttachListed(_) => {
                    any(&|facet| facet.exists)
                }
                OnExisting::Attach | OnExisting::AttachAny => false,
            },
            // The copy's id is another one.
            (Refusal::AlreadyExists { .. }, Request::Restart { .. }) => true,
            (Refusal::ReusePolicy, Request::Start(start)) => {
                matches!(&start.on_existing, OnExisting::Replace(listed) if !listed.contains(&OrchestrationStatus::Terminated))
                    && any(&live)
            }
            (Refusal::WrongStatus { .. }, Request::Decide { .. }) => any(&|facet| facet.exists),
            (Refusal::WrongStatus { .. }, Request::Rewind { .. }) => {
                any(&|facet| facet.exists && facet.status != OrchestrationStatus::Failed as i32)
            }
            (Refusal::WrongStatus { .. }, Request::Restart { new_id: None, .. }) => any(&live),
            (Refusal::Replaced(_), Request::Wait(wait)) => {
                any(&|facet| facet.exists && wait.birth.is_some_and(|bound| bound.0 != facet.birth))
            }
            (Refusal::TimedOut(_), Request::Wait(wait)) => {
                let over = |timeout| self.now >= call.sent.plus(timeout);
                !self.steady || wait.timeout.is_none_or(over)
            }
            _ => false,
        };
        ensure!(
            holds,
            "a refusal has its reason",
            "{:?} was refused with {refusal:?}; the instance was {facets:?}",
            call.request
        );
    }
}

/// Whether an id looks like those that a hub gives to children: 32 digits of an execution, and an action's.
fn is_of_a_child(id: &str) -> bool {
    let (execution, action) = id.split_once(':').unwrap_or_default();
    execution.len() == 32 && action.len() >= 4 && execution.chars().chain(action.chars()).all(|c| c.is_ascii_hexdigit())
}
