//! Ids that the hub gives to children: no other instance can come to have one, so a child under one
//! begins without a look at what is stored.

use crate::common::*;
use duramen_core::ids::InstanceId;
use duramen_core::limits::BadInput;
use duramen_core::request::{Reply, Start};
use duramen_proto::CreateInstanceRequest;

fn functions(hub: &mut Hub) {
    hub.orchestrator("Wait", |o| o.event("go", 0));
    hub.orchestrator("Echo", |o| o.input());
    // Makes a child of the kind that it is told, and lets the hub name it.
    hub.orchestrator("Parent", |o| {
        let kind = o.event("go", 0)?;
        match o.try_child(0, "", &kind, Some("of the child"))? {
            Ok(result) => result,
            Err(failure) => Some(failure.error_type),
        }
    });
}

fn first_child(hub: &mut Hub, parent: &str) -> String {
    format!("{}:0000", hub.state(parent).execution_id.expect("it runs"))
}

/// Lets everything that may leave memory leave it.
fn forget(hub: &mut Hub) {
    hub.settle();
    hub.advance_seconds(60);
    hub.settle();
}

fn is_reserved(refusal: &Refusal, which: &str) -> bool {
    matches!(refusal, Refusal::BadInput(BadInput::Reserved { what, .. }) if *what == which)
}

fn start(request: CreateInstanceRequest) -> Request {
    Request::Start(Box::new(Start { request, fresh: false, on_existing: OnExisting::Reject }))
}

#[test]
fn a_client_cannot_take_the_id_of_a_child_to_come() {
    check(|hub| {
        functions(hub);
        hub.start("p", "Parent", None);
        let kid = first_child(hub, "p");
        let refusal = hub.refused(start(create(&kid, "Echo", Some("not the child"))));
        assert!(is_reserved(&refusal, "instance id"), "{refusal}");
        hub.start("other", "Echo", None);
        let restart = Request::Restart { id: "other".into(), new_id: Some(kid.as_str().into()) };
        assert!(is_reserved(&hub.refused(restart), "instance id"));
        forget(hub);
        hub.raise("p", "go", Some("Echo"));
        assert_eq!(hub.outcome("p"), "COMPLETED of the child");
        assert_eq!(hub.state(&kid).parent_instance_id.as_deref(), Some("p"));
    });
}

/// The start of the child is in an outbox when the client comes.
#[test]
fn nor_while_its_start_is_on_its_way_to_another_partition() {
    check(|hub| {
        hub.reopen(2);
        functions(hub);
        let mut n = 0;
        let (parent, kid) = loop {
            let parent = hub.id_in(0, n);
            hub.start(&parent, "Parent", None);
            let kid = first_child(hub, &parent);
            if hub.owner(InstanceId::new(kid.as_str()).slot()).0 == 1 {
                break (parent, kid);
            }
            n += 1;
        };
        hub.link = Box::new(|_| Fate::Lost);
        hub.raise(&parent, "go", Some("Wait"));
        assert_eq!(hub.find(&kid), None);
        assert!(is_reserved(&hub.refused(start(create(&kid, "Echo", None))), "instance id"));
        hub.link = Box::new(|_| Fate::Once);
        hub.advance_seconds(2);
        assert_eq!(hub.state(&kid).parent_instance_id, Some(parent.clone()));
        // It is like every other from now on.
        assert!(matches!(hub.refused(start(create(&kid, "Echo", None))), Refusal::AlreadyExists { .. }));
        hub.raise(&kid, "go", Some("done"));
        hub.advance_seconds(2);
        assert_eq!(hub.outcome(&parent), "COMPLETED done");
        hub.start(&kid, "Echo", Some("over one that has ended"));
        assert_eq!(hub.outcome(&kid), "COMPLETED over one that has ended");
    });
}

/// A client may give the same execution id twice: the ids that are made of it are nobody's alone.
#[test]
fn a_child_of_an_execution_that_a_client_named_is_not_taken_for_new() {
    check(|hub| {
        functions(hub);
        for parent in ["p", "q"] {
            let request = CreateInstanceRequest { execution_id: Some("mine".into()), ..create(parent, "Parent", None) };
            hub.ask(start(request));
            hub.raise(parent, "go", Some("Wait"));
            forget(hub);
        }
        assert_eq!(hub.outcome("q"), "COMPLETED OrchestrationAlreadyExists");
        hub.raise("mine:0000", "go", Some("the one child"));
        assert_eq!(hub.outcome("p"), "COMPLETED the one child");
    });
}

#[test]
fn nobody_gives_an_execution_id_of_the_hubs() {
    check(|hub| {
        functions(hub);
        hub.start("p", "Parent", None);
        let execution = hub.state("p").execution_id;
        let refusal =
            hub.refused(start(CreateInstanceRequest { execution_id: execution, ..create("q", "Parent", None) }));
        assert!(is_reserved(&refusal, "execution id"), "{refusal}");
        assert_eq!(hub.find("q"), None);
    });
}

/// It is refused as every id that may not be, and is so when the parent is rewound.
#[test]
fn an_orchestrator_cannot_name_the_child_of_another() {
    check(|hub| {
        functions(hub);
        hub.orchestrator("Thief", |o| {
            let id = o.input()?;
            match o.try_child(0, &id, "Echo", None)? {
                Ok(_) => Some("taken".into()),
                Err(error) => {
                    o.fail(error);
                    None
                }
            }
        });
        hub.start("p", "Parent", None);
        let kid = first_child(hub, "p");
        hub.start("thief", "Thief", Some(&kid));
        for _ in 0..2 {
            assert!(hub.outcome("thief").starts_with("FAILED InvalidInstanceId"), "{}", hub.outcome("thief"));
            assert_eq!(hub.find(&kid), None);
            hub.done(Request::Rewind { id: "thief".into(), reason: None });
        }
        forget(hub);
        hub.raise("p", "go", Some("Echo"));
        assert_eq!(hub.outcome("p"), "COMPLETED of the child");
    });
}

/// Nor its own, ahead of the action whose child will have it.
#[test]
fn an_orchestrator_cannot_name_a_child_of_its_own_too_early() {
    check(|hub| {
        functions(hub);
        hub.orchestrator("Early", |o| {
            let id = format!("{}:0001", o.execution_id);
            let first = match o.try_child(0, &id, "Echo", Some("early"))? {
                Ok(result) => result?,
                Err(failure) => failure.error_type,
            };
            let second = o.child(1, "", "Echo", Some("in time"))?;
            Some(format!("{first}, {second}"))
        });
        hub.start("p", "Early", None);
        assert_eq!(hub.outcome("p"), "COMPLETED InvalidInstanceId, in time");
    });
}

/// JavaScript makes the ids as the hub would, tries a child again under the id of the first, and is
/// rewound, each time as another execution.
#[test]
fn a_worker_may_name_children_as_the_hub_does() {
    check(|hub| {
        functions(hub);
        hub.orchestrator("Flaky", |o| match o.input().as_deref() {
            Some("again") => o.event("go", 0),
            _ => {
                o.fail(failure("E", "the first try"));
                None
            }
        });
        hub.orchestrator("Script", |o| {
            let id = format!("{}:0000", o.execution_id);
            o.try_child(0, &id, "Flaky", None)?.err()?;
            match o.try_child(1, &id, "Flaky", Some("again"))? {
                Ok(result) => result,
                Err(error) => {
                    o.fail(error);
                    None
                }
            }
        });
        hub.start("p", "Script", None);
        let kid = first_child(hub, "p");
        assert_eq!(hub.status(&kid), Status::Running, "{}", hub.history("p"));
        hub.raise(&kid, "go", Some("done"));
        assert_eq!(hub.outcome("p"), "COMPLETED done");
    });
}

/// The child of an execution before the last rewind is made again when it is gone.
#[test]
fn rewound_twice_a_parent_still_has_the_children_of_its_first_execution() {
    check(|hub| {
        functions(hub);
        hub.orchestrator("Fails", |o| {
            o.fail(failure("E", "each time"));
            None
        });
        hub.orchestrator("Parent", |o| o.child(0, "", "Fails", None));
        hub.start("p", "Parent", None);
        let kid = first_child(hub, "p");
        for _ in 0..2 {
            assert_eq!(hub.status("p"), Status::Failed);
            let purged = hub.ask(Request::Purge(InstanceId::new(kid.as_str()).into()));
            assert!(matches!(purged, Reply::Purged(true)), "{purged:?}");
            forget(hub);
            hub.done(Request::Rewind { id: "p".into(), reason: None });
            assert_eq!(hub.status(&kid), Status::Failed, "{}", hub.history("p"));
        }
    });
}
