//! Sub-orchestrations (1.5; traps 3, 4, 14).

use crate::common::*;
use duramen_core::limits::CHILD_DEPTH;
use duramen_proto::CreateSubOrchestrationAction;
use duramen_proto::orchestrator_action::OrchestratorActionType as Action;

fn functions(hub: &mut Hub) {
    hub.orchestrator("Wait", |o| o.event("go", 0));
    hub.orchestrator("Echo", |o| o.input().or(Some("nothing".into())));
    hub.orchestrator("Fail", |o| {
        o.fail(failure("E", "broken"));
        None
    });
    // Tells how its child ended.
    hub.orchestrator("Parent", |o| {
        let (id, name) =
            o.input().and_then(|input| input.split_once(' ').map(|(a, b)| (a.to_string(), b.to_string())))?;
        match o.try_child(1, &id, &name, Some("x"))? {
            Ok(result) => Some(format!("ok {}", result.unwrap_or("-".into()))),
            Err(failure) => Some(format!("failed {}", failure.error_type)),
        }
    });
}

fn child(id: i32, instance: &str, name: &str, tags: &[(&str, &str)]) -> duramen_proto::OrchestratorAction {
    let tags = tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let child = CreateSubOrchestrationAction {
        instance_id: instance.into(),
        name: name.into(),
        tags,
        ..CreateSubOrchestrationAction::default()
    };
    action(id, Action::CreateSubOrchestration(child))
}

#[test]
fn a_child_knows_its_parent() {
    check(|hub| {
        hub.orchestrator("P", |o| o.child(7, "kid", "K", Some("in")));
        hub.orchestrator("K", |o| {
            let parent = o.started().parent_instance.clone()?;
            let instance = parent.orchestration_instance?;
            Some(format!(
                "{} {}@{} {} {}",
                parent.task_scheduled_id,
                parent.name?,
                parent.version?,
                instance.instance_id,
                instance.execution_id?.len()
            ))
        });
        let request = duramen_proto::CreateInstanceRequest { version: Some("1.1".into()), ..create("p", "P", None) };
        hub.start_with(request, OnExisting::Reject);
        assert_eq!(hub.outcome("p"), "COMPLETED 7 P@1.1 p 32");
        let kid = hub.state("kid");
        assert_eq!(kid.parent_instance_id.as_deref(), Some("p"));
        assert_eq!(kid.version, None, "a child's version is not its parent's");
        assert_eq!(kid.input.as_deref(), Some("in"));
        assert_eq!(hub.state("p").parent_instance_id, None);
    });
}

#[test]
fn a_child_that_the_hub_named_and_a_broken_worker_asks_for_again_is_not_made_twice() {
    check(|hub| {
        functions(hub);
        hub.raw("P", |work| {
            let again = answer(vec![create_child(5, "", "Wait", None)]);
            if work.session.episodes < 2 { again } else { answer(vec![]) }
        });
        hub.start("p", "P", None);
        let kid = format!("{}:0005", hub.state("p").execution_id.expect("it runs"));
        let birth = hub.stored(&kid).expect("the child is there").head.birth;
        hub.raise("p", "again", None);
        assert_eq!(hub.stored(&kid).map(|image| image.head.birth), Some(birth));
        assert!(hub.history("p").contains("OrchestrationAlreadyExists"), "{}", hub.history("p"));
        hub.raise(&kid, "go", Some("x"));
        assert_eq!(hub.outcome(&kid), "COMPLETED x");
    });
}

#[test]
fn tags_are_inherited_and_ones_own_are_stronger() {
    check(|hub| {
        functions(hub);
        hub.orchestrator("P", |o| {
            o.act(child(1, "kid", "Echo", &[("b", "kid"), ("c", "kid")]));
            o.act(child(2, "forgotten", "Q", &[("FireAndForget", "true")]));
            o.event("go", 0)
        });
        hub.orchestrator("Q", |o| o.child(1, "below", "Echo", None));
        let tags = [("a".to_string(), "top".to_string()), ("b".to_string(), "top".to_string())].into();
        hub.start_with(duramen_proto::CreateInstanceRequest { tags, ..create("p", "P", None) }, OnExisting::Reject);
        let tags = |hub: &mut Hub, id: &str| -> String {
            hub.state(id).tags.into_iter().map(|(key, value)| format!("{key}={value} ")).collect()
        };
        assert_eq!(tags(hub, "kid"), "a=top b=kid c=kid ");
        assert_eq!(tags(hub, "forgotten"), "FireAndForget=true a=top b=top ");
        assert_eq!(tags(hub, "below"), "a=top b=top ", "FireAndForget is for one child");
    });
}

#[test]
fn nobody_hears_of_a_child_that_is_fired_and_forgotten() {
    check(|hub| {
        functions(hub);
        hub.orchestrator("P", |o| {
            o.act(child(1, "done", "Echo", &[("FireAndForget", "true")]));
            o.act(child(2, "fails", "Fail", &[("FireAndForget", "")]));
            o.act(child(3, "told", "Echo", &[("FireAndForget", "false")]));
            o.event("go", 0)
        });
        hub.start("p", "P", None);
        assert_eq!((hub.status("done"), hub.status("fails")), (Status::Completed, Status::Failed));
        let history = hub.history("p");
        assert!(!history.contains("#1 \"nothing\"") && !history.contains("ChildFailed"), "{history}");
        assert!(history.contains("ChildCompleted #3"), "{history}");
        hub.raise("p", "go", Some("x"));
        assert_eq!(hub.outcome("p"), "COMPLETED x");
    });
}

/// Every way in which a child can end, and what the parent hears.
#[test]
fn the_parent_hears_how_the_child_ended() {
    check(|hub| {
        functions(hub);
        hub.start("completed", "Parent", Some("c1 Echo"));
        assert_eq!(hub.outcome("completed"), "COMPLETED ok x");
        hub.start("failed", "Parent", Some("c2 Fail"));
        assert_eq!(hub.outcome("failed"), "COMPLETED failed E");
        hub.start("terminated", "Parent", Some("c3 Wait"));
        hub.terminate("c3", "t", false);
        assert_eq!(hub.outcome("terminated"), "COMPLETED failed OrchestrationTerminated");
        hub.raw("Cancel", |_| answer(vec![complete(1, Status::Canceled, Some("c"))]));
        hub.start("canceled", "Parent", Some("c4 Cancel"));
        assert!(hub.outcome("canceled").starts_with("COMPLETED failed"));
        hub.start("replaced", "Parent", Some("c5 Wait"));
        let replace = OnExisting::Replace(vec![Status::Running, Status::Terminated]);
        hub.start_with(create("c5", "Wait", None), replace);
        assert_eq!(hub.outcome("replaced"), "COMPLETED failed OrchestrationTerminated");
        assert_eq!(hub.status("c5"), Status::Running);
        hub.raw("Null", |_| answer(vec![complete(1, Status::Completed, None)]));
        hub.start("null", "Parent", Some("c6 Null"));
        assert_eq!(hub.outcome("null"), "COMPLETED ok -", "an absent result stays absent");
        hub.start("nowhere", "Parent", Some("c7 Unknown"));
        assert_eq!(hub.outcome("nowhere"), "COMPLETED failed OrchestratorTaskNotFound");
    });
}

#[test]
fn a_child_that_the_hub_ends_is_told_too() {
    check(|hub| {
        functions(hub);
        hub.start("p", "Parent", Some("kid Wait"));
        hub.leave(WORKER);
        hub.terminate("kid", "t", false);
        hub.advance_seconds(10);
        hub.join(WORKER, in_process());
        assert_eq!(hub.outcome("p"), "COMPLETED failed OrchestrationTerminated");
    });
}

#[test]
fn a_live_id_is_not_taken() {
    check(|hub| {
        functions(hub);
        hub.start("taken", "Wait", None);
        hub.start("p", "Parent", Some("taken Echo"));
        assert_eq!(hub.outcome("p"), "COMPLETED failed OrchestrationAlreadyExists");
        assert_eq!(hub.status("taken"), Status::Running);
        assert_eq!(hub.state("taken").parent_instance_id, None);
        hub.start("self", "Parent", Some("self Echo"));
        assert_eq!(hub.outcome("self"), "COMPLETED failed OrchestrationAlreadyExists", "its own id is taken");
    });
}

#[test]
fn an_ended_id_is_replaced() {
    check(|hub| {
        functions(hub);
        hub.start("old", "Fail", None);
        hub.start("p", "Parent", Some("old Echo"));
        assert_eq!(hub.outcome("p"), "COMPLETED ok x");
        assert_eq!(hub.outcome("old"), "COMPLETED x");
    });
}

/// Python and JavaScript retry a child under its own id, Python under the same action id as well.
#[test]
fn a_retried_child_replaces_the_one_that_failed() {
    check(|hub| {
        hub.orchestrator("Retry", |o| {
            let results = o.child_results(1);
            match results.last() {
                Some(Ok(result)) => return result.clone(),
                Some(Err(_)) if results.len() == 3 => return Some("gave up".into()),
                _ => {}
            }
            o.actions.push(create_child(1, "kid", "Flaky", Some(&results.len().to_string())));
            None
        });
        hub.orchestrator("Flaky", |o| {
            if o.input().as_deref() == Some("2") {
                return Some("third time".into());
            }
            o.fail(failure("E", "x"));
            None
        });
        hub.start("r", "Retry", None);
        assert_eq!(hub.outcome("r"), "COMPLETED third time");
        let created = hub.history("r").matches("ChildCreated kid Flaky").count();
        assert_eq!(created, 3);
    });
}

#[test]
fn an_id_that_may_not_be_fails_the_child_alone() {
    check(|hub| {
        functions(hub);
        for (n, bad) in ["@e@k", "a/b", "a?b"].into_iter().enumerate() {
            let id = format!("p{n}");
            hub.start(&id, "Parent", Some(&format!("{bad} Echo")));
            assert_eq!(hub.outcome(&id), "COMPLETED failed InvalidInstanceId");
        }
    });
}

/// Go leaves the id to the hub.
#[test]
fn a_child_without_an_id_gets_one_of_the_execution() {
    check_in(&[Mode::Plain, Mode::Evict, Mode::Slow], |hub| {
        functions(hub);
        hub.orchestrator("P", |o| match o.input().as_deref() {
            Some("2") => o.child(0, "", "Echo", Some("second")),
            _ => {
                o.child(0, "", "Echo", Some("first"))?;
                o.continue_as_new(Some("2"), vec![]);
                None
            }
        });
        hub.start("p", "P", None);
        assert_eq!(hub.outcome("p"), "COMPLETED second", "it does not repeat in the next generation");
        let id = format!("{}:0000", hub.state("p").execution_id.expect("set"));
        assert_eq!(hub.outcome(&id), "COMPLETED second");
        assert!(hub.history("p").contains(&format!("#0 ChildCreated {id} Echo")));
    });
}

#[test]
fn a_recursion_without_end_is_stopped() {
    check_in(&[Mode::Plain, Mode::Evict], |hub| {
        hub.audited = false;
        hub.orchestrator("Endless", |o| {
            let n: u32 = o.input()?.parse().ok()?;
            match o.try_child(1, &format!("e{}", n + 1), "Endless", Some(&(n + 1).to_string()))? {
                Ok(result) => result,
                Err(failure) => Some(format!("{} at {n}", failure.error_type)),
            }
        });
        hub.start("e0", "Endless", Some("0"));
        assert_eq!(hub.outcome("e0"), format!("COMPLETED RecursionTooDeep at {CHILD_DEPTH}"));
        assert_eq!(hub.find(&format!("e{}", CHILD_DEPTH + 1)), None);
    });
}

#[test]
fn a_result_for_a_parent_that_has_ended_is_dropped() {
    check(|hub| {
        functions(hub);
        hub.orchestrator("Leaves", |o| {
            o.act(create_child(1, "kid", "Wait", None));
            Some("left".into())
        });
        hub.start("p", "Leaves", None);
        let before = (hub.state("p"), hub.history("p"));
        hub.advance_seconds(1);
        hub.raise("kid", "go", Some("late"));
        assert_eq!(hub.outcome("kid"), "COMPLETED late");
        assert_eq!((hub.state("p"), hub.history("p")), before);
    });
}

/// The result names the run that asked: an instance that took the parent's id does not hear it.
#[test]
fn a_result_for_another_run_of_the_parents_id_is_dropped() {
    check(|hub| {
        functions(hub);
        hub.orchestrator("Leaves", |o| {
            o.act(create_child(1, "kid", "Wait", None));
            Some("left".into())
        });
        hub.start("p", "Leaves", None);
        hub.orchestrator("Next", |o| {
            // An open child of the same action id, so that a wrong result would be taken.
            match o.try_child(1, "other", "Wait", None)? {
                Ok(result) => result,
                Err(failure) => Some(failure.error_type),
            }
        });
        hub.start("p", "Next", None);
        hub.raise("kid", "go", Some("wrong"));
        assert_eq!(hub.status("p"), Status::Running);
        hub.raise("other", "go", Some("right"));
        assert_eq!(hub.outcome("p"), "COMPLETED right");
    });
}

#[test]
fn a_result_for_an_older_generation_is_dropped() {
    check(|hub| {
        functions(hub);
        hub.orchestrator("Loop", |o| match o.input().as_deref() {
            Some("2") => o.child(1, "second", "Wait", None),
            _ => {
                o.act(create_child(1, "first", "Wait", None));
                o.event("next", 0)?;
                o.continue_as_new(Some("2"), vec![]);
                None
            }
        });
        hub.start("l", "Loop", None);
        hub.raise("l", "next", None);
        hub.raise("first", "go", Some("wrong"));
        assert_eq!(hub.status("l"), Status::Running);
        hub.raise("second", "go", Some("right"));
        assert_eq!(hub.outcome("l"), "COMPLETED right");
    });
}

#[test]
fn many_children_all_answer() {
    check(|hub| {
        hub.audited &= hub.mode != Mode::Crash;
        functions(hub);
        hub.orchestrator("Fan", |o| {
            let done = (1..=20).filter(|n| o.try_child(*n, &format!("k{n}"), "Echo", Some("v")).is_some()).count();
            (done == 20).then(|| "all".into())
        });
        hub.start("f", "Fan", None);
        assert_eq!(hub.outcome("f"), "COMPLETED all");
        assert_eq!(hub.history("f").matches("ChildCompleted").count(), 20);
    });
}
