//! Whether a history, with the inbox, tasks and timers beside it, can be what it says it is.

use super::Violations;
use super::images::Record;
use duramen_core::time::Time;
use duramen_proto::HistoryEvent;
use duramen_proto::history_event::EventType;
use std::collections::{BTreeMap, BTreeSet};

/// What a completion can belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Task,
    Timer,
    Child,
    Sent,
}

/// An event that records an action.
fn scheduled(event: &HistoryEvent) -> Option<(Kind, i32)> {
    let kind = match event.event_type.as_ref()? {
        EventType::TaskScheduled(_) => Kind::Task,
        EventType::TimerCreated(_) => Kind::Timer,
        EventType::SubOrchestrationInstanceCreated(_) => Kind::Child,
        EventType::EventSent(_) => Kind::Sent,
        _ => return None,
    };
    Some((kind, event.event_id))
}

/// An event that says how an action ended.
fn completed(event: &EventType) -> Option<(Kind, i32)> {
    match event {
        EventType::TaskCompleted(done) => Some((Kind::Task, done.task_scheduled_id)),
        EventType::TaskFailed(failed) => Some((Kind::Task, failed.task_scheduled_id)),
        EventType::TimerFired(fired) => Some((Kind::Timer, fired.timer_id)),
        EventType::SubOrchestrationInstanceCompleted(done) => Some((Kind::Child, done.task_scheduled_id)),
        EventType::SubOrchestrationInstanceFailed(failed) => Some((Kind::Child, failed.task_scheduled_id)),
        _ => None,
    }
}

/// Checks one instance.
pub(super) fn check(record: &Record, violations: &mut Violations) {
    let mut wrong = |promised: &str, found: String| violations.add(record.id(), promised, found);
    check_frame(record, &mut wrong);
    let mut open: BTreeMap<i32, Kind> = BTreeMap::new();
    let mut closed: BTreeSet<i32> = BTreeSet::new();
    for event in record.history.iter().chain(&record.inbox) {
        if let Some((kind, id)) = scheduled(event) {
            if open.insert(id, kind).is_some() || closed.contains(&id) {
                wrong("an action id is used once", format!("{kind:?} {id} is there twice"));
            }
        } else if let Some((kind, id)) = event.event_type.as_ref().and_then(completed) {
            match open.remove(&id) {
                Some(asked) if asked == kind => {
                    closed.insert(id);
                }
                Some(asked) => wrong("a completion belongs to its action", format!("{kind:?} {id} ends a {asked:?}")),
                None if closed.contains(&id) => {
                    wrong("an action is completed once", format!("{kind:?} {id} is completed again"));
                }
                None => wrong("a completion has an action", format!("{kind:?} {id} was never asked for")),
            }
        }
    }
    check_outstanding(record, &open, &mut wrong);
}

/// What holds of the history as a whole.
fn check_frame(record: &Record, wrong: &mut impl FnMut(&str, String)) {
    let history = &record.history;
    let starts = record.events().filter(|event| matches!(event, EventType::ExecutionStarted(_))).count();
    if starts != 1 {
        wrong("one ExecutionStarted", format!("{starts} of them"));
    }
    let execution = record.started.as_ref().and_then(|started| started.orchestration_instance.as_ref());
    let execution = execution.and_then(|instance| instance.execution_id.as_deref());
    if execution != Some(&*record.image.head.execution_id) {
        wrong("ExecutionStarted names the execution", format!("{execution:?}"));
    }
    let mut last: Option<Time> = None;
    for event in history {
        let Some(at) = event.timestamp.map(Time::from) else {
            wrong("every event has a time", format!("{event:?}"));
            continue;
        };
        if matches!(event.event_type, Some(EventType::OrchestratorStarted(_)))
            && let Some(before) = last.replace(at)
            && before >= at
        {
            wrong("the time of episodes rises strictly", format!("{at:?} after {before:?}"));
        }
    }
    if let Some(first) = history.first()
        && !matches!(first.event_type, Some(EventType::OrchestratorStarted(_)))
    {
        wrong("a history begins with OrchestratorStarted", format!("{first:?}"));
    }
    let ends =
        history.iter().filter(|event| matches!(event.event_type, Some(EventType::ExecutionCompleted(_)))).count();
    let at_end =
        matches!(history.last().and_then(|last| last.event_type.as_ref()), Some(EventType::ExecutionCompleted(_)));
    if ends != usize::from(record.has_ended()) || at_end != record.has_ended() {
        wrong("ExecutionCompleted stands at the end of what has ended", format!("{ends} while {:?}", record.status()));
    }
    if record.image.tail.history_events != history.len() as u64 {
        let counted = record.image.tail.history_events;
        wrong("the length of the history is known", format!("{counted} for {} events", history.len()));
    }
}

/// What was asked for and has not ended is under way, and nothing else is.
fn check_outstanding(record: &Record, open: &BTreeMap<i32, Kind>, wrong: &mut impl FnMut(&str, String)) {
    let asked = |wanted: Kind| open.iter().filter(move |(_, kind)| **kind == wanted).map(|(id, _)| *id);
    let image = &record.image;
    if record.has_ended() {
        if !image.inbox.is_empty() || !image.timers.is_empty() {
            let found = format!("{} events and {} timers", image.inbox.len(), image.timers.len());
            wrong("nothing is due to what has ended", found);
        }
        return;
    }
    let timers: BTreeSet<i32> = image.timers.iter().filter_map(|timer| timer.event_id).collect();
    if timers != asked(Kind::Timer).collect() {
        wrong(
            "each open timer of the history runs",
            format!("{timers:?} for {:?}", asked(Kind::Timer).collect::<Vec<_>>()),
        );
    }
    let mut tasks = BTreeSet::new();
    for task in image.tasks.iter().filter(|task| task.run == image.head.run) {
        let Some(duramen_core::checkpoint::Place::Here(event)) =
            task.event.as_ref().and_then(|part| part.place.as_ref())
        else {
            wrong("a task has its event", format!("{task:?}"));
            continue;
        };
        match prost::Message::decode(&**event) {
            Ok(HistoryEvent { event_id, .. }) => drop(tasks.insert(event_id)),
            Err(error) => wrong("a task's event can be read", error.to_string()),
        }
    }
    if tasks != asked(Kind::Task).collect() {
        wrong(
            "each open task of the history is queued",
            format!("{tasks:?} for {:?}", asked(Kind::Task).collect::<Vec<_>>()),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::forged::{completed, ended, history, record, scheduled, started};
    use super::*;

    fn wrong(record: &Record) -> Vec<String> {
        let mut violations = Violations::default();
        check(record, &mut violations);
        violations.0.into_iter().map(|violation| violation.promised).collect()
    }

    #[test]
    fn a_history_that_can_be_is_let_through() {
        let good = history([started(1), vec![scheduled(0)], started_again(2), vec![completed(0), ended()]]);
        assert_eq!(wrong(&record(good)), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_is_named() {
        let cases = [
            ("a completion has an action", history([started(1), vec![completed(7), ended()]])),
            (
                "an action is completed once",
                history([started(1), vec![scheduled(0), completed(0), completed(0), ended()]]),
            ),
            ("an action id is used once", history([started(1), vec![scheduled(0), scheduled(0), ended()]])),
            ("one ExecutionStarted", history([started(1), started(2), vec![ended()]])),
            ("the time of episodes rises strictly", history([started(2), started_again(2), vec![ended()]])),
            (
                "ExecutionCompleted stands at the end of what has ended",
                history([started(1), vec![ended(), scheduled(0)]]),
            ),
        ];
        for (promised, history) in cases {
            assert!(wrong(&record(history)).iter().any(|found| found == promised), "{promised}");
        }
    }

    #[test]
    fn a_task_that_is_not_queued_is_named() {
        let mut waiting = record(history([started(1), vec![scheduled(0)]]));
        waiting.image.tail.status = duramen_proto::OrchestrationStatus::Running.into();
        assert_eq!(wrong(&waiting), ["each open task of the history is queued"]);
    }

    fn started_again(second: i64) -> Vec<HistoryEvent> {
        started(second).into_iter().take(1).collect()
    }
}
