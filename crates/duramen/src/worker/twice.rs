//! An execution that may have a double, which has to do the same.

use super::author::Execution;
use crate::{App, failure};
use bytes::Bytes;
use duramen_core::replay::End;
use duramen_proto::orchestrator_action::OrchestratorActionType;
use duramen_proto::{CompleteOrchestrationAction, OrchestrationStatus, OrchestratorAction, TaskFailureDetails};
use std::fmt::Debug;
use std::sync::Arc;

/// What an execution begins with.
pub(super) struct Begin<'a> {
    pub(super) app: &'a Arc<App>,
    pub(super) instance_id: &'a str,
    pub(super) default_version: Option<Arc<str>>,
}

impl Begin<'_> {
    fn execution(&self) -> Execution {
        Execution::new(self.app, self.instance_id, self.default_version.clone())
    }
}

/// One execution in memory, with its double if there is to be one.
pub(super) struct Twice {
    execution: Execution,
    double: Option<Execution>,
}

impl Twice {
    pub(super) fn new(begin: Begin<'_>, with_double: bool) -> Self {
        Self { execution: begin.execution(), double: with_double.then(|| begin.execution()) }
    }

    /// Runs one episode, and fails the execution if its double comes to something else.
    pub(super) fn episode(&mut self, past: &[Bytes], new: &[Bytes]) -> Result<End, prost::DecodeError> {
        let first = self.execution.episode(past, new)?;
        let Some(double) = &mut self.double else { return Ok(first) };
        let second = double.episode(past, new)?;
        Ok(match difference(&first, &second) {
            None => first,
            Some(difference) => not_the_same(&difference),
        })
    }
}

/// What two runs over the same events did not do alike.
fn difference(first: &End, second: &End) -> Option<String> {
    let both = |first: &dyn Debug, second: &dyn Debug| format!("first {first:?}, then {second:?}");
    let unlike = first.actions.iter().zip(&second.actions).find(|(first, second)| first != second);
    if let Some((first, second)) = unlike {
        return Some(both(first, second));
    }
    let (some, more) = (first.actions.len(), second.actions.len());
    if some != more {
        let longer = if some > more { &first.actions } else { &second.actions };
        return Some(format!("one run asked for {:?}, the other did not", longer[some.min(more)]));
    }
    let status = (&first.custom_status, &second.custom_status);
    (status.0 != status.1).then(|| format!("custom status {}", both(status.0, status.1)))
}

fn not_the_same(difference: &str) -> End {
    let message = format!(
        "the orchestrator was run twice over the same events and did not do the same: {difference}; take time, chance and \
         ids from the context, and everything else from activities"
    );
    let details = failure::details("NonDeterministicOrchestration", message);
    let completion = CompleteOrchestrationAction {
        orchestration_status: OrchestrationStatus::Failed.into(),
        failure_details: Some(TaskFailureDetails { is_non_retriable: true, ..details }),
        ..CompleteOrchestrationAction::default()
    };
    let action = OrchestratorActionType::CompleteOrchestration(completion);
    // The protocol's mark of a failure that is not the code's own decision.
    let actions = vec![OrchestratorAction { id: -1, orchestrator_action_type: Some(action) }];
    End { actions, custom_status: None, ended: true }
}
