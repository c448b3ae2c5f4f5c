//! Purging, restarting, reading (1.6; traps 11, 26, 27).

use crate::common::*;
use duramen_core::ids::Run;
use duramen_core::request::{PurgeOne, Seen};
use std::time::Duration;

fn functions(hub: &mut Hub) {
    hub.orchestrator("Wait", |o| o.event("go", 0));
    hub.orchestrator("Echo", |o| o.input().or(Some("done".into())));
}

fn purge(hub: &mut Hub, id: &str) -> bool {
    match hub.ask(Request::Purge(id.into())) {
        Reply::Purged(gone) => gone,
        other => panic!("{other:?}"),
    }
}

fn restart(hub: &mut Hub, id: &str, new_id: Option<&str>) -> Result<String, Refusal> {
    match hub.ask(Request::Restart { id: id.into(), new_id: new_id.map(Into::into) }) {
        Reply::Started { id, attached: false, .. } => Ok(id.to_string()),
        Reply::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_what_has_ended_is_purged() {
    check(|hub| {
        functions(hub);
        assert!(!purge(hub, "nobody"));
        hub.start("w", "Wait", None);
        assert!(!purge(hub, "w"));
        hub.suspend("w");
        assert!(!purge(hub, "w"));
        hub.resume("w");
        hub.raise("w", "go", None);
        assert!(purge(hub, "w"));
        assert_eq!(hub.find("w"), None);
        assert_eq!(hub.refused(Request::History("w".into())), Refusal::NotFound("w".into()));
        assert!(!purge(hub, "w"));
        assert_eq!(hub.stored("w"), None);
    });
}

#[test]
fn a_purged_id_is_free() {
    check(|hub| {
        functions(hub);
        hub.start("e", "Echo", Some("1"));
        let first = hub.state("e").execution_id;
        assert!(purge(hub, "e"));
        hub.start("e", "Echo", Some("2"));
        assert_eq!(hub.outcome("e"), "COMPLETED 2");
        assert_ne!(hub.state("e").execution_id, first);
    });
}

#[test]
fn a_live_child_does_not_keep_its_parent() {
    check(|hub| {
        functions(hub);
        hub.orchestrator("Leaves", |o| {
            o.act(create_child(1, "kid", "Wait", None));
            Some("left".into())
        });
        hub.start("p", "Leaves", None);
        assert!(purge(hub, "p"));
        hub.raise("kid", "go", Some("x"));
        assert_eq!(hub.outcome("kid"), "COMPLETED x", "its result goes to nobody");
        assert_eq!(hub.find("p"), None);
    });
}

#[test]
fn activities_that_were_left_behind_go_with_a_purge() {
    check_without_crashes(|hub| {
        hub.orchestrator("Leaves", |o| {
            o.act(schedule(1, "A", None));
            o.act(schedule(2, "B", None));
            Some("left".into())
        });
        hub.activity("A", |_| Ok("a".into()));
        hub.activity("B", |_| Ok("b".into()));
        hub.leave(WORKER);
        hub.join(WORKER, duramen_core::work::Announcement { activities: 1, ..in_process() });
        hub.hold("A");
        hub.start("l", "Leaves", None);
        let (worker, item) = hub.take_held();
        assert!(purge(hub, "l"));
        let before = hub.checkpoints.len();
        let answer = hub.perform(worker, &item);
        hub.answer(worker, answer);
        assert_eq!(hub.checkpoints.len(), before, "stale");
        hub.advance_seconds(100);
        assert_eq!(*hub.ran.borrow(), ["A"], "what was queued does not start");
    });
}

#[test]
fn a_restart_is_a_start_with_what_the_original_was_started_with() {
    check(|hub| {
        functions(hub);
        let tags: std::collections::BTreeMap<String, String> = [("t".to_string(), "1".to_string())].into();
        let request = duramen_proto::CreateInstanceRequest {
            tags: tags.clone(),
            version: Some("3".into()),
            ..create("o", "Echo", Some("in"))
        };
        hub.start_with(request, OnExisting::Reject);
        let before = hub.state("o");
        hub.advance_seconds(1);
        assert_eq!(restart(hub, "o", Some("copy")), Ok("copy".into()));
        assert_eq!(restart(hub, "o", None), Ok("o".into()));
        for id in ["o", "copy"] {
            let state = hub.state(id);
            assert_eq!(hub.outcome(id), "COMPLETED in");
            assert_eq!((&state.name, &state.version, &state.tags), (&before.name, &before.version, &tags));
            assert_ne!(state.execution_id, before.execution_id);
            assert_eq!(text::seconds(state.created_timestamp), "1001s");
        }
    });
}

#[test]
fn what_is_live_is_restarted_under_a_new_id_alone() {
    check(|hub| {
        functions(hub);
        assert_eq!(restart(hub, "nobody", None), Err(Refusal::NotFound("nobody".into())));
        assert_eq!(restart(hub, "nobody", Some("x")), Err(Refusal::NotFound("nobody".into())));
        hub.start("w", "Wait", Some("in"));
        assert!(matches!(restart(hub, "w", None), Err(Refusal::WrongStatus { .. })));
        assert_eq!(restart(hub, "w", Some("copy")), Ok("copy".into()));
        assert_eq!(hub.state("copy").input.as_deref(), Some("in"));
        assert!(
            matches!(restart(hub, "w", Some("copy")), Err(Refusal::AlreadyExists { .. })),
            "a live one is in the way"
        );
        assert!(matches!(restart(hub, "w", Some("a/b")), Err(Refusal::BadInput(_))));
        hub.raise("copy", "go", None);
        assert_eq!(restart(hub, "w", Some("copy")), Ok("copy".into()), "an ended one is not");
    });
}

/// With several partitions the copy may live in another than the original.
#[test]
fn a_restart_reaches_another_partition() {
    check(|hub| {
        hub.reopen(2);
        functions(hub);
        let (here, there) = (hub.id_in(0, 0), hub.id_in(1, 0));
        hub.start(&here, "Echo", Some("in"));
        assert_eq!(restart(hub, &here, Some(&there)), Ok(there.clone()));
        assert_eq!(hub.outcome(&there), "COMPLETED in");
    });
}

#[test]
fn times_stand_still_at_completion() {
    check_without_crashes(|hub| {
        hub.orchestrator("Leaves", |o| {
            o.act(schedule(1, "A", None));
            o.act(create_timer(2, Time::new(1_005, 0)));
            Some("left".into())
        });
        hub.activity("A", |_| Ok("a".into()));
        hub.hold("A");
        hub.start("l", "Leaves", None);
        let before = hub.state("l");
        assert_eq!(before.last_updated_timestamp, before.completed_timestamp);
        hub.advance_seconds(10);
        hub.release("A");
        hub.raise("l", "late", None);
        assert_eq!(hub.state("l"), before);
    });
}

#[test]
fn times_are_set_from_the_first_moment() {
    check(|hub| {
        functions(hub);
        hub.leave(WORKER);
        hub.start("w", "Wait", None);
        let state = hub.state("w");
        assert_eq!(text::seconds(state.created_timestamp), "1000s");
        assert_eq!(text::seconds(state.last_updated_timestamp), "1000s");
        assert_eq!(state.completed_timestamp, None);
        hub.advance_seconds(5);
        hub.raise("w", "x", None);
        assert_eq!(text::seconds(hub.state("w").last_updated_timestamp), "1005s");
    });
}

/// A list's row is a hint: what it has shown must still be so.
#[test]
fn what_was_rewound_or_replaced_is_not_what_a_list_has_shown() {
    check(|hub| {
        functions(hub);
        hub.start("w", "Wait", None);
        hub.raise("w", "go", None);
        let seen = |hub: &mut Hub| {
            let image = hub.stored("w").expect("it is there");
            Seen::of(&image.head, &image.tail)
        };
        let first = seen(hub).expect("it has ended");
        let purge_seen = |hub: &mut Hub, seen: Seen| {
            let purge = PurgeOne { id: "w".into(), seen: Some(seen) };
            matches!(hub.ask(Request::Purge(purge)), Reply::Purged(true))
        };
        for other in [
            Seen { birth: Run(first.birth.0 + 1), ..first },
            Seen { status: Status::Failed, ..first },
            Seen { completed: first.completed.plus(Duration::from_nanos(1)), ..first },
        ] {
            assert!(!purge_seen(hub, other), "{other:?}");
        }
        // Another one under the same id.
        hub.start("w", "Wait", None);
        hub.raise("w", "go", None);
        let second = seen(hub).expect("it has ended");
        assert!(!purge_seen(hub, first), "it has been replaced");
        assert!(purge_seen(hub, second));
        assert_eq!(hub.find("w"), None);
    });
}
