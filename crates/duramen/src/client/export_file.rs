//! The SQLite file of an export: which event fills in which column, and the thread that writes it.

use super::Instance;
use duramen_core::history::{History, kind, rfc3339, to_json};
use duramen_core::time::Time;
use duramen_embedded::export::{EventRow, Export, ExportError, InstanceRow};
use duramen_proto::history_event::EventType;
use duramen_proto::{HistoryEvent, TaskFailureDetails};
use prost::Message;
use std::path::PathBuf;
use tokio::sync::{mpsc, oneshot};

/// Instances on their way to the file.
const ON_THE_WAY: usize = 16;

/// A thread that writes the file: SQLite blocks, and the caller is on whatever async runtime.
pub(super) struct Writer {
    rows: mpsc::Sender<(InstanceRow, Vec<EventRow>)>,
    written: oneshot::Receiver<Result<(), ExportError>>,
    whole: oneshot::Sender<()>,
}

impl Writer {
    pub(super) fn create(path: PathBuf) -> Self {
        let (rows, mut taken) = mpsc::channel::<(InstanceRow, Vec<EventRow>)>(ON_THE_WAY);
        let ((done, written), (whole, is_whole)) = (oneshot::channel(), oneshot::channel());
        std::thread::spawn(move || {
            let write = || {
                let mut export = Export::create(path)?;
                while let Some((instance, events)) = taken.blocking_recv() {
                    export.add(&instance, &events)?;
                }
                // A caller that has gone half-way gets no file.
                if is_whole.blocking_recv().is_ok() { export.finish() } else { Ok(()) }
            };
            let _ = done.send(write());
        });
        Self { rows, written, whole }
    }

    /// Says whether the file still takes something.
    pub(super) async fn add(&mut self, instance: &Instance, execution_id: Option<String>, history: History) -> bool {
        let instance = InstanceRow { execution_id, ..row(instance) };
        let events = history.events.iter().map(columns).collect();
        self.rows.send((instance, events)).await.is_ok()
    }

    pub(super) async fn finish(self) -> Result<(), ExportError> {
        let Self { rows, written, whole } = self;
        drop(rows);
        let _ = whole.send(());
        written.await.expect("the thread that writes an export answers, whatever becomes of it")
    }
}

fn row(instance: &Instance) -> InstanceRow {
    let state = instance.state();
    let at = |time: Option<Time>| time.map(rfc3339::format);
    InstanceRow {
        id: instance.id().to_owned(),
        execution_id: None,
        name: instance.name().to_owned(),
        version: state.version.clone(),
        status: instance.status().as_str_name().trim_start_matches("ORCHESTRATION_STATUS_").to_owned(),
        parent_id: state.parent_instance_id.clone(),
        created: at(instance.created()),
        updated: at(instance.updated()),
        completed: at(instance.completed()),
        input: state.input.clone(),
        output: state.output.clone(),
        custom_status: state.custom_status.clone(),
        failure: reason_of(instance.failure()),
    }
}

fn reason_of(failure: Option<&TaskFailureDetails>) -> Option<String> {
    failure.map(|failure| format!("{}: {}", failure.error_type, failure.error_message))
}

fn columns(event: &HistoryEvent) -> EventRow {
    let mut row = EventRow {
        timestamp: event.timestamp.map(|at| rfc3339::format(Time::from(at))),
        event_id: event.event_id,
        kind: kind(event).to_owned(),
        json: to_json(event),
        raw: event.encode_to_vec(),
        ..EventRow::default()
    };
    if let Some(kind) = event.event_type.clone() {
        fill(kind, &mut row);
    }
    row
}

/// What stands in an event beside its kind, its id and its time.
fn fill(kind: EventType, row: &mut EventRow) {
    use EventType as E;
    match kind {
        E::ExecutionStarted(event) => (row.name, row.input) = (Some(event.name), event.input),
        E::ExecutionCompleted(event) => {
            row.name =
                Some(event.orchestration_status().as_str_name().trim_start_matches("ORCHESTRATION_STATUS_").into());
            row.reason = reason_of(event.failure_details.as_ref());
            row.result = event.result;
        }
        E::ExecutionTerminated(event) => row.result = event.input,
        E::ExecutionSuspended(event) => row.reason = event.input,
        E::ExecutionResumed(event) => row.reason = event.input,
        E::ExecutionRewound(event) => row.reason = event.reason,
        E::TaskScheduled(event) => (row.name, row.input) = (Some(event.name), event.input),
        E::TaskCompleted(event) => (row.scheduled_id, row.result) = (Some(event.task_scheduled_id), event.result),
        E::TaskFailed(event) => {
            (row.scheduled_id, row.reason) = (Some(event.task_scheduled_id), reason_of(event.failure_details.as_ref()));
        }
        E::SubOrchestrationInstanceCreated(event) => (row.name, row.input) = (Some(event.name), event.input),
        E::SubOrchestrationInstanceCompleted(event) => {
            (row.scheduled_id, row.result) = (Some(event.task_scheduled_id), event.result);
        }
        E::SubOrchestrationInstanceFailed(event) => {
            (row.scheduled_id, row.reason) = (Some(event.task_scheduled_id), reason_of(event.failure_details.as_ref()));
        }
        E::TimerCreated(_) | E::OrchestratorStarted(_) | E::OrchestratorCompleted(_) | E::HistoryState(_) => {}
        E::TimerFired(event) => row.scheduled_id = Some(event.timer_id),
        E::EventSent(event) => (row.name, row.input) = (Some(event.name), event.input),
        E::EventRaised(event) => (row.name, row.input) = (Some(event.name), event.input),
        E::GenericEvent(event) => row.input = event.data,
        E::ContinueAsNew(event) => row.input = event.input,
        E::EntityOperationSignaled(event) => (row.name, row.input) = (Some(event.operation), event.input),
        E::EntityOperationCalled(event) => (row.name, row.input) = (Some(event.operation), event.input),
        E::EntityOperationCompleted(event) => row.result = event.output,
        E::EntityOperationFailed(event) => row.reason = reason_of(event.failure_details.as_ref()),
        E::EntityLockRequested(event) => row.name = Some(event.lock_set.join(" ")),
        E::EntityLockGranted(_) => {}
        E::EntityUnlockSent(event) => row.name = event.target_instance_id,
    }
}
