//! Start, completion, suspension, termination, ContinueAsNew.

use super::script::{START, Script, at, recorded};
use crate::replay::Completion;
use alloc::format;
use alloc::string::ToString;

fn chain() -> Script {
    Script::new(|ctx| async move {
        let a = ctx.call("A").await;
        let b = ctx.call("B").await;
        format!("{a}{b}")
    })
}

#[test]
fn a_session_and_a_replay_come_to_the_same() {
    let mut session = chain();
    assert_eq!(session.episode("", START), "#0 ScheduleTask(A)");
    let second = at(1, "TaskCompleted(0) result=1");
    assert_eq!(session.episode("", &second), "#1 ScheduleTask(B)");
    let third = at(2, "TaskCompleted(1) result=2");
    assert_eq!(session.episode("", &third), "#2 COMPLETED 12");

    let past = [START, &recorded(&[(0, "TaskScheduled(A)")]), &second, &recorded(&[(1, "TaskScheduled(B)")])].concat();
    assert_eq!(chain().episode(&past, &third), "#2 COMPLETED 12");
}

#[test]
fn a_failed_task_is_an_outcome() {
    let mut session = chain();
    session.episode("", START);
    session.episode("", &at(1, "TaskFailed(0) failure={message=boom}"));
    assert_eq!(session.episode("", &at(2, "TaskCompleted(1) result=2")), "#2 COMPLETED !boom2");
}

#[test]
fn a_failure_without_details_is_a_failure() {
    let mut session = chain();
    session.episode("", START);
    session.episode("", &at(1, "TaskFailed(0)"));
    assert_eq!(session.episode("", &at(2, "TaskCompleted(1) result=2")), "#2 COMPLETED !2");
}

#[test]
fn second_results_and_results_of_another_kind_are_dropped() {
    let mut session = chain();
    session.episode("", START);
    assert_eq!(session.episode("", &at(1, "SubOrchestrationInstanceCompleted(0) result=x\nTimerFired(0)")), "");
    session.episode("", &at(2, "TaskCompleted(0) result=1\nTaskCompleted(0) result=9\nTaskCompleted(7) result=9"));
    assert_eq!(session.episode("", &at(3, "TaskCompleted(1) result=2")), "#2 COMPLETED 12");
}

#[test]
fn a_second_start_is_dropped() {
    let mut session = chain();
    session.episode("", START);
    assert_eq!(session.episode("", &at(1, "ExecutionStarted(Other)")), "");
}

#[test]
fn time_is_that_of_the_episode() {
    let mut session = Script::new(|ctx| async move {
        let first = ctx.0.borrow().now().seconds();
        ctx.call("A").await;
        let second = ctx.0.borrow().now().seconds();
        format!("{first} {second}")
    });
    session.episode("", START);
    assert_eq!(session.episode("", &at(75, "TaskCompleted(0)")), "#1 COMPLETED 0 75");
}

#[test]
fn replaying_is_told_apart_from_new() {
    let script = || {
        Script::new(|ctx| async move {
            let first = ctx.0.borrow().is_replaying();
            ctx.call("A").await;
            let second = ctx.0.borrow().is_replaying();
            format!("{first} {second}")
        })
    };
    let past = [START, &recorded(&[(0, "TaskScheduled(A)")])].concat();
    assert_eq!(script().episode(&past, &at(1, "TaskCompleted(0)")), "#1 COMPLETED true false");
}

#[test]
fn actions_beside_the_completion_are_sent() {
    let mut session = Script::new(|ctx| async move {
        ctx.send("bye");
        ctx.start("A");
        "done".to_string()
    });
    assert_eq!(session.episode("", START), "#0 SendEvent(bye)\n#1 ScheduleTask(A)\n#2 COMPLETED done");
}

#[test]
fn while_suspended_nothing_is_applied_and_nothing_is_sent() {
    let mut session = chain();
    session.episode("", START);
    // The result comes first: the code goes on, but its action is held back.
    assert_eq!(session.episode("", &at(1, "TaskCompleted(0) result=1\nExecutionSuspended")), "");
    assert_eq!(session.episode("", &at(2, "TaskCompleted(1) result=2\nExecutionSuspended")), "");
    assert_eq!(session.episode("", &at(3, "ExecutionResumed")), "#1 ScheduleTask(B)\n#2 COMPLETED 12");
}

#[test]
fn what_was_held_comes_in_order_at_resume_also_in_a_replay() {
    let script = || {
        Script::new(|ctx| async move {
            let mut seen = ctx.event(ctx.wait("e")).await;
            seen.push_str(&ctx.event(ctx.wait("e")).await);
            seen
        })
    };
    let suspended = at(1, "ExecutionSuspended\nEventRaised(e) data=1\nEventRaised(E) data=2");
    let mut session = script();
    session.episode("", START);
    assert_eq!(session.episode("", &suspended), "");
    assert_eq!(session.episode("", &at(2, "ExecutionResumed")), "#0 COMPLETED 12");
    assert_eq!(script().episode(&[START, &suspended].concat(), &at(2, "ExecutionResumed")), "#0 COMPLETED 12");
}

#[test]
fn a_resume_without_a_suspension_does_nothing() {
    let mut session = chain();
    session.episode("", START);
    assert_eq!(session.episode("", &at(1, "ExecutionResumed")), "");
}

#[test]
fn termination_wins_over_what_runs_and_over_a_suspension() {
    for before in ["", "ExecutionSuspended\n", "TaskCompleted(0) result=1\n"] {
        let mut session = chain();
        session.episode("", START);
        let events = [before, "ExecutionTerminated output=enough\nTaskCompleted(0) result=1"].concat();
        assert!(session.episode("", &at(1, &events)).ends_with("TERMINATED enough"), "{before}");
    }
}

#[test]
fn termination_drops_what_was_asked_for_in_the_same_episode() {
    let mut session = chain();
    session.episode("", START);
    let actions = session.episode("", &at(1, "TaskCompleted(0) result=1\nExecutionTerminated output=enough"));
    assert_eq!(actions, "#2 TERMINATED enough");
}

#[test]
fn a_completion_wins_over_a_later_termination() {
    let mut session = chain();
    session.episode("", START);
    session.episode("", &at(1, "TaskCompleted(0) result=1"));
    let actions = session.episode("", &at(2, "TaskCompleted(1) result=2\nExecutionTerminated output=late"));
    assert_eq!(actions, "#2 COMPLETED 12");
}

fn continuing() -> Script {
    Script::ending(|ctx| async move {
        ctx.event(ctx.wait("go")).await;
        Completion::ContinuedAsNew { input: Some("next".to_string()), new_version: None }
    })
}

#[test]
fn unread_events_go_along_in_order() {
    let mut session = continuing();
    session.episode("", START);
    let events = "EventRaised(a)\nEventRaised(go)\nEventRaised(b)\nTaskCompleted(9)\nEventRaised(go)";
    assert_eq!(session.episode("", &at(1, events)), "#0 CONTINUED_AS_NEW next +a +b +go");
}

#[test]
fn a_termination_wins_over_continue_as_new() {
    let mut session = continuing();
    session.episode("", START);
    let actions = session.episode("", &at(1, "EventRaised(go)\nExecutionTerminated output=stop"));
    assert_eq!(actions, "#0 TERMINATED stop");
}

#[test]
fn an_end_is_said_once_and_only_an_end_ends() {
    let mut session = chain();
    assert!(!session.end("", START).ended);
    assert!(!session.end("", &at(1, "TaskCompleted(0)")).ended);
    assert!(session.end("", &at(2, "TaskCompleted(1)")).ended);
}

#[test]
fn the_code_is_polled_only_when_something_it_awaits_has_happened() {
    let mut session = chain();
    session.episode("", START);
    session.episode("", &at(1, "EventRaised(x)\nTaskCompleted(5)\nTimerFired(3)"));
    assert_eq!(session.polls, 1);
}
