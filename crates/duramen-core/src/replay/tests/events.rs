//! External events.

use super::script::{START, Script, at};
use alloc::format;

#[test]
fn names_have_no_case_and_events_keep_their_order() {
    let mut session = Script::new(|ctx| async move {
        ctx.call("A").await;
        let first = ctx.event(ctx.wait("Approve")).await;
        let second = ctx.event(ctx.wait("APPROVE")).await;
        format!("{first}{second}")
    });
    session.episode("", &[START, "#-1 - EventRaised(approve) data=1\n"].concat());
    session.episode("", &at(1, "EventRaised(aPProve) data=2\nEventRaised(other) data=3"));
    assert_eq!(session.episode("", &at(2, "TaskCompleted(0)")), "#1 COMPLETED 12");
}

#[test]
fn the_first_who_waits_gets_the_first() {
    let mut session = Script::new(|ctx| async move {
        let (first, second) = (ctx.wait("e"), ctx.wait("e"));
        let second = ctx.event(second).await;
        let first = ctx.event(first).await;
        format!("{first}{second}")
    });
    session.episode("", START);
    assert_eq!(session.episode("", &at(1, "EventRaised(e) data=1\nEventRaised(e) data=2")), "#0 COMPLETED 12");
}

#[test]
fn an_event_that_nobody_read_goes_back_to_its_place_in_line() {
    let mut session = Script::new(|ctx| async move {
        let dropped = ctx.wait("e");
        ctx.call("A").await;
        let woken = ctx.0.borrow_mut().forget_wait(dropped);
        assert!(woken.is_none());
        let first = ctx.event(ctx.wait("e")).await;
        let second = ctx.event(ctx.wait("e")).await;
        format!("{first}{second}")
    });
    session.episode("", START);
    session.episode("", &at(1, "EventRaised(e) data=1\nEventRaised(e) data=2"));
    assert_eq!(session.episode("", &at(2, "TaskCompleted(0)")), "#1 COMPLETED 12");
}

#[test]
fn an_event_that_nobody_read_goes_to_the_next_who_waits() {
    let mut session = Script::new(|ctx| async move {
        let (dropped, other) = (ctx.wait("e"), ctx.wait("e"));
        ctx.call("A").await;
        ctx.0.borrow_mut().forget_wait(dropped);
        ctx.event(other).await
    });
    session.episode("", START);
    session.episode("", &at(1, "EventRaised(e) data=1"));
    assert_eq!(session.episode("", &at(2, "TaskCompleted(0)")), "#1 COMPLETED 1");
}

#[test]
fn a_wait_says_whether_its_event_is_there() {
    let mut session = Script::new(|ctx| async move {
        let (first, second) = (ctx.wait("e"), ctx.wait("e"));
        ctx.call("A").await;
        let ready = |wait| ctx.0.borrow().is_wait_ready(wait);
        format!("{} {}", ready(first), ready(second))
    });
    session.episode("", START);
    session.episode("", &at(1, "EventRaised(e) data=1"));
    assert_eq!(session.episode("", &at(2, "TaskCompleted(0)")), "#1 COMPLETED true false");
}
