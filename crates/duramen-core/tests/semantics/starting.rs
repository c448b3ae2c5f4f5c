//! Starting instances (1.2; traps 4, 5, 11, 23).

use crate::common::*;
use duramen_core::limits::BadInput;
use duramen_core::request::Start;
use duramen_proto::CreateInstanceRequest;

fn functions(hub: &mut Hub) {
    hub.orchestrator("Wait", |o| o.event("go", 0));
    hub.orchestrator("Done", |o| o.input().or(Some("done".into())));
    hub.orchestrator("Fail", |o| {
        o.fail(failure("E", "no"));
        None
    });
}

fn start(hub: &mut Hub, request: CreateInstanceRequest, on_existing: OnExisting) -> Result<(u64, bool), String> {
    match hub.start_with(request, on_existing) {
        Reply::Started { birth, attached, .. } => Ok((birth.0, attached)),
        Reply::Refused(refusal) => Err(refusal.to_string()),
        other => panic!("{other:?}"),
    }
}

/// Live, suspended, pending, and ended in each way: (id, status).
fn one_of_each(hub: &mut Hub) -> [(&'static str, Status); 6] {
    functions(hub);
    hub.start("running", "Wait", None);
    hub.start("suspended", "Wait", None);
    hub.suspend("suspended");
    let later = Time::new(9_000, 0).into();
    let pending = CreateInstanceRequest { scheduled_start_timestamp: Some(later), ..create("pending", "Done", None) };
    hub.start_with(pending, OnExisting::Reject);
    hub.start("completed", "Done", None);
    hub.start("failed", "Fail", None);
    hub.start("terminated", "Wait", None);
    hub.terminate("terminated", "t", false);
    let all = [
        ("running", Status::Running),
        ("suspended", Status::Suspended),
        ("pending", Status::Pending),
        ("completed", Status::Completed),
        ("failed", Status::Failed),
        ("terminated", Status::Terminated),
    ];
    for (id, status) in all {
        assert_eq!(hub.status(id), status);
    }
    all
}

#[test]
fn without_a_policy_a_live_id_is_refused_and_an_ended_one_replaced() {
    check(|hub| {
        for (id, status) in one_of_each(hub) {
            let ended = matches!(status, Status::Completed | Status::Failed | Status::Terminated);
            match start(hub, create(id, "Done", Some("new")), OnExisting::Reject) {
                Ok(_) => {
                    assert!(ended, "{id}");
                    assert_eq!(hub.outcome(id), "COMPLETED new");
                }
                Err(why) => {
                    assert!(!ended, "{id}");
                    assert!(why.contains("orchestration instance already exists"), "{why}");
                    assert_eq!(hub.status(id), status, "nothing was changed");
                }
            }
        }
    });
}

#[test]
fn an_empty_list_replaces_nothing() {
    check(|hub| {
        for (id, status) in one_of_each(hub) {
            let refused = start(hub, create(id, "Done", Some("new")), OnExisting::Replace(vec![])).unwrap_err();
            assert!(refused.contains("orchestration instance already exists"), "{refused}");
            assert_eq!(hub.status(id), status);
        }
        start(hub, create("free", "Done", Some("new")), OnExisting::Replace(vec![])).expect("an unknown id starts");
        assert_eq!(hub.outcome("free"), "COMPLETED new");
    });
}

#[test]
fn a_status_that_is_listed_is_replaced_with_terminated_or_ended() {
    check(|hub| {
        for (id, status) in one_of_each(hub) {
            let listed = vec![status, Status::Terminated];
            let before = hub.state(id);
            hub.advance_seconds(1);
            start(hub, create(id, "Done", Some("new")), OnExisting::Replace(listed)).expect("it is replaced");
            assert_eq!(hub.outcome(id), "COMPLETED new");
            let after = hub.state(id);
            assert_ne!(before.created_timestamp, after.created_timestamp, "created anew");
            assert_ne!(before.execution_id, after.execution_id);
        }
    });
}

#[test]
fn a_live_one_is_not_replaced_without_terminated_in_the_list() {
    check(|hub| {
        for (id, status) in one_of_each(hub) {
            let answer = start(hub, create(id, "Done", Some("new")), OnExisting::Replace(vec![status]));
            match status {
                Status::Running | Status::Suspended | Status::Pending => {
                    assert_eq!(
                        answer.unwrap_err(),
                        "Invalid reusable statuses: cannot exclude 'Terminated' while also allowing reuse of running instances"
                    );
                    assert_eq!(hub.status(id), status);
                }
                _ => {
                    answer.expect("the check is for live ones alone");
                    assert_eq!(hub.outcome(id), "COMPLETED new");
                }
            }
        }
    });
}

/// The check of the list comes last: a status that is not listed is a conflict first.
#[test]
fn a_status_that_is_not_listed_is_a_conflict() {
    check(|hub| {
        for (id, status) in one_of_each(hub) {
            let all = [
                Status::Running,
                Status::Suspended,
                Status::Pending,
                Status::Completed,
                Status::Failed,
                Status::Terminated,
            ];
            let others = all.into_iter().filter(|other| *other != status).collect();
            let why = start(hub, create(id, "Done", None), OnExisting::Replace(others)).unwrap_err();
            assert!(why.contains("orchestration instance already exists"), "{id}: {why}");
            assert_eq!(hub.status(id), status);
        }
    });
}

#[test]
fn attaching_starts_nothing_over_a_live_one() {
    check(|hub| {
        for (id, status) in one_of_each(hub) {
            let ended = matches!(status, Status::Completed | Status::Failed | Status::Terminated);
            let (_, attached) = start(hub, create(id, "Done", Some("new")), OnExisting::Attach).expect("never refused");
            assert_eq!(attached, !ended, "{id}");
            assert_eq!(hub.status(id), if ended { Status::Completed } else { status });
        }
        let outcome = hub.outcome("completed");
        let (_, attached) =
            start(hub, create("completed", "Done", Some("x")), OnExisting::AttachAny).expect("attached");
        assert!(attached);
        assert_eq!(hub.outcome("completed"), outcome);
    });
}

#[test]
fn attaching_gives_the_birth_of_the_one_that_is_there() {
    check(|hub| {
        functions(hub);
        let birth = hub.start("w", "Wait", None);
        let attached = start(hub, create("w", "Wait", None), OnExisting::Attach);
        assert_eq!(attached, Ok((birth.0, true)));
    });
}

#[test]
fn a_start_waits_pending_until_its_time() {
    check(|hub| {
        functions(hub);
        let at = Time::new(1_005, 500).into();
        let request = CreateInstanceRequest { scheduled_start_timestamp: Some(at), ..create("s", "Done", Some("x")) };
        hub.start_with(request, OnExisting::Reject);
        hub.advance_seconds(5);
        let state = hub.state("s");
        assert_eq!(state.orchestration_status(), Status::Pending);
        assert_eq!(state.scheduled_start_timestamp, Some(at));
        hub.advance_seconds(1);
        assert_eq!(hub.outcome("s"), "COMPLETED x");
        let events = text::decode(&hub.events("s"));
        let started = events[1].event_type.clone();
        let Some(duramen_proto::history_event::EventType::ExecutionStarted(started)) = started else { panic!() };
        assert_eq!(started.scheduled_start_timestamp, Some(at), "carried in ExecutionStarted");
        assert!(Time::from(events[0].timestamp.unwrap()) >= Time::from(at));
    });
}

/// JavaScript sends 1970 whenever no time was given.
#[test]
fn a_time_that_has_passed_means_now() {
    check(|hub| {
        functions(hub);
        for (id, at) in [("1970", Time::EPOCH), ("now", hub.now)] {
            let at = Some(at.into());
            let request = CreateInstanceRequest { scheduled_start_timestamp: at, ..create(id, "Done", Some("x")) };
            hub.start_with(request, OnExisting::Reject);
            assert_eq!(hub.outcome(id), "COMPLETED x");
            let first = text::decode(&hub.events(id)).remove(0);
            assert_eq!(text::seconds(first.timestamp), "1000s", "it never becomes the episode's time");
        }
    });
}

#[test]
fn events_for_a_scheduled_start_wait_with_it() {
    check(|hub| {
        functions(hub);
        let at = Some(Time::new(2_000, 0).into());
        let request = CreateInstanceRequest { scheduled_start_timestamp: at, ..create("s", "Wait", None) };
        hub.start_with(request, OnExisting::Reject);
        hub.raise("s", "go", Some("1"));
        assert_eq!(hub.status("s"), Status::Pending);
        hub.advance_seconds(1_000);
        assert_eq!(hub.outcome("s"), "COMPLETED 1");
    });
}

#[test]
fn an_execution_id_that_is_given_is_used() {
    check(|hub| {
        hub.orchestrator("Id", |o| {
            let shown = o.started().orchestration_instance.clone()?.execution_id;
            assert_eq!(shown.as_deref(), Some(o.execution_id.as_str()));
            Some(o.execution_id.clone())
        });
        let request = CreateInstanceRequest { execution_id: Some("mine".into()), ..create("given", "Id", None) };
        hub.start_with(request, OnExisting::Reject);
        assert_eq!(hub.outcome("given"), "COMPLETED mine");
        assert_eq!(hub.state("given").execution_id.as_deref(), Some("mine"));
        let empty = CreateInstanceRequest { execution_id: Some(String::new()), ..create("empty", "Id", None) };
        hub.start_with(empty, OnExisting::Reject);
        hub.start("none", "Id", None);
        let mut seen = std::collections::BTreeSet::new();
        for id in ["empty", "none"] {
            let made = hub.state(id).execution_id.expect("set");
            assert!(made.len() == 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made}");
            assert!(seen.insert(made));
        }
    });
}

#[test]
fn tags_and_version_come_back_exactly() {
    check(|hub| {
        functions(hub);
        let tags: std::collections::BTreeMap<String, String> =
            [("a".to_string(), "1".to_string()), ("b".to_string(), String::new())].into();
        let request =
            CreateInstanceRequest { tags: tags.clone(), version: Some("2.1".into()), ..create("t", "Done", None) };
        hub.start_with(request, OnExisting::Reject);
        let state = hub.state("t");
        assert_eq!(state.tags, tags);
        assert_eq!(state.version.as_deref(), Some("2.1"));
        hub.start("bare", "Done", None);
        let state = hub.state("bare");
        assert_eq!((state.tags.len(), state.version), (0, None));
    });
}

/// null, the empty text and JSON's null are three things.
#[test]
fn the_presence_of_a_payload_survives() {
    check(|hub| {
        hub.raw("Same", |work| {
            let input = text::decode(&work.new).into_iter().find_map(|event| match event.event_type {
                Some(duramen_proto::history_event::EventType::ExecutionStarted(started)) => Some(started.input),
                _ => None,
            });
            answer(vec![complete(1, Status::Completed, input.expect("it starts").as_deref())])
        });
        for (id, input) in [("none", None), ("empty", Some("")), ("null", Some("null")), ("false", Some("false"))] {
            hub.start(id, "Same", input);
            let state = hub.state(id);
            assert_eq!(state.input.as_deref(), input);
            assert_eq!(state.output.as_deref(), input);
            assert_eq!(state.custom_status, None);
        }
    });
}

#[test]
fn ids_names_and_payloads_are_checked() {
    check(|hub| {
        functions(hub);
        let long = "x".repeat(257);
        for id in ["", "@e@k", "a/b", "a\\b", "a#b", "a?b", "a\nb", &long] {
            let request = Request::Start(Box::new(Start {
                request: create(id, "Done", None),
                fresh: false,
                on_existing: OnExisting::Reject,
            }));
            assert!(matches!(hub.refused(request), Refusal::BadInput(BadInput::InstanceId { .. })), "{id:?}");
        }
        let widest = "ü".repeat(256);
        hub.start(&widest, "Done", None);
        assert_eq!(hub.outcome(&widest), "COMPLETED done");
        let nameless = Start { request: create("n", "", None), fresh: false, on_existing: OnExisting::Reject };
        assert!(matches!(hub.refused(Request::Start(Box::new(nameless))), Refusal::BadInput(BadInput::Name { .. })));
        assert_eq!(hub.find("n"), None);
    });
}

#[test]
fn a_fresh_id_needs_no_load() {
    check_in(&[Mode::Plain, Mode::Evict, Mode::Slow], |hub| {
        functions(hub);
        let start = Start { request: create("drawn", "Wait", None), fresh: true, on_existing: OnExisting::Reject };
        assert!(matches!(hub.ask(Request::Start(Box::new(start))), Reply::Started { attached: false, .. }));
        hub.raise("drawn", "go", Some("x"));
        assert_eq!(hub.outcome("drawn"), "COMPLETED x");
    });
}
