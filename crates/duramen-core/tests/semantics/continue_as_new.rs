//! ContinueAsNew without loss (1.4; traps 4, 17, 21, and engine rules on runs).

use crate::common::*;

/// Goes through its generations; the last waits for "end" and tells what it saw.
fn looping(hub: &mut Hub) {
    hub.orchestrator("Loop", |o| {
        let n: u32 = o.input()?.parse().ok()?;
        if n == 0 {
            o.event("next", 0)?;
            let kept: Vec<_> = o.raised("keep").into_iter().map(|input| raised("keep", input.as_deref())).collect();
            o.continue_as_new(Some("1"), kept);
            return None;
        }
        o.event("end", 0)?;
        let all: Vec<String> = o.raised("keep").into_iter().map(Option::unwrap_or_default).collect();
        Some(all.join(","))
    });
}

#[test]
fn a_new_generation_is_a_new_execution_of_the_same_instance() {
    check(|hub| {
        looping(hub);
        let tags = [("t".to_string(), "1".to_string())].into();
        let request = duramen_proto::CreateInstanceRequest {
            tags,
            version: Some("1.0".into()),
            ..create("l", "Loop", Some("0"))
        };
        hub.start_with(request, OnExisting::Reject);
        let before = hub.state("l");
        hub.advance_seconds(1);
        hub.raise("l", "next", None);
        let after = hub.state("l");
        assert_eq!(after.orchestration_status(), Status::Running);
        assert_ne!(before.execution_id, after.execution_id);
        assert_eq!(after.execution_id.as_ref().map(String::len), Some(32));
        assert_eq!((before.name, before.version, before.tags), (after.name, after.version, after.tags));
        assert_eq!(before.created_timestamp, after.created_timestamp);
        assert_eq!(after.input.as_deref(), Some("1"), "the input is that of the current generation");
        hub.expect_history("l", "OrchestratorStarted\nExecutionStarted Loop@1.0 \"1\"");
    });
}

#[test]
fn carried_events_come_first_in_their_order_then_what_arrived_meanwhile() {
    check_without_crashes(|hub| {
        looping(hub);
        hub.start("l", "Loop", Some("0"));
        hub.raise("l", "keep", Some("a"));
        hub.raise("l", "keep", Some("b"));
        hub.hold("Loop");
        hub.raise("l", "next", None);
        hub.raise("l", "keep", Some("late"));
        hub.raise("l", "end", None);
        hub.release("Loop");
        hub.expect_history(
            "l",
            r##"
            OrchestratorStarted
            ExecutionStarted Loop "1"
            EventRaised keep "a"
            EventRaised keep "b"
            EventRaised keep "late"
            EventRaised end
            #1 ExecutionCompleted COMPLETED "a,b,late"
            "##,
        );
    });
}

#[test]
fn a_new_version_is_taken_and_none_keeps_the_old() {
    check(|hub| {
        hub.raw("V", |work| {
            let version = work.version.as_deref().unwrap_or("none").to_string();
            let completion = |new_version: Option<&str>| duramen_proto::CompleteOrchestrationAction {
                orchestration_status: Status::ContinuedAsNew.into(),
                new_version: new_version.map(Into::into),
                result: Some(version.clone()),
                ..duramen_proto::CompleteOrchestrationAction::default()
            };
            let input = text::lines(&work.new)[1].clone();
            let next = |completion| {
                answer(vec![action(
                    1,
                    duramen_proto::orchestrator_action::OrchestratorActionType::CompleteOrchestration(completion),
                )])
            };
            match (version.as_str(), input.ends_with("\"2\"")) {
                ("1", _) => next(completion(Some("2"))),
                ("2", false) => next(completion(None)),
                _ => answer(vec![complete(1, Status::Completed, Some(&version))]),
            }
        });
        let request = duramen_proto::CreateInstanceRequest { version: Some("1".into()), ..create("v", "V", None) };
        hub.start_with(request, OnExisting::Reject);
        assert_eq!(hub.outcome("v"), "COMPLETED 2");
        assert_eq!(hub.state("v").version.as_deref(), Some("2"));
    });
}

#[test]
fn only_raised_events_are_carried_over() {
    check(|hub| {
        hub.orchestrator("Odd", |o| match o.input().as_deref() {
            Some("0") => {
                let odd = duramen_proto::HistoryEvent {
                    event_type: Some(duramen_proto::history_event::EventType::TimerFired(Default::default())),
                    ..Default::default()
                };
                o.continue_as_new(Some("1"), vec![odd, raised("e", None), duramen_proto::HistoryEvent::default()]);
                None
            }
            _ => Some("end".into()),
        });
        hub.start("o", "Odd", Some("0"));
        hub.expect_history(
            "o",
            r##"
            OrchestratorStarted
            ExecutionStarted Odd "1"
            EventRaised e
            #1 ExecutionCompleted COMPLETED "end"
            "##,
        );
    });
}

/// Timers close, activities run on and their results are dropped, children live on.
#[test]
fn what_the_old_generation_left_open_does_not_reach_the_new_one() {
    check_without_crashes(|hub| {
        hub.orchestrator("Loop", |o| match o.input().as_deref() {
            Some("0") => {
                o.act(schedule(1, "Slow", None));
                o.act(create_timer(2, Time::new(1_050, 0)));
                o.act(create_child(3, "kid", "Wait", None));
                o.event("next", 0)?;
                o.continue_as_new(Some("1"), vec![]);
                None
            }
            _ => o.event("end", 0),
        });
        hub.orchestrator("Wait", |o| o.event("go", 0));
        hub.activity("Slow", |_| Ok("late".into()));
        hub.hold("Slow");
        hub.start("l", "Loop", Some("0"));
        hub.raise("l", "next", None);
        assert!(hub.stored("l").expect("it is there").timers.is_empty());
        assert_eq!(hub.stored("l").expect("it is there").tasks.len(), 1, "left behind until it is answered");
        hub.release("Slow");
        assert_eq!(hub.stored("l").expect("it is there").tasks.len(), 0);
        hub.raise("kid", "go", Some("x"));
        assert_eq!(hub.outcome("kid"), "COMPLETED x");
        hub.advance_seconds(100);
        hub.expect_history("l", "OrchestratorStarted\nExecutionStarted Loop \"1\"");
        hub.raise("l", "end", Some("e"));
        assert_eq!(hub.outcome("l"), "COMPLETED e");
    });
}

#[test]
fn activities_beside_continue_as_new_run() {
    check(|hub| {
        hub.raw("Beside", |work| {
            if text::lines(&work.new)[1].ends_with("\"1\"") {
                return answer(vec![complete(0, Status::Completed, Some("end"))]);
            }
            answer(vec![
                complete(2, Status::ContinuedAsNew, Some("1")),
                schedule(1, "A", None),
                create_child(3, "kid", "Kid", None),
            ])
        });
        hub.orchestrator("Kid", |_| Some("k".into()));
        hub.activity("A", |_| Ok("a".into()));
        hub.start("b", "Beside", Some("0"));
        assert_eq!(hub.outcome("b"), "COMPLETED end");
        assert_eq!(hub.outcome("kid"), "COMPLETED k");
        assert!(hub.ran.borrow().contains(&"A".to_string()));
        hub.expect_history(
            "b",
            "OrchestratorStarted\nExecutionStarted Beside \"1\"\n#0 ExecutionCompleted COMPLETED \"end\"",
        );
    });
}

#[test]
fn suspended_stays_suspended_and_control_moves_on() {
    check_without_crashes(|hub| {
        looping(hub);
        hub.start("l", "Loop", Some("0"));
        hub.hold("Loop");
        hub.raise("l", "next", None);
        hub.suspend("l");
        hub.raise("l", "end", None);
        hub.release("Loop");
        assert_eq!(hub.status("l"), Status::Suspended);
        assert_eq!(hub.state("l").input.as_deref(), Some("1"));
        hub.advance_seconds(100);
        assert_eq!(hub.status("l"), Status::Suspended);
        hub.resume("l");
        hub.expect_history(
            "l",
            r##"
            OrchestratorStarted
            ExecutionStarted Loop "1"
            ExecutionSuspended
            ExecutionResumed
            EventRaised end
            #1 ExecutionCompleted COMPLETED ""
            "##,
        );
    });
}

#[test]
fn a_termination_moves_on_too() {
    check_without_crashes(|hub| {
        looping(hub);
        hub.start("l", "Loop", Some("0"));
        hub.hold("Loop");
        hub.raise("l", "next", None);
        hub.terminate("l", "stop", false);
        hub.release("Loop");
        hub.expect_history(
            "l",
            r##"
            OrchestratorStarted
            ExecutionStarted Loop "1"
            ExecutionTerminated "stop"
            #1 ExecutionCompleted TERMINATED "stop"
            "##,
        );
    });
}

/// A child that continues still answers its parent, at its final end, and once.
#[test]
fn a_child_that_continues_answers_at_its_end() {
    check(|hub| {
        hub.orchestrator("Parent", |o| o.child(1, "kid", "Kid", Some("0")));
        hub.orchestrator("Kid", |o| {
            let parent = o.started().parent_instance.clone().expect("every generation knows its parent");
            assert_eq!(parent.task_scheduled_id, 1);
            let n: u32 = o.input()?.parse().ok()?;
            if n == 3 {
                return Some("third".into());
            }
            o.continue_as_new(Some(&(n + 1).to_string()), vec![]);
            None
        });
        hub.start("p", "Parent", None);
        assert_eq!(hub.outcome("p"), "COMPLETED third");
        assert_eq!(hub.state("kid").parent_instance_id.as_deref(), Some("p"));
    });
}

/// JavaScript makes child ids from the execution id: a fresh one each generation keeps them apart.
#[test]
fn every_generation_has_an_execution_id_of_its_own() {
    check_in(&[Mode::Plain, Mode::Slow], |hub| {
        let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let all = seen.clone();
        hub.orchestrator("Loop", move |o| {
            all.borrow_mut().push(o.execution_id.clone());
            let n: u32 = o.input()?.parse().ok()?;
            if n == 20 {
                return Some("end".into());
            }
            o.continue_as_new(Some(&(n + 1).to_string()), vec![]);
            None
        });
        hub.start("l", "Loop", Some("0"));
        let mut ids = seen.borrow().clone();
        assert_eq!(ids.len(), 21);
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 21);
    });
}

/// Nothing of old generations stays.
#[test]
fn an_eternal_orchestration_stays_small() {
    check_in(&[Mode::Plain, Mode::Evict, Mode::Slow], |hub| {
        hub.orchestrator("Eternal", |o| {
            let n: u32 = o.input()?.parse().ok()?;
            o.call(1, "Step", None)?;
            if n == 200 {
                return Some("end".into());
            }
            o.continue_as_new(Some(&(n + 1).to_string()), vec![]);
            None
        });
        hub.activity("Step", |_| Ok(String::new()));
        hub.start("e", "Eternal", Some("0"));
        assert_eq!(hub.outcome("e"), "COMPLETED end");
        let image = hub.stored("e").expect("it is there");
        assert_eq!((image.history.len(), image.tasks.len(), image.timers.len(), image.inbox.len()), (6, 0, 0, 0));
    });
}
