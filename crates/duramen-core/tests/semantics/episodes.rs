//! Episode structure, history, ids, statuses (1.1; traps 2, 17, 18, 19).

use crate::common::*;
use duramen_core::limits::{EPISODE_BYTES, EPISODE_EVENTS};

pub fn chain(hub: &mut Hub) {
    hub.orchestrator("Chain", |o| {
        let input = o.input();
        let a = o.call(1, "A", input.as_deref())?;
        let b = o.call(2, "B", Some(&a))?;
        Some(b)
    });
    hub.activity("A", |input| Ok(format!("{input}a")));
    hub.activity("B", |input| Ok(format!("{input}b")));
}

#[test]
fn the_history_of_a_chain_is_exact() {
    check(|hub| {
        chain(hub);
        hub.start("c", "Chain", Some("x"));
        hub.expect_history(
            "c",
            r##"
            OrchestratorStarted
            ExecutionStarted Chain "x"
            #1 TaskScheduled A "x"
            OrchestratorStarted
            TaskCompleted #1 "xa"
            #2 TaskScheduled B "xa"
            OrchestratorStarted
            TaskCompleted #2 "xab"
            #3 ExecutionCompleted COMPLETED "xab"
            "##,
        );
        (hub.outcome("c"), hub.ran.borrow().clone())
    });
}

/// What JavaScript's tests expect of the hosted scheduler, event by event.
#[test]
fn activity_timer_and_child_follow_each_other_as_observed() {
    check(|hub| {
        hub.orchestrator("All", |o| {
            o.call(1, "A", None)?;
            o.timer(2, Time::new(1_001, 0))?;
            o.child(3, "all:0003", "Child", None)
        });
        hub.orchestrator("Child", |_| Some("done".into()));
        hub.activity("A", |_| Ok(String::new()));
        hub.start("all", "All", None);
        hub.advance_seconds(1);
        hub.expect_history(
            "all",
            r##"
            OrchestratorStarted
            ExecutionStarted All
            #1 TaskScheduled A
            OrchestratorStarted
            TaskCompleted #1 ""
            #2 TimerCreated 1001s
            OrchestratorStarted
            TimerFired #2 1001s
            #3 ChildCreated all:0003 Child
            OrchestratorStarted
            ChildCompleted #3 "done"
            #4 ExecutionCompleted COMPLETED "done"
            "##,
        );
    });
}

#[test]
fn ids_are_kept_as_sent_from_zero_or_one_or_anywhere() {
    check(|hub| {
        hub.activity("A", |_| Ok("r".into()));
        for (id, first) in [("zero", 0), ("one", 1), ("odd", 77)] {
            hub.orchestrator(id, move |o| o.call(first, "A", None));
            hub.start(id, id, None);
            hub.expect_history(
                id,
                &format!(
                    "OrchestratorStarted\nExecutionStarted {id}\n#{first} TaskScheduled A\nOrchestratorStarted\n\
                     TaskCompleted #{first} \"r\"\n#{} ExecutionCompleted COMPLETED \"r\"",
                    first + 1
                ),
            );
        }
    });
}

/// Whatever arrived before, ExecutionStarted is the second event of the first batch.
#[test]
fn an_early_event_comes_behind_the_start() {
    check(|hub| {
        hub.orchestrator("Wait", |o| o.event("go", 0));
        hub.leave(WORKER);
        hub.start("w", "Wait", None);
        hub.raise("w", "Go", Some("1"));
        hub.raise("w", "go", Some("2"));
        assert_eq!(hub.status("w"), Status::Pending);
        hub.join(WORKER, in_process());
        hub.expect_history(
            "w",
            r##"
            OrchestratorStarted
            ExecutionStarted Wait
            EventRaised Go "1"
            EventRaised go "2"
            #1 ExecutionCompleted COMPLETED "1"
            "##,
        );
    });
}

#[test]
fn every_action_counts_whatever_stands_behind_the_completion() {
    check(|hub| {
        hub.raw("Any", |_| {
            answer(vec![
                complete(3, Status::Completed, Some("out")),
                schedule(1, "A", None),
                send(2, "other", "note", Some("n")),
                create_child(4, "kid", "Child", None),
            ])
        });
        hub.orchestrator("Other", |o| o.event("note", 0));
        hub.orchestrator("Child", |_| Some("c".into()));
        hub.activity("A", |_| Ok("a".into()));
        hub.start("other", "Other", None);
        hub.start("any", "Any", None);
        hub.expect_history(
            "any",
            r##"
            OrchestratorStarted
            ExecutionStarted Any
            #1 TaskScheduled A
            #2 EventSent other note "n"
            #4 ChildCreated kid Child
            #3 ExecutionCompleted COMPLETED "out"
            "##,
        );
        assert_eq!(hub.outcome("other"), "COMPLETED n");
        assert_eq!(hub.outcome("kid"), "COMPLETED c");
        assert_eq!(*hub.ran.borrow(), ["A"]);
    });
}

/// The first of several completions counts (DTFx).
#[test]
fn of_several_completions_the_first_wins() {
    check(|hub| {
        hub.raw("Two", |_| {
            answer(vec![complete(1, Status::Completed, Some("first")), complete(2, Status::Failed, None)])
        });
        hub.start("t", "Two", None);
        hub.outcome("t")
    });
    let mut hub = Hub::new(Mode::Plain);
    hub.raw("Two", |_| answer(vec![complete(1, Status::Completed, Some("first")), complete(2, Status::Failed, None)]));
    hub.start("t", "Two", None);
    assert_eq!(hub.outcome("t"), "COMPLETED first");
}

#[test]
fn episodes_show_rising_times_when_the_clock_stands_still() {
    check(|hub| {
        chain(hub);
        hub.start("c", "Chain", Some("x"));
        let times: Vec<Time> = text::decode(&hub.events("c"))
            .iter()
            .filter(|event| text::line(event) == "OrchestratorStarted")
            .map(|event| event.timestamp.expect("set").into())
            .collect();
        assert_eq!(times.len(), 3);
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
        let created: Time = hub.state("c").created_timestamp.expect("set").into();
        assert!(times[0] >= created);
    });
}

/// The clock of a hub that moved may be behind: instances still see time rise, by a microsecond.
#[test]
fn a_clock_that_jumps_back_does_not_take_an_instance_along() {
    check(|hub| {
        hub.orchestrator("Two", |o| {
            o.event("a", 0)?;
            o.event("b", 0)
        });
        hub.now = Time::new(10_000, 0);
        hub.start("t", "Two", None);
        hub.now = Time::new(5_000, 0);
        hub.raise("t", "a", None);
        hub.raise("t", "b", Some("end"));
        assert_eq!(hub.outcome("t"), "COMPLETED end");
        let times: Vec<String> = text::decode(&hub.events("t"))
            .iter()
            .filter(|event| text::line(event) == "OrchestratorStarted")
            .map(|event| text::seconds(event.timestamp))
            .collect();
        assert_eq!(times, ["10000s", "10000.000001000s", "10000.000002000s"]);
    });
}

#[test]
fn an_episode_takes_a_thousand_events_at_most() {
    check_in(&[Mode::Plain, Mode::Evict], |hub| {
        hub.orchestrator("Count", |o| (o.raised("e").len() == 2_500).then(|| "all".into()));
        hub.leave(WORKER);
        hub.start("c", "Count", None);
        for n in 0..2_500 {
            hub.raise("c", "e", Some(&n.to_string()));
        }
        hub.join(WORKER, in_process());
        assert_eq!(hub.outcome("c"), "COMPLETED all");
        let sizes: Vec<usize> = hub.episodes.iter().map(|work| work.new.len() - 1).collect();
        assert_eq!(sizes, [EPISODE_EVENTS, EPISODE_EVENTS, 501]);
        let inputs: Vec<String> =
            text::lines(&hub.events("c")).into_iter().filter(|line| line.contains("EventRaised")).collect();
        let expected: Vec<String> = (0..2_500).map(|n| format!("EventRaised e \"{n}\"")).collect();
        assert_eq!(inputs, expected, "in order, each once");
    });
}

#[test]
fn an_episode_takes_a_mebibyte_at_most_but_one_event_of_any_size() {
    check(|hub| {
        hub.orchestrator("Count", |o| (o.raised("e").len() == 4).then(|| "all".into()));
        hub.leave(WORKER);
        hub.start("c", "Count", None);
        for size in [EPISODE_BYTES / 2, EPISODE_BYTES / 2, EPISODE_BYTES * 2, 1] {
            hub.raise("c", "e", Some(&"x".repeat(size)));
        }
        hub.join(WORKER, in_process());
        assert_eq!(hub.outcome("c"), "COMPLETED all");
        if hub.mode != Mode::Crash {
            let sizes: Vec<usize> = hub.episodes.iter().map(|work| work.new.len() - 1).collect();
            assert_eq!(sizes, [2, 1, 1, 1]);
        }
    });
}

/// Nothing that the hub gives an instance lacks its record: traces come back as they were given.
#[test]
fn the_trace_context_of_an_answer_goes_out_with_the_next_item() {
    check(|hub| {
        hub.raw("Traced", |work| {
            let trace = duramen_proto::OrchestrationTraceContext { span_id: Some("s1".into()), span_start_time: None };
            let actions = if work.session.episodes == 0 {
                vec![schedule(1, "A", None)]
            } else {
                let expected = prost::Message::encode_to_vec(&trace);
                let seen = if work.trace == expected { "kept" } else { "lost" };
                vec![complete(2, Status::Completed, Some(seen))]
            };
            duramen_proto::OrchestratorResponse { orchestration_trace_context: Some(trace), ..answer(actions) }
        });
        hub.activity("A", |_| Ok(String::new()));
        hub.start("t", "Traced", None);
        assert_eq!(hub.outcome("t"), "COMPLETED kept");
    });
}
