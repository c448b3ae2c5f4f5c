//! Suspending and resuming (1.6; trap 24).

use crate::common::*;
use bytes::Bytes;
use duramen_core::work::{Work, WorkItem};

fn functions(hub: &mut Hub) {
    hub.orchestrator("Wait", |o| o.event("go", 0));
    hub.orchestrator("Done", |_| Some("done".into()));
}

#[test]
fn events_wait_while_it_is_suspended_and_follow_the_resume_in_order() {
    check(|hub| {
        functions(hub);
        hub.start("w", "Wait", None);
        hub.done(Request::Suspend { id: "w".into(), reason: Some("pause".into()) });
        assert_eq!(hub.status("w"), Status::Suspended);
        hub.raise("w", "a", None);
        hub.raise("w", "go", Some("x"));
        hub.advance_seconds(1_000);
        assert_eq!(hub.status("w"), Status::Suspended);
        hub.done(Request::Resume { id: "w".into(), reason: Some("on".into()) });
        hub.expect_history(
            "w",
            r##"
            OrchestratorStarted
            ExecutionStarted Wait
            OrchestratorStarted
            ExecutionSuspended "pause"
            OrchestratorStarted
            ExecutionResumed "on"
            EventRaised a
            EventRaised go "x"
            #1 ExecutionCompleted COMPLETED "x"
            "##,
        );
    });
}

#[test]
fn suspended_without_a_worker_is_suspended() {
    check(|hub| {
        functions(hub);
        hub.start("w", "Wait", None);
        hub.leave(WORKER);
        hub.raise("w", "a", None);
        hub.suspend("w");
        assert_eq!(hub.status("w"), Status::Suspended);
        hub.raise("w", "go", Some("x"));
        hub.resume("w");
        assert_eq!(hub.status("w"), Status::Running);
        hub.join(WORKER, in_process());
        hub.expect_history(
            "w",
            r##"
            OrchestratorStarted
            ExecutionStarted Wait
            OrchestratorStarted
            ExecutionSuspended
            ExecutionResumed
            EventRaised a
            EventRaised go "x"
            #1 ExecutionCompleted COMPLETED "x"
            "##,
        );
    });
}

/// Nothing at all goes to a worker before ExecutionStarted has.
#[test]
fn before_the_first_episode_everything_waits() {
    check(|hub| {
        functions(hub);
        hub.leave(WORKER);
        hub.start("w", "Wait", None);
        hub.raise("w", "a", None);
        hub.suspend("w");
        hub.join(WORKER, in_process());
        hub.raise("w", "go", Some("x"));
        hub.advance_seconds(100);
        assert_eq!((hub.status("w"), hub.episodes.len()), (Status::Suspended, 0));
        hub.resume("w");
        hub.expect_history(
            "w",
            r##"
            OrchestratorStarted
            ExecutionStarted Wait
            ExecutionSuspended
            ExecutionResumed
            EventRaised a
            EventRaised go "x"
            #1 ExecutionCompleted COMPLETED "x"
            "##,
        );
    });
}

#[test]
fn one_that_never_ran_is_pending_again_after_a_resume() {
    check(|hub| {
        functions(hub);
        hub.leave(WORKER);
        hub.start("w", "Wait", None);
        hub.suspend("w");
        assert_eq!(hub.status("w"), Status::Suspended);
        hub.resume("w");
        assert_eq!(hub.status("w"), Status::Pending);
    });
}

#[test]
fn what_has_no_effect_leaves_no_event() {
    check(|hub| {
        functions(hub);
        hub.start("w", "Wait", None);
        let before = hub.history("w");
        hub.resume("w");
        assert_eq!(hub.history("w"), before, "resuming one that is not suspended");
        hub.suspend("w");
        let before = hub.history("w");
        hub.suspend("w");
        assert_eq!(hub.history("w"), before, "suspending it twice");
        hub.start("d", "Done", None);
        let before = (hub.state("d"), hub.history("d"));
        hub.advance_seconds(1);
        hub.suspend("d");
        hub.resume("d");
        assert_eq!((hub.state("d"), hub.history("d")), before, "one that has ended");
        for request in [
            Request::Suspend { id: "nobody".into(), reason: None },
            Request::Resume { id: "nobody".into(), reason: None },
        ] {
            assert_eq!(hub.refused(request), Refusal::NotFound("nobody".into()));
        }
    });
}

/// Timers and activities run on; what they bring waits.
#[test]
fn results_wait_for_the_resume() {
    check(|hub| {
        hub.orchestrator("Both", |o| {
            o.act(create_timer(1, Time::new(1_010, 0)));
            let a = o.try_call(2, "A", None);
            o.timer(1, Time::new(1_010, 0))?;
            a?.ok()?
        });
        hub.activity("A", |_| Ok("a".into()));
        hub.leave(WORKER);
        hub.join(WORKER, duramen_core::work::Announcement { activities: 0, ..in_process() });
        hub.start("b", "Both", None);
        hub.suspend("b");
        hub.join(WorkerId(2), duramen_core::work::Announcement { orchestrators: 0, ..remote() });
        hub.advance_seconds(100);
        assert_eq!(*hub.ran.borrow(), ["A"]);
        assert_eq!(hub.status("b"), Status::Suspended);
        assert!(!hub.history("b").contains("TaskCompleted"));
        hub.resume("b");
        assert_eq!(hub.outcome("b"), "COMPLETED a");
        let lines = text::lines(&hub.events("b"));
        let place = |what: &str| lines.iter().position(|line| line.starts_with(what)).expect("it is there");
        assert!(place("ExecutionResumed") < place("TaskCompleted") && place("ExecutionResumed") < place("TimerFired"));
    });
}

/// Go returns no actions while it is suspended; they come with the resume.
#[test]
fn actions_of_the_episode_that_resumes_count() {
    check(|hub| {
        hub.orchestrator("Act", |o| {
            o.event("go", 0)?;
            o.call(1, "A", None)
        });
        hub.activity("A", |_| Ok("a".into()));
        hub.start("a", "Act", None);
        hub.suspend("a");
        hub.raise("a", "go", None);
        hub.resume("a");
        assert_eq!(hub.outcome("a"), "COMPLETED a");
    });
}

/// The suspension comes while an episode is with the worker: its actions are carried out.
#[test]
fn an_episode_under_way_is_finished_first() {
    check_without_crashes(|hub| {
        hub.orchestrator("Act", |o| {
            o.event("go", 0)?;
            o.call(1, "A", None)
        });
        hub.activity("A", |_| Ok("a".into()));
        hub.start("a", "Act", None);
        hub.hold("Act");
        hub.raise("a", "go", None);
        hub.suspend("a");
        hub.release("Act");
        assert_eq!(*hub.ran.borrow(), ["A"]);
        assert_eq!(hub.status("a"), Status::Suspended);
        hub.resume("a");
        assert_eq!(hub.outcome("a"), "COMPLETED a");
    });
}

#[test]
fn one_may_end_while_it_is_suspended() {
    check_without_crashes(|hub| {
        functions(hub);
        hub.start("w", "Wait", None);
        hub.hold("Wait");
        hub.raise("w", "go", Some("x"));
        hub.suspend("w");
        hub.release("Wait");
        assert_eq!(hub.outcome("w"), "COMPLETED x");
    });
}

#[test]
fn a_suspended_one_takes_its_backlog_in_order_over_several_episodes() {
    check_in(&[Mode::Plain, Mode::Evict], |hub| {
        hub.orchestrator("Count", |o| (o.raised("e").len() == 1_500).then(|| "all".into()));
        hub.start("c", "Count", None);
        hub.suspend("c");
        for n in 0..1_500 {
            hub.raise("c", "e", Some(&n.to_string()));
        }
        hub.resume("c");
        assert_eq!(hub.outcome("c"), "COMPLETED all");
        let lines: Vec<String> =
            text::lines(&hub.events("c")).into_iter().filter(|l| l.starts_with("EventRaised")).collect();
        assert_eq!(lines, (0..1_500).map(|n| format!("EventRaised e \"{n}\"")).collect::<Vec<_>>());
    });
}

#[test]
fn a_first_episode_that_was_handed_out_is_handed_out_again_while_suspended() {
    check_without_crashes(|hub| {
        functions(hub);
        hub.hold("Done");
        hub.start("d", "Done", None);
        let (_, first) = hub.take_held();
        hub.suspend("d");
        hub.leave(WORKER);
        hub.join(WORKER, in_process());
        let (worker, again) = hub.take_held();
        assert_eq!(new_events(&first), new_events(&again));
        let answer = hub.perform(worker, &again);
        hub.answer(worker, answer);
        assert_eq!(hub.outcome("d"), "COMPLETED done");
    });
}

fn new_events(item: &WorkItem) -> Vec<Bytes> {
    match &item.work {
        Work::Orchestrator(work) => work.new.clone(),
        Work::Activity(_) => panic!("{item:?} is an activity"),
    }
}
