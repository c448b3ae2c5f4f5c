//! Durable timers (1.4; traps 18, 20).

use crate::common::*;
use std::time::Duration;

#[test]
fn a_timer_fires_at_its_time_and_never_before() {
    check(|hub| {
        hub.orchestrator("Sleep", |o| {
            o.timer(1, Time::new(1_010, 123_456_789))?;
            Some("awake".into())
        });
        hub.start("s", "Sleep", None);
        hub.advance(Duration::new(10, 123_456_788));
        assert_eq!(hub.status("s"), Status::Running);
        hub.advance(Duration::new(0, 1));
        hub.expect_history(
            "s",
            r##"
            OrchestratorStarted
            ExecutionStarted Sleep
            #1 TimerCreated 1010.123456789s
            OrchestratorStarted
            TimerFired #1 1010.123456789s
            #2 ExecutionCompleted COMPLETED "awake"
            "##,
        );
        let second = text::decode(&hub.events("s")).remove(3);
        assert_eq!(text::seconds(second.timestamp), "1010.123456789s");
    });
}

#[test]
fn a_past_time_fires_at_once_in_an_episode_of_its_own() {
    check(|hub| {
        for (id, at) in [("past", Time::EPOCH), ("now", hub.now)] {
            hub.orchestrator(id, move |o| {
                o.timer(0, at)?;
                Some("awake".into())
            });
            hub.start(id, id, None);
            assert_eq!(hub.outcome(id), "COMPLETED awake");
            let lines = text::lines(&hub.events(id));
            assert_eq!(lines.iter().filter(|line| *line == "OrchestratorStarted").count(), 2);
        }
    });
}

#[test]
fn a_timer_may_be_years_away() {
    check(|hub| {
        let years = 50 * 365 * 86_400;
        hub.orchestrator("Long", move |o| {
            o.sleep(1, years)?;
            Some("old".into())
        });
        hub.start("l", "Long", None);
        hub.advance_seconds(years - 1);
        assert_eq!(hub.status("l"), Status::Running);
        hub.advance_seconds(1);
        assert_eq!(hub.outcome("l"), "COMPLETED old");
    });
}

#[test]
fn timers_fire_in_the_order_of_their_times() {
    check(|hub| {
        hub.orchestrator("Many", |o| {
            let due: Vec<bool> = (1..=5).map(|n| o.timer(n, Time::new(1_010 - i64::from(n), 0)).is_some()).collect();
            due.iter().all(|due| *due).then(|| "all".into())
        });
        hub.start("m", "Many", None);
        hub.advance_seconds(3_600);
        assert_eq!(hub.outcome("m"), "COMPLETED all");
        let fired: Vec<String> =
            text::lines(&hub.events("m")).into_iter().filter(|line| line.starts_with("TimerFired")).collect();
        let expected: Vec<String> = (1..=5).rev().map(|n| format!("TimerFired #{n} {}s", 1_010 - n)).collect();
        assert_eq!(fired, expected);
    });
}

/// A hub that was down when a timer fell due makes up for it, and the episode is not before it.
#[test]
fn a_timer_that_fell_due_while_the_hub_was_down_fires_late() {
    check(|hub| {
        hub.orchestrator("Sleep", |o| {
            o.timer(1, Time::new(1_010, 0))?;
            Some("awake".into())
        });
        hub.start("s", "Sleep", None);
        hub.now = Time::new(5_000, 0);
        hub.reopen(1);
        hub.run();
        assert_eq!(hub.outcome("s"), "COMPLETED awake");
        let second = text::decode(&hub.events("s")).remove(3);
        assert_eq!(text::seconds(second.timestamp), "5000s");
    });
}

/// A worker that lost interest in a timer says nothing of it; the end of the run closes it.
#[test]
fn timers_end_with_their_run() {
    check(|hub| {
        hub.orchestrator("Race", |o| {
            o.sleep(1, 100);
            o.event("go", 0)
        });
        hub.start("r", "Race", None);
        hub.raise("r", "go", Some("x"));
        let done = hub.state("r");
        hub.advance_seconds(200);
        assert_eq!(hub.state("r"), done, "a late timer moves nothing");
        assert_eq!(hub.deadline(), None, "nothing is left to wait for");
        assert!(hub.stored("r").expect("it is there").timers.is_empty());
    });
}

#[test]
fn many_timers_due_at_once_all_fire() {
    check_in(&[Mode::Plain, Mode::Evict], |hub| {
        hub.audited = false;
        hub.orchestrator("Many", |o| {
            let at = Time::new(1_100, 0);
            let fired = (1..=300).filter(|n| o.timer(*n, at).is_some()).count();
            (fired == 300).then(|| "all".into())
        });
        for n in 0..5 {
            hub.start(&format!("m{n}"), "Many", None);
        }
        hub.advance_seconds(100);
        for n in 0..5 {
            assert_eq!(hub.outcome(&format!("m{n}")), "COMPLETED all");
        }
    });
}
