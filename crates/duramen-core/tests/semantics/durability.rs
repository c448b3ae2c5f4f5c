//! When checkpoints are cut and what waits for them (invariants 1, 2 and 11). That nothing leaves
//! early is held against the store in every scenario of every file ([`crate::common::audit`]).

use crate::common::*;
use duramen_core::checkpoint::Change;
use duramen_core::work::Announcement;

/// A chain of n activities.
fn steps(hub: &mut Hub, n: i32) {
    hub.orchestrator("Steps", move |o| {
        for step in 1..=n {
            o.call(step, "Step", None)?;
        }
        Some("end".into())
    });
    hub.activity("Step", |_| Ok("s".into()));
}

#[test]
fn a_chain_in_this_process_costs_one_checkpoint_more_than_it_has_activities() {
    for n in [0, 1, 5, 20] {
        let mut hub = Hub::new(Mode::Plain);
        steps(&mut hub, n);
        hub.start("s", "Steps", None);
        assert_eq!(hub.outcome("s"), "COMPLETED end");
        assert_eq!(hub.checkpoints.len() as i32, n + 1, "n = {n}");
    }
}

#[test]
fn a_chain_elsewhere_costs_two_a_step_and_two_more() {
    for n in [0, 1, 5, 20] {
        let mut hub = Hub::new(Mode::Plain);
        hub.go_remote();
        steps(&mut hub, n);
        hub.start("s", "Steps", None);
        assert_eq!(hub.outcome("s"), "COMPLETED end");
        assert_eq!(hub.checkpoints.len() as i32, 2 * n + 2, "n = {n}");
    }
}

/// The turn stays open for an episode in this process, but for a millisecond at most.
#[test]
fn a_slow_episode_does_not_hold_back_the_start() {
    let mut hub = Hub::new(Mode::Plain);
    steps(&mut hub, 1);
    hub.hold("Steps");
    hub.start("s", "Steps", None);
    assert_eq!(hub.checkpoints.len(), 1, "the start was answered without its episode");
}

#[test]
fn a_read_of_what_is_under_way_waits_and_one_of_what_is_durable_does_not() {
    let mut hub = Hub::new(Mode::Slow);
    hub.orchestrator("Wait", |o| o.event("go", 0));
    hub.start("quiet", "Wait", None);
    hub.start("busy", "Wait", None);
    hub.submit(Request::Raise { id: "busy".into(), name: "x".into(), input: None });
    while hub.run_at_hand() {}
    let reads = [
        Request::Get("busy".into()),
        Request::History("busy".into()),
        Request::Purge("busy".into()),
        Request::Rewind { id: "busy".into(), reason: None },
        Request::Get("quiet".into()),
        Request::History("quiet".into()),
    ];
    let ids: Vec<_> = reads.into_iter().map(|read| hub.submit(read)).collect();
    while hub.run_at_hand() {}
    let answered = |hub: &Hub| ids.iter().map(|id| hub.reply(*id).is_some()).collect::<Vec<_>>();
    assert_eq!(answered(&hub), [false, false, false, false, true, true]);
    hub.run();
    assert_eq!(answered(&hub), [true; 6]);
}

/// That somebody is gone is news like any other.
#[test]
fn a_read_of_what_is_being_purged_waits() {
    let mut hub = Hub::new(Mode::Slow);
    hub.orchestrator("Done", |_| Some("x".into()));
    hub.start("d", "Done", None);
    let purge = hub.submit(Request::Purge("d".into()));
    let get = hub.submit(Request::Get("d".into()));
    let start = hub.submit(Request::Start(Box::new(duramen_core::request::Start {
        request: create("d", "Done", None),
        fresh: false,
        on_existing: OnExisting::Reject,
    })));
    while hub.run_at_hand() {}
    assert!(hub.reply(purge).is_none() && hub.reply(get).is_none() && hub.reply(start).is_none());
    hub.run();
    assert!(matches!(hub.reply(purge), Some(Reply::Purged(true))));
    assert!(matches!(hub.reply(get), Some(Reply::State(None))));
    assert!(matches!(hub.reply(start), Some(Reply::Started { .. })));
}

/// Invariant 2: what an episode came to is in one checkpoint.
#[test]
fn an_episode_lands_whole() {
    let mut hub = Hub::new(Mode::Plain);
    hub.go_remote();
    hub.orchestrator("All", |o| {
        o.custom_status = Some("s".into());
        o.act(schedule(1, "A", None));
        o.act(create_timer(2, Time::new(5_000, 0)));
        o.act(create_child(3, "kid", "Kid", None));
        o.act(send(4, "kid", "e", None));
        o.event("go", 0)
    });
    hub.hold("A");
    hub.start("a", "All", None);
    let run = hub.stored("a").expect("there").head.run;
    let whole = hub.checkpoints.iter().find(|(_, checkpoint)| {
        checkpoint.deltas.iter().any(|delta| matches!(&delta.change, Some(Change::History(parts)) if parts.run == run))
    });
    let (_, whole) = whole.expect("the episode landed");
    let has = |what: fn(&Change) -> bool| whole.deltas.iter().any(|delta| delta.change.as_ref().is_some_and(what));
    assert!(has(|change| matches!(change, Change::Taken(_))), "the inbox");
    assert!(has(|change| matches!(change, Change::Task(_))), "the task");
    assert!(has(|change| matches!(change, Change::Timer(_))), "the timer");
    assert!(has(|change| matches!(change, Change::CustomStatus(_))), "the status");
    assert!(has(|change| matches!(change, Change::Tail(_))), "the instance");
    assert!(has(|change| matches!(change, Change::Sent(_) | Change::Head(_))), "the child");
}

/// Invariant 8: idle instances leave memory.
#[test]
fn what_is_idle_leaves_memory_and_comes_back_as_it_was() {
    let mut hub = Hub::new(Mode::Evict);
    hub.orchestrator("Wait", |o| {
        o.act(create_timer(1, Time::new(50_000, 0)));
        o.event("go", 0)
    });
    for n in 0..200 {
        hub.start(&format!("w{n}"), "Wait", None);
    }
    assert_eq!(hub.partition(0).resident(), 0);
    assert!(hub.partition(0).idle());
    for n in 0..200 {
        hub.raise(&format!("w{n}"), "go", Some("x"));
    }
    for n in 0..200 {
        assert_eq!(hub.outcome(&format!("w{n}")), "COMPLETED x");
    }
}

#[test]
fn what_has_ended_leaves_memory_in_any_case() {
    let mut hub = Hub::new(Mode::Plain);
    steps(&mut hub, 3);
    for n in 0..50 {
        hub.start(&format!("s{n}"), "Steps", None);
    }
    assert_eq!(hub.partition(0).resident(), 0);
    assert_eq!(hub.outcome("s7"), "COMPLETED end");
}

/// A payload is written once: later changes point to it.
#[test]
fn a_payload_is_in_the_journal_once() {
    let mut hub = Hub::new(Mode::Plain);
    let marker = "p".repeat(10_000);
    let input = marker.clone();
    hub.orchestrator("Carry", move |o| o.call(1, "A", Some(&input)));
    hub.activity("A", |_| Ok("r".repeat(10_000)));
    hub.start("c", "Carry", Some(&"i".repeat(10_000)));
    assert_eq!(hub.status("c"), Status::Completed);
    let written: usize = hub.checkpoints.iter().map(|(_, checkpoint)| prost::Message::encoded_len(checkpoint)).sum();
    // Its own input, the activity's, the result, the output.
    assert!(written < 4 * 10_000 + 4_000, "{written} bytes");
}

/// An item that waited for a worker shows what is durable when it is handed out, and no more.
#[test]
fn a_remote_worker_is_not_shown_what_came_while_its_item_waited() {
    for control in [false, true] {
        let mut hub = Hub::new(Mode::Slow);
        hub.orchestrator("Wait", |o| o.event("go", 0));
        hub.start("w", "Wait", None);
        hub.leave(WORKER);
        hub.raise("w", "durable", None);
        let late = if control {
            Request::Suspend { id: "w".into(), reason: None }
        } else {
            Request::Raise { id: "w".into(), name: "late".into(), input: None }
        };
        hub.submit(late);
        while hub.run_at_hand() {}
        let before = hub.episodes.len();
        // The worker comes before the last request is durable.
        hub.join(WorkerId(2), remote());
        let shown: Vec<Vec<String>> = hub.episodes[before..].iter().map(|work| text::lines(&work.new)).collect();
        let expected: &[&[&str]] = if control {
            &[&["OrchestratorStarted", "ExecutionSuspended"]]
        } else {
            &[&["OrchestratorStarted", "EventRaised durable"], &["OrchestratorStarted", "EventRaised late"]]
        };
        assert_eq!(shown, expected);
    }
}

/// The same for what an episode came to whose answer was late: the offer of the item that it answered
/// is about another one by then.
#[test]
fn a_remote_worker_is_not_shown_a_past_that_is_not_durable() {
    let mut hub = Hub::new(Mode::Plain);
    hub.orchestrator("Two", |o| {
        o.event("a", 0)?;
        o.event("b", 0)
    });
    hub.go_remote();
    hub.start("t", "Two", None);
    hub.hold("Two");
    hub.raise("t", "a", None);
    let (worker, first) = hub.take_held();
    hub.raise("t", "b", Some("x"));
    hub.leave(worker);
    // Nobody has been handed the item since: the answer is taken, and not durable yet.
    hub.stalled = true;
    let late = hub.perform(worker, &first);
    hub.answer(worker, late);
    hub.join(WorkerId(2), remote());
    assert!(hub.held.is_empty(), "{:?}", hub.held);
    hub.stalled = false;
    hub.run();
    let (worker, second) = hub.take_held();
    let answer = hub.perform(worker, &second);
    hub.answer(worker, answer);
    assert_eq!(hub.outcome("t"), "COMPLETED x");
}

/// And for what counts against an item: the next worker gets it when that is durable, although an offer of an item
/// before it may be left.
#[test]
fn an_item_that_was_lost_goes_to_the_next_remote_worker_when_the_loss_is_durable() {
    let mut hub = Hub::new(Mode::Plain);
    hub.orchestrator("Two", |o| {
        o.event("a", 0)?;
        o.event("b", 0)
    });
    hub.go_remote();
    hub.start("t", "Two", None);
    hub.hold("Two");
    hub.leave(WORKER);
    answer_late(&mut hub, WorkerId(2), "a");
    hub.raise("t", "b", Some("x"));
    hub.join(WorkerId(3), one(remote()));
    let (worker, _) = hub.take_held();
    hub.stalled = true;
    hub.leave(worker);
    hub.join(WorkerId(4), one(remote()));
    assert!(hub.held.is_empty(), "{:?}", hub.held);
    hub.stalled = false;
    hub.advance_seconds(5);
    let (worker, second) = hub.take_held();
    let answer = hub.perform(worker, &second);
    hub.answer(worker, answer);
    assert_eq!(hub.outcome("t"), "COMPLETED x");
}

/// Whoever forgets it with the lease is shown it at once; what it makes of it leaves when all that is durable.
#[test]
fn a_remote_worker_that_keeps_sessions_has_its_episode_while_the_cause_is_written() {
    let mut hub = Hub::new(Mode::Slow);
    hub.orchestrator("One", |o| {
        o.event("go", 0)?;
        o.call(1, "A", None)
    });
    hub.activity("A", |_| Ok("a".into()));
    hub.leave(WORKER);
    hub.join(WorkerId(2), remote_with_sessions());
    hub.start("s", "One", None);
    let before = hub.episodes.len();
    let raised = hub.submit(Request::Raise { id: "s".into(), name: "go".into(), input: None });
    while hub.run_at_hand() {}
    assert_eq!(hub.episodes.len(), before + 1);
    assert!(hub.reply(raised).is_none() && hub.ran.borrow().is_empty(), "neither the reply nor the activity");

    // The hub dies before any of it is durable: the client, which has no reply, asks again.
    hub.crash();
    hub.join(WorkerId(3), remote_with_sessions());
    assert_eq!(hub.outcome("s"), "COMPLETED a");
    let again = hub.episodes[before + 1..].first().expect("it has another episode");
    assert!(again.past.is_some(), "nothing is left of the session");
    assert_eq!(*hub.ran.borrow(), ["A"]);
}

fn one(announcement: Announcement) -> Announcement {
    Announcement { orchestrators: 1, ..announcement }
}

/// Has instance t get an event, and a worker answer when it has gone: that leaves an offer of what it has answered.
fn answer_late(hub: &mut Hub, worker: WorkerId, event: &str) {
    hub.raise("t", event, None);
    hub.join(worker, one(remote()));
    let (worker, item) = hub.take_held();
    hub.leave(worker);
    let late = hub.perform(worker, &item);
    hub.answer(worker, late);
}

/// And the same for what a worker of this process had before it was durable: when that one is gone, the
/// item is as it was, and still has to wait, although offers of items before it may be left.
#[test]
fn an_item_of_a_worker_in_this_process_leaves_it_when_its_events_are_durable() {
    let mut hub = Hub::new(Mode::Plain);
    hub.orchestrator("Three", |o| {
        o.event("a", 0)?;
        o.event("b", 0)?;
        o.event("c", 0)
    });
    hub.go_remote();
    hub.start("t", "Three", None);
    hub.hold("Three");
    hub.leave(WORKER);
    for (n, event) in [(2, "a"), (3, "b")] {
        answer_late(&mut hub, WorkerId(n), event);
    }
    hub.stalled = true;
    hub.submit(Request::Raise { id: "t".into(), name: "c".into(), input: Some("x".into()) });
    hub.run();
    hub.join(WorkerId(4), one(in_process()));
    let (worker, _) = hub.take_held();
    assert_eq!(worker, WorkerId(4), "a worker in this process has it at once");
    hub.leave(worker);
    hub.join(WorkerId(5), remote());
    assert!(hub.held.is_empty(), "{:?}", hub.held);
    hub.stalled = false;
    hub.advance_seconds(1);
    let (worker, item) = hub.take_held();
    let answer = hub.perform(worker, &item);
    hub.answer(worker, answer);
    assert_eq!(hub.outcome("t"), "COMPLETED x");
}
