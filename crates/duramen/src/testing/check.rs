//! Today's code over yesterday's history.

use crate::worker::author::Execution;
use crate::{App, Orchestrator};
use duramen_core::history::{BadText, History};
use duramen_core::replay::{End, kind_of_action};
use duramen_proto::history_event::EventType;
use duramen_proto::orchestrator_action::OrchestratorActionType;
use duramen_proto::{CompleteOrchestrationAction, ExecutionCompletedEvent, HistoryEvent, OrchestrationStatus};
use std::convert::Infallible;
use std::sync::Arc;

/// Why code and history do not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The text is no history.
    #[error(transparent)]
    Text(#[from] BadText),
    /// The history has no beginning, or that of another orchestrator.
    #[error("the history is one of {found}, not of {expected}")]
    OtherOrchestrator {
        /// Whose history it is.
        found: String,
        /// Whose it should be.
        expected: &'static str,
    },
    /// The code does not do what the history says that it did.
    #[error("the code does not fit the history: {0}")]
    DoesNotFit(String),
}

/// Runs an orchestrator over a recorded history ([`History::to_text`]; of one that has ended or is under way) and
/// says where it no longer fits: the code asks for something else, or for more, or ends otherwise. Inputs and
/// outputs may differ, as for a worker.
pub fn replay_check<F: Orchestrator>(orchestrator: F, history: &str) -> Result<(), ReplayError> {
    replay_check_with(App::new().orchestrator(orchestrator), orchestrator, history)
}

/// The same, with the options of an app.
pub fn replay_check_with<F: Orchestrator>(app: App, _: F, history: &str) -> Result<(), ReplayError> {
    let history = History::from_text(history)?;
    let started = history.events.iter().find_map(|event| match &event.event_type {
        Some(EventType::ExecutionStarted(started)) => Some(started),
        _ => None,
    });
    let found = started.map_or("nothing, it has no ExecutionStarted", |started| &started.name);
    if !found.eq_ignore_ascii_case(F::NAME) {
        return Err(ReplayError::OtherOrchestrator { found: found.to_owned(), expected: F::NAME });
    }
    let instance = started.and_then(|started| started.orchestration_instance.as_ref());
    let id = instance.map_or(String::new(), |instance| instance.instance_id.clone());
    let recorded = Recorded::new(&history.events);
    let end = replay(Arc::new(app), id, history.events);
    recorded.meet(&end).map_err(ReplayError::DoesNotFit)
}

/// Runs all events as the past, on a plain thread: orchestrators never run within an async runtime.
fn replay(app: Arc<App>, id: String, events: Vec<HistoryEvent>) -> End {
    let run = move || {
        let events = events.into_iter().map(|event| Ok::<_, Infallible>((event, true)));
        let Ok(end) = Execution::new(&app, &id, None).run(events);
        end
    };
    std::thread::spawn(run).join().expect("a panic of the code is caught where it runs")
}

/// What a history says about its end.
struct Recorded {
    completed: Option<ExecutionCompletedEvent>,
    /// A rewound history has gaps, where the code asks again for what has failed.
    rewound: bool,
}

impl Recorded {
    fn new(events: &[HistoryEvent]) -> Self {
        let completed = events.iter().rev().find_map(|event| match &event.event_type {
            Some(EventType::ExecutionCompleted(completed)) => Some(completed.clone()),
            _ => None,
        });
        let rewound = events.iter().any(|event| matches!(event.event_type, Some(EventType::ExecutionRewound(_))));
        Self { completed, rewound }
    }

    fn meet(&self, end: &End) -> Result<(), String> {
        let mut completion = None;
        for action in end.actions.iter() {
            match &action.orchestrator_action_type {
                Some(OrchestratorActionType::CompleteOrchestration(found)) => completion = Some((action.id, found)),
                Some(more) if !self.rewound => {
                    let kind = kind_of_action(more);
                    return Err(format!("the code asks for {kind} #{}, which the history does not have", action.id));
                }
                _ => {}
            }
        }
        match (completion, &self.completed) {
            (Some((-1, not_its_own)), _) => Err(failure(not_its_own)),
            // Ended from outside: what the code would have done is not known.
            (_, Some(completed)) if completed.orchestration_status() == OrchestrationStatus::Terminated => Ok(()),
            (Some((_, found)), Some(completed)) if found.orchestration_status() == completed.orchestration_status() => {
                Ok(())
            }
            (Some((_, found)), Some(completed)) => Err(format!(
                "the history ends as {}, the code as {}{}",
                completed.orchestration_status().as_str_name(),
                found.orchestration_status().as_str_name(),
                found.failure_details.as_ref().map_or(String::new(), |_| format!(": {}", failure(found))),
            )),
            (Some((_, found)), None) => {
                let status = found.orchestration_status().as_str_name();
                Err(format!("the code has ended as {status}, where the history goes on"))
            }
            (None, Some(completed)) => {
                let status = completed.orchestration_status().as_str_name();
                Err(format!("the history ends as {status}, where the code goes on"))
            }
            (None, None) => Ok(()),
        }
    }
}

fn failure(completion: &CompleteOrchestrationAction) -> String {
    completion.failure_details.as_ref().map(|details| details.error_message.clone()).unwrap_or_default()
}
