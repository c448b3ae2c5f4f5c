//! A history against code that is not the code that made it.

use super::script::{START, Script, at, recorded};
use alloc::string::{String, ToString};

fn replayed(script: &mut Script, actions: &[(i32, &str)]) -> String {
    let past = [START, &recorded(actions)].concat();
    script.episode(&past, &at(1, ""))
}

fn charging() -> Script {
    Script::new(|ctx| async move { ctx.call("ChargeCard").await })
}

fn sleeping() -> Script {
    Script::new(|ctx| async move {
        let timer = ctx.start_timer(5);
        super::script::shown(ctx.task(timer).await)
    })
}

#[test]
fn another_kind_is_shown_with_both_sides() {
    let found = replayed(&mut sleeping(), &[(0, "TaskScheduled(ChargeCard)")]);
    assert!(
        found.starts_with("#-1 FAILED history #0 TaskScheduled(ChargeCard), code asked for CreateTimer;"),
        "{found}"
    );
    let found = replayed(&mut charging(), &[(0, "TimerCreated")]);
    assert!(found.contains("history #0 TimerCreated, code asked for ScheduleTask(ChargeCard)"), "{found}");
}

#[test]
fn another_name_is_a_mismatch_but_another_case_is_not() {
    let found = replayed(&mut charging(), &[(0, "TaskScheduled(RefundCard)")]);
    assert!(found.contains("history #0 TaskScheduled(RefundCard), code asked for ScheduleTask(ChargeCard)"), "{found}");
    assert_eq!(replayed(&mut charging(), &[(0, "TaskScheduled(CHARGECARD)")]), "");
    let mut cyrillic = Script::new(|ctx| async move { ctx.call("Счёт").await });
    assert_eq!(replayed(&mut cyrillic, &[(0, "TaskScheduled(\"СЧЁТ\")")]), "");
}

#[test]
fn another_id_is_a_mismatch() {
    let found = replayed(&mut charging(), &[(1, "TaskScheduled(ChargeCard)")]);
    assert!(found.contains("history #1 TaskScheduled(ChargeCard), code asked for nothing;"), "{found}");
}

#[test]
fn code_that_returned_earlier_is_a_mismatch() {
    let mut short = Script::new(|_| async move { "done".to_string() });
    let found = replayed(&mut short, &[(0, "TaskScheduled(A)")]);
    assert!(found.contains("code asked for nothing: it had already returned"), "{found}");
}

#[test]
fn the_same_action_twice_is_a_mismatch() {
    let found = replayed(&mut charging(), &[(0, "TaskScheduled(ChargeCard)"), (0, "TaskScheduled(ChargeCard)")]);
    assert!(found.contains("code asked for nothing"), "{found}");
}

#[test]
fn children_events_and_entities_are_compared_too() {
    let child = || Script::new(|ctx| async move { super::script::shown(ctx.task(ctx.start_child("Child", "")).await) });
    assert_eq!(replayed(&mut child(), &[(0, "SubOrchestrationInstanceCreated(child)")]), "");
    let found = replayed(&mut child(), &[(0, "SubOrchestrationInstanceCreated(Other)")]);
    assert!(found.contains("code asked for CreateSubOrchestration(Child)"), "{found}");
    let found = replayed(&mut child(), &[(0, "EntityOperationCalled(add)")]);
    assert!(found.contains("history #0 EntityOperationCalled(add), code asked for"), "{found}");
    let mut sender = Script::new(|ctx| async move {
        ctx.send("ping");
        ctx.call("A").await
    });
    let found = replayed(&mut sender, &[(0, "EventSent(pong)")]);
    assert!(found.contains("history #0 EventSent(pong), code asked for SendEvent(ping)"), "{found}");
}

#[test]
fn a_mismatch_ends_the_execution_whatever_comes_behind_it() {
    let mut script = sleeping();
    let past = [START, &recorded(&[(0, "TaskScheduled(A)")]), &at(1, "TaskCompleted(0)")].concat();
    let end = script.end(&past, &at(2, "ExecutionTerminated output=x"));
    assert!(end.ended);
    assert_eq!(end.actions.len(), 1);
    assert_eq!(end.actions[0].id, -1);
}

#[test]
fn a_gap_in_the_past_is_asked_for_again() {
    // As a rewind leaves it: the second of three is gone.
    let mut script = Script::new(|ctx| async move {
        let tasks = ["A", "B", "C"].map(|name| ctx.start(name));
        let mut all = String::new();
        for task in tasks {
            all.push_str(&super::script::shown(ctx.task(task).await));
        }
        all
    });
    let past = [
        START,
        &recorded(&[(0, "TaskScheduled(A)"), (2, "TaskScheduled(C)")]),
        &at(1, "TaskCompleted(0) result=a\nTaskCompleted(2) result=c"),
    ]
    .concat();
    assert_eq!(script.episode(&past, &at(2, "")), "#1 ScheduleTask(B)");
    assert_eq!(script.episode("", &at(3, "TaskCompleted(1) result=b")), "#3 COMPLETED abc");
}

#[test]
fn code_that_waits_for_nothing_durable_is_stranded() {
    let mut script = Script::new(|ctx| async move {
        ctx.send("ping");
        core::future::pending::<()>().await;
        String::new()
    });
    script.episode("", START);
    assert!(script.ctx.0.borrow().is_stranded());

    let mut waiting = Script::new(|ctx| async move { ctx.event(ctx.wait("e")).await });
    waiting.episode("", START);
    assert!(!waiting.ctx.0.borrow().is_stranded());
}

#[test]
fn a_task_whose_future_was_dropped_does_not_count_as_open() {
    let mut script = Script::new(|ctx| async move {
        let timer = ctx.start_timer(5);
        ctx.0.borrow_mut().forget_task(timer);
        core::future::pending::<()>().await;
        String::new()
    });
    script.episode("", START);
    assert!(script.ctx.0.borrow().is_stranded());
}

#[test]
fn a_rewound_history_may_hold_timers_that_the_code_does_not_ask_for() {
    let rewound = |mut script: Script, actions: &[(i32, &str)]| {
        script.ctx.0.borrow_mut().set_rewound();
        replayed(&mut script, actions)
    };
    let pause = [(0, "TaskScheduled(ChargeCard)"), (1, "TimerCreated")];
    assert_eq!(rewound(charging(), &pause), "");
    assert!(replayed(&mut charging(), &pause).contains("code asked for nothing"));
    // One that it does ask for is met, and does not go out again.
    assert_eq!(rewound(sleeping(), &[(0, "TimerCreated")]), "");
    let found = rewound(charging(), &[(0, "TimerCreated")]);
    assert!(found.contains("code asked for ScheduleTask"), "{found}");
}
