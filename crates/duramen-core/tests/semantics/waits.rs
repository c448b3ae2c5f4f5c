//! Waiting for an instance (1.2; traps 9, 10, 18).

use crate::common::*;
use duramen_core::request::RequestId;
use duramen_proto::TerminateOrchestrationAction;
use duramen_proto::orchestrator_action::OrchestratorActionType as Action;

fn functions(hub: &mut Hub) {
    hub.orchestrator("Wait", |o| o.event("go", 0));
    hub.orchestrator("Done", |o| o.input().or(Some("done".into())));
}

/// What a wait was answered, in a word.
fn answer_of(hub: &Hub, id: RequestId) -> String {
    match hub.reply(id) {
        None => "waits".into(),
        Some(Reply::State(None)) => "none".into(),
        Some(Reply::State(Some(state))) => {
            let status = state.orchestration_status().as_str_name().trim_start_matches("ORCHESTRATION_STATUS_");
            format!("{status} {}", state.output.clone().unwrap_or_default()).trim_end().into()
        }
        Some(Reply::Refused(Refusal::TimedOut(_))) => "timed out".into(),
        Some(Reply::Refused(Refusal::Replaced(_))) => "replaced".into(),
        Some(Reply::Refused(Refusal::NotFound(_))) => "not found".into(),
        Some(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_wait_for_the_end_is_answered_by_it() {
    check(|hub| {
        functions(hub);
        hub.start("w", "Wait", None);
        let wait = hub.wait("w", None, Until::Completed, None);
        hub.advance_seconds(10_000);
        assert_eq!(answer_of(hub, wait), "waits", "one without a time-out waits for ever");
        hub.raise("w", "go", Some("x"));
        assert_eq!(answer_of(hub, wait), "COMPLETED x");
        let late = hub.wait("w", None, Until::Completed, None);
        assert_eq!(answer_of(hub, late), "COMPLETED x");
    });
}

#[test]
fn a_wait_for_the_start_ends_with_the_first_episode() {
    check(|hub| {
        functions(hub);
        hub.leave(WORKER);
        hub.start("w", "Wait", None);
        let wait = hub.wait("w", None, Until::Started, None);
        assert_eq!(answer_of(hub, wait), "waits");
        hub.join(WORKER, in_process());
        assert_eq!(answer_of(hub, wait), "RUNNING");
        hub.start("d", "Done", None);
        let wait = hub.wait("d", None, Until::Started, None);
        assert_eq!(answer_of(hub, wait), "COMPLETED done");
    });
}

/// Go and Java hold the first episode open and expect the wait for the start to go on.
#[test]
fn an_instance_is_pending_until_its_first_episode_is_committed() {
    check_without_crashes(|hub| {
        functions(hub);
        hub.hold("Wait");
        hub.start("w", "Wait", None);
        assert_eq!(hub.status("w"), Status::Pending, "its episode is with a worker");
        let wait = hub.wait("w", None, Until::Started, None);
        hub.advance_seconds(30);
        assert_eq!(answer_of(hub, wait), "waits");
        let (worker, item) = hub.take_held();
        let answer = hub.perform(worker, &item);
        hub.submit_answer(worker, answer);
        let read = hub.submit(Request::Get("w".into()));
        if hub.mode == Mode::Slow {
            while hub.run_at_hand() {}
            assert_eq!(answer_of(hub, wait), "waits", "it is answered, not committed");
            assert_eq!(answer_of(hub, read), "waits", "a read waits for what it would show");
        }
        hub.run();
        assert_eq!(answer_of(hub, wait), "RUNNING");
        assert_eq!(answer_of(hub, read), "RUNNING");
    });
}

#[test]
fn a_wait_for_an_unknown_id_is_held_and_answered_when_it_appears() {
    check(|hub| {
        functions(hub);
        let start = hub.wait("w", None, Until::Started, None);
        let end = hub.wait("w", None, Until::Completed, Some(1_000));
        hub.advance_seconds(59);
        assert_eq!((answer_of(hub, start), answer_of(hub, end)), ("waits".into(), "waits".into()));
        hub.start("w", "Wait", None);
        assert_eq!(answer_of(hub, start), "RUNNING");
        hub.raise("w", "go", Some("x"));
        assert_eq!(answer_of(hub, end), "COMPLETED x");
    });
}

#[test]
fn a_wait_for_an_unknown_id_ends_after_its_time_with_no_instance() {
    check(|hub| {
        let without = hub.wait("nobody", None, Until::Completed, None);
        let short = hub.wait("nobody", None, Until::Completed, Some(5));
        let long = hub.wait("nobody", None, Until::Completed, Some(100));
        hub.advance_seconds(5);
        assert_eq!(answer_of(hub, short), "none");
        hub.advance_seconds(54);
        assert_eq!(answer_of(hub, without), "waits");
        hub.advance_seconds(1);
        assert_eq!(answer_of(hub, without), "none", "unknown_wait is over");
        assert_eq!(answer_of(hub, long), "waits", "a caller's own time counts");
        hub.advance_seconds(40);
        assert_eq!(answer_of(hub, long), "none");
    });
}

/// The time for unknown ids is for those: once the instance is there, its wait is like any other.
#[test]
fn a_wait_without_a_time_out_outlives_the_time_for_unknown_ids() {
    check(|hub| {
        functions(hub);
        let wait = hub.wait("w", None, Until::Completed, None);
        hub.advance_seconds(10);
        hub.start("w", "Wait", None);
        hub.advance_seconds(1_000);
        assert_eq!(answer_of(hub, wait), "waits");
        hub.raise("w", "go", Some("x"));
        assert_eq!(answer_of(hub, wait), "COMPLETED x");
    });
}

#[test]
fn a_wait_for_one_that_goes_on_times_out() {
    check(|hub| {
        functions(hub);
        hub.start("w", "Wait", None);
        let wait = hub.wait("w", None, Until::Completed, Some(5));
        hub.advance_seconds(4);
        assert_eq!(answer_of(hub, wait), "waits");
        hub.advance_seconds(1);
        assert_eq!(answer_of(hub, wait), "timed out");
    });
}

/// One that was unknown when the wait came and is there when it ends has not vanished.
#[test]
fn a_wait_that_began_unknown_times_out_like_any_other_once_it_is_there() {
    check(|hub| {
        functions(hub);
        let wait = hub.wait("w", None, Until::Completed, Some(20));
        hub.start("w", "Wait", None);
        hub.advance_seconds(20);
        assert_eq!(answer_of(hub, wait), "timed out");
    });
}

#[test]
fn a_wait_by_id_goes_on_with_the_next_one_and_a_bound_wait_does_not() {
    check(|hub| {
        functions(hub);
        let birth = hub.start("w", "Wait", None);
        let by_id = hub.wait("w", None, Until::Completed, None);
        let bound = hub.wait("w", Some(birth), Until::Completed, None);
        hub.advance_seconds(1);
        let replace = OnExisting::Replace(vec![Status::Running, Status::Terminated]);
        hub.start_with(create("w", "Wait", None), replace);
        assert_eq!(answer_of(hub, by_id), "waits");
        assert!(answer_of(hub, bound).starts_with("TERMINATED"), "{}", answer_of(hub, bound));
        let late = hub.wait("w", Some(birth), Until::Completed, None);
        assert_eq!(answer_of(hub, late), "replaced");
        hub.raise("w", "go", Some("second"));
        assert_eq!(answer_of(hub, by_id), "COMPLETED second");
    });
}

#[test]
fn a_bound_wait_comes_too_late_for_an_ended_one_that_was_replaced() {
    check(|hub| {
        functions(hub);
        let birth = hub.start("d", "Done", None);
        hub.start("d", "Wait", None);
        let late = hub.wait("d", Some(birth), Until::Completed, None);
        assert_eq!(answer_of(hub, late), "replaced");
    });
}

#[test]
fn a_bound_wait_follows_its_generations() {
    check(|hub| {
        hub.orchestrator("Loop", |o| {
            let n: u32 = o.input()?.parse().ok()?;
            if n == 3 {
                return o.event("go", 0);
            }
            o.continue_as_new(Some(&(n + 1).to_string()), vec![]);
            None
        });
        let birth = hub.start("l", "Loop", Some("0"));
        let bound = hub.wait("l", Some(birth), Until::Completed, None);
        let by_id = hub.wait("l", None, Until::Completed, None);
        assert_eq!(answer_of(hub, bound), "waits", "ContinuedAsNew is not the end");
        hub.raise("l", "go", Some("x"));
        assert_eq!((answer_of(hub, bound), answer_of(hub, by_id)), ("COMPLETED x".into(), "COMPLETED x".into()));
    });
}

/// A purge can meet a wait only where the instance ended while a wait for the end of another kind
/// is held; those who wait for the id when it goes hear that it is gone.
#[test]
fn a_purged_instance_does_not_exist() {
    check(|hub| {
        functions(hub);
        let birth = hub.start("d", "Done", None);
        assert!(matches!(hub.ask(Request::Purge("d".into())), Reply::Purged(true)));
        assert_eq!(hub.find("d"), None);
        let wait = hub.wait("d", None, Until::Completed, Some(5));
        let bound = hub.wait("d", Some(birth), Until::Completed, Some(5));
        assert_eq!(answer_of(hub, bound), "not found");
        hub.advance_seconds(5);
        assert_eq!(answer_of(hub, wait), "none");
    });
}

#[test]
fn a_cancelled_wait_leaves_nothing_behind() {
    check_in(&[Mode::Plain, Mode::Evict, Mode::Slow], |hub| {
        functions(hub);
        hub.start("w", "Wait", None);
        let waits: Vec<RequestId> = (0..100).map(|_| hub.wait("w", None, Until::Completed, None)).collect();
        let unknown = hub.wait("nobody", None, Until::Completed, None);
        assert_eq!(hub.partition(0).waiting_clients(), 101);
        waits.into_iter().for_each(|wait| hub.cancel(wait));
        hub.cancel(unknown);
        assert_eq!(hub.partition(0).waiting_clients(), 0);
    });
}

/// The instance is being loaded when the client goes away.
#[test]
fn a_wait_that_is_cancelled_while_its_instance_is_loaded_leaves_nothing_behind() {
    let mut hub = Hub::new(Mode::Evict);
    functions(&mut hub);
    hub.start("w", "Wait", None);
    assert_eq!(hub.partition(0).resident(), 0);
    let request = Request::Wait(duramen_core::request::Wait {
        id: "w".into(),
        birth: None,
        until: Until::Completed,
        timeout: None,
    });
    hub.stalled = true;
    let wait = hub.submit(request);
    hub.cancel(wait);
    hub.stalled = false;
    hub.run();
    assert_eq!(hub.partition(0).waiting_clients(), 0);
    hub.raise("w", "go", None);
    assert!(hub.reply(wait).is_none());
}

/// That it is gone is not shown before it is durable.
#[test]
fn a_wait_for_one_that_is_being_purged_ends_when_the_purge_is_durable() {
    let mut hub = Hub::new(Mode::Slow);
    hub.orchestrator("Gone", |_| Some("x".into()));
    hub.start("g", "Gone", None);
    let purge = hub.submit(Request::Purge("g".into()));
    let wait = hub.submit(Request::Wait(duramen_core::request::Wait {
        id: "g".into(),
        birth: None,
        until: Until::Completed,
        timeout: None,
    }));
    while hub.run_at_hand() {}
    hub.now = hub.now.plus(hub.settings.unknown_wait);
    while hub.run_at_hand() {}
    assert!(hub.reply(purge).is_none() && hub.reply(wait).is_none());
    hub.run();
    assert!(matches!(hub.reply(wait), Some(Reply::State(None))), "{:?}", hub.reply(wait));
}

/// One that is suspended before its first episode is pending no more.
#[test]
fn a_wait_for_the_start_ends_with_a_suspension() {
    check(|hub| {
        functions(hub);
        hub.leave(WORKER);
        hub.start("w", "Wait", None);
        let wait = hub.wait("w", None, Until::Started, None);
        assert_eq!(answer_of(hub, wait), "waits");
        hub.suspend("w");
        assert_eq!(answer_of(hub, wait), "SUSPENDED");
    });
}

/// It ends, and its id goes to another, all in one answer of a third.
#[test]
fn a_bound_wait_hears_the_end_of_one_that_is_replaced_at_once() {
    check_without_crashes(|hub| {
        functions(hub);
        hub.orchestrator("Other", |o| {
            let target = TerminateOrchestrationAction {
                instance_id: "w".into(),
                reason: Some("gone".into()),
                ..TerminateOrchestrationAction::default()
            };
            o.act(action(1, Action::TerminateOrchestration(target)));
            o.child(2, "w", "Done", Some("the next"))
        });
        // What it is shown is durable and gone in the same checkpoint.
        hub.audited = false;
        // It has no episode, so that it ends without one.
        hub.hold("Wait");
        let birth = hub.start("w", "Wait", None);
        let wait = hub.wait("w", Some(birth), Until::Completed, None);
        hub.start("o", "Other", None);
        assert_eq!(answer_of(hub, wait), "TERMINATED gone");
        assert_eq!(hub.outcome("o"), "COMPLETED the next");
    });
}
