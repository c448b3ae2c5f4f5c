//! Terminating (1.6; trap 24).

use crate::common::*;
use duramen_core::work::{Announcement, WorkKind};

fn functions(hub: &mut Hub) {
    hub.orchestrator("Wait", |o| o.event("go", 0));
    hub.orchestrator("Done", |_| Some("done".into()));
    // Its code does not look at a termination.
    hub.orchestrator("Deaf", |o| o.event("go", 0));
    hub.script.deaf.push("Deaf".into());
    hub.orchestrator("Parent", |o| {
        o.act(create_child(1, "kid", "Parent2", None));
        o.event("go", 0)
    });
    hub.orchestrator("Parent2", |o| {
        o.act(create_child(1, "grandkid", "Wait", None));
        o.event("go", 0)
    });
}

#[test]
fn the_worker_ends_it_with_the_given_output() {
    check(|hub| {
        functions(hub);
        hub.start("w", "Wait", None);
        hub.terminate("w", "\"why\"", false);
        hub.expect_history(
            "w",
            r##"
            OrchestratorStarted
            ExecutionStarted Wait
            OrchestratorStarted
            ExecutionTerminated "\"why\""
            #1 ExecutionCompleted TERMINATED "\"why\""
            "##,
        );
        assert_eq!(hub.outcome("w"), "TERMINATED \"why\"");
        assert_eq!(hub.state("w").failure_details, None);
    });
}

/// What waits for workers that never come is not left behind for operators to wonder at.
#[test]
fn what_was_offered_leaves_the_queues_with_its_instance() {
    check(|hub| {
        functions(hub);
        hub.orchestrator("Busy", |o| {
            o.act(schedule(1, "Nobody", None));
            o.act(schedule(2, "Nobody", None));
            o.event("go", 0)
        });
        hub.leave(WORKER);
        hub.join(WorkerId(2), Announcement { activities: 0, ..in_process() });
        hub.start("busy", "Busy", None);
        hub.leave(WorkerId(2));
        // One of them was with a worker that has gone.
        hub.hold("Nobody");
        hub.join(WorkerId(3), Announcement { orchestrators: 0, activities: 1, ..in_process() });
        assert_eq!(hub.held.len(), 1);
        hub.leave(WorkerId(3));
        hub.held.clear();
        hub.advance_seconds(5);
        hub.start("new", "Wait", None);
        let waiting = |hub: &Hub| [WorkKind::Orchestrator, WorkKind::Activity].map(|kind| hub.waiting(kind));
        assert_eq!(waiting(hub), [1, 2]);
        for id in ["busy", "new"] {
            hub.terminate(id, "", false);
        }
        hub.advance_seconds(30);
        assert_eq!(hub.status("busy"), Status::Terminated);
        assert_eq!(hub.status("new"), Status::Terminated);
        assert_eq!(waiting(hub), [0, 0]);
    });
}

#[test]
fn an_unanswered_termination_is_carried_out_by_the_hub_after_ten_seconds() {
    check(|hub| {
        functions(hub);
        hub.start("w", "Wait", None);
        hub.leave(WORKER);
        hub.raise("w", "unheard", None);
        let wait = hub.wait("w", None, Until::Completed, None);
        hub.terminate("w", "stop", true);
        hub.advance_seconds(9);
        assert_eq!(hub.status("w"), Status::Running);
        hub.advance_seconds(1);
        assert_eq!(hub.outcome("w"), "TERMINATED stop");
        hub.expect_history(
            "w",
            r##"
            OrchestratorStarted
            ExecutionStarted Wait
            OrchestratorStarted
            ExecutionTerminated "stop" recurse
            #-1 ExecutionCompleted TERMINATED "stop"
            "##,
        );
        assert!(matches!(hub.reply(wait), Some(Reply::State(Some(_)))));
        assert!(hub.stored("w").expect("there").inbox.is_empty());
    });
}

#[test]
fn one_that_never_ran_ends_at_once() {
    check(|hub| {
        functions(hub);
        hub.leave(WORKER);
        hub.start("w", "Wait", Some("in"));
        hub.raise("w", "early", None);
        hub.terminate("w", "stop", false);
        hub.expect_history(
            "w",
            r##"
            OrchestratorStarted
            ExecutionStarted Wait "in"
            ExecutionTerminated "stop"
            #-1 ExecutionCompleted TERMINATED "stop"
            "##,
        );
        assert_eq!(hub.state("w").input.as_deref(), Some("in"));
        hub.join(WORKER, in_process());
        assert_eq!(hub.episodes.len(), 0);
    });
}

#[test]
fn a_scheduled_start_that_is_terminated_never_begins() {
    check(|hub| {
        functions(hub);
        let at = Some(Time::new(2_000, 0).into());
        let request =
            duramen_proto::CreateInstanceRequest { scheduled_start_timestamp: at, ..create("s", "Done", None) };
        hub.start_with(request, OnExisting::Reject);
        hub.terminate("s", "no", false);
        hub.advance_seconds(2_000);
        assert_eq!((hub.outcome("s").as_str(), hub.episodes.len()), ("TERMINATED no", 0));
    });
}

#[test]
fn the_first_episode_with_a_worker_is_stale_when_the_hub_ends_it() {
    check_without_crashes(|hub| {
        functions(hub);
        hub.hold("Wait");
        hub.start("w", "Wait", None);
        let (worker, item) = hub.take_held();
        hub.terminate("w", "stop", false);
        assert_eq!(hub.outcome("w"), "TERMINATED stop");
        let before = hub.history("w");
        let answer = hub.perform(worker, &item);
        hub.answer(worker, answer);
        assert_eq!(hub.history("w"), before);
    });
}

#[test]
fn a_late_answer_is_stale() {
    check_without_crashes(|hub| {
        functions(hub);
        hub.start("w", "Wait", None);
        hub.hold("Wait");
        hub.terminate("w", "stop", false);
        let (worker, item) = hub.take_held();
        let answer = hub.perform(worker, &item);
        hub.advance_seconds(10);
        assert_eq!(hub.outcome("w"), "TERMINATED stop");
        let before = hub.history("w");
        hub.answer(worker, answer);
        assert_eq!(hub.history("w"), before);
    });
}

#[test]
fn an_answer_in_time_ends_the_watch() {
    check_without_crashes(|hub| {
        functions(hub);
        hub.start("d", "Deaf", None);
        hub.terminate("d", "stop", false);
        assert_eq!(hub.status("d"), Status::Running, "its worker heard of it and chose to go on");
        hub.advance_seconds(100);
        assert_eq!(hub.status("d"), Status::Running);
        hub.raise("d", "go", Some("x"));
        assert_eq!(hub.outcome("d"), "COMPLETED x");
    });
}

/// Each termination has its own ten seconds.
#[test]
fn a_second_termination_is_watched_anew() {
    check_without_crashes(|hub| {
        functions(hub);
        hub.start("d", "Deaf", None);
        hub.terminate("d", "one", false);
        hub.advance_seconds(6);
        hub.hold("Deaf");
        hub.terminate("d", "two", false);
        hub.advance_seconds(9);
        assert_eq!(hub.status("d"), Status::Running, "the first one's time is over, not the second's");
        hub.advance_seconds(1);
        assert_eq!(hub.outcome("d"), "TERMINATED two");
    });
}

#[test]
fn the_ten_seconds_begin_anew_after_a_restart() {
    check_in(&[Mode::Plain, Mode::Evict, Mode::Slow], |hub| {
        functions(hub);
        hub.start("w", "Wait", None);
        hub.leave(WORKER);
        hub.terminate("w", "stop", false);
        hub.advance_seconds(9);
        hub.crash();
        hub.run();
        hub.advance_seconds(9);
        assert_eq!(hub.status("w"), Status::Running);
        hub.advance_seconds(1);
        assert_eq!(hub.outcome("w"), "TERMINATED stop");
    });
}

#[test]
fn a_suspended_one_can_be_terminated() {
    check(|hub| {
        functions(hub);
        hub.start("w", "Wait", None);
        hub.suspend("w");
        hub.raise("w", "go", Some("x"));
        hub.terminate("w", "stop", false);
        assert_eq!(hub.outcome("w"), "TERMINATED stop");
        assert!(!hub.history("w").contains("EventRaised"));
    });
}

#[test]
fn one_that_has_ended_or_does_not_exist() {
    check(|hub| {
        functions(hub);
        hub.start("d", "Done", None);
        let before = (hub.state("d"), hub.history("d"));
        hub.advance_seconds(1);
        hub.terminate("d", "stop", true);
        hub.advance_seconds(20);
        assert_eq!((hub.state("d"), hub.history("d")), before);
        let nobody = Request::Terminate { id: "nobody".into(), output: None, recurse: false };
        assert_eq!(hub.refused(nobody), Refusal::NotFound("nobody".into()));
    });
}

#[test]
fn without_recursion_children_run_on() {
    check(|hub| {
        functions(hub);
        hub.start("p", "Parent", None);
        hub.terminate("p", "stop", false);
        assert_eq!(hub.outcome("p"), "TERMINATED stop");
        assert_eq!((hub.status("kid"), hub.status("grandkid")), (Status::Running, Status::Running));
    });
}

#[test]
fn with_recursion_everything_below_goes_too() {
    check(|hub| {
        functions(hub);
        hub.start("p", "Parent", None);
        hub.terminate("p", "stop", true);
        for id in ["p", "kid", "grandkid"] {
            assert_eq!(hub.outcome(id), "TERMINATED stop", "{id}");
        }
        assert!(hub.history("kid").contains("ExecutionTerminated \"stop\" recurse"));
    });
}

#[test]
fn recursion_by_the_hub_reaches_children_of_an_unresponsive_tree() {
    check(|hub| {
        functions(hub);
        hub.start("p", "Parent", None);
        hub.leave(WORKER);
        hub.terminate("p", "stop", true);
        hub.advance_seconds(10);
        assert_eq!((hub.status("p"), hub.status("kid")), (Status::Terminated, Status::Running));
        hub.advance_seconds(10);
        assert_eq!((hub.status("kid"), hub.status("grandkid")), (Status::Terminated, Status::Running));
        hub.advance_seconds(10);
        assert_eq!(hub.status("grandkid"), Status::Terminated);
    });
}

/// The children are told in the checkpoint in which the parent ends, so one made meanwhile is not
/// missed.
#[test]
fn a_child_made_while_the_parent_is_being_terminated_goes_too() {
    check_without_crashes(|hub| {
        functions(hub);
        hub.orchestrator("Late", |o| {
            o.event("child", 0)?;
            o.act(create_child(1, "late", "Wait", None));
            o.event("go", 0)
        });
        hub.start("l", "Late", None);
        hub.hold("Late");
        hub.raise("l", "child", None);
        hub.terminate("l", "stop", true);
        hub.release("Late");
        assert_eq!(hub.outcome("l"), "TERMINATED stop");
        assert_eq!(hub.outcome("late"), "TERMINATED stop");
        if hub.mode == Mode::Plain {
            use duramen_core::checkpoint::Change;
            let ends = |checkpoint: &duramen_core::checkpoint::Checkpoint| {
                checkpoint.deltas.iter().any(|delta| {
                    matches!(&delta.change, Some(Change::Tail(tail)) if tail.status == i32::from(Status::Terminated))
                })
            };
            let (_, first) = hub.checkpoints.iter().find(|(_, checkpoint)| ends(checkpoint)).expect("it ended");
            let told = first.deltas.iter().any(|delta| match &delta.change {
                Some(Change::Arrived(arrived)) => {
                    text::lines(std::slice::from_ref(&arrived.event))[0].starts_with("ExecutionTerminated")
                }
                Some(Change::Sent(_)) => true,
                _ => false,
            });
            assert!(told, "the child is told in the same checkpoint");
        }
    });
}

/// Queued activities do not start, running ones are stale.
#[test]
fn activities_are_closed() {
    check_without_crashes(|hub| {
        hub.orchestrator("Two", |o| {
            o.act(schedule(1, "A", None));
            o.act(schedule(2, "B", None));
            o.event("go", 0)
        });
        hub.activity("A", |_| Ok("a".into()));
        hub.activity("B", |_| Ok("b".into()));
        hub.leave(WORKER);
        hub.join(WORKER, duramen_core::work::Announcement { activities: 1, ..in_process() });
        hub.hold("A");
        hub.start("t", "Two", None);
        let (worker, item) = hub.take_held();
        hub.terminate("t", "stop", false);
        assert_eq!(hub.outcome("t"), "TERMINATED stop");
        assert!(hub.stored("t").expect("there").tasks.is_empty());
        let before = hub.checkpoints.len();
        let answer = hub.perform(worker, &item);
        hub.answer(worker, answer);
        assert_eq!(hub.checkpoints.len(), before);
        hub.advance_seconds(100);
        assert_eq!(*hub.ran.borrow(), ["A"], "B was queued and does not start");
    });
}

#[test]
fn an_orchestration_terminates_another() {
    check(|hub| {
        functions(hub);
        hub.raw("Kill", |_| {
            let kill = |id: i32, instance: &str, recurse| {
                let target = duramen_proto::TerminateOrchestrationAction {
                    instance_id: instance.into(),
                    reason: Some("by another".into()),
                    recurse,
                };
                action(id, duramen_proto::orchestrator_action::OrchestratorActionType::TerminateOrchestration(target))
            };
            answer(vec![kill(1, "p", true), kill(2, "nobody", false), complete(3, Status::Completed, Some("out"))])
        });
        hub.start("p", "Parent", None);
        hub.start("k", "Kill", None);
        assert_eq!(hub.outcome("k"), "COMPLETED out");
        for id in ["p", "kid", "grandkid"] {
            assert_eq!(hub.outcome(id), "TERMINATED by another");
        }
        hub.expect_history(
            "k",
            r##"
            OrchestratorStarted
            ExecutionStarted Kill
            #3 ExecutionCompleted COMPLETED "out"
            "##,
        );
    });
}

#[test]
fn a_parent_hears_of_a_child_that_was_terminated() {
    check(|hub| {
        functions(hub);
        hub.orchestrator("Calls", |o| {
            let failure = o.try_child(1, "called", "Wait", None)?.unwrap_err();
            Some(failure.error_type)
        });
        hub.start("c", "Calls", None);
        hub.terminate("called", "stop", false);
        assert_eq!(hub.outcome("c"), "COMPLETED OrchestrationTerminated");
    });
}

/// The request to take the children along goes with the run that it was made to.
#[test]
fn recursion_is_forgotten_with_a_rewind() {
    check_without_crashes(|hub| {
        functions(hub);
        hub.orchestrator("Fails", |o| {
            o.act(create_child(1, "kid", "Wait", None));
            o.event("fail", 0)?;
            o.fail(failure("E", "x"));
            None
        });
        hub.start("f", "Fails", None);
        hub.hold("Fails");
        hub.raise("f", "fail", None);
        hub.terminate("f", "stop", true);
        hub.release("Fails");
        assert_eq!(hub.status("f"), Status::Failed, "the failure was first");
        hub.hold("Fails");
        hub.done(Request::Rewind { id: "f".into(), reason: None });
        hub.terminate("f", "second", false);
        hub.advance_seconds(10);
        assert_eq!(hub.outcome("f"), "TERMINATED second");
        assert_eq!(hub.status("kid"), Status::Running);
    });
}

/// Without its worker, whether that has the next episode or there is none (SkipGraceful… of the protocol).
#[test]
fn ending_at_once_asks_no_worker() {
    check_without_crashes(|hub| {
        functions(hub);
        let end = |id: &str| Request::End { id: id.into(), output: Some("out".into()) };
        hub.start("begun", "Wait", None);
        hub.leave(WORKER);
        hub.start("pending", "Wait", None);
        for id in ["begun", "pending"] {
            hub.done(end(id));
            assert_eq!(hub.outcome(id), "TERMINATED out");
            assert!(matches!(hub.refused(end(id)), Refusal::WrongStatus { .. }), "{id} has ended");
        }
        assert!(matches!(hub.refused(end("none")), Refusal::NotFound(_)));
    });
}

/// Somebody looks at it now and then, and it comes back to memory each time, if it left it.
#[test]
fn the_ten_seconds_do_not_begin_anew_when_it_is_looked_at() {
    check_without_crashes(|hub| {
        functions(hub);
        hub.start("w", "Wait", None);
        hub.leave(WORKER);
        hub.terminate("w", "stop", false);
        for _ in 0..4 {
            hub.advance_seconds(2);
            assert_eq!(hub.status("w"), Status::Running);
        }
        hub.advance_seconds(2);
        assert_eq!(hub.outcome("w"), "TERMINATED stop");
    });
}
