//! What is in memory, and what comes back (invariants 8 and 11).

use crate::common::*;
use duramen_core::checkpoint::{Outstanding, Ready};
use duramen_core::ids::{Epoch, PartitionId, Slot, StoreId};
use duramen_core::limits::{LEAVE_AT_A_TIME, Settings};
use duramen_core::partition::{Config, Effect, Partition};
use duramen_core::work::WorkKind;

fn waiting(hub: &mut Hub) {
    hub.orchestrator("Wait", |o| o.event("go", 0));
}

/// A hub with settings of the test's own.
fn hub_with(mode: Mode, change: impl FnOnce(&mut Settings)) -> Hub {
    let mut hub = Hub::new(mode);
    change(&mut hub.settings);
    hub.reopen(1);
    hub.run();
    waiting(&mut hub);
    hub
}

#[test]
fn an_idle_instance_leaves_after_its_time_and_an_event_brings_it_back() {
    let mut hub = hub_with(Mode::Plain, |_| ());
    for n in 0..20 {
        hub.start(&format!("w{n}"), "Wait", None);
    }
    hub.advance_seconds(9);
    assert_eq!(hub.partition(0).resident(), 20);
    hub.status("w7");
    hub.advance_seconds(1);
    assert_eq!(hub.partition(0).resident(), 1, "the one that was looked at stays a little longer");
    hub.advance_seconds(9);
    assert!(hub.footprint().is_empty(), "{:?}", hub.footprint());
    assert_eq!(hub.ended_sessions.len(), 20, "the worker forgets them too");
    assert_eq!(hub.deadline(), None);

    hub.loads.clear();
    hub.raise("w3", "go", Some("x"));
    assert_eq!(hub.loads, ["w3"]);
    assert_eq!(hub.outcome("w3"), "COMPLETED x");
}

#[test]
fn what_is_not_settled_stays() {
    let mut hub = hub_with(Mode::Late, |settings| settings.resident = 0);
    // The harness settles now and then; here it is the test that does.
    hub.settles_every = usize::MAX;
    for n in 0..5 {
        hub.start(&format!("w{n}"), "Wait", None);
    }
    hub.advance_seconds(1_000);
    assert_eq!(hub.partition(0).resident(), 5);
    hub.settle();
    assert!(hub.footprint().is_empty(), "{:?}", hub.footprint());
}

#[test]
fn of_too_many_those_that_were_touched_first_leave_at_once() {
    let mut hub = hub_with(Mode::Plain, |settings| settings.resident = 3);
    for n in 0..5 {
        hub.start(&format!("w{n}"), "Wait", None);
        hub.advance_seconds(1);
    }
    assert_eq!(hub.partition(0).resident(), 3);
    hub.loads.clear();
    // 2 is the oldest that is there, and is looked at: 3 goes instead when 0 comes.
    hub.status("w2");
    hub.advance_seconds(1);
    hub.status("w0");
    hub.status("w2");
    hub.status("w4");
    assert_eq!(hub.loads, ["w0"]);
    hub.status("w3");
    assert_eq!(hub.loads, ["w0", "w3"]);
}

/// The loop is not held up by a large settle.
#[test]
fn a_bounded_number_leaves_at_a_time() {
    let count = 3 * LEAVE_AT_A_TIME + 10;
    let mut hub = hub_with(Mode::Late, |settings| settings.resident = usize::MAX);
    hub.settles_every = usize::MAX;
    hub.orchestrator("Done", |_| Some("x".into()));
    for n in 0..count {
        hub.submit(Request::Start(Box::new(duramen_core::request::Start {
            request: create(&format!("d{n}"), "Done", None),
            fresh: true,
            on_existing: OnExisting::Reject,
        })));
    }
    hub.run();
    assert_eq!(hub.partition(0).resident(), count);
    hub.settle_unheard();
    let mut before = count;
    while before > 0 {
        assert!(hub.run_at_hand());
        let left = hub.partition(0).resident();
        assert!(before - left <= LEAVE_AT_A_TIME, "{left} of {before} are left");
        before = left;
    }
    hub.run();
    assert!(hub.footprint().is_empty(), "{:?}", hub.footprint());
}

/// The dispatcher has a reference, whatever is in memory: one, however often the instance comes back.
#[test]
fn an_episode_that_nobody_takes_is_offered_once() {
    for mode in [Mode::Plain, Mode::Evict, Mode::Late] {
        let mut hub = hub_with(mode, |_| ());
        hub.leave(WORKER);
        for n in 0..10 {
            hub.start(&format!("w{n}"), "Wait", None);
        }
        hub.settle();
        hub.advance_seconds(20);
        assert_eq!(hub.partition(0).resident(), 0, "{mode:?}");
        assert_eq!(hub.footprint().items, 10, "{mode:?}: the references are remembered");
        for round in 0..5 {
            for n in 0..10 {
                hub.raise(&format!("w{n}"), "go", Some(&round.to_string()));
            }
            hub.settle();
            hub.advance_seconds(20);
            assert_eq!(hub.partition(0).resident(), 0, "{mode:?}");
        }
        assert_eq!(hub.waiting(WorkKind::Orchestrator), 10, "{mode:?}: each is offered once");
        hub.join(WorkerId(2), in_process());
        for n in 0..10 {
            assert_eq!(hub.outcome(&format!("w{n}")), "COMPLETED 0", "{mode:?}");
        }
        assert_eq!(hub.episodes.len(), 10, "{mode:?}: one episode took all");
        hub.settle();
        assert!(hub.footprint().is_empty(), "{mode:?}: {:?}", hub.footprint());
        assert_eq!(hub.waiting(WorkKind::Orchestrator), 0);
    }
}

/// A worker that goes before its item is loaded: somebody else gets it.
#[test]
fn a_grant_for_one_that_is_not_in_memory_outlives_its_worker() {
    let mut hub = hub_with(Mode::Evict, |_| ());
    hub.leave(WORKER);
    hub.start("w", "Wait", None);
    hub.raise("w", "go", Some("x"));
    assert_eq!(hub.partition(0).resident(), 0);
    hub.stalled = true;
    hub.join(WorkerId(2), in_process());
    assert_eq!(hub.loads.last().map(String::as_str), Some("w"));
    hub.leave(WorkerId(2));
    hub.stalled = false;
    hub.run();
    assert_eq!(hub.waiting(WorkKind::Orchestrator), 1);
    hub.join(WorkerId(3), in_process());
    assert_eq!(hub.outcome("w"), "COMPLETED x");
    assert!(hub.footprint().is_empty(), "{:?}", hub.footprint());
}

#[test]
fn an_instance_whose_activities_wait_may_leave() {
    let mut hub = hub_with(Mode::Plain, |_| ());
    hub.orchestrator("Two", |o| {
        let both = [o.call(1, "A", Some("1")), o.call(2, "A", Some("2"))];
        both.iter().all(Option::is_some).then(|| both.map(Option::unwrap).join(","))
    });
    hub.activity("A", |input| Ok(format!("did {input}")));
    hub.leave(WORKER);
    hub.join(WorkerId(2), duramen_core::work::Announcement { activities: 0, ..in_process() });
    hub.start("t", "Two", None);
    hub.advance_seconds(10);
    assert!(hub.footprint().is_empty(), "{:?}", hub.footprint());
    assert_eq!(hub.waiting(WorkKind::Activity), 2);
    hub.join(WorkerId(3), duramen_core::work::Announcement { orchestrators: 0, ..in_process() });
    assert_eq!(hub.outcome("t"), "COMPLETED did 1,did 2");
    assert_eq!(*hub.ran.borrow(), ["A", "A"]);
}

#[test]
fn one_that_is_not_in_memory_is_purged() {
    check_in(&[Mode::Evict, Mode::Late], |hub| {
        waiting(hub);
        hub.orchestrator("Done", |_| Some("x".into()));
        hub.start("d", "Done", None);
        hub.start("w", "Wait", None);
        hub.settle();
        hub.advance_seconds(20);
        assert_eq!(hub.partition(0).resident(), 0);
        assert!(matches!(hub.ask(Request::Purge("w".into())), Reply::Purged(false)));
        assert!(matches!(hub.ask(Request::Purge("d".into())), Reply::Purged(true)));
        assert!(hub.find("d").is_none());
        hub.start("d", "Wait", None);
        assert_eq!(hub.status("d"), Status::Running);
        hub.settle();
        hub.advance_seconds(20);
        assert!(hub.footprint().is_empty(), "{:?}", hub.footprint());
    });
}

/// What waits in inboxes when a hub begins is offered and not loaded.
#[test]
fn a_hundred_thousand_ready_instances_are_not_loaded() {
    let ready = |n: u64| Ready {
        birth: n,
        run: n,
        id: format!("r{n}").into(),
        name: "Wait".into(),
        version: None,
        terminating: n.is_multiple_of(10_000),
        held: None,
    };
    let outstanding = Outstanding { ready: (1..=100_000).map(ready).collect(), ..Outstanding::default() };
    let config = Config {
        id: PartitionId(0),
        epoch: Epoch(1),
        store: StoreId(1),
        slots: (0..=255).map(Slot).collect(),
        settings: Settings::default(),
    };
    let (partition, out) = Partition::open(config, outstanding, Time::new(1_000, 0));
    let offers = out.iter().filter(|effect| matches!(effect, Effect::Offer(offer) if &*offer.name == "Wait")).count();
    let loads = out.iter().filter(|effect| matches!(effect, Effect::Load(_))).count();
    assert_eq!((offers, loads), (99_990, 10), "only who is to be terminated is loaded");
    assert_eq!(partition.resident(), 0);
}

/// One that is suspended, or still to start, has something in its inbox and is due nothing: that is
/// found out once, when a worker has room.
#[test]
fn what_is_not_due_gives_the_credit_back_and_is_not_offered_again() {
    for mode in [Mode::Plain, Mode::Evict, Mode::Late] {
        let mut hub = hub_with(mode, |_| ());
        let later = Time::new(200_000, 0);
        for n in 0..10 {
            hub.start(&format!("s{n}"), "Wait", None);
            hub.suspend(&format!("s{n}"));
            hub.raise(&format!("s{n}"), "go", Some("x"));
            let request = duramen_proto::CreateInstanceRequest {
                scheduled_start_timestamp: Some(later.into()),
                ..create(&format!("l{n}"), "Wait", None)
            };
            hub.start_with(request, OnExisting::Reject);
        }
        hub.settle();
        hub.loads.clear();
        hub.crash();
        hub.run();
        assert_eq!(hub.loads.len(), 20, "{mode:?}: each is looked at once");
        hub.advance_seconds(100);
        hub.settle();
        assert_eq!(hub.loads.len(), 20, "{mode:?}");
        assert!(hub.footprint().is_empty(), "{mode:?}: {:?}", hub.footprint());
        hub.resume("s3");
        assert_eq!(hub.outcome("s3"), "COMPLETED x", "{mode:?}");
        hub.advance_seconds(200_000);
        hub.raise("l3", "go", Some("y"));
        assert_eq!(hub.outcome("l3"), "COMPLETED y", "{mode:?}");
    }
}
