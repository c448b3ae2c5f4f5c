//! Trying again.

use super::script::{START, Script, at, recorded, shown};
use crate::replay::Backoff;
use core::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn backoff(max_attempts: u32) -> Backoff {
    Backoff { max_attempts, first: SECOND, coefficient: 2.0, max_interval: 3 * SECOND, timeout: None }
}

fn trying(backoff: Backoff) -> Script {
    Script::new(move |ctx| async move {
        let task = ctx.start("A");
        assert!(ctx.retry(task, backoff));
        shown(ctx.task(task).await)
    })
}

#[test]
fn each_attempt_has_an_id_of_its_own_and_a_timer_before_it() {
    let mut session = trying(backoff(3));
    assert_eq!(session.episode("", START), "#0 ScheduleTask(A)");
    assert_eq!(session.episode("", &at(10, "TaskFailed(0) failure={message=one}")), "#1 CreateTimer at 11");
    assert_eq!(session.episode("", &at(11, "TimerFired(1)")), "#2 ScheduleTask(A)");
    assert_eq!(session.episode("", &at(20, "TaskFailed(2) failure={message=two}")), "#3 CreateTimer at 22");
    assert_eq!(session.episode("", &at(22, "TimerFired(3)")), "#4 ScheduleTask(A)");
    assert_eq!(session.episode("", &at(30, "TaskFailed(4) failure={message=three}")), "#5 COMPLETED !three");
}

#[test]
fn a_replay_finds_its_attempts_again() {
    let past = [
        START,
        &recorded(&[(0, "TaskScheduled(A)")]),
        &at(10, "TaskFailed(0)"),
        &recorded(&[(1, "TimerCreated")]),
        &at(11, "TimerFired(1)"),
        &recorded(&[(2, "TaskScheduled(A)")]),
    ]
    .concat();
    assert_eq!(trying(backoff(3)).episode(&past, &at(12, "TaskCompleted(2) result=x")), "#3 COMPLETED x");
}

#[test]
fn a_result_of_an_earlier_attempt_is_dropped() {
    let mut session = trying(backoff(3));
    session.episode("", START);
    session.episode("", &at(10, "TaskFailed(0)"));
    session.episode("", &at(11, "TimerFired(1)"));
    assert_eq!(session.episode("", &at(12, "TimerFired(1)")), "");
    assert_eq!(session.episode("", &at(13, "TaskCompleted(2) result=x")), "#3 COMPLETED x");
}

#[test]
fn what_is_non_retriable_is_not_tried_again() {
    let mut session = trying(backoff(3));
    session.episode("", START);
    let failed = at(1, "TaskFailed(0) failure={message=no non_retriable=true}");
    assert_eq!(session.episode("", &failed), "#1 COMPLETED !no");
}

#[test]
fn the_time_limit_counts_from_the_first_attempt() {
    let mut session = trying(Backoff { timeout: Some(15 * SECOND), ..backoff(9) });
    session.episode("", START);
    assert_eq!(session.episode("", &at(14, "TaskFailed(0)")), "#1 CreateTimer at 15");
    session.episode("", &at(15, "TimerFired(1)"));
    assert_eq!(session.episode("", &at(16, "TaskFailed(2) failure={message=late}")), "#3 COMPLETED !late");
}

#[test]
fn a_child_is_tried_again_under_the_id_it_was_given() {
    let mut session = Script::new(|ctx| async move {
        let child = ctx.start_child("C", "given");
        ctx.retry(child, backoff(2));
        shown(ctx.task(child).await)
    });
    session.episode("", START);
    session.episode("", &at(1, "SubOrchestrationInstanceFailed(0)"));
    let end = session.end("", &at(2, "TimerFired(1)"));
    match &end.actions[0].orchestrator_action_type {
        Some(duramen_proto::orchestrator_action::OrchestratorActionType::CreateSubOrchestration(child)) => {
            assert_eq!((end.actions[0].id, child.instance_id.as_str()), (2, "given"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(session.episode("", &at(3, "SubOrchestrationInstanceCompleted(2) result=x")), "#3 COMPLETED x");
}

#[test]
fn pauses_follow_the_formula() {
    let backoff = backoff(9);
    let pauses = [0, 1, 2, 3].map(|n| backoff.pause(n).as_secs());
    assert_eq!(pauses, [1, 2, 3, 3]);
    let huge = Backoff { coefficient: 1e300, max_interval: Duration::MAX, ..backoff };
    assert_eq!(huge.pause(5), Duration::MAX);
}

#[test]
fn a_policy_that_makes_no_sense_is_refused() {
    let wrong = [
        Backoff { max_attempts: 0, ..backoff(1) },
        Backoff { first: Duration::ZERO, ..backoff(1) },
        Backoff { coefficient: 0.5, ..backoff(1) },
        Backoff { coefficient: f64::NAN, ..backoff(1) },
        Backoff { max_interval: SECOND / 2, ..backoff(1) },
        Backoff { timeout: Some(SECOND / 2), ..backoff(1) },
    ];
    for backoff in wrong {
        assert!(backoff.check().is_err(), "{backoff:?}");
    }
    assert_eq!(backoff(1).check(), Ok(()));
}
