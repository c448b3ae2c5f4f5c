//! Which timers are in memory: those that are due soon, and those that are not settled.

use crate::common::*;
use std::time::Duration;

/// Sleeps for as many milliseconds as its input says, and gives the time at which it woke.
fn sleepers(hub: &mut Hub) {
    hub.orchestrator("Sleep", |o| {
        let due = o.began().plus(Duration::from_millis(o.input()?.parse().ok()?));
        o.timer(1, due)?;
        Some(format!("{}.{:09}", o.now().seconds(), o.now().nanos()))
    });
}

/// One that settles only when the test says so, with a window of ten seconds.
fn hub_of_ten_seconds() -> Hub {
    let mut hub = Hub::new(Mode::Late);
    hub.settles_every = usize::MAX;
    hub.settings.timer_window = Duration::from_secs(10);
    hub.settings.resident = 0;
    hub.reopen(1);
    hub.run();
    hub.stretches.clear();
    sleepers(&mut hub);
    hub
}

fn sleep(hub: &mut Hub, id: &str, ms: u64) {
    hub.start(id, "Sleep", Some(&ms.to_string()));
}

#[test]
fn a_far_timer_leaves_when_it_is_settled_and_comes_back_in_time() {
    let mut hub = hub_of_ten_seconds();
    sleep(&mut hub, "far", 3_600_000);
    sleep(&mut hub, "near", 9_000);
    assert_eq!(hub.footprint().timers, 2);
    hub.settle();
    assert_eq!(hub.footprint().timers, 1, "the far one has left");
    hub.advance_seconds(9);
    assert_eq!(hub.outcome("near"), "COMPLETED 1009.000000000");
    hub.settle();
    assert!(hub.footprint().is_empty(), "{:?}", hub.footprint());
    hub.advance_seconds(3_580);
    assert_eq!(hub.stretches, [], "nothing was asked for while nothing came near");
    hub.advance_seconds(10);
    assert_eq!(hub.stretches.len(), 1);
    assert_eq!(hub.footprint().timers, 1);
    hub.advance_seconds(1);
    assert_eq!(hub.outcome("far"), "COMPLETED 4600.000000000");
}

/// What is not settled is only here.
#[test]
fn a_far_timer_stays_until_it_is_settled() {
    let mut hub = hub_of_ten_seconds();
    sleep(&mut hub, "far", 60_000);
    hub.advance_seconds(60);
    assert_eq!(hub.outcome("far"), "COMPLETED 1060.000000000");
    assert_eq!(hub.stretches, []);
}

/// Years cost two moments, wherever the end of the window is.
#[test]
fn a_timer_that_is_years_away_costs_one_read() {
    let mut hub = hub_of_ten_seconds();
    let years = 50 * 365 * 86_400;
    sleep(&mut hub, "old", years * 1_000);
    hub.settle();
    let mut moments = 0;
    while let Some(next) = hub.deadline() {
        hub.advance(next.since(hub.now));
        moments += 1;
    }
    assert_eq!((moments, hub.stretches.len()), (2, 1));
    assert_eq!(hub.outcome("old"), format!("COMPLETED {}.000000000", 1_000 + years));
}

/// A store with timers far away is read at most once in half a window, and only near one of them.
#[test]
fn an_idle_hub_reads_nothing() {
    let mut hub = hub_of_ten_seconds();
    for n in 0..50 {
        sleep(&mut hub, &format!("a{n}"), 1_000_000 + n);
        sleep(&mut hub, &format!("b{n}"), 2_000_000 + 100 * n);
    }
    hub.settle();
    hub.advance_seconds(990);
    assert_eq!(hub.stretches.len(), 0);
    assert!(hub.footprint().is_empty(), "{:?}", hub.footprint());
    hub.advance_seconds(900);
    assert_eq!(hub.stretches.len(), 1);
    hub.advance_seconds(200);
    assert!((2..=3).contains(&hub.stretches.len()), "{:?}", hub.stretches);
    for n in 0..50 {
        assert!(hub.outcome(&format!("b{n}")).starts_with("COMPLETED"));
    }
}

/// The end of the window moves first, and then the stretch is read: what settles between the two is in
/// the read or stays.
#[test]
fn what_settles_while_a_stretch_is_read_is_not_lost() {
    for settled in ["before the window moves", "before the answer", "after the answer"] {
        let mut hub = hub_of_ten_seconds();
        sleep(&mut hub, "first", 20_000);
        hub.settle();
        hub.advance(Duration::from_millis(14_990));
        // Behind the end, which does not go beyond a timer that is known to be there.
        sleep(&mut hub, "second", 9_000);
        if settled == "before the window moves" {
            hub.settle();
            assert_eq!(hub.footprint().timers, 0);
        }
        hub.stalled = true;
        hub.advance(Duration::from_millis(10));
        assert_eq!(hub.stretches.len(), 1, "{settled}: the stretch is asked for");
        if settled == "before the answer" {
            hub.settle_unheard();
        }
        hub.stalled = false;
        hub.run();
        if settled == "after the answer" {
            hub.settle();
        }
        hub.advance_seconds(20);
        assert_eq!(hub.outcome("first"), "COMPLETED 1020.000000000", "{settled}");
        assert_eq!(hub.outcome("second"), "COMPLETED 1023.990000000", "{settled}");
    }
}

#[test]
fn a_clock_that_jumps_finds_every_timer() {
    let mut hub = hub_of_ten_seconds();
    for n in 1..=100 {
        sleep(&mut hub, &format!("s{n}"), n * 7_000);
    }
    hub.settle();
    hub.now = hub.now.plus(Duration::from_secs(350));
    hub.run();
    for n in 1..=100 {
        let woken = hub.outcome(&format!("s{n}")).starts_with("COMPLETED 1350");
        assert_eq!(woken, n <= 50, "{n}");
    }
    // And back: what is read stays, and nothing fires early.
    hub.now = Time::new(1_340, 0);
    hub.run();
    hub.advance_seconds(400);
    for n in 51..=100 {
        assert_eq!(hub.outcome(&format!("s{n}")), format!("COMPLETED {}.000000000", 1_000 + n * 7));
    }
}

/// After a long time down, what is overdue comes page by page.
#[test]
fn overdue_timers_do_not_come_all_at_once() {
    let mut hub = Hub::new(Mode::Evict);
    hub.audited = false;
    hub.orchestrator("Many", |o| {
        if o.began() == o.now() {
            o.actions.extend((1..=10_000).map(|n| create_timer(n, Time::new(5_000 + i64::from(n % 100), 0))));
        }
        None
    });
    hub.start("m", "Many", None);
    assert_eq!(hub.footprint().timers, 0);
    hub.leave(WORKER);
    hub.now = Time::new(1_000_000, 0);
    hub.reopen(1);
    let mut most = 0;
    while hub.run_at_hand() {
        most = most.max(hub.footprint().timers);
    }
    assert!((4_096..2 * 4_096).contains(&most), "{most} were in memory");
    hub.advance_seconds(1);
    assert_eq!(hub.stored("m").expect("it is there").inbox.len(), 10_000);
}

/// Whatever the window, the settles and the steps of the clock: each fires at its moment.
#[test]
fn every_timer_fires_at_its_moment() {
    for seed in 1..=30u64 {
        let mut state = seed;
        let mut roll = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut hub = hub_of_ten_seconds();
        hub.settings.timer_window = Duration::from_millis([1, 100, 1_000, 7_000][roll(4) as usize]);
        hub.reopen(1);
        hub.run();
        let mut due = Vec::new();
        for n in 0..60 {
            let ms = [roll(50), roll(3_000), roll(40_000)][roll(3) as usize];
            sleep(&mut hub, &format!("s{n}"), ms);
            due.push(hub.now.plus(Duration::from_millis(ms)));
            match roll(4) {
                0 => hub.settle(),
                1 => hub.settle_unheard(),
                2 => hub.advance(Duration::from_millis(roll(4_000))),
                _ => {}
            }
        }
        hub.advance_seconds(60);
        for (n, due) in due.iter().enumerate() {
            let woken = format!("COMPLETED {}.{:09}", due.seconds(), due.nanos());
            let found = hub.outcome(&format!("s{n}"));
            // One that is due at once is woken in an episode of its own, a moment later.
            assert!(
                found == woken || found == format!("{}1000", &woken[..woken.len() - 4]),
                "{seed}, {n}: {found} {woken}"
            );
        }
        hub.settle();
        hub.advance_seconds(10);
        assert!(hub.footprint().is_empty(), "{seed}: {:?}", hub.footprint());
        assert_eq!(hub.deadline(), None);
    }
}
