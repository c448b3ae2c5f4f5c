//! What is too large, and answers that make no sense (engine rules on episodes and answers).

use crate::common::*;
use crate::episodes::chain;
use duramen_core::limits::{ANSWER_ACTIONS, ANSWER_BYTES};
use duramen_proto::orchestrator_action::OrchestratorActionType as Action;
use duramen_proto::*;

#[test]
fn an_answer_of_too_many_actions_fails_the_instance_and_nothing_of_it_is_done() {
    check_in(&[Mode::Plain, Mode::Evict], |hub| {
        hub.raw("Many", |_| {
            let mut actions: Vec<OrchestratorAction> =
                (0..ANSWER_ACTIONS as i32).map(|n| schedule(n, "A", None)).collect();
            actions.push(create_child(ANSWER_ACTIONS as i32, "kid-of-a-long-name", "Kid", None));
            OrchestratorResponse { custom_status: Some("no".into()), ..answer(actions) }
        });
        hub.start("m", "Many", None);
        let outcome = hub.outcome("m");
        assert!(outcome.starts_with("FAILED EpisodeTooLarge("), "{outcome}");
        assert!(outcome.contains("100001 actions") && outcome.contains("100000"), "{outcome}");
        assert!(outcome.contains("the orchestrator \"Kid\""), "it names the largest action: {outcome}");
        assert_eq!(text::lines(&hub.events("m")).len(), 3, "two and ExecutionCompleted");
        assert_eq!((hub.find("kid-of-a-long-name"), hub.state("m").custom_status), (None, None));
        assert!(hub.ran.borrow().is_empty());
    });
}

#[test]
fn as_many_actions_as_allowed_are_done() {
    let mut hub = Hub::new(Mode::Plain);
    hub.audited = false;
    hub.raw("Many", |_| answer((0..ANSWER_ACTIONS as i32).map(|n| send(n, "nobody", "e", None)).collect()));
    hub.start("m", "Many", None);
    assert_eq!(hub.status("m"), Status::Running);
    assert_eq!(hub.events("m").len(), ANSWER_ACTIONS + 2);
}

#[test]
fn an_answer_of_too_many_bytes_fails_the_instance() {
    check_in(&[Mode::Plain, Mode::Evict], |hub| {
        hub.raw("Big", |_| {
            let half = "x".repeat(ANSWER_BYTES / 2);
            answer(vec![
                schedule(0, "Small", None),
                schedule(1, "Large", Some(&half)),
                complete(2, Status::Completed, Some(&half)),
            ])
        });
        hub.start("b", "Big", None);
        let outcome = hub.outcome("b");
        assert!(outcome.starts_with("FAILED EpisodeTooLarge("), "{}", &outcome[..200.min(outcome.len())]);
        assert!(outcome.contains(&ANSWER_BYTES.to_string()));
        assert!(hub.ran.borrow().is_empty());
    });
}

/// What a worker must never send does no harm beyond its own instance.
#[test]
fn answers_that_make_no_sense_do_not_break_the_hub() {
    let completion = |status: i32| {
        action(
            1,
            Action::CompleteOrchestration(CompleteOrchestrationAction {
                orchestration_status: status,
                ..CompleteOrchestrationAction::default()
            }),
        )
    };
    let timer = |seconds: i64, nanos: i32| {
        action(3, Action::CreateTimer(CreateTimerAction { fire_at: Some(Timestamp { seconds, nanos }) }))
    };
    let huge = "x".repeat(1 << 20);
    let garbage: Vec<(&str, Vec<OrchestratorAction>)> = vec![
        ("nothing", vec![]),
        ("an empty action", vec![OrchestratorAction::default()]),
        ("an unknown status", vec![schedule(5, "A", None), completion(99)]),
        ("RUNNING as the end", vec![schedule(5, "A", None), completion(Status::Running.into())]),
        ("PENDING as the end", vec![create_child(5, "garbage-kid", "Kid", None), completion(Status::Pending.into())]),
        ("SUSPENDED as the end", vec![send(5, "w", "x", None), completion(Status::Suspended.into())]),
        ("the largest id", vec![schedule(i32::MAX, "A", None), create_child(i32::MIN, "", "Kid", None)]),
        ("one id for all", vec![schedule(0, "A", None), create_timer(0, Time::EPOCH), send(0, "w", "x", None)]),
        ("a huge child id", vec![create_child(1, &huge, "Kid", None)]),
        ("a huge target", vec![send(1, &huge, "x", None)]),
        ("a huge name", vec![schedule(1, &huge, None)]),
        ("an empty name", vec![schedule(1, "", None), create_child(2, "nameless", "", None)]),
        ("no target", vec![action(1, Action::SendEvent(SendEventAction::default()))]),
        ("a timer without a time", vec![action(1, Action::CreateTimer(CreateTimerAction { fire_at: None }))]),
        ("a timer at the end of time", vec![timer(i64::MAX, i32::MAX)]),
        ("a timer before all time", vec![timer(i64::MIN, i32::MIN)]),
        ("a timer with odd nanoseconds", vec![timer(0, -5), timer(0, i32::MAX)]),
        (
            "an entity message behind a task",
            vec![schedule(1, "A", None), action(2, Action::SendEntityMessage(SendEntityMessageAction::default()))],
        ),
        ("a rewind of its own", vec![action(1, Action::RewindOrchestration(RewindOrchestrationAction::default()))]),
        (
            "a termination of nobody",
            vec![action(1, Action::TerminateOrchestration(TerminateOrchestrationAction::default()))],
        ),
        ("two ends", vec![complete(1, Status::ContinuedAsNew, None), complete(2, Status::Completed, None)]),
    ];
    check(|hub| {
        chain(hub);
        hub.orchestrator("Wait", |o| o.event("go", 0));
        hub.orchestrator("Kid", |_| Some("k".into()));
        hub.start("w", "Wait", None);
        let mut outcomes = Vec::new();
        for (what, actions) in garbage.clone() {
            let id = what.replace(' ', "-");
            hub.raw(what, move |work| {
                if work.session.run.0 & 0xff_ffff_ffff == 0
                    || text::lines(&work.new).len() < 2
                    || work.session.episodes > 0
                {
                    return answer(vec![]);
                }
                let input = text::lines(&work.new)[1].ends_with("\"in\"");
                answer(if input { actions.clone() } else { vec![] })
            });
            hub.start(&id, what, Some("in"));
            hub.advance_seconds(1);
            outcomes.push(format!("{what}: {}", hub.outcome(&id).chars().take(60).collect::<String>()));
            hub.raise(&id, "x", None);
            // It can be read, ended and started again.
            hub.terminate(&id, "t", true);
            hub.advance_seconds(20);
            assert_eq!(hub.status("w"), Status::Running, "{what}");
        }
        hub.start("c", "Chain", Some("x"));
        assert_eq!(hub.outcome("c"), "COMPLETED xab", "the hub goes on");
        outcomes
    });
}

/// Nothing of an answer that is refused as a whole is done.
#[test]
fn an_invalid_answer_leaves_nothing_but_its_failure() {
    check(|hub| {
        hub.raw("Bad", |_| {
            answer(vec![
                schedule(1, "A", None),
                create_child(2, "kid", "Kid", None),
                send(3, "w", "go", None),
                create_timer(4, Time::EPOCH),
                complete(5, Status::Pending, None),
            ])
        });
        hub.orchestrator("Wait", |o| o.event("go", 0));
        hub.start("w", "Wait", None);
        hub.start("b", "Bad", None);
        let lines = text::lines(&hub.events("b"));
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[2].contains("FAILED InvalidAnswer"), "{lines:?}");
        assert_eq!((hub.find("kid"), hub.status("w")), (None, Status::Running));
        assert!(hub.ran.borrow().is_empty());
    });
}

/// An answer of the wrong kind is no answer: the item stays with its worker.
#[test]
fn an_answer_of_the_wrong_kind_is_stale() {
    check_without_crashes(|hub| {
        chain(hub);
        hub.hold("A");
        hub.hold("Chain");
        hub.start("c", "Chain", Some("x"));
        let (worker, episode) = hub.take_held();
        hub.answer(worker, Answer::Activity(episode.token, ActivityResponse::default()));
        let answer = hub.perform(worker, &episode);
        hub.answer(worker, answer);
        let (worker, activity) = hub.take_held();
        hub.answer(worker, Answer::Orchestrator(activity.token, OrchestratorResponse::default()));
        let answer = hub.perform(worker, &activity);
        hub.answer(worker, answer);
        hub.release("Chain");
        hub.release("A");
        assert_eq!(hub.outcome("c"), "COMPLETED xab");
    });
}

#[test]
fn payloads_over_the_limit_are_refused_at_the_door() {
    let mut hub = Hub::new(Mode::Plain);
    let huge = Some("x".repeat(duramen_core::limits::PAYLOAD_BYTES + 1));
    let start = CreateInstanceRequest { input: huge.clone(), ..create("h", "Wait", None) };
    assert!(matches!(hub.start_with(start, OnExisting::Reject), Reply::Refused(Refusal::BadInput(_))));
    hub.start("w", "Wait", None);
    let raise = Request::Raise { id: "w".into(), name: "x".into(), input: huge };
    assert!(matches!(hub.refused(raise), Refusal::BadInput(_)));
}
