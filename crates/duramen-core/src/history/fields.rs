//! The fields of messages, by the names that they have in the text.

use super::json::{self, Object};
use super::reader::{BadText, Reader};
use super::values::{Field, Status};
use alloc::format;
use alloc::string::String;
use duramen_proto::*;

/// A message as a list of fields.
pub(super) trait Fields: Default {
    /// Writes ` name=value` for each but the one that stands elsewhere.
    fn write_fields(&self, except: &str, out: &mut String);
    /// Writes the value of one field, if there is anything in it.
    fn write_field(&self, name: &str, out: &mut String);
    /// Writes `"name":value` for each, by the names of the protocol's JSON form.
    fn write_json_fields(&self, object: &mut Object<'_>);
    /// Reads the value of a field.
    fn read_field(&mut self, name: &str, reader: &mut Reader<'_>) -> Result<(), BadText>;

    /// Reads ` name=value` until something else comes.
    fn read_fields(&mut self, reader: &mut Reader<'_>) -> Result<(), BadText> {
        loop {
            reader.skip_spaces();
            if reader.is_at_end() || reader.next_is("}") {
                return Ok(());
            }
            let name = reader.word();
            reader.expect("=")?;
            self.read_field(name, reader)?;
        }
    }
}

macro_rules! value {
    ($value:expr) => {
        &$value
    };
    ($value:expr, $wrapper:ident) => {
        &$wrapper($value)
    };
}

macro_rules! taken {
    ($reader:expr) => {
        Field::read($reader)?
    };
    ($reader:expr, $wrapper:ident) => {
        <$wrapper as Field>::read($reader)?.0
    };
}

macro_rules! messages {
    ($($message:ident { $($field:ident $(as $wrapper:ident)?: $name:literal),* })*) => { $(
        impl Fields for $message {
            fn write_fields(&self, except: &str, out: &mut String) {
                let Self { $($field),* } = self;
                $(
                    let value = value!($field.clone() $(, $wrapper)?);
                    if $name != except && !value.is_absent() {
                        out.push_str(concat!(" ", $name, "="));
                        value.write(out);
                    }
                )*
                let _ = (except, out);
            }

            fn write_field(&self, name: &str, out: &mut String) {
                match name {
                    $($name => {
                        let value = value!(self.$field.clone() $(, $wrapper)?);
                        if !value.is_absent() {
                            value.write(out);
                        }
                    })*
                    _ => { let _ = out; }
                }
            }

            fn write_json_fields(&self, object: &mut Object<'_>) {
                let Self { $($field),* } = self;
                $(object.field(&json::name_of(stringify!($field)), value!($field.clone() $(, $wrapper)?));)*
                let _ = object;
            }

            fn read_field(&mut self, name: &str, reader: &mut Reader<'_>) -> Result<(), BadText> {
                match name {
                    $($name => {
                        self.$field = taken!(reader $(, $wrapper)?);
                        Ok(())
                    })*
                    _ => Err(reader.bad(format!("{} has no field {name:?}", stringify!($message)))),
                }
            }
        }

        /// Within another message.
        impl Field for $message {
            fn is_absent(&self) -> bool {
                false
            }

            fn write(&self, out: &mut String) {
                let mut inner = String::new();
                self.write_fields("", &mut inner);
                out.push('{');
                out.push_str(inner.trim_start());
                out.push('}');
            }

            fn write_json(&self, out: &mut String) {
                let mut object = Object::begin(out);
                self.write_json_fields(&mut object);
                object.end();
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, BadText> {
                let mut message = Self::default();
                reader.expect("{")?;
                message.read_fields(reader)?;
                reader.expect("}")?;
                Ok(message)
            }
        }
    )* };
}

messages! {
    OrchestrationInstance { instance_id: "id", execution_id: "execution" }
    ParentInstanceInfo {
        task_scheduled_id: "task", name: "name", version: "version", orchestration_instance: "instance"
    }
    TaskFailureDetails {
        error_type: "type", error_message: "message", stack_trace: "stack", inner_failure: "inner",
        is_non_retriable: "non_retriable", properties: "properties"
    }
    ExecutionStartedEvent {
        name: "name", version: "version", input: "input", orchestration_instance: "instance",
        parent_instance: "parent", scheduled_start_timestamp: "scheduled_start", parent_trace_context: "trace",
        orchestration_span_id: "span", tags: "tags"
    }
    ExecutionCompletedEvent { orchestration_status as Status: "status", result: "result", failure_details: "failure" }
    ExecutionTerminatedEvent { input: "output", recurse: "recurse" }
    TaskScheduledEvent {
        name: "name", version: "version", input: "input", parent_trace_context: "trace", tags: "tags"
    }
    TaskCompletedEvent { task_scheduled_id: "task", result: "result" }
    TaskFailedEvent { task_scheduled_id: "task", failure_details: "failure" }
    SubOrchestrationInstanceCreatedEvent {
        name: "name", instance_id: "id", version: "version", input: "input", parent_trace_context: "trace", tags: "tags"
    }
    SubOrchestrationInstanceCompletedEvent { task_scheduled_id: "task", result: "result" }
    SubOrchestrationInstanceFailedEvent { task_scheduled_id: "task", failure_details: "failure" }
    TimerCreatedEvent { fire_at: "fire_at" }
    TimerFiredEvent { timer_id: "timer", fire_at: "fire_at" }
    OrchestratorStartedEvent {}
    OrchestratorCompletedEvent {}
    EventSentEvent { name: "name", instance_id: "to", input: "data" }
    EventRaisedEvent { name: "name", input: "data" }
    GenericEvent { data: "data" }
    ContinueAsNewEvent { input: "input" }
    ExecutionSuspendedEvent { input: "reason" }
    ExecutionResumedEvent { input: "reason" }
    EntityOperationSignaledEvent {
        operation: "operation", request_id: "request", scheduled_time: "scheduled", input: "input",
        target_instance_id: "target"
    }
    EntityOperationCalledEvent {
        operation: "operation", request_id: "request", scheduled_time: "scheduled", input: "input",
        parent_instance_id: "parent", parent_execution_id: "parent_execution", target_instance_id: "target"
    }
    EntityLockRequestedEvent {
        critical_section_id: "section", lock_set: "locks", position: "position", parent_instance_id: "parent"
    }
    EntityOperationCompletedEvent { request_id: "request", output: "output" }
    EntityOperationFailedEvent { request_id: "request", failure_details: "failure" }
    EntityUnlockSentEvent {
        critical_section_id: "section", parent_instance_id: "parent", target_instance_id: "target"
    }
    EntityLockGrantedEvent { critical_section_id: "section" }
    ExecutionRewoundEvent {
        reason: "reason", parent_execution_id: "parent_execution", instance_id: "id", parent_trace_context: "trace",
        name: "name", version: "version", input: "input", parent_instance: "parent", tags: "tags"
    }
}

#[expect(deprecated, reason = "the protocol's, and SDKs still send it")]
mod trace {
    use super::*;

    messages! {
        TraceContext { trace_parent: "parent", span_id: "span", trace_state: "state" }
    }
}
