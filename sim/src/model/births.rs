//! How instances and their runs begin.

use super::facets::Facet;
use super::promises::Promises;
use super::{FAILED, Instance, Judge, PENDING, RUNNING, Run, State, kind};
use crate::check::ensure;
use crate::program::Input;
use duramen_core::checkpoint::{Head, Tail};
use duramen_proto::history_event::EventType;
use std::collections::BTreeMap;

impl State {
    pub(super) fn head(&mut self, head: &Head, promises: &mut Promises, judge: Option<&mut Judge<'_>>) {
        self.ever.executions.insert(head.execution_id.clone(), head.birth);
        promises.touched.insert(head.birth);
        let Some(instance) = self.instances.get_mut(&head.birth) else {
            // It takes the place of whatever was purged before it.
            promises.purged.retain(|(id, _)| *id != head.id);
            return self.birth(head, judge);
        };
        let before = std::mem::replace(&mut instance.head, head.clone());
        if before.run == head.run {
            // A rewind.
            ensure!(
                instance.tail.status == FAILED
                    || instance
                        .run
                        .history
                        .last()
                        .is_none_or(|last| !matches!(kind(last), EventType::ExecutionCompleted(_))),
                "only what failed is rewound",
                "{} is {}",
                head.id,
                instance.tail.status
            );
            ensure!(
                head.rewinds.len() == before.rewinds.len() + 1 && head.execution_id != before.execution_id,
                "a rewind has a new execution and is noted",
                "{head:?}"
            );
            self.rewound.insert(head.run);
            promises.rewound.insert(head.birth);
            for rewind in &head.rewinds {
                self.ever.texts.extend(rewind.reason.clone());
            }
            let facet = Facet { exists: true, ended: false, suspended: false, status: RUNNING, birth: head.birth };
            self.note(&head.id, facet);
            judge.into_iter().for_each(|judge| judge.cover.count("model: rewound"));
            return;
        }
        // A new generation.
        ensure!(
            !self.runs.contains_key(&before.run),
            "a run is closed before the next begins",
            "run {:#x} of {}",
            before.run,
            head.id
        );
        self.new_run(head.run, head.birth, judge.as_deref().map(|judge| judge.epoch));
        let instance = self.instances.get_mut(&head.birth).expect("it was just there");
        instance.run = Run { history: Vec::new(), inbox: BTreeMap::new(), timers: BTreeMap::new(), episodes: 0 };
        judge.into_iter().for_each(|judge| judge.cover.count("model: continued as new"));
    }

    pub(super) fn new_run(&mut self, run: u64, birth: u64, epoch: Option<u32>) {
        let of = (run >> 40) as u32;
        let largest = self.largest_run.entry(of).or_default();
        ensure!(run > *largest, "a run is never used twice", "run {run:#x} after {largest:#x}");
        ensure!(epoch.is_none_or(|epoch| epoch == of), "runs are of their lease", "run {run:#x} in epoch {epoch:?}");
        *largest = run;
        self.runs.insert(run, birth);
    }

    pub(super) fn birth(&mut self, head: &Head, judge: Option<&mut Judge<'_>>) {
        ensure!(head.birth == head.run, "a birth is the first run", "{head:?}");
        ensure!(!self.by_id.contains_key(&head.id), "one instance an id", "{} exists", head.id);
        self.new_run(head.run, head.birth, judge.as_deref().map(|judge| judge.epoch));
        self.births += 1;
        self.by_id.insert(head.id.clone(), head.birth);
        self.instances.insert(
            head.birth,
            Instance {
                head: head.clone(),
                tail: Tail { birth: head.birth, status: PENDING, ..Tail::default() },
                custom: None,
                run: Run { history: Vec::new(), inbox: BTreeMap::new(), timers: BTreeMap::new(), episodes: 0 },
                tasks: BTreeMap::new(),
                last_started: None,
                tail_run: head.run,
                next_arrival: 0,
                next_task: 0,
                next_timer: 0,
            },
        );
        self.ever.births.insert(head.birth, (head.id.clone(), None));
        self.note(&head.id, Facet { exists: true, ended: false, suspended: false, status: PENDING, birth: head.birth });
    }

    /// Explains a birth by its ExecutionStarted.
    pub(super) fn explain_birth(
        &mut self,
        birth: u64,
        started: &duramen_proto::ExecutionStartedEvent,
        judge: &mut Judge<'_>,
    ) {
        let instance = &self.instances[&birth];
        let id = instance.head.id.clone();
        let mark = started.input.as_deref().and_then(Input::parse).map(|input| input.mark).unwrap_or_default();
        let asker = started.parent_instance.as_ref();
        if let Some(asker) = asker {
            // The execution of the parent is in the event; its run in the head, unless nobody waits.
            let execution =
                asker.orchestration_instance.as_ref().and_then(|at| at.execution_id.clone()).unwrap_or_default();
            let run = instance.head.parent.as_ref().map(|parent| parent.run);
            judge.cover.count(if run.is_some() {
                "model: child made"
            } else {
                "model: child made that nobody waits for"
            });
            let Some(run) = run else { return };
            let left = self.children.entry((run, asker.task_scheduled_id)).or_default();
            *left -= 1;
            ensure!(
                *left >= 0 || self.rewound.contains(&run) || judge.causes.garbled.contains(&run),
                "a child is made once",
                "{id} for action {} of run {run:#x} (execution {execution})",
                asker.task_scheduled_id
            );
        } else if judge.causes.starts.get(&mark) == Some(&id) {
            judge.cover.count("model: started");
            let once = self.arrived.insert(format!("start {mark}"), birth).is_none();
            ensure!(once || judge.causes.restarts.contains_key(&id), "a start makes one instance", "{id} with {mark}");
        } else {
            judge.cover.count("model: restarted");
            ensure!(
                judge.causes.restarts.contains_key(&id),
                "an instance begins because somebody asked",
                "{id} with {:?}",
                started.input
            );
        }
    }
}
