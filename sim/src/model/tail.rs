//! What the last row of an instance may say.

use super::promises::Promises;
use super::{FAILED, Judge, PENDING, RUNNING, State, TERMINATED, kind};
use crate::check::ensure;
use duramen_core::checkpoint::Tail;
use duramen_core::ids::Run;
use duramen_core::partition::HeldKey;
use duramen_proto::OrchestrationStatus;
use duramen_proto::history_event::EventType;

impl State {
    pub(super) fn tail(&mut self, tail: &Tail, promises: &mut Promises, judge: Option<&mut Judge<'_>>) {
        promises.touched.insert(tail.birth);
        let rewound = self.rewound.clone();
        let instance = self.of_birth(tail.birth, "Tail");
        let before = std::mem::replace(&mut instance.tail, tail.clone());
        let run_before = std::mem::replace(&mut instance.tail_run, instance.head.run);
        if let Some(judge) = judge {
            let item = (instance.head.id.clone(), HeldKey::Episode(Run(run_before)));
            let answered = tail.episodes != before.episodes || run_before != instance.head.run;
            let cleared = answered || tail.completed.is_some() || judge.causes.decided.contains(&item);
            judge.losses(&item, (before.losses.as_ref(), tail.losses.as_ref()), cleared);
            let (head, run) = (&instance.head, &instance.run);
            ensure!(
                tail.history_events == run.history.len() as u64,
                "the tail counts the history",
                "{} says {} and has {}",
                head.id,
                tail.history_events,
                run.history.len()
            );
            ensure!(
                tail.next_arrival == instance.next_arrival
                    && tail.next_task == instance.next_task
                    && tail.next_timer == instance.next_timer,
                "the tail counts what was numbered",
                "{}: {tail:?}, and counted {} {} {}",
                head.id,
                instance.next_arrival,
                instance.next_task,
                instance.next_timer
            );
            ensure!(
                tail.episodes == run.episodes,
                "the tail counts the episodes",
                "{} says {} and had {}",
                head.id,
                tail.episodes,
                run.episodes
            );
            let last = run.history.last().map(kind);
            let ended = matches!(last, Some(EventType::ExecutionCompleted(_)));
            ensure!(
                ended == tail.completed.is_some(),
                "what has ended says so",
                "{}: {tail:?}, and the last event is {last:?}",
                head.id
            );
            if let Some(EventType::ExecutionCompleted(completed)) = last {
                ensure!(
                    completed.orchestration_status == tail.status,
                    "the status is that of the history",
                    "{}: {} and {completed:?}",
                    head.id,
                    tail.status
                );
                ensure!(
                    run.inbox.is_empty() && run.timers.is_empty(),
                    "nothing waits for what has ended",
                    "{}: {:?} {:?}",
                    head.id,
                    run.inbox.keys(),
                    run.timers.keys()
                );
                let terminated = tail.status == TERMINATED;
                ensure!(
                    !terminated || instance.tasks.is_empty(),
                    "a termination closes activities",
                    "{}: {:?}",
                    head.id,
                    instance.tasks.keys()
                );
                if before.completed.is_none() {
                    judge.cover.count(match tail.status {
                        FAILED => "model: failed",
                        TERMINATED => "model: terminated",
                        _ => "model: completed",
                    });
                }
            } else {
                ensure!(
                    before.completed.is_none() || rewound.contains(&head.run) || promises.rewound.contains(&head.birth),
                    "what has ended stays so",
                    "{} was {} and is {}",
                    head.id,
                    before.status,
                    tail.status
                );
                let expected = if tail.suspended {
                    OrchestrationStatus::Suspended as i32
                } else if tail.begun {
                    RUNNING
                } else {
                    PENDING
                };
                ensure!(
                    tail.status == expected,
                    "the status of a live instance is what it does",
                    "{}: {tail:?}",
                    head.id
                );
                if tail.suspended {
                    judge.cover.count("model: suspended");
                }
            }
            ensure!(!before.begun || tail.begun, "what has begun stays so", "{}", head.id);
        }
        let id = instance.head.id.clone();
        if tail.begun {
            self.ever.begun.insert(tail.birth);
        }
        let facet = self.facet(&id);
        self.note(&id, facet);
    }
}
