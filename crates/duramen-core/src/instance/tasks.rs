//! Answers to the tasks of an instance.

use super::{Instance, task_event, task_item};
use crate::checkpoint::{Change, TaskKey};
use crate::event::{self, Kind};
use crate::ids::Run;
use crate::limits::PAYLOAD_BYTES;
use crate::partition::Ledger;
use alloc::format;
use duramen_proto::history_event::EventType;
use duramen_proto::{ActivityResponse, TaskCompletedEvent};

impl Instance {
    /// A task is answered: it is closed, and whoever asked for it hears of it, if it still waits.
    pub(crate) fn task_answered(&mut self, number: u64, response: ActivityResponse, ledger: &mut Ledger) {
        let Some(task) = self.tasks.remove(&number) else { return };
        let item = task_item(self.id.clone(), &task);
        ledger.forget_late(&item);
        ledger.let_loose(&item);
        ledger.returns.remove(&(self.birth(), number));
        ledger.write(Change::TaskClosed(TaskKey { birth: self.head.birth, number }));
        ledger.touch(self);
        if !self.waits_for(Run(task.run)) {
            return;
        }
        let (now, id) = (ledger.now, event::id_of(task_event(&task)));
        let result = match response.failure_details {
            Some(mut failure) => {
                event::bound_failure(&mut failure);
                event::task_failed(now, id, failure)
            }
            None if response.result.as_ref().is_some_and(|result| result.len() > PAYLOAD_BYTES) => {
                let bytes = response.result.map_or(0, |result| result.len());
                let message = format!(
                    "the activity's result has {bytes} bytes, more than the {PAYLOAD_BYTES} allowed; store it elsewhere and return a reference"
                );
                event::task_failed(now, id, event::failure("ResultTooLarge", message))
            }
            None => {
                let completed = TaskCompletedEvent { task_scheduled_id: id, result: response.result };
                event::inbound(now, EventType::TaskCompleted(completed))
            }
        };
        self.receive(Kind::Result, result, ledger);
    }
}
