//! External events, and events between orchestrations (1.4; traps 17, 23, 24).

use crate::common::*;

fn functions(hub: &mut Hub) {
    hub.orchestrator("Wait", |o| o.event("go", 0));
    hub.orchestrator("Done", |_| Some("done".into()));
}

#[test]
fn names_and_payloads_are_kept_verbatim() {
    check(|hub| {
        functions(hub);
        hub.start("w", "Wait", None);
        hub.raise("w", "Other", None);
        hub.raise("w", "GO", Some(""));
        hub.expect_history(
            "w",
            r##"
            OrchestratorStarted
            ExecutionStarted Wait
            OrchestratorStarted
            EventRaised Other
            OrchestratorStarted
            EventRaised GO ""
            #1 ExecutionCompleted COMPLETED ""
            "##,
        );
    });
}

#[test]
fn an_event_to_an_ended_instance_is_accepted_and_changes_nothing() {
    check(|hub| {
        functions(hub);
        hub.start("d", "Done", None);
        let (before, events) = (hub.state("d"), hub.events("d"));
        hub.advance_seconds(1);
        hub.raise("d", "go", None);
        assert_eq!((hub.state("d"), hub.events("d")), (before, events));
    });
}

#[test]
fn an_event_to_nobody_is_refused() {
    check(|hub| {
        let raise = Request::Raise { id: "nobody".into(), name: "go".into(), input: None };
        assert_eq!(hub.refused(raise), Refusal::NotFound("nobody".into()));
        functions(hub);
        hub.start("w", "Wait", None);
        let nameless = Request::Raise { id: "w".into(), name: String::new(), input: None };
        assert!(matches!(hub.refused(nameless), Refusal::BadInput(_)));
    });
}

#[test]
fn events_keep_their_order() {
    check(|hub| {
        hub.orchestrator("Collect", |o| {
            let all: Vec<String> = o.raised("n").into_iter().flatten().collect();
            (all.len() == 50).then(|| all.join(","))
        });
        hub.start("c", "Collect", None);
        for n in 0..50 {
            hub.raise("c", "n", Some(&n.to_string()));
        }
        let expected: Vec<String> = (0..50).map(|n| n.to_string()).collect();
        assert_eq!(hub.outcome("c"), format!("COMPLETED {}", expected.join(",")));
    });
}

#[test]
fn an_event_is_accepted_once_it_is_durable() {
    let mut hub = Hub::new(Mode::Slow);
    functions(&mut hub);
    hub.start("w", "Wait", None);
    let raise = hub.submit(Request::Raise { id: "w".into(), name: "x".into(), input: None });
    while hub.run_at_hand() {}
    assert!(hub.reply(raise).is_none());
    hub.run();
    assert!(matches!(hub.reply(raise), Some(Reply::Done)));
}

#[test]
fn an_orchestration_sends_an_event_to_another() {
    check(|hub| {
        functions(hub);
        hub.orchestrator("Send", |o| {
            o.act(send(1, "w", "Go", Some("hi")));
            Some("sent".into())
        });
        hub.start("w", "Wait", None);
        hub.start("s", "Send", None);
        assert_eq!(hub.outcome("w"), "COMPLETED hi");
        hub.expect_history(
            "s",
            r##"
            OrchestratorStarted
            ExecutionStarted Send
            #1 EventSent w Go "hi"
            #2 ExecutionCompleted COMPLETED "sent"
            "##,
        );
        assert!(hub.history("w").contains("EventRaised Go \"hi\""));
    });
}

#[test]
fn an_event_sent_to_nobody_or_to_an_ended_one_is_dropped() {
    check(|hub| {
        functions(hub);
        hub.orchestrator("Send", |o| {
            o.act(send(1, "nobody", "Go", None));
            o.act(send(2, "d", "Go", None));
            o.act(send(3, "", "Go", None));
            Some("sent".into())
        });
        hub.start("d", "Done", None);
        let before = hub.state("d");
        hub.start("s", "Send", None);
        assert_eq!(hub.outcome("s"), "COMPLETED sent");
        assert_eq!(hub.state("d"), before);
        assert_eq!(hub.find("nobody"), None);
    });
}

#[test]
fn an_event_to_itself_comes_in_the_next_episode() {
    check(|hub| {
        hub.orchestrator("Self", |o| {
            let me = o.instance.clone();
            o.act(send(1, &me, "Me", Some("x")));
            o.event("me", 0)
        });
        hub.start("s", "Self", None);
        hub.expect_history(
            "s",
            r##"
            OrchestratorStarted
            ExecutionStarted Self
            #1 EventSent s Me "x"
            OrchestratorStarted
            EventRaised Me "x"
            #2 ExecutionCompleted COMPLETED "x"
            "##,
        );
    });
}

#[test]
fn an_event_to_itself_beside_the_completion_wakes_nobody() {
    check(|hub| {
        hub.raw("Self", |work| {
            answer(vec![complete(1, Status::Completed, Some("out")), send(2, work.instance.as_str(), "Me", None)])
        });
        hub.start("s", "Self", None);
        assert_eq!(hub.outcome("s"), "COMPLETED out");
        assert_eq!(hub.episodes.len(), 1);
        assert!(hub.stored("s").expect("it is there").inbox.is_empty());
    });
}

/// .NET carries unread events over this way, in any place of the answer.
#[test]
fn an_event_to_itself_beside_continue_as_new_goes_to_the_next_generation_first() {
    check_without_crashes(|hub| {
        hub.raw("Self", |work| match work.session.episodes {
            _ if text::lines(&work.new).iter().any(|line| line == "ExecutionStarted Self \"2\"") => {
                answer(vec![complete(1, Status::Completed, Some(&text::lines(&work.new)[2..].join("; ")))])
            }
            _ => answer(vec![
                send(1, work.instance.as_str(), "kept", Some("a")),
                complete(2, Status::ContinuedAsNew, Some("2")),
                send(3, work.instance.as_str(), "kept", Some("b")),
            ]),
        });
        hub.hold("Self");
        hub.start("s", "Self", Some("1"));
        hub.raise("s", "meanwhile", None);
        hub.release("Self");
        assert_eq!(hub.outcome("s"), r#"COMPLETED EventRaised kept "a"; EventRaised kept "b"; EventRaised meanwhile"#);
    });
}
