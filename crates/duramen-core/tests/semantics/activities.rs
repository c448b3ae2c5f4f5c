//! Activities and failures (1.3; traps 3, 13, 14).

use crate::common::*;
use duramen_core::limits::{FAILURE_DEPTH, PAYLOAD_BYTES, PROPERTY_DEPTH};
use duramen_core::work::{ActivityWork, Announcement, Filters, Work, WorkItem};
use duramen_proto::orchestrator_action::OrchestratorActionType as Action;
use duramen_proto::{ListValue, ScheduleTaskAction, Struct, TaskFailureDetails, TraceContext, Value};
use prost_types::value;

fn activity(item: &WorkItem) -> &ActivityWork {
    match &item.work {
        Work::Activity(work) => work,
        Work::Orchestrator(work) => panic!("an episode: {work:?}"),
    }
}

/// Python's retries use the action's id again.
#[test]
fn an_action_id_that_comes_again_is_another_activity() {
    check(|hub| {
        hub.orchestrator("Retry", |o| {
            let attempts = o.attempts(1);
            match attempts.last() {
                Some(Ok(result)) => return result.clone(),
                Some(Err(_)) if attempts.len() == 3 => return Some("gave up".into()),
                _ => {}
            }
            o.actions.push(schedule(1, "Flaky", Some(&attempts.len().to_string())));
            None
        });
        hub.activity("Flaky", |input| if input == "2" { Ok("third time".into()) } else { Err(failure("E", input)) });
        hub.start("r", "Retry", None);
        hub.expect_history(
            "r",
            r##"
            OrchestratorStarted
            ExecutionStarted Retry
            #1 TaskScheduled Flaky "0"
            OrchestratorStarted
            TaskFailed #1 E("0")
            #1 TaskScheduled Flaky "1"
            OrchestratorStarted
            TaskFailed #1 E("1")
            #1 TaskScheduled Flaky "2"
            OrchestratorStarted
            TaskCompleted #1 "third time"
            #2 ExecutionCompleted COMPLETED "third time"
            "##,
        );
    });
}

#[test]
fn two_activities_of_one_id_in_one_answer_both_run() {
    check(|hub| {
        hub.raw("Twice", |work| {
            let results = text::lines(&work.new).into_iter().filter(|line| line.starts_with("TaskCompleted")).count();
            let seen = work
                .past
                .iter()
                .flatten()
                .filter(|event| text::lines(std::slice::from_ref(event))[0].starts_with("TaskCompleted"));
            match (work.session.episodes, results + seen.count()) {
                (0, _) => answer(vec![schedule(1, "A", Some("x")), schedule(1, "A", Some("y"))]),
                (_, 2) => answer(vec![complete(2, Status::Completed, Some("both"))]),
                // A session does not see the past: it asks for it.
                _ if work.past.is_none() => {
                    duramen_proto::OrchestratorResponse { requires_history: true, ..answer(vec![]) }
                }
                _ => answer(vec![]),
            }
        });
        hub.activity("A", |input| Ok(input.into()));
        hub.go_remote();
        hub.start("t", "Twice", None);
        assert_eq!(hub.outcome("t"), "COMPLETED both");
        let mut ran = hub.ran.borrow().len();
        if hub.mode == Mode::Crash {
            // At least once.
            assert!(ran >= 2);
            ran = 2;
        }
        ran
    });
}

#[test]
fn what_the_orchestrator_gave_reaches_the_activity() {
    check_without_crashes(|hub| {
        let trace = TraceContext { trace_parent: "00-1-2-01".into(), ..TraceContext::default() };
        let task = ScheduleTaskAction {
            name: "A".into(),
            version: Some("v".into()),
            input: Some("\"in\"".into()),
            tags: [("k".to_string(), "w".to_string())].into(),
            parent_trace_context: Some(trace),
        };
        let sent = task.clone();
        hub.raw("O", move |_| answer(vec![action(7, Action::ScheduleTask(task.clone()))]));
        hub.hold("A");
        hub.start("o", "O", None);
        let (_, item) = hub.take_held();
        let work = activity(&item);
        let (id, given) = scheduled(work);
        assert_eq!(id, 7);
        assert_eq!((given.name, given.version, given.input), (sent.name, sent.version, sent.input));
        assert_eq!((given.tags, given.parent_trace_context), (sent.tags, sent.parent_trace_context));
        assert_eq!(Some(work.execution_id.to_string()), hub.state("o").execution_id);
        assert_eq!(work.instance.as_str(), "o");
    });
}

/// An activity without a version goes to workers of its orchestration's; an empty one is unversioned.
#[test]
fn an_activity_without_a_version_matches_as_its_orchestration() {
    check(|hub| {
        hub.leave(WORKER);
        let filters = |activities: &[(&str, &[&str])]| Filters {
            orchestrators: vec![("o".into(), vec![])],
            activities: activities
                .iter()
                .map(|(name, versions)| (name.to_string(), versions.iter().map(ToString::to_string).collect()))
                .collect(),
        };
        let announce = |filters| Announcement { filters: Some(filters), ..remote() };
        hub.join(WorkerId(2), announce(filters(&[("inherits", &["2"]), ("explicit", &["3"]), ("empty", &[""])])));
        for (name, version) in [("Inherits", None), ("Explicit", Some("3")), ("Empty", Some("")), ("Other", None)] {
            hub.activity(name, |_| Ok("ran".into()));
            hub.orchestrator("O", move |o| {
                let name = o.input()?;
                let version = if name == "Explicit" {
                    Some("3".into())
                } else if name == "Empty" {
                    Some(String::new())
                } else {
                    None
                };
                let task = ScheduleTaskAction { name, version, ..ScheduleTaskAction::default() };
                o.act(action(1, Action::ScheduleTask(task)));
                o.attempts(1).pop()?.ok()?
            });
            let _ = version;
            let request =
                duramen_proto::CreateInstanceRequest { version: Some("2".into()), ..create(name, "O", Some(name)) };
            hub.start_with(request, OnExisting::Reject);
        }
        assert_eq!(hub.outcome("Inherits"), "COMPLETED ran");
        assert_eq!(hub.outcome("Explicit"), "COMPLETED ran");
        assert_eq!(hub.outcome("Empty"), "COMPLETED ran");
        assert_eq!(hub.outcome("Other"), "RUNNING", "what nobody takes waits");
        hub.join(WorkerId(3), remote());
        assert_eq!(hub.outcome("Other"), "COMPLETED ran");
    });
}

fn deep_failure() -> TaskFailureDetails {
    let mut failure = failure("Inner.Error", "the cause");
    failure.stack_trace = Some("at line 1".into());
    failure.properties.insert("code".into(), Value { kind: Some(value::Kind::NumberValue(42.0)) });
    let inner = failure.clone();
    TaskFailureDetails {
        error_type: "Outer.Error".into(),
        error_message: "it broke".into(),
        stack_trace: Some(String::new()),
        inner_failure: Some(Box::new(inner)),
        is_non_retriable: true,
        ..failure
    }
}

#[test]
fn failure_details_pass_unchanged_through_any_number_of_levels() {
    check(|hub| {
        hub.orchestrator("Level", |o| {
            let n: u32 = o.input()?.parse().ok()?;
            if n == 0 {
                return o.call(1, "Break", None);
            }
            let child = format!("{}-{n}", o.instance);
            o.child(1, &child, "Level", Some(&(n - 1).to_string()))
        });
        hub.activity("Break", |_| Err(deep_failure()));
        hub.start("l", "Level", Some("5"));
        let state = hub.state("l");
        assert_eq!(state.orchestration_status(), Status::Failed);
        assert_eq!(state.failure_details, Some(deep_failure()));
        assert_eq!(state.output, None);
    });
}

#[test]
fn failure_details_show_with_failed_alone() {
    check(|hub| {
        hub.raw("Odd", |_| {
            let completion = duramen_proto::CompleteOrchestrationAction {
                orchestration_status: Status::Completed.into(),
                result: Some("out".into()),
                failure_details: Some(failure("E", "not shown")),
                ..duramen_proto::CompleteOrchestrationAction::default()
            };
            answer(vec![action(1, Action::CompleteOrchestration(completion))])
        });
        hub.start("o", "Odd", None);
        assert_eq!(hub.state("o").failure_details, None);
        assert_eq!(hub.outcome("o"), "COMPLETED out");
    });
}

fn depth(failure: &TaskFailureDetails) -> usize {
    1 + failure.inner_failure.as_deref().map_or(0, depth)
}

#[test]
fn a_failure_nested_without_end_is_cut_with_a_note_on_every_way_in() {
    check(|hub| {
        let endless = || {
            let mut chain = failure("E", "innermost");
            for n in 0..80 {
                chain = TaskFailureDetails { inner_failure: Some(Box::new(chain)), ..failure("E", &n.to_string()) };
            }
            chain
        };
        hub.activity("Break", move |_| Err(endless()));
        hub.orchestrator("Caught", |o| {
            let failure = o.try_call(1, "Break", None)?.unwrap_err();
            Some(depth(&failure).to_string())
        });
        hub.start("activity", "Caught", None);
        assert_eq!(hub.outcome("activity"), format!("COMPLETED {FAILURE_DEPTH}"));
        hub.orchestrator("Break", move |o| {
            o.fail(endless());
            None
        });
        hub.orchestrator("Parent", |o| {
            let failure = o.try_child(1, "own", "Break", None)?.unwrap_err();
            Some(depth(&failure).to_string())
        });
        hub.start("parent", "Parent", None);
        assert_eq!(hub.outcome("parent"), format!("COMPLETED {FAILURE_DEPTH}"));
        let own = hub.state("own").failure_details.expect("it failed");
        assert_eq!(depth(&own), FAILURE_DEPTH);
        assert!(format!("{own:?}").contains("were cut"));
    });
}

/// Found by fuzzing: a property that decodes in a worker's answer lies deeper in an event, and deeper still in a work
/// item, where nobody could read it any more.
#[test]
fn a_property_nested_without_end_is_cut_with_a_note() {
    check(|hub| {
        let endless = |mut failure: TaskFailureDetails| {
            let list = |values| Value { kind: Some(value::Kind::ListValue(ListValue { values })) };
            let holder = |value| {
                let fields = [("k".to_owned(), value)].into();
                Value { kind: Some(value::Kind::StructValue(Struct { fields })) }
            };
            let innermost = Value { kind: Some(value::Kind::StringValue("innermost".into())) };
            let deep = (0..25).fold(innermost, |value, n| if n % 2 == 0 { list(vec![value]) } else { holder(value) });
            let shallow = list(vec![list(vec![])]);
            failure.properties = [("deep".to_owned(), deep), ("shallow".to_owned(), shallow)].into();
            failure
        };
        let chain = move || {
            (0..FAILURE_DEPTH + 1).fold(endless(failure("E", "innermost")), |inner, n| TaskFailureDetails {
                inner_failure: Some(Box::new(inner)),
                ..endless(failure("E", &n.to_string()))
            })
        };
        hub.activity("Break", move |_| Err(chain()));
        hub.orchestrator("Caught", |o| {
            let mut failure = &o.try_call(1, "Break", None)?.unwrap_err();
            let cut = format!("than {PROPERTY_DEPTH} levels was cut");
            for _ in 1..FAILURE_DEPTH {
                let deep = format!("{:?}", failure.properties["deep"]);
                assert!(deep.contains(&cut) && !deep.contains("innermost"), "{deep}");
                assert!(!format!("{:?}", failure.properties["shallow"]).contains("cut"));
                failure = failure.inner_failure.as_ref().expect("it is as deep as it may be");
            }
            assert!(format!("{:?}", failure.properties).contains(&cut), "{failure:?}");
            Some("fine".into())
        });
        hub.start("i", "Caught", None);
        assert_eq!(hub.outcome("i"), "COMPLETED fine");
    });
}

#[test]
fn a_result_over_the_limit_is_a_failure_that_says_so() {
    let mut hub = Hub::new(Mode::Plain);
    hub.orchestrator("Big", |o| {
        let failure = o.try_call(1, "Big", None)?.unwrap_err();
        Some(format!("{} {}", failure.error_type, failure.is_non_retriable))
    });
    hub.activity("Big", |_| Ok("x".repeat(PAYLOAD_BYTES + 1)));
    hub.start("b", "Big", None);
    assert_eq!(hub.outcome("b"), "COMPLETED ResultTooLarge true");
}

#[test]
fn an_activity_that_nobody_has_fails_as_its_worker_says() {
    check(|hub| {
        hub.orchestrator("Lost", |o| o.call(1, "Nowhere", None));
        hub.start("l", "Lost", None);
        hub.outcome("l")
    });
}

/// Each of many results arrives, in whatever order they come.
#[test]
fn a_fan_out_gathers_every_result_once() {
    check(|hub| {
        hub.audited &= hub.mode != Mode::Crash;
        hub.orchestrator("Fan", |o| {
            let done: Vec<Option<String>> =
                (1..=40).map(|n| o.try_call(n, "Square", Some(&n.to_string())).map(|r| r.unwrap().unwrap())).collect();
            let sum: Option<Vec<u64>> = done.into_iter().map(|n| n.and_then(|n| n.parse().ok())).collect();
            sum.map(|all| all.into_iter().sum::<u64>().to_string())
        });
        hub.activity("Square", |n| Ok(n.parse::<u64>().map(|n| n * n).unwrap().to_string()));
        hub.start("f", "Fan", None);
        assert_eq!(hub.outcome("f"), format!("COMPLETED {}", (1..=40u64).map(|n| n * n).sum::<u64>()));
        let results = text::lines(&hub.events("f")).into_iter().filter(|line| line.starts_with("TaskCompleted"));
        assert_eq!(results.count(), 40);
    });
}
