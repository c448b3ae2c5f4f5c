//! Items that no worker survives: what counts against them, and what becomes of them when that is too much
//! (trap 28 for what does not count).

use crate::common::*;
use crate::episodes::chain;
use duramen_core::checkpoint::{LossCause, Losses};
use duramen_core::partition::{HeldItem, HeldKey, Verdict};
use duramen_core::work::{Announcement, ItemBytes};
use std::time::Duration;

fn named(name: &str) -> Announcement {
    Announcement { name: name.into(), ..remote() }
}

/// A hub in which two dispatches that count are too many, and whose workers are elsewhere.
fn strict(hub: &mut Hub) {
    hub.settings.hold_after = 2;
    hub.reopen(hub.partitions());
    hub.leave(WORKER);
    chain(hub);
    hub.orchestrator("Wait", |o| o.event("go", 0));
}

/// The next worker takes the one item that there is and is lost with it.
fn lose(hub: &mut Hub, n: u64) {
    hub.join(WorkerId(n), named(&format!("worker-{n}")));
    hub.advance_seconds(1);
    let (worker, _) = hub.take_held();
    assert_eq!(worker, WorkerId(n));
    hub.leave(worker);
}

/// A started chain, held because of its first episode, or of its activity `A`.
fn held(hub: &mut Hub, what: &str) -> HeldItem {
    strict(hub);
    hub.start("c", "Chain", Some("x"));
    hub.hold(what);
    lose(hub, 2);
    lose(hub, 3);
    hub.held_item()
}

fn causes(losses: &Losses) -> Vec<(&str, LossCause)> {
    losses.all.iter().map(|loss| (loss.worker.as_str(), loss.cause())).collect()
}

/// Nobody is given anything, however long it takes.
fn rests(hub: &mut Hub, n: u64) {
    hub.join(WorkerId(n), remote());
    hub.advance_seconds(1_000);
    assert!(hub.held.is_empty(), "{:?}", hub.held);
}

#[test]
fn an_item_that_no_worker_survives_is_held_and_shown_with_its_workers() {
    for what in ["Chain", "A"] {
        check_without_crashes(|hub| {
            let item = held(hub, what);
            assert_eq!((item.instance.as_str(), &*item.name), ("c", what));
            let lost = LossCause::Disconnected;
            assert_eq!(causes(&item.losses), [("worker-2", lost), ("worker-3", lost)]);
            assert!(
                item.losses
                    .all
                    .iter()
                    .all(|loss| loss.given.is_some() && loss.lost.map(Time::from) >= loss.given.map(Time::from))
            );
            rests(hub, 4);
            hub.settle();
            hub.advance_seconds(60);
            rests(hub, 5);
            assert_eq!(hub.held_item(), item);
        });
    }
}

#[test]
fn what_counts_outlives_the_process_and_a_restart_does_not_count() {
    for what in ["Chain", "A"] {
        check_without_crashes(|hub| {
            strict(hub);
            hub.start("c", "Chain", Some("x"));
            hub.hold(what);
            lose(hub, 2);
            for n in 3..8 {
                hub.join(WorkerId(n), remote());
                hub.advance_seconds(1);
                hub.take_held();
                // The hub dies, and all its workers' connections with it.
                hub.workers_vanish();
                hub.crash();
                assert_eq!(hub.held_items(), []);
            }
            lose(hub, 9);
            let item = hub.held_item();
            assert_eq!(item.losses.all.len(), 2);
            hub.crash();
            assert_eq!(hub.held_item(), item);
            rests(hub, 10);
            hub.decide(&item, Verdict::Retry);
            hub.release(what);
            assert_eq!(hub.outcome("c"), "COMPLETED xab");
            assert_eq!(hub.held_items(), []);
        });
    }
}

#[test]
fn the_operator_has_it_tried_again_with_nothing_counted() {
    for what in ["Chain", "A"] {
        check_without_crashes(|hub| {
            let item = held(hub, what);
            hub.decide(&item, Verdict::Retry);
            assert_eq!(hub.held_items(), []);
            lose(hub, 4);
            assert_eq!(hub.held_items(), [], "it takes two again");
            hub.join(WorkerId(5), remote());
            hub.advance_seconds(1);
            hub.release(what);
            assert_eq!(hub.outcome("c"), "COMPLETED xab");
            assert!(matches!(hub.refused(decide(&item, Verdict::Fail)), Refusal::WrongStatus { .. }));
            assert!(matches!(hub.refused(decide(&item, Verdict::Retry)), Refusal::WrongStatus { .. }));
        });
    }
}

fn decide(item: &HeldItem, verdict: Verdict) -> Request {
    Request::Decide { id: item.instance.clone(), key: item.key, verdict }
}

#[test]
fn an_instance_that_the_operator_fails_says_why_and_can_be_rewound() {
    check_without_crashes(|hub| {
        let item = held(hub, "Chain");
        hub.decide(&item, Verdict::Fail);
        let state = hub.state("c");
        let failure = state.failure_details.clone().expect("it has failed");
        assert_eq!((state.orchestration_status(), failure.error_type.as_str()), (Status::Failed, "PoisonedWorkItem"));
        assert!(failure.is_non_retriable, "an operator has decided it");
        for named in ["2 workers", "worker-2", "worker-3", "its connection was lost"] {
            assert!(failure.error_message.contains(named), "{failure:?}");
        }
        let lines = text::lines(&hub.events("c"));
        assert_eq!(lines[..2], ["OrchestratorStarted", "ExecutionStarted Chain \"x\""]);
        assert_eq!(lines.len(), 3);
        assert_eq!(hub.held_items(), []);
        hub.done(Request::Rewind { id: "c".into(), reason: None });
        hub.join(WorkerId(4), remote());
        hub.release("Chain");
        assert_eq!(hub.outcome("c"), "COMPLETED xab", "what it had taken is in its history");
    });
}

#[test]
fn an_orchestrator_sees_an_activity_that_the_operator_fails() {
    check_without_crashes(|hub| {
        let item = held(hub, "A");
        hub.join(WorkerId(4), remote());
        hub.decide(&item, Verdict::Fail);
        let outcome = hub.outcome("c");
        assert!(outcome.starts_with("FAILED PoisonedWorkItem(2 workers were given this work item"), "{outcome}");
        assert_eq!((hub.held_items(), hub.held.len()), (vec![], 0));
        hub.settle();
        hub.advance_seconds(60);
        assert_eq!((hub.footprint().items, hub.footprint().held), (0, 0));
    });
}

#[test]
fn giving_back_drain_and_a_worker_of_this_process_do_not_count() {
    for what in ["Chain", "A"] {
        check_without_crashes(|hub| {
            strict(hub);
            hub.start("c", "Chain", Some("x"));
            hub.hold(what);
            for n in 2..30 {
                hub.join(WorkerId(n), if n % 3 == 0 { in_process() } else { remote() });
                hub.advance_seconds(100);
                let (worker, item) = hub.take_held();
                match n % 3 {
                    0 => hub.leave(worker),
                    1 => hub.drain(worker),
                    _ => {
                        hub.answer(worker, Answer::Abandoned(item.token, "not mine".into()));
                        hub.drain(worker);
                    }
                }
            }
            assert_eq!(hub.held_items(), []);
            hub.release(what);
            hub.join(WorkerId(30), remote());
            hub.advance_seconds(100);
            assert_eq!(hub.outcome("c"), "COMPLETED xab");
        });
    }
}

#[test]
fn what_takes_too_long_counts_and_may_still_be_answered_when_it_is_held() {
    check_without_crashes(|hub| {
        hub.settings.activity_limit = Some(Duration::from_secs(7));
        for what in ["Chain", "A"] {
            strict(hub);
            hub.start(what, "Chain", Some("x"));
            hub.hold(what);
            let worker = WorkerId(40);
            hub.join(worker, named("slow"));
            hub.advance_seconds(1_000);
            let item = hub.held_item();
            assert_eq!(causes(&item.losses), [("slow", LossCause::Overdue); 2]);
            let (_, last) = hub.held.pop().expect("it was given out twice");
            hub.held.clear();
            let answer = hub.perform(worker, &last);
            hub.answer(worker, answer);
            assert_eq!(hub.held_items(), []);
            hub.release(what);
            assert_eq!(hub.outcome(what), "COMPLETED xab");
            hub.leave(worker);
        }
    });
}

/// Each is written off in a process of its own.
#[test]
fn what_is_written_off_counts() {
    check_without_crashes(|hub| {
        strict(hub);
        hub.hold("Wait");
        hub.join(WorkerId(2), Announcement { name: "thread".into(), ..in_process() });
        hub.start("w", "Wait", None);
        for _ in 0..2 {
            let (worker, item) = hub.take_held();
            hub.answer(worker, Answer::WrittenOff(item.token));
            hub.crash();
            hub.run();
        }
        let item = hub.held_item();
        assert_eq!(causes(&item.losses), [("thread", LossCause::WrittenOff); 2]);
        hub.raise("w", "go", Some("x"));
        assert!(hub.held.is_empty());
        hub.decide(&item, Verdict::Retry);
        hub.release("Wait");
        assert_eq!(hub.outcome("w"), "COMPLETED x");
    });
}

/// The pause grows with what counts, which a restart does not forget.
#[test]
fn what_was_lost_often_waits_longer() {
    check_without_crashes(|hub| {
        strict(hub);
        hub.settings.hold_after = 20;
        hub.reopen(1);
        hub.hold("Wait");
        hub.start("w", "Wait", None);
        let mut pauses = Vec::new();
        for n in 2..=21 {
            hub.join(WorkerId(n), remote());
            let from = hub.now;
            while hub.held.is_empty() {
                let next = hub.deadline().expect("it will be offered again");
                hub.advance(next.since(hub.now));
            }
            pauses.push(hub.now.since(from).as_millis());
            let (worker, _) = hub.take_held();
            hub.leave(worker);
        }
        assert_eq!(pauses[..5], [0, 0, 100, 200, 400]);
        assert_eq!(pauses[19], 60_000);
        assert_eq!(hub.held_item().losses.all.len(), 20);
    });
}

#[test]
fn a_dispatch_that_counts_costs_one_checkpoint_and_any_other_none() {
    for (what, begin) in [("Chain", 0), ("A", 1)] {
        check_in(&[Mode::Plain, Mode::Evict], |hub| {
            strict(hub);
            hub.start("c", "Chain", Some("x"));
            hub.hold(what);
            let before = hub.checkpoints.len();
            lose(hub, 2);
            hub.join(WorkerId(3), remote());
            hub.advance_seconds(1);
            hub.take_held();
            assert_eq!(hub.checkpoints.len() - before, 1 + begin, "the activity is begun by an episode");
        });
    }
}

#[test]
fn a_held_episode_is_in_the_way_of_nothing() {
    check_without_crashes(|hub| {
        held(hub, "Chain");
        hub.suspend("c");
        assert_eq!(hub.status("c"), Status::Suspended);
        hub.resume("c");
        hub.raise("c", "more", None);
        rests(hub, 4);
        hub.terminate("c", "enough", false);
        assert_eq!(hub.outcome("c"), "TERMINATED enough", "at once: no worker will answer");
        assert_eq!(hub.held_items(), []);
        assert!(matches!(hub.ask(Request::Purge("c".into())), Reply::Purged(true)));
        hub.settle();
        hub.advance_seconds(60);
        assert_eq!((hub.footprint().instances, hub.footprint().items, hub.footprint().held), (0, 0, 0));
    });
}

#[test]
fn a_suspended_instance_can_be_failed() {
    check_without_crashes(|hub| {
        let item = held(hub, "Chain");
        hub.suspend("c");
        hub.workers_vanish();
        hub.crash();
        hub.decide(&item, Verdict::Fail);
        assert!(hub.outcome("c").starts_with("FAILED PoisonedWorkItem"));
        assert_eq!(text::lines(&hub.events("c"))[1], "ExecutionStarted Chain \"x\"");
    });
}

#[test]
fn a_held_activity_goes_with_its_instance() {
    check_without_crashes(|hub| {
        let item = held(hub, "A");
        hub.join(WorkerId(4), remote());
        // One takes its place: what the old one held is over.
        let live = vec![Status::Running, Status::Terminated];
        hub.hold("Chain");
        hub.start_with(create("c", "Chain", Some("y")), OnExisting::Replace(live));
        assert_eq!(hub.held_items(), []);
        assert!(matches!(hub.refused(decide(&item, Verdict::Retry)), Refusal::WrongStatus { .. }));
        assert!(matches!(
            hub.refused(Request::Decide { id: "x".into(), key: item.key, verdict: Verdict::Fail }),
            Refusal::NotFound(_)
        ));
    });
}

/// One that its instance left behind is held until the operator or a purge ends it.
#[test]
fn what_was_left_behind_and_is_held_goes_with_a_purge() {
    check_without_crashes(|hub| {
        strict(hub);
        hub.orchestrator("Leaves", |o| {
            o.act(schedule(1, "A", None));
            Some("left".into())
        });
        hub.hold("A");
        hub.start("l", "Leaves", None);
        lose(hub, 2);
        lose(hub, 3);
        assert_eq!(hub.outcome("l"), "COMPLETED left");
        hub.settle();
        hub.advance_seconds(60);
        let item = hub.held_item();
        assert!(matches!(item.key, HeldKey::Task(..)));
        assert!(matches!(hub.ask(Request::Purge("l".into())), Reply::Purged(true)));
        assert_eq!(hub.held_items(), []);
    });
}

fn small(most: usize, streams_history: bool) -> Announcement {
    Announcement { item_bytes: Some(most), streams_history, ..remote() }
}

/// What the door says of an item that it could not send.
fn too_large(hub: &mut Hub, bytes: ItemBytes) {
    let (worker, item) = hub.take_held();
    hub.answer(worker, Answer::TooLarge(item.token, bytes));
}

#[test]
fn what_is_too_large_waits_for_a_worker_that_takes_it_and_holds_nobody_up() {
    check_without_crashes(|hub| {
        strict(hub);
        hub.hold("Wait");
        hub.join(WorkerId(2), small(100, false));
        hub.start("large", "Wait", None);
        too_large(hub, ItemBytes { whole: 150, bare: 0 });
        hub.advance_seconds(1_000);
        assert!(hub.held.is_empty(), "it is not tried with the same worker again");
        hub.start("other", "Wait", None);
        assert_eq!(hub.held.len(), 1, "one of the same function goes past it");
        hub.join(WorkerId(3), small(100, true));
        assert_eq!(hub.held.len(), 2, "a worker that fetches histories takes it");
        assert_eq!(hub.held_items(), [], "nothing of that counts");
    });
}

#[test]
fn what_is_too_large_fails_its_instance_where_that_is_wanted() {
    for what in ["Chain", "A"] {
        check_without_crashes(|hub| {
            hub.settings.fail_oversized = true;
            strict(hub);
            hub.hold(what);
            hub.join(WorkerId(2), small(100, false));
            hub.start("c", "Chain", Some("x"));
            too_large(hub, ItemBytes { whole: 150, bare: 150 });
            let outcome = hub.outcome("c");
            assert!(outcome.starts_with("FAILED WorkItemTooLarge"), "{outcome}");
            assert!(outcome.contains("150 bytes") && outcome.contains("more than 100"), "{outcome}");
        });
    }
}
