//! The runs of activities: each rests on one decision, which was durable before it.

use super::Violations;
use super::images::Record;
use crate::functions::Stage;
use crate::known::Known;
use crate::witness::Ran;
use duramen_proto::history_event::EventType;
use std::collections::BTreeMap;

/// Checks all runs against each other and against the histories.
pub(super) fn check(known: &Known, records: &BTreeMap<String, Record>, violations: &mut Violations) {
    let mut first: BTreeMap<(&str, i32), &Ran> = BTreeMap::new();
    for ran in &known.ran {
        let decision = first.entry((&ran.execution, ran.action)).or_insert(ran);
        if *decision != ran {
            let promised = format!("one decision for action {} of execution {}", ran.action, ran.execution);
            violations.add(&ran.instance, &promised, format!("{decision:?} and {ran:?}"));
        }
    }
    // A rewind gives a new execution to what was done before it.
    let mut of_instance: BTreeMap<(&str, i32), Vec<&Ran>> = BTreeMap::new();
    for ran in first.values() {
        of_instance.entry((&ran.instance, ran.action)).or_default().push(ran);
    }
    for record in records.values() {
        check_record(record, &first, &of_instance, violations);
    }
    for ran in first.values() {
        let Some(record) = records.get(&ran.instance) else { continue };
        if record.image.head.execution_id == ran.execution && !asks_for(record, ran) {
            let promised = format!("what ran as action {} was decided", ran.action);
            violations.add(&ran.instance, &promised, format!("{ran:?} is not in the history"));
        }
    }
}

fn asks_for(record: &Record, ran: &Ran) -> bool {
    record.history.iter().any(|event| match &event.event_type {
        Some(EventType::TaskScheduled(task)) => {
            event.event_id == ran.action && task.name == ran.name && task.input.as_deref() == Some(&*ran.input)
        }
        _ => false,
    })
}

/// Each result in a history comes from a run, and is what that run gives.
fn check_record(
    record: &Record,
    first: &BTreeMap<(&str, i32), &Ran>,
    of_instance: &BTreeMap<(&str, i32), Vec<&Ran>>,
    violations: &mut Violations,
) {
    let execution = record.image.head.execution_id.as_str();
    let was_rewound = !record.image.head.rewinds.is_empty();
    let ran = |action: i32| match was_rewound {
        false => first.get(&(execution, action)).copied(),
        true => of_instance.get(&(record.id(), action)).and_then(|runs| runs.first().copied()),
    };
    for event in record.events() {
        match event {
            EventType::TaskCompleted(done) => match ran(done.task_scheduled_id) {
                None => violations.add(record.id(), "a result comes from a run", format!("{done:?}, which never ran")),
                Some(ran) => {
                    let stage: Option<Stage> = serde_json::from_str(&ran.input).ok();
                    let result = stage.map(|stage| stage.result().to_string());
                    if done.result != result {
                        violations.add(record.id(), &format!("{ran:?} gives {result:?}"), format!("{:?}", done.result));
                    }
                }
            },
            EventType::TaskFailed(failed) if ran(failed.task_scheduled_id).is_none() => {
                violations.add(record.id(), "a failure comes from a run", format!("{failed:?}, which never ran"));
            }
            _ => {}
        }
    }
}
