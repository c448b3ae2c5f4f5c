//! Runs the orchestrators over their histories once more, episode by episode, and compares what they
//! ask for with what the history has.

use super::Violations;
use super::images::Record;
use duramen::worker::Worker;
use duramen_core::ids::{Epoch, InstanceId, Run, Token};
use duramen_core::work::{Answer, OrchestratorWork, Session, Work, WorkItem};
use duramen_proto::history_event::EventType;
use duramen_proto::orchestrator_action::OrchestratorActionType as Action;
use duramen_proto::{HistoryEvent, OrchestratorAction};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::mpsc::channel;
use std::time::Duration;

/// The longest that one answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One episode: its history up to its end, and what came of it.
struct Episode<'a> {
    record: &'a Record,
    /// Where it begins in the history, where its actions begin, and where it ends.
    begins: usize,
    acts: usize,
    ends: usize,
}

/// Replays every episode of every history. The worker is attached to nothing else.
pub(super) fn check(
    worker: &Worker,
    records: &BTreeMap<String, Record>,
    violations: &mut Violations,
) -> Result<u64, Box<dyn Error>> {
    let (send, answers) = channel();
    worker.attach(move |given| drop(send.send(given)));
    let mut replayed = 0;
    for record in records.values() {
        let episodes = episodes(record);
        let items = episodes.iter().enumerate().map(|(number, episode)| item(episode, number)).collect();
        worker.link().deliver(items);
        let mut missing = episodes.len();
        while missing > 0 {
            for answer in answers.recv_timeout(PATIENCE)? {
                missing -= 1;
                replayed += 1;
                compare(&episodes, answer, violations);
            }
        }
    }
    Ok(replayed)
}

fn episodes(record: &Record) -> Vec<Episode<'_>> {
    let history = &record.history;
    let begins_episode = |event: &HistoryEvent| matches!(event.event_type, Some(EventType::OrchestratorStarted(_)));
    let starts: Vec<usize> = (0..history.len()).filter(|index| begins_episode(&history[*index])).collect();
    let ends = starts.iter().skip(1).copied().chain([history.len()]);
    let all = starts.iter().copied().zip(ends).map(|(begins, ends)| {
        let acts = (begins..ends).find(|index| is_action(&history[*index])).unwrap_or(ends);
        Episode { record, begins, acts, ends }
    });
    // A rewind takes events out of earlier episodes; the last one is as it was.
    let skip = if record.image.head.rewinds.is_empty() { 0 } else { starts.len().saturating_sub(1) };
    all.skip(skip).collect()
}

fn is_action(event: &HistoryEvent) -> bool {
    matches!(
        event.event_type,
        Some(
            EventType::TaskScheduled(_)
                | EventType::TimerCreated(_)
                | EventType::SubOrchestrationInstanceCreated(_)
                | EventType::EventSent(_)
                | EventType::ExecutionCompleted(_)
        )
    )
}

fn item(episode: &Episode<'_>, number: usize) -> WorkItem {
    let image = &episode.record.image;
    let work = OrchestratorWork {
        instance: InstanceId::new(image.head.id.as_str()),
        execution_id: image.head.execution_id.as_str().into(),
        name: image.head.name.as_str().into(),
        version: image.head.version.as_deref().map(Into::into),
        // A run of its own, so that nothing is kept from one to the next.
        session: Session { epoch: Epoch(1), run: Run(number as u64 + 1), rewinds: 0, episodes: 1 },
        past: Some(image.history[..episode.begins].to_vec()),
        new: image.history[episode.begins..episode.acts].to_vec(),
        trace: Default::default(),
    };
    WorkItem { token: Token(number as u64), work: Work::Orchestrator(work) }
}

fn compare(episodes: &[Episode<'_>], answer: Answer, violations: &mut Violations) {
    let token = answer.token();
    let Some(episode) = usize::try_from(token.0).ok().and_then(|number| episodes.get(number)) else { return };
    let id = episode.record.id();
    let Answer::Orchestrator(_, response) = answer else {
        return violations.add(id, "its history replays", format!("{answer:?}"));
    };
    let recorded = &episode.record.history[episode.acts..episode.ends];
    let are_same = recorded.len() == response.actions.len()
        && recorded.iter().zip(&response.actions).all(|(event, action)| is_record_of(event, action));
    if !are_same {
        let promised = format!("events {}..{} of its history replay", episode.begins, episode.ends);
        violations.add(
            id,
            &promised,
            format!("the history has {recorded:?}, the code asks for {:?}", response.actions),
        );
    }
}

/// Whether an event is what the hub makes of an action.
fn is_record_of(event: &HistoryEvent, action: &OrchestratorAction) -> bool {
    let same = match (&event.event_type, &action.orchestrator_action_type) {
        (Some(EventType::TaskScheduled(event)), Some(Action::ScheduleTask(action))) => {
            event.name == action.name && event.input == action.input
        }
        (Some(EventType::TimerCreated(event)), Some(Action::CreateTimer(action))) => event.fire_at == action.fire_at,
        (Some(EventType::SubOrchestrationInstanceCreated(event)), Some(Action::CreateSubOrchestration(action))) => {
            let has_id = action.instance_id.is_empty() || event.instance_id == action.instance_id;
            event.name == action.name && event.input == action.input && has_id
        }
        (Some(EventType::ExecutionCompleted(event)), Some(Action::CompleteOrchestration(action))) => {
            event.orchestration_status() == action.orchestration_status()
                && event.result == action.result
                && event.failure_details == action.failure_details
        }
        _ => false,
    };
    // A hub that ends an instance by itself has no action to take the id from.
    let is_hubs = matches!(event.event_type, Some(EventType::ExecutionCompleted(_))) && event.event_id == -1;
    same && (event.event_id == action.id || is_hubs)
}

#[cfg(test)]
mod tests {
    use super::super::forged::{completed, ended, history, record, scheduled, started};
    use super::*;
    use crate::functions::{Stages, app};
    use crate::witness::Witness;
    use duramen::worker::WorkerOptions;
    use std::sync::Arc;

    fn replayed(events: Vec<HistoryEvent>) -> Violations {
        let folder = tempfile::tempdir().expect("a folder");
        let witness = Arc::new(Witness::open(folder.path(), 1).expect("it opens"));
        let app = app(Stages { witness, gates: folder.path().to_owned() });
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let worker = Worker::start(app, WorkerOptions::default(), runtime.handle().clone());
        let mut violations = Violations::default();
        let records = BTreeMap::from([("i".to_owned(), record(events))]);
        assert_eq!(check(&worker, &records, &mut violations).expect("it answers"), 2);
        violations
    }

    fn second() -> Vec<HistoryEvent> {
        started(2).into_iter().take(1).collect()
    }

    #[test]
    fn the_history_of_the_code_replays() {
        let good = history([started(1), vec![scheduled(0)], second(), vec![completed(0), ended()]]);
        assert_eq!(replayed(good).0, []);
    }

    #[test]
    fn another_history_does_not() {
        let mut other = scheduled(0);
        if let Some(EventType::TaskScheduled(task)) = &mut other.event_type {
            task.input = Some("1".into());
        }
        let forged = history([started(1), vec![other], second(), vec![completed(0), ended()]]);
        assert_eq!(replayed(forged).0.len(), 1);
        let early = history([started(1), vec![ended()], second(), vec![ended()]]);
        assert!(!replayed(early).0.is_empty());
    }
}
