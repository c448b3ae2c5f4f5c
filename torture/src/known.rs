//! What the witness knows of each instance, gathered from its lines.

use crate::functions::Job;
use crate::witness::{Line, Ran, Told};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that the witness knows.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) instances: BTreeMap<String, Instance>,
    pub(crate) ran: Vec<Ran>,
    pub(crate) counts: Counts,
}

/// What was promised in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) starts: u64,
    pub(crate) raises: u64,
    pub(crate) results: u64,
    pub(crate) others: u64,
    pub(crate) activities: u64,
}

/// What it knows of one id.
#[derive(Debug, Default)]
pub(crate) struct Instance {
    /// In the order in which they were asked for.
    pub(crate) starts: Vec<Start>,
    pub(crate) raises: BTreeMap<String, Raise>,
    pub(crate) told: Vec<Told>,
    /// The highest custom status that was seen, by key.
    pub(crate) seen: BTreeMap<String, u32>,
    pub(crate) suspension: Suspension,
    /// Outputs that were asked for with a termination.
    pub(crate) terminations: BTreeSet<String>,
    pub(crate) terminated: bool,
    pub(crate) rewinding: bool,
    pub(crate) purging: bool,
    pub(crate) purged: bool,
}

#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) orchestrator: String,
    pub(crate) job: Job,
    /// Its birth, once it was acknowledged.
    pub(crate) acknowledged: Option<u64>,
}

/// How often an event was raised, and how often that was acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Raise {
    pub(crate) asked: usize,
    pub(crate) acknowledged: usize,
}

/// What is certain about whether an instance is suspended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Suspension {
    /// How often a suspension was acknowledged.
    pub(crate) acknowledged: usize,
    /// The last request that was asked for is a suspension that was acknowledged.
    pub(crate) stands: bool,
}

impl Known {
    pub(crate) fn gather(lines: Vec<Line>) -> Self {
        let mut known = Self::default();
        for line in lines {
            known.add(line);
        }
        known
    }

    fn of(&mut self, id: String) -> &mut Instance {
        self.instances.entry(id).or_default()
    }

    fn add(&mut self, line: Line) {
        match line {
            Line::Life { .. } => {}
            Line::Starting { id, orchestrator, job } => {
                self.of(id).starts.push(Start { orchestrator, job, acknowledged: None });
            }
            Line::Started { id, key, birth } => {
                let start = self.of(id).starts.iter_mut().rev().find(|start| start.job.key == key);
                start.expect("a start is asked for before it is acknowledged").acknowledged = Some(birth);
                self.counts.starts += 1;
            }
            Line::Raising { id, event } => self.of(id).raises.entry(event).or_default().asked += 1,
            Line::Raised { id, event } => {
                self.of(id).raises.entry(event).or_default().acknowledged += 1;
                self.counts.raises += 1;
            }
            Line::Told(told) => {
                self.of(told.id.clone()).told.push(told);
                self.counts.results += 1;
            }
            Line::Ran(ran) => {
                self.ran.push(ran);
                self.counts.activities += 1;
            }
            Line::Seen { id, key, count } => {
                let seen = self.of(id).seen.entry(key).or_default();
                *seen = count.max(*seen);
            }
            Line::Suspending { id } | Line::Resuming { id } => self.of(id).suspension.stands = false,
            Line::Terminating { id, output } => {
                self.of(id).terminations.insert(output);
            }
            Line::Rewinding { id } => self.of(id).rewinding = true,
            Line::Purging { id, .. } => self.of(id).purging = true,
            Line::Suspended { id } => {
                let suspension = &mut self.of(id).suspension;
                suspension.acknowledged += 1;
                suspension.stands = true;
                self.counts.others += 1;
            }
            Line::Terminated { id, .. } => {
                let instance = self.of(id);
                instance.terminated = true;
                instance.suspension.stands = false;
                self.counts.others += 1;
            }
            Line::Purged { id, .. } => {
                self.of(id).purged = true;
                self.counts.others += 1;
            }
            Line::Resumed { .. } | Line::Rewound { .. } => self.counts.others += 1,
        }
    }
}

impl Instance {
    /// Starts that may be the one that is there now: the last that was acknowledged, and those that
    /// were asked for after it. Each of them replaces what was before.
    pub(crate) fn possible(&self) -> &[Start] {
        let last = self.starts.iter().rposition(|start| start.acknowledged.is_some());
        &self.starts[last.unwrap_or(0)..]
    }

    /// Whether some start was acknowledged.
    pub(crate) fn is_promised(&self) -> bool {
        self.starts.iter().any(|start| start.acknowledged.is_some())
    }

    /// Whether its last start was told to have ended.
    pub(crate) fn is_done(&self) -> bool {
        self.starts.last().is_some_and(|start| {
            // One that has failed may still be rewound.
            self.told.iter().any(|told| told.key == start.job.key && told.status != FAILED)
        })
    }
}

/// The status of an instance that has failed, by its name in the protocol.
pub(crate) const FAILED: &str = "ORCHESTRATION_STATUS_FAILED";
