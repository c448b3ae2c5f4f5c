//! What a checkpoint has to make good before it ends.

use super::{Judge, State, kind};
use crate::check::ensure;
use bytes::Bytes;
use duramen_core::checkpoint::{Task, Timer};
use duramen_proto::history_event::EventType;
use std::collections::{BTreeMap, BTreeSet};

/// What a checkpoint has to make good before it ends.
#[derive(Default)]
pub(super) struct Promises {
    /// Inbox entries that an episode put into the history: they have to be taken.
    pub(super) into_history: BTreeSet<(u64, u64)>,
    /// Entries that were taken: (run, sequence) and what they were.
    pub(super) taken: Vec<(u64, u64, Bytes)>,
    /// Events of a closed run that have to go on in the next, by birth.
    pub(super) moving: BTreeMap<u64, Vec<Bytes>>,
    pub(super) moved: BTreeMap<u64, Vec<Bytes>>,
    pub(super) touched: BTreeSet<u64>,
    /// Births that were rewound; they may have gone on as a new run since.
    pub(super) rewound: BTreeSet<u64>,
    /// Pairs of slots of which something was taken.
    pub(super) received: BTreeSet<(u32, u32)>,
    /// Pairs of which something arrived past the outbox.
    pub(super) direct: BTreeSet<(u32, u32)>,
    /// The first message that was sent of a pair.
    pub(super) first_sent: BTreeMap<(u32, u32), u64>,
    /// Instances that were purged, and whose ids nobody has taken since: id and birth.
    pub(super) purged: Vec<(String, u64)>,
    pub(super) tasks_closed: BTreeMap<(u64, u64), Task>,
    pub(super) timers_closed: BTreeMap<(u64, i32), Timer>,
}

impl Promises {
    /// Notes on which way a message came from an instance: past the outbox, or by it.
    pub(super) fn note_way(&mut self, sender: &str, to: &str) {
        let slot = |id: &str| u32::from(duramen_core::ids::InstanceId::new(id).slot().0);
        let pair = (slot(sender), slot(to));
        if !self.received.contains(&pair) {
            self.direct.insert(pair);
        }
    }
}

impl State {
    pub(super) fn keep_promises(&mut self, promises: Promises, judge: Option<&mut Judge<'_>>) {
        let Some(judge) = judge else { return };
        for (id, birth) in promises.purged {
            self.explain_purge(&id, birth, judge);
        }
        for (run, sequence, event) in promises.taken {
            let recorded = promises.into_history.contains(&(run, sequence));
            let what = kind(&event);
            let gone = self.runs.get(&run).and_then(|birth| self.instances.get(birth)).is_none_or(|instance| {
                instance.head.run != run
                    || instance
                        .run
                        .history
                        .last()
                        .is_some_and(|last| matches!(kind(last), EventType::ExecutionCompleted(_)))
            });
            ensure!(
                recorded || gone || matches!(what, EventType::ExecutionRewound(_)) || self.rewound.contains(&run),
                "no accepted event is lost",
                "{what:?} of run {run:#x} left the inbox for nothing"
            );
        }
        for pair in &promises.direct {
            let of_pair = (pair.0, pair.1, 0)..=(pair.0, pair.1, u64::MAX);
            let left = self.outbox.range(of_pair).map(|((_, _, sequence), _)| *sequence).next();
            let first = promises.first_sent.get(pair).copied().unwrap_or(u64::MAX);
            ensure!(
                left.is_none_or(|left| left >= first),
                "no message overtakes those of its pair",
                "{pair:?}: something arrived while {left:?} was not acknowledged"
            );
        }
        for (birth, moving) in &promises.moving {
            let Some(instance) = self.instances.get(birth) else { continue };
            let moved = promises.moved.get(birth).map(Vec::as_slice).unwrap_or_default();
            // All of them, in their order, at the end of what the new run begins with.
            let mut rest = moved.iter();
            let kept = moving.iter().all(|event| rest.any(|other| other == event));
            ensure!(
                kept,
                "events go on to the next run in order",
                "{}: {:?} became {:?}",
                instance.head.id,
                moving.iter().map(kind).collect::<Vec<_>>(),
                moved.iter().map(kind).collect::<Vec<_>>()
            );
        }
    }

    /// What is purged, and makes room for nobody, was to go.
    fn explain_purge(&mut self, id: &str, birth: u64, judge: &mut Judge<'_>) {
        if judge.causes.purges_seen.contains(&birth) {
            return;
        }
        let done = self.purges.entry(id.to_owned()).or_default();
        *done += 1;
        let asked = judge.causes.purges.get(id).copied().unwrap_or(0);
        ensure!(*done <= asked, "an instance is purged because somebody asked", "{id} of birth {birth:#x}");
    }
}
