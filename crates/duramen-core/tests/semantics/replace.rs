//! Replacing a live instance (trap 11, and engine rules on replacement).

use crate::common::*;

const OVER: fn() -> OnExisting =
    || OnExisting::Replace(vec![Status::Running, Status::Suspended, Status::Pending, Status::Terminated]);

fn functions(hub: &mut Hub) {
    hub.orchestrator("Wait", |o| o.event("go", 0));
    // Makes child ids as Python does, from its own instance id.
    hub.orchestrator("Tree", |o| {
        let depth: u32 = o.input()?.parse().ok()?;
        if depth > 0 {
            let id = format!("{}:0001", o.instance);
            o.act(create_child(1, &id, "Tree", Some(&(depth - 1).to_string())));
        }
        o.event("go", 0)
    });
}

fn replace(hub: &mut Hub, id: &str, name: &str, input: Option<&str>) {
    let reply = hub.start_with(create(id, name, input), OVER());
    assert!(matches!(reply, Reply::Started { attached: false, .. }), "{reply:?}");
}

/// Without their worker, at once, and all the way down; those of the new run are not touched.
#[test]
fn the_children_end_down_the_tree_before_the_new_run_makes_its_own() {
    check(|hub| {
        functions(hub);
        hub.start("t", "Tree", Some("3"));
        let ids = ["t", "t:0001", "t:0001:0001", "t:0001:0001:0001"];
        let before: Vec<_> = ids.iter().map(|id| hub.state(id).execution_id).collect();
        hub.advance_seconds(1);
        replace(hub, "t", "Tree", Some("3"));
        for (id, before) in ids.iter().zip(before) {
            let state = hub.state(id);
            assert_eq!(state.orchestration_status(), Status::Running, "{id} is the new run's");
            assert_ne!(state.execution_id, before, "{id}");
        }
        assert!(!hub.history("t").contains("ChildFailed"), "no orphan was in the way");
    });
}

#[test]
fn without_a_worker_the_children_end_all_the_same() {
    check(|hub| {
        functions(hub);
        hub.start("t", "Tree", Some("2"));
        hub.leave(WORKER);
        replace(hub, "t", "Wait", None);
        for id in ["t:0001", "t:0001:0001"] {
            assert_eq!(hub.status(id), Status::Terminated, "{id}");
        }
        assert_eq!(hub.status("t"), Status::Pending);
    });
}

#[test]
fn its_parent_is_told() {
    check(|hub| {
        functions(hub);
        hub.orchestrator("Parent", |o| o.try_child(1, "kid", "Wait", None)?.err().map(|failure| failure.error_type));
        hub.start("p", "Parent", None);
        replace(hub, "kid", "Wait", None);
        assert_eq!(hub.outcome("p"), "COMPLETED OrchestrationTerminated");
        assert_eq!(hub.state("kid").parent_instance_id, None);
    });
}

/// A child that somebody else has replaced meanwhile is not the old parent's any more.
#[test]
fn an_instance_of_another_under_a_childs_id_is_left_alone() {
    check(|hub| {
        functions(hub);
        hub.start("t", "Tree", Some("1"));
        replace(hub, "t:0001", "Wait", None);
        replace(hub, "t", "Wait", None);
        assert_eq!(hub.status("t:0001"), Status::Running);
    });
}

#[test]
fn a_child_that_has_ended_stays_as_it_is() {
    check(|hub| {
        functions(hub);
        hub.start("t", "Tree", Some("1"));
        hub.raise("t:0001", "go", Some("x"));
        replace(hub, "t", "Wait", None);
        assert_eq!(hub.outcome("t:0001"), "COMPLETED x");
    });
}

#[test]
fn timers_activities_and_episodes_of_the_old_run_reach_nobody() {
    check_without_crashes(|hub| {
        hub.orchestrator("Busy", |o| {
            o.act(create_timer(1, Time::new(1_050, 0)));
            o.act(schedule(2, "Slow", None));
            o.act(schedule(3, "Queued", None));
            o.event("go", 0)
        });
        hub.activity("Slow", |_| Ok("late".into()));
        hub.activity("Queued", |_| Ok("never".into()));
        hub.orchestrator("Next", |o| {
            o.act(create_timer(1, Time::new(9_000, 0)));
            o.act(schedule(2, "Other", None));
            o.event("go", 0)
        });
        hub.activity("Other", |_| Ok("other".into()));
        hub.leave(WORKER);
        hub.join(WORKER, duramen_core::work::Announcement { activities: 1, ..in_process() });
        hub.hold("Slow");
        hub.start("b", "Busy", None);
        let (worker, activity) = hub.take_held();
        let late_result = hub.perform(worker, &activity);
        hub.hold("Busy");
        hub.raise("b", "x", None);
        let (_, episode) = hub.take_held();
        let late_answer = hub.perform(worker, &episode);
        replace(hub, "b", "Next", None);
        let before = hub.history("b");
        hub.answer(worker, late_answer);
        hub.answer(worker, late_result);
        hub.advance_seconds(1_000);
        assert_eq!(hub.history("b"), before, "nothing of the old run is taken for something of the new");
        assert!(!hub.ran.borrow().contains(&"Queued".to_string()));
        assert!(before.contains("TaskCompleted #2 \"other\""), "{before}");
    });
}

#[test]
fn events_for_the_old_run_go_with_it() {
    check(|hub| {
        functions(hub);
        hub.start("w", "Wait", None);
        hub.leave(WORKER);
        hub.raise("w", "go", Some("old"));
        replace(hub, "w", "Wait", None);
        hub.join(WORKER, in_process());
        assert_eq!(hub.status("w"), Status::Running);
        hub.raise("w", "go", Some("new"));
        assert_eq!(hub.outcome("w"), "COMPLETED new");
    });
}

/// When the start is answered, nobody sees the old state any more.
#[test]
fn the_old_state_is_never_seen_after_the_answer() {
    check(|hub| {
        functions(hub);
        hub.orchestrator("Done", |_| Some("old".into()));
        hub.start("d", "Done", None);
        hub.leave(WORKER);
        hub.advance_seconds(1);
        hub.start("d", "Wait", None);
        let state = hub.state("d");
        assert_eq!((state.orchestration_status(), state.output), (Status::Pending, None));
        assert_eq!(text::seconds(state.created_timestamp), "1001s");
        let wait = hub.wait("d", None, Until::Completed, None);
        assert!(hub.reply(wait).is_none());
    });
}

#[test]
fn a_custom_status_goes_with_the_run_that_set_it() {
    check(|hub| {
        hub.orchestrator("Sets", |o| {
            o.custom_status = Some("mine".into());
            Some("x".into())
        });
        hub.orchestrator("Wait", |o| o.event("go", 0));
        hub.start("s", "Sets", None);
        hub.start("s", "Wait", None);
        assert_eq!(hub.state("s").custom_status, None);
    });
}

#[test]
fn one_that_is_replaced_many_times_leaves_one() {
    check(|hub| {
        functions(hub);
        hub.start("w", "Wait", None);
        for _ in 0..20 {
            replace(hub, "w", "Wait", None);
        }
        hub.raise("w", "go", Some("last"));
        assert_eq!(hub.outcome("w"), "COMPLETED last");
    });
}

/// The action of the reuse policy that was withdrawn from the protocol: it counts for listed statuses.
#[test]
fn the_withdrawn_actions() {
    check(|hub| {
        functions(hub);
        let birth = hub.start("w", "Wait", None);
        let with = |hub: &mut Hub, on_existing| hub.start_with(create("w", "Wait", None), on_existing);
        let live = || vec![Status::Running];
        for unlisted in [OnExisting::AttachListed(vec![Status::Completed]), OnExisting::ReplaceAny(vec![])] {
            let reply = with(hub, unlisted);
            assert!(matches!(reply, Reply::Refused(Refusal::AlreadyExists { .. })), "{reply:?}");
        }
        let reply = with(hub, OnExisting::AttachListed(live()));
        assert!(matches!(reply, Reply::Started { birth: same, attached: true, .. } if same == birth), "{reply:?}");
        // Without TERMINATED in its list.
        let reply = with(hub, OnExisting::ReplaceAny(live()));
        assert!(matches!(reply, Reply::Started { birth: other, attached: false, .. } if other != birth), "{reply:?}");
        hub.raise("w", "go", None);
        let reply = with(hub, OnExisting::AttachListed(vec![Status::Completed]));
        assert!(matches!(reply, Reply::Started { attached: true, .. }), "{reply:?}");
        assert_eq!(hub.status("w"), Status::Completed, "nothing was started");
    });
}
