//! Rewinding a failed instance (1.6; trap 12).

use crate::common::*;
use std::cell::Cell;
use std::rc::Rc;

/// A switch for code that fails until it is mended.
fn switch() -> (Rc<Cell<bool>>, impl Fn() -> bool + Clone) {
    let mended = Rc::new(Cell::new(false));
    let look = mended.clone();
    (mended, move || look.get())
}

fn rewind(hub: &mut Hub, id: &str) {
    hub.done(Request::Rewind { id: id.into(), reason: Some("again".into()) });
}

fn flaky(hub: &mut Hub, name: &str, mended: impl Fn() -> bool + 'static) {
    hub.activity(name, move |_| if mended() { Ok("mended".into()) } else { Err(failure("E", "broken")) });
}

#[test]
fn the_failure_goes_and_the_rest_is_kept() {
    check(|hub| {
        let (mended, look) = switch();
        flaky(hub, "Flaky", look);
        hub.activity("A", |_| Ok("a".into()));
        hub.orchestrator("O", |o| {
            o.call(1, "A", None)?;
            o.call(2, "Flaky", None)
        });
        hub.start("o", "O", None);
        let failed = hub.state("o");
        assert_eq!(hub.outcome("o"), "FAILED E(broken)");
        mended.set(true);
        hub.leave(WORKER);
        hub.advance_seconds(1);
        rewind(hub, "o");
        let state = hub.state("o");
        assert_eq!(state.orchestration_status(), Status::Running, "before the request is answered");
        assert_eq!((&state.output, &state.failure_details, &state.completed_timestamp), (&None, &None, &None));
        assert_eq!(state.created_timestamp, failed.created_timestamp);
        assert_ne!(state.execution_id, failed.execution_id);
        hub.expect_history(
            "o",
            r##"
            OrchestratorStarted
            ExecutionStarted O
            #1 TaskScheduled A
            OrchestratorStarted
            TaskCompleted #1 "a"
            OrchestratorStarted
            ExecutionRewound "again"
            "##,
        );
        hub.join(WORKER, in_process());
        hub.expect_history(
            "o",
            r##"
            OrchestratorStarted
            ExecutionStarted O
            #1 TaskScheduled A
            OrchestratorStarted
            TaskCompleted #1 "a"
            OrchestratorStarted
            ExecutionRewound "again"
            OrchestratorStarted
            #2 TaskScheduled Flaky
            OrchestratorStarted
            TaskCompleted #2 "mended"
            #3 ExecutionCompleted COMPLETED "mended"
            "##,
        );
        hub.outcome("o")
    });
}

/// The first item after it holds OrchestratorStarted alone, and the new execution id.
#[test]
fn the_next_item_begins_with_nothing_but_its_time() {
    check_without_crashes(|hub| {
        let (_, look) = switch();
        flaky(hub, "Flaky", look);
        hub.orchestrator("O", |o| o.call(1, "Flaky", None));
        hub.start("o", "O", None);
        hub.hold("O");
        rewind(hub, "o");
        let (worker, item) = hub.take_held();
        let work = orchestrator_work(&item);
        assert_eq!(text::lines(&work.new), ["OrchestratorStarted"]);
        assert_eq!(Some(work.execution_id.to_string()), hub.state("o").execution_id);
        let past = text::decode(work.past.as_ref().expect("its session is over"));
        let Some(duramen_proto::history_event::EventType::ExecutionStarted(started)) = &past[1].event_type else {
            panic!("{past:?}")
        };
        let instance = started.orchestration_instance.clone().expect("set");
        assert_eq!(instance.execution_id, hub.state("o").execution_id);
        hub.raise("o", "later", None);
        hub.held.push((worker, item));
        hub.release("O");
        let follows = hub.episodes.iter().find(|work| text::lines(&work.new).contains(&"EventRaised later".into()));
        assert!(follows.is_some(), "what arrived comes after it");
    });
}

#[test]
fn what_arrived_before_the_item_was_taken_is_in_it() {
    check(|hub| {
        hub.orchestrator("O", |o| {
            if o.raised("mend").is_empty() {
                o.fail(failure("E", "x"));
                return None;
            }
            Some("mended".into())
        });
        hub.start("o", "O", None);
        hub.leave(WORKER);
        rewind(hub, "o");
        hub.raise("o", "mend", None);
        hub.join(WORKER, in_process());
        assert_eq!(hub.outcome("o"), "COMPLETED mended");
    });
}

#[test]
fn only_a_failed_instance_can_be_rewound() {
    check(|hub| {
        hub.orchestrator("Wait", |o| o.event("go", 0));
        let again = |id: &str| Request::Rewind { id: id.into(), reason: None };
        assert_eq!(hub.refused(again("nobody")), Refusal::NotFound("nobody".into()));
        hub.start("w", "Wait", None);
        for _ in 0..2 {
            let why = hub.refused(again("w")).to_string();
            assert!(why.contains("running") && why.contains("not allowed"), "{why}");
            hub.suspend("w");
            assert!(matches!(hub.refused(again("w")), Refusal::WrongStatus { status, .. } if status == "suspended"));
            hub.resume("w");
        }
        hub.raise("w", "go", None);
        assert!(matches!(hub.refused(again("w")), Refusal::WrongStatus { status, .. } if status == "completed"));
        hub.start("w", "Wait", None);
        hub.terminate("w", "t", false);
        assert!(matches!(hub.refused(again("w")), Refusal::WrongStatus { status, .. } if status == "terminated"));
    });
}

#[test]
fn it_can_be_done_again_and_again() {
    check(|hub| {
        let (mended, look) = switch();
        flaky(hub, "Flaky", look);
        hub.orchestrator("O", |o| o.call(1, "Flaky", None));
        hub.start("o", "O", None);
        for _ in 0..3 {
            rewind(hub, "o");
            assert_eq!(hub.outcome("o"), "FAILED E(broken)");
        }
        mended.set(true);
        rewind(hub, "o");
        assert_eq!(hub.outcome("o"), "COMPLETED mended");
        let head = hub.stored("o").expect("there").head;
        assert_eq!(head.rewinds.len(), 4, "each is kept with its time and reason");
        assert!(head.rewinds.iter().all(|rewind| rewind.reason.as_deref() == Some("again") && rewind.at.is_some()));
    });
}

/// An orchestrator that fails while an activity runs, a timer is open and children are at work.
fn busy(hub: &mut Hub, mended: impl Fn() -> bool + Clone + 'static) {
    flaky(hub, "Flaky", mended.clone());
    hub.activity("Slow", |_| Ok("slow".into()));
    hub.orchestrator("Busy", |o| {
        let slow = o.try_call(2, "Slow", None).map(|result| result.is_ok());
        let timer = o.timer(3, Time::new(1_050, 0));
        o.call(1, "Flaky", None)?;
        slow?;
        timer?;
        Some("all".into())
    });
}

#[test]
fn an_activity_that_was_left_behind_and_runs_is_taken_back() {
    check_without_crashes(|hub| {
        let (mended, look) = switch();
        busy(hub, look);
        hub.hold("Slow");
        hub.start("b", "Busy", None);
        assert_eq!(hub.status("b"), Status::Failed);
        mended.set(true);
        rewind(hub, "b");
        hub.advance_seconds(100);
        assert_eq!(hub.held.len(), 1, "it is not handed out a second time");
        hub.release("Slow");
        assert_eq!(hub.outcome("b"), "COMPLETED all");
        assert_eq!(hub.ran.borrow().iter().filter(|name| *name == "Slow").count(), 1);
    });
}

/// Its result was dropped, so it runs again.
#[test]
fn an_activity_that_finished_meanwhile_runs_again() {
    check_without_crashes(|hub| {
        let (mended, look) = switch();
        busy(hub, look);
        hub.hold("Slow");
        hub.start("b", "Busy", None);
        hub.release("Slow");
        assert!(hub.stored("b").expect("there").tasks.is_empty());
        assert!(!hub.history("b").contains("TaskCompleted #2"));
        mended.set(true);
        rewind(hub, "b");
        hub.advance_seconds(100);
        assert_eq!(hub.outcome("b"), "COMPLETED all");
        assert_eq!(hub.ran.borrow().iter().filter(|name| *name == "Slow").count(), 2);
    });
}

#[test]
fn an_open_timer_is_opened_again() {
    check(|hub| {
        let (mended, look) = switch();
        busy(hub, look);
        hub.start("b", "Busy", None);
        assert_eq!(hub.status("b"), Status::Failed);
        mended.set(true);
        rewind(hub, "b");
        hub.advance_seconds(49);
        assert_eq!(hub.status("b"), Status::Running);
        hub.advance_seconds(1);
        assert_eq!(hub.outcome("b"), "COMPLETED all");
        assert_eq!(hub.history("b").matches("TimerFired #3 1050s").count(), 1);
        assert_eq!(hub.history("b").matches("TimerCreated").count(), 1);
    });
}

#[test]
fn a_timer_that_fell_due_meanwhile_fires_at_once() {
    check(|hub| {
        let (mended, look) = switch();
        busy(hub, look);
        hub.start("b", "Busy", None);
        hub.advance_seconds(1_000);
        mended.set(true);
        rewind(hub, "b");
        assert_eq!(hub.outcome("b"), "COMPLETED all");
    });
}

/// Python pairs a timer's second use with its second firing.
#[test]
fn timers_of_one_id_are_paired_in_order() {
    check(|hub| {
        let (mended, look) = switch();
        flaky(hub, "Flaky", look);
        hub.orchestrator("Twice", |o| {
            let fired = o.timer(1, Time::new(1_010, 0)).is_some();
            if fired && o.raised("second").len() == 1 && o.attempts(2).is_empty() {
                // The same id once more, with another time.
                o.actions.push(create_timer(1, Time::new(1_100, 0)));
                o.actions.push(schedule(2, "Flaky", None));
            }
            if let Some(Err(failure)) = o.attempts(2).pop() {
                o.fail(failure);
                return None;
            }
            o.attempts(2).pop()?.ok()?
        });
        hub.start("t", "Twice", None);
        hub.advance_seconds(10);
        hub.raise("t", "second", None);
        assert_eq!(hub.status("t"), Status::Failed);
        mended.set(true);
        hub.leave(WORKER);
        rewind(hub, "t");
        let timers = hub.stored("t").expect("there").timers;
        assert_eq!(timers.len(), 1, "the first has fired");
        assert_eq!(text::seconds(timers[0].due), "1100s");
    });
}

/// The usual case: a child failed, and the parent with it.
#[test]
fn a_child_that_failed_is_rewound_with_its_parent() {
    check(|hub| {
        let (mended, look) = switch();
        flaky(hub, "Flaky", look);
        hub.orchestrator("Top", |o| o.child(1, "middle", "Middle", None));
        hub.orchestrator("Middle", |o| o.child(1, "bottom", "Bottom", None));
        hub.orchestrator("Bottom", |o| o.call(1, "Flaky", None));
        hub.start("top", "Top", None);
        for id in ["top", "middle", "bottom"] {
            assert_eq!(hub.outcome(id), "FAILED E(broken)");
        }
        let births: Vec<_> = ["middle", "bottom"].map(|id| hub.stored(id).expect("there").head.birth).into();
        mended.set(true);
        rewind(hub, "top");
        for id in ["top", "middle", "bottom"] {
            assert_eq!(hub.outcome(id), "COMPLETED mended");
        }
        let after: Vec<_> = ["middle", "bottom"].map(|id| hub.stored(id).expect("there").head.birth).into();
        assert_eq!(births, after, "rewound, not made anew");
    });
}

/// A child in each of its states: gone, failed, completed, terminated and live.
#[test]
fn every_child_without_a_result_gets_going_or_tells_it_again() {
    check(|hub| {
        let (mended, look) = switch();
        flaky(hub, "Flaky", look.clone());
        hub.orchestrator("Parent", |o| {
            let names = ["gone", "failed", "completed", "terminated", "live"];
            let results: Vec<_> =
                names.iter().enumerate().map(|(n, id)| o.try_child(10 + n as i32, id, "Kid", None)).collect();
            o.call(1, "Flaky", None)?;
            let told = |result: Result<Option<String>, duramen_proto::TaskFailureDetails>| match result {
                Ok(result) => result.unwrap_or_default(),
                Err(failure) => failure.error_type,
            };
            let told: Option<Vec<String>> = results.into_iter().map(|result| result.map(told)).collect();
            told.map(|all| all.join(" "))
        });
        hub.orchestrator("Kid", move |o| {
            if !o.raised("try").is_empty() && o.call(1, "Flaky", None).is_none() {
                return None;
            }
            o.event("go", 0)
        });
        hub.start("p", "Parent", None);
        assert_eq!(hub.status("p"), Status::Failed);
        hub.raise("gone", "go", Some("lost"));
        assert!(matches!(hub.ask(Request::Purge("gone".into())), Reply::Purged(true)));
        hub.raise("failed", "try", None);
        assert_eq!(hub.outcome("failed"), "FAILED E(broken)");
        hub.raise("completed", "go", Some("c"));
        hub.terminate("terminated", "t", false);
        mended.set(true);
        rewind(hub, "p");
        assert_eq!(hub.status("p"), Status::Running);
        assert_eq!((hub.status("gone"), hub.status("failed")), (Status::Running, Status::Running));
        assert_eq!(hub.state("gone").parent_instance_id.as_deref(), Some("p"), "made again");
        hub.raise("gone", "go", Some("g"));
        hub.raise("failed", "go", Some("f"));
        assert_eq!(hub.status("p"), Status::Running, "the live one is awaited");
        hub.raise("live", "go", Some("l"));
        assert_eq!(hub.outcome("p"), "COMPLETED g f c OrchestrationTerminated l");
    });
}

#[test]
fn a_rewound_instance_can_be_suspended_before_its_episode() {
    check(|hub| {
        let (mended, look) = switch();
        flaky(hub, "Flaky", look);
        hub.orchestrator("O", |o| o.call(1, "Flaky", None));
        hub.start("o", "O", None);
        mended.set(true);
        hub.leave(WORKER);
        rewind(hub, "o");
        hub.suspend("o");
        hub.join(WORKER, in_process());
        assert_eq!(hub.status("o"), Status::Suspended);
        hub.resume("o");
        assert_eq!(hub.outcome("o"), "COMPLETED mended");
    });
}

#[test]
fn tokens_of_the_failed_execution_are_stale() {
    check_without_crashes(|hub| {
        let (_, look) = switch();
        flaky(hub, "Flaky", look);
        hub.orchestrator("O", |o| o.call(1, "Flaky", None));
        hub.hold("O");
        hub.start("o", "O", None);
        let (worker, first) = hub.take_held();
        let first = hub.perform(worker, &first);
        hub.answer(worker, first.clone());
        let (worker, last) = hub.take_held();
        let last = hub.perform(worker, &last);
        hub.answer(worker, last.clone());
        assert_eq!(hub.status("o"), Status::Failed);
        rewind(hub, "o");
        let before = (hub.history("o"), hub.checkpoints.len());
        hub.answer(worker, first);
        hub.answer(worker, last);
        assert_eq!((hub.history("o"), hub.checkpoints.len()), before);
    });
}

/// The instance and its parent agree on the run: the child's new result is the parent's.
#[test]
fn a_child_that_is_rewound_by_itself_answers_nobody_that_has_its_result() {
    check(|hub| {
        let (mended, look) = switch();
        flaky(hub, "Flaky", look);
        hub.orchestrator("Parent", |o| {
            let first = o.try_child(1, "kid", "Kid", None)?.is_ok();
            o.event("end", 0)?;
            Some(first.to_string())
        });
        hub.orchestrator("Kid", |o| o.call(1, "Flaky", None));
        hub.start("p", "Parent", None);
        assert_eq!((hub.status("p"), hub.status("kid")), (Status::Running, Status::Failed));
        mended.set(true);
        rewind(hub, "kid");
        assert_eq!(hub.outcome("kid"), "COMPLETED mended");
        hub.raise("p", "end", None);
        assert_eq!(hub.outcome("p"), "COMPLETED false", "the first result stands");
    });
}

#[test]
fn a_child_that_could_not_be_made_cannot_be_made_by_a_rewind() {
    check(|hub| {
        hub.orchestrator("Child", |_| Some("made".into()));
        hub.orchestrator("Parent", |o| o.child(1, "a/b", "Child", None));
        hub.start("p", "Parent", None);
        for _ in 0..2 {
            assert_eq!(hub.status("p"), Status::Failed);
            assert!(hub.history("p").contains("InvalidInstanceId"), "{}", hub.history("p"));
            assert!(hub.find("a/b").is_none());
            hub.done(Request::Rewind { id: "p".into(), reason: None });
        }
    });
}
