//! Starting instances: under a free id, and under one that exists.

use super::requests::status_name;
use super::{Effect, Partition};
use crate::ids::{Birth, InstanceId};
use crate::instance::{Beginning, Instance};
use crate::limits::{BadInput, check_instance_id, check_name, check_payload};
use crate::request::{OnExisting, Refusal, Reply, RequestId, Start};
use alloc::string::{String, ToString};
use duramen_proto::{CreateInstanceRequest, ExecutionStartedEvent, OrchestrationStatus};

pub(super) fn check(start: &Start) -> Result<(), BadInput> {
    check_instance_id(&start.request.instance_id)?;
    check_name("orchestrator", &start.request.name)?;
    // The protocol allows a tag without a name.
    start.request.tags.keys().filter(|tag| !tag.is_empty()).try_for_each(|tag| check_name("tag", tag))?;
    check_payload("input", start.request.input.as_deref())
}

/// A start with what another instance was started with.
pub(super) fn again(instance: &Instance, id: InstanceId) -> Start {
    let started = instance.started_event();
    let request = CreateInstanceRequest {
        instance_id: id.to_string(),
        name: started.name,
        version: started.version,
        input: started.input,
        tags: started.tags,
        parent_trace_context: started.parent_trace_context,
        ..CreateInstanceRequest::default()
    };
    Start { request, fresh: false, on_existing: OnExisting::Reject }
}

/// What a start does about an instance that has its id.
enum Verdict {
    Replace,
    Attach,
    Refuse(Refusal),
}

fn judge(id: &str, status: OrchestrationStatus, ended: bool, on_existing: &OnExisting) -> Verdict {
    let exists = || Refusal::AlreadyExists { id: String::from(id), status: status_name(status).into() };
    match on_existing {
        OnExisting::AttachAny => Verdict::Attach,
        OnExisting::Attach if !ended => Verdict::Attach,
        OnExisting::Reject if !ended => Verdict::Refuse(exists()),
        OnExisting::Attach | OnExisting::Reject => Verdict::Replace,
        OnExisting::Replace(listed) | OnExisting::ReplaceAny(listed) | OnExisting::AttachListed(listed)
            if !listed.contains(&status) =>
        {
            Verdict::Refuse(exists())
        }
        OnExisting::AttachListed(_) => Verdict::Attach,
        // The last check: SDKs send such lists over ended instances and expect a replacement.
        OnExisting::Replace(listed) if !ended && !listed.contains(&OrchestrationStatus::Terminated) => {
            Verdict::Refuse(Refusal::ReusePolicy)
        }
        OnExisting::Replace(_) | OnExisting::ReplaceAny(_) => Verdict::Replace,
    }
}

impl Partition {
    /// Starts under an id that nobody has.
    pub(super) fn start(&mut self, request: RequestId, start: Start) {
        let asked = start.request;
        let id = InstanceId::new(asked.instance_id);
        let started = ExecutionStartedEvent {
            name: asked.name,
            version: asked.version,
            input: asked.input,
            scheduled_start_timestamp: asked.scheduled_start_timestamp,
            parent_trace_context: asked.parent_trace_context,
            tags: asked.tags,
            ..ExecutionStartedEvent::default()
        };
        let beginning = Beginning { id: id.clone(), started, execution_id: asked.execution_id, parent: None, depth: 0 };
        let instance = Instance::begin(beginning, &mut self.ledger);
        let birth = instance.birth();
        self.keep(instance);
        let reply = Reply::Started { id, birth, attached: false };
        self.ledger.hold_patiently(Effect::Reply(request, reply), birth);
    }

    /// Starts under an id that an instance has.
    pub(super) fn start_over(&mut self, request: RequestId, start: Start, birth: Birth) {
        let instance = &self.instances[&birth];
        let (touched, ended) = (instance.touched, instance.ended());
        match judge(&start.request.instance_id, instance.status(), ended, &start.on_existing) {
            Verdict::Refuse(refusal) => {
                self.reply_when_durable(Effect::Reply(request, Reply::Refused(refusal)), touched)
            }
            Verdict::Attach => {
                let reply = Reply::Started { id: instance.id.clone(), birth, attached: true };
                self.reply_when_durable(Effect::Reply(request, reply), touched);
            }
            Verdict::Replace => {
                if !ended {
                    self.end_replaced(birth);
                }
                self.remove(birth);
                self.start(request, start);
            }
        }
    }

    /// Ends a live instance that is to be replaced: who waits for just this one hears TERMINATED.
    fn end_replaced(&mut self, birth: Birth) {
        let instance = self.instances.get_mut(&birth).expect("a resident instance is here");
        instance.end_replaced(&mut self.ledger);
        self.ledger.moved.retain(|moved| *moved != birth);
        let id = instance.id.clone();
        let state = instance.state();
        for waiter in self.take_bound_waiters(&id, birth) {
            self.ledger.hold(Effect::Reply(waiter, Reply::State(Some(state.clone()))));
        }
    }
}
