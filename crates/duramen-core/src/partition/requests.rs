//! What clients ask of instances.

use super::residence::{Deferred, Residence};
use super::{Effect, Input, Partition};
use crate::event::{self, Kind};
use crate::ids::{Birth, InstanceId};
use crate::instance::Instance;
use crate::limits::{BadInput, check_name, check_payload};
use crate::planted::{self, Bug};
use crate::request::{PurgeOne, Refusal, Reply, Request, RequestId, Seen};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use duramen_proto::OrchestrationStatus;

impl Request {
    /// The instance that a request is about.
    pub fn instance(&self) -> InstanceId {
        match self {
            Self::Start(start) => InstanceId::new(start.request.instance_id.as_str()),
            Self::Wait(wait) => wait.id.clone(),
            Self::Get(id) | Self::History(id) => id.clone(),
            Self::Purge(purge) => purge.id.clone(),
            Self::Raise { id, .. }
            | Self::Suspend { id, .. }
            | Self::Resume { id, .. }
            | Self::Terminate { id, .. }
            | Self::End { id, .. }
            | Self::Rewind { id, .. }
            | Self::Restart { id, .. }
            | Self::Decide { id, .. } => id.clone(),
        }
    }

    /// What in a request may not be, whatever the instance.
    fn check(&self) -> Result<(), BadInput> {
        match self {
            Self::Start(start) => super::start::check(start),
            Self::Raise { name, input, .. } => {
                check_name("event", name)?;
                check_payload("event's input", input.as_deref())
            }
            Self::Terminate { output, .. } | Self::End { output, .. } => check_payload("output", output.as_deref()),
            Self::Suspend { reason, .. } | Self::Resume { reason, .. } | Self::Rewind { reason, .. } => {
                check_payload("reason", reason.as_deref())
            }
            Self::Restart { new_id: Some(id), .. } => crate::limits::check_instance_id(id.as_str()),
            Self::Restart { new_id: None, .. }
            | Self::Wait(_)
            | Self::Get(_)
            | Self::Purge(_)
            | Self::History(_)
            | Self::Decide { .. } => Ok(()),
        }
    }
}

impl Partition {
    pub(super) fn request(&mut self, request_id: RequestId, request: Request) {
        if let Err(bad) = request.check().and_then(|()| self.check_execution_id(&request)) {
            return self.reply(request_id, Reply::Refused(bad.into()));
        }
        let id = request.instance();
        let fresh = matches!(&request, Request::Start(start) if start.fresh);
        let residence = match &request {
            Request::History(_) | Request::Rewind { .. } => self.residence_with_history(&id),
            Request::Start(_)
            | Request::Get(_)
            | Request::Wait(_)
            | Request::Raise { .. }
            | Request::Suspend { .. }
            | Request::Resume { .. }
            | Request::Terminate { .. }
            | Request::End { .. }
            | Request::Restart { .. }
            | Request::Purge(_)
            | Request::Decide { .. } => self.residence(&id),
        };
        match residence {
            Residence::Here(birth) => self.request_here(request_id, request, birth),
            Residence::Nowhere => self.request_nowhere(request_id, request),
            Residence::Elsewhere if fresh && !self.loading.contains_key(&id) => {
                self.request_nowhere(request_id, request)
            }
            Residence::Elsewhere => self.defer(id, Some(Deferred::Input(Input::Request(request_id, request)))),
        }
    }

    /// Ids of children are made of the execution id that their parent has: one that the hub makes is of one
    /// parent alone.
    fn check_execution_id(&self, request: &Request) -> Result<(), BadInput> {
        let Request::Start(start) = request else { return Ok(()) };
        match &start.request.execution_id {
            Some(id) if self.ledger.numbers.is_execution(id) => {
                Err(BadInput::Reserved { what: "execution id".into(), id: id.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn reply(&mut self, request: RequestId, reply: Reply) {
        self.ledger.out.push(Effect::Reply(request, reply));
    }

    /// The id is free.
    fn request_nowhere(&mut self, request_id: RequestId, request: Request) {
        let id = request.instance();
        let reply = match request {
            Request::Start(_) if self.ledger.numbers.named_child(&id).is_some() => {
                Reply::Refused(BadInput::Reserved { what: "instance id".into(), id: id.to_string() }.into())
            }
            Request::Start(start) => return self.start(request_id, *start),
            Request::Wait(wait) if wait.birth.is_some() => Reply::Refused(Refusal::NotFound(wait.id.to_string())),
            Request::Wait(wait) => return self.wait(request_id, wait),
            Request::Get(_) => Reply::State(None),
            Request::Purge(_) => Reply::Purged(false),
            other => Reply::Refused(Refusal::NotFound(other.instance().to_string())),
        };
        // That it is gone may not be durable yet.
        let touched = self.leaving.tombstones.get(&id).copied().unwrap_or(0);
        self.reply_when_durable(Effect::Reply(request_id, reply), touched);
    }

    fn request_here(&mut self, request_id: RequestId, request: Request, birth: Birth) {
        self.instances.get_mut(&birth).expect("a resident instance is here").used = self.ledger.now;
        match request {
            Request::Start(start) => self.start_over(request_id, *start, birth),
            Request::Wait(wait) => self.wait(request_id, wait),
            Request::Get(_) => self.show(request_id, birth, |instance| Reply::State(Some(instance.state()))),
            Request::History(_) => self.show(request_id, birth, |instance| Reply::History(instance.shown_history())),
            Request::Purge(purge) => self.purge(request_id, purge, birth),
            Request::Restart { id, new_id } => self.restart(request_id, id, new_id, birth),
            Request::Rewind { id, reason } => self.rewind(request_id, id, reason, birth),
            Request::Raise { name, input, .. } => {
                self.change(request_id, birth, |instance, ledger| {
                    if !instance.ended() {
                        instance.receive(Kind::Raised, event::raised(ledger.now, name, input), ledger);
                    }
                });
            }
            Request::Suspend { reason, .. } => {
                self.change(request_id, birth, |instance, ledger| instance.suspend(reason, ledger))
            }
            Request::Resume { reason, .. } => {
                self.change(request_id, birth, |instance, ledger| instance.resume(reason, ledger))
            }
            Request::Decide { id, key, verdict } => self.decide(request_id, id, (key, verdict), birth),
            Request::End { id, output } => self.end(request_id, id, output, birth),
            Request::Terminate { output, recurse, .. } => {
                self.change(request_id, birth, |instance, ledger| instance.terminate(output, recurse, ledger));
            }
        }
    }

    pub(super) fn show(&mut self, request: RequestId, birth: Birth, reply: impl FnOnce(&Instance) -> Reply) {
        let instance = &self.instances[&birth];
        let (reply, touched) = (reply(instance), instance.touched);
        self.reply_when_durable(Effect::Reply(request, reply), touched);
    }

    /// Does something to an instance, and says so once it is durable.
    pub(super) fn change(
        &mut self,
        request: RequestId,
        birth: Birth,
        act: impl FnOnce(&mut Instance, &mut super::Ledger),
    ) {
        let instance = self.instances.get_mut(&birth).expect("a resident instance is here");
        act(instance, &mut self.ledger);
        let touched = instance.touched;
        let done = Effect::Reply(request, Reply::Done);
        if touched == self.ledger.number {
            self.ledger.hold_patiently(done, birth);
        } else {
            self.reply_when_durable(done, touched);
        }
    }

    fn purge(&mut self, request: RequestId, purge: PurgeOne, birth: Birth) {
        let PurgeOne { id, seen } = purge;
        let instance = &self.instances[&birth];
        let is = Seen::of(&instance.head, &instance.tail);
        if is.is_none() || (seen.is_some() && seen != is && !planted::has(Bug::RowBelieved)) {
            return self.show(request, birth, |_| Reply::Purged(false));
        }
        self.remove(birth);
        for waiter in self.take_waiters(&id) {
            self.ledger.hold(Effect::Reply(waiter, Reply::State(None)));
        }
        self.ledger.hold(Effect::Reply(request, Reply::Purged(true)));
    }

    fn rewind(&mut self, request: RequestId, id: InstanceId, reason: Option<String>, birth: Birth) {
        let status = self.instances[&birth].status();
        if status != OrchestrationStatus::Failed {
            let refusal = wrong_status("rewind", &id, status, "only a failed instance can be rewound");
            return self.show(request, birth, |_| Reply::Refused(refusal));
        }
        self.change(request, birth, |instance, ledger| instance.rewind(reason, ledger));
    }

    fn end(&mut self, request: RequestId, id: InstanceId, output: Option<String>, birth: Birth) {
        let instance = &self.instances[&birth];
        if instance.ended() {
            let refusal = wrong_status("ending", &id, instance.status(), "it has ended already");
            return self.show(request, birth, |_| Reply::Refused(refusal));
        }
        self.change(request, birth, |instance, ledger| instance.end_by_hub(output, ledger));
    }

    fn restart(&mut self, request: RequestId, id: InstanceId, new_id: Option<InstanceId>, birth: Birth) {
        let instance = &self.instances[&birth];
        if new_id.is_none() && !instance.ended() {
            let why = "only an ended instance can be restarted under its own id; restart it under a new one";
            let refusal = wrong_status("restart", &id, instance.status(), why);
            return self.show(request, birth, |_| Reply::Refused(refusal));
        }
        let start = super::start::again(instance, new_id.unwrap_or(id));
        if self.owns(InstanceId::new(start.request.instance_id.as_str()).slot()) {
            self.request(request, Request::Start(Box::new(start)));
        } else {
            self.ledger.out.push(Effect::Forward(request, Request::Start(Box::new(start))));
        }
    }
}

pub(super) fn wrong_status(
    what: &'static str,
    id: &InstanceId,
    status: OrchestrationStatus,
    why: &'static str,
) -> Refusal {
    Refusal::WrongStatus { what: what.into(), id: id.to_string(), status: status_name(status).into(), why: why.into() }
}

/// A status as people write it.
pub(super) fn status_name(status: OrchestrationStatus) -> &'static str {
    match status {
        OrchestrationStatus::Running => "running",
        OrchestrationStatus::Completed => "completed",
        OrchestrationStatus::ContinuedAsNew => "continued as new",
        OrchestrationStatus::Failed => "failed",
        OrchestrationStatus::Canceled => "canceled",
        OrchestrationStatus::Terminated => "terminated",
        OrchestrationStatus::Pending => "pending",
        OrchestrationStatus::Suspended => "suspended",
    }
}
