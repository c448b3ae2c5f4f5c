//! What clients were promised, against what is there.

use super::Violations;
use super::images::Record;
use crate::functions::{GO, Outcome, outcome};
use crate::known::{Instance, Known};
use crate::witness::Told;
use duramen_proto::OrchestrationStatus;
use duramen_proto::history_event::EventType;
use std::collections::BTreeMap;

/// When the store was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// As the last kill left it.
    Killed,
    /// After everything has come to its end.
    Ended,
}

/// Checks everything that was promised about instances.
pub(super) fn check(known: &Known, records: &BTreeMap<String, Record>, when: When, violations: &mut Violations) {
    for (id, instance) in &known.instances {
        Check { id, instance, when, violations }.run(records);
    }
    let mut keys: BTreeMap<&str, &str> = BTreeMap::new();
    for record in records.values() {
        if let Some(other) = keys.insert(&record.job.key, record.id()) {
            violations.add(record.id(), "a start makes one instance", format!("{other} is of the same start"));
        }
        // Children are not started by clients, though these may ask about them.
        let started = known.instances.get(record.id()).filter(|instance| !instance.starts.is_empty());
        if started.is_none() && record.image.head.parent.is_none() {
            violations.add(record.id(), "an instance was started by somebody", format!("{:?}", record.started));
        }
        if when == When::Ended {
            check_end(record, started, violations);
        }
    }
}

/// Everything has come to the end that follows from its input.
fn check_end(record: &Record, known: Option<&Instance>, violations: &mut Violations) {
    let job = &record.job;
    let name = &record.image.head.name;
    let Some(expected) = outcome(name, job) else {
        return violations.add(record.id(), "its orchestrator is one of ours", name.clone());
    };
    let (output, failure) = record.outcome();
    let found = || format!("{:?} with {output:?}, {failure:?}", record.status());
    let is_right = match expected {
        Outcome::Value(value) => record.status() == OrchestrationStatus::Completed && output == Some(value.to_string()),
        Outcome::Events => {
            let got: Option<Vec<String>> = output.as_deref().and_then(|output| serde_json::from_str(output).ok());
            let got = got.unwrap_or_default();
            record.status() == OrchestrationStatus::Completed && job.events().all(|event| got.contains(&event))
        }
        Outcome::Never => {
            let asked =
                known.is_none_or(|known| output.as_ref().is_some_and(|output| known.terminations.contains(output)));
            record.status() == OrchestrationStatus::Terminated && asked
        }
    };
    if !is_right {
        violations.add(record.id(), &format!("{name} ends as its input says: {expected:?}"), found());
    }
}

/// The promises about one id.
struct Check<'a> {
    id: &'a str,
    instance: &'a Instance,
    when: When,
    violations: &'a mut Violations,
}

impl Check<'_> {
    fn wrong(&mut self, promised: &str, found: String) {
        self.violations.add(self.id, promised, found);
    }

    fn run(mut self, records: &BTreeMap<String, Record>) {
        self.check_told_once();
        let Some(record) = records.get(self.id) else {
            if self.instance.is_promised() && !self.instance.purging {
                self.wrong("its start was acknowledged", "it does not exist".into());
            }
            return;
        };
        if self.instance.purged {
            self.wrong("its purge was acknowledged", format!("it is there, {:?}", record.status()));
        }
        if !self.instance.starts.is_empty() {
            self.check_start(record);
        }
        self.check_raises(record);
        self.check_told(record);
        self.check_suspension(record);
        self.check_termination(record);
        if let Some(&seen) = self.instance.seen.get(&record.job.key) {
            let status = record.image.custom_status.as_ref().and_then(|status| status.value.as_deref());
            if status.and_then(|status| status.parse::<u32>().ok()).is_none_or(|now| now < seen) {
                self.wrong(&format!("a client saw the custom status {seen}"), format!("{status:?}"));
            }
        }
    }

    /// What is there is what was last started, with the input that was given.
    fn check_start(&mut self, record: &Record) {
        let instance = self.instance;
        let Some(start) = instance.possible().iter().rev().find(|start| start.job.key == record.job.key) else {
            let possible: Vec<_> = instance.possible().iter().map(|start| &start.job.key).collect();
            return self.wrong(&format!("it is one of the starts {possible:?}"), format!("{:?}", record.started));
        };
        // Later generations have an input of their own.
        let mut job = record.job.clone();
        job.got.clone_from(&start.job.got);
        if job != start.job || record.image.head.name != start.orchestrator {
            self.wrong(&format!("{} with {:?}", start.orchestrator, start.job), format!("{:?}", record.started));
        }
        if start.acknowledged.is_some_and(|birth| birth != record.image.head.birth) {
            let promised = format!("its birth is {:?}", start.acknowledged);
            self.wrong(&promised, record.image.head.birth.to_string());
        }
    }

    /// An acknowledged event is there, and none is there more often than it was raised.
    fn check_raises(&mut self, record: &Record) {
        let mut there: BTreeMap<String, usize> = BTreeMap::new();
        for got in &record.job.got {
            *there.entry(got.clone()).or_default() += 1;
        }
        for event in record.events() {
            if let EventType::EventRaised(raised) = event
                && raised.name == GO
            {
                let data = raised.input.as_deref().and_then(|input| serde_json::from_str(input).ok());
                *there.entry(data.unwrap_or_else(|| format!("{raised:?}"))).or_default() += 1;
            }
        }
        let instance = self.instance;
        for (event, raise) in &instance.raises {
            let found = there.remove(event).unwrap_or(0);
            // One that comes after the end is dropped, but then another one of the same data was not.
            let least = if record.has_ended() { raise.acknowledged.min(1) } else { raise.acknowledged };
            if !(least..=raise.asked).contains(&found) {
                self.wrong(&format!("event {event}: {raise:?}"), format!("it is there {found} times"));
            }
        }
        if !there.is_empty() {
            self.wrong("only what was raised is there", format!("{there:?}"));
        }
    }

    /// Two clients were not told different things.
    fn check_told_once(&mut self) {
        let instance = self.instance;
        let mut first: BTreeMap<(&str, &str), &Told> = BTreeMap::new();
        for told in &instance.told {
            let before = *first.entry((&told.key, &told.execution)).or_insert(told);
            if before != told {
                self.wrong(&format!("a client was told {before:?}"), format!("another {told:?}"));
            }
        }
    }

    /// What a client was told is still so.
    fn check_told(&mut self, record: &Record) {
        let instance = self.instance;
        for told in instance.told.iter().filter(|told| told.key == record.job.key) {
            let (output, failure) = record.outcome();
            let now = Told {
                id: told.id.clone(),
                key: told.key.clone(),
                execution: record.image.head.execution_id.clone(),
                status: record.status().as_str_name().to_owned(),
                output,
                failure,
            };
            let was_rewound = instance.rewinding && now.execution != told.execution;
            if now != *told && !was_rewound {
                self.wrong(&format!("a client was told {told:?}"), format!("{now:?}"));
            }
        }
    }

    fn check_suspension(&mut self, record: &Record) {
        let suspension = self.instance.suspension;
        if self.when == When::Killed && suspension.stands && record.status() != OrchestrationStatus::Suspended {
            self.wrong("its suspension was acknowledged", format!("{:?}", record.status()));
        }
        let suspended = record.events().any(|event| matches!(event, EventType::ExecutionSuspended(_)));
        if suspension.acknowledged > 0 && !suspended {
            self.wrong("its suspension was acknowledged", "it is not in the history".into());
        }
    }

    fn check_termination(&mut self, record: &Record) {
        let waits =
            record.inbox.iter().any(|event| matches!(event.event_type, Some(EventType::ExecutionTerminated(_))));
        let is_due = self.when == When::Killed && waits;
        if self.instance.terminated && !is_due && record.status() != OrchestrationStatus::Terminated {
            self.wrong("its termination was acknowledged", format!("{:?}", record.status()));
        }
    }
}
