//! Messages between partitions: exactly once and in order, whatever the way does (invariant 4).

use crate::common::*;
use duramen_core::checkpoint::Change;
use duramen_core::limits::RESEND_EVERY;

/// Sends n numbered events to `target`, one an answer or all in one.
fn functions(hub: &mut Hub) {
    hub.orchestrator("Send", |o| {
        let (target, n) =
            o.input().and_then(|input| input.split_once(' ').map(|(a, b)| (a.to_string(), b.to_string())))?;
        let n: i32 = n.parse().ok()?;
        for k in 1..=n {
            o.act(send(k, &target, "n", Some(&k.to_string())));
        }
        Some("sent".into())
    });
    hub.orchestrator("Collect", |o| {
        let n: usize = o.input()?.parse().ok()?;
        let all: Vec<String> = o.raised("n").into_iter().flatten().collect();
        (all.len() >= n).then(|| all.join(","))
    });
    hub.orchestrator("Wait", |o| o.event("go", 0));
    hub.orchestrator("Echo", |o| o.input());
    hub.orchestrator("Parent", |o| {
        let kid = o.input()?;
        o.child(1, &kid, "Echo", Some("from afar"))
    });
}

fn numbers(n: u32) -> String {
    (1..=n).map(|k| k.to_string()).collect::<Vec<_>>().join(",")
}

/// The same exchange over a way that does its worst, by turns.
fn exchange(hub: &mut Hub, fates: &'static [Fate]) {
    hub.reopen(2);
    functions(hub);
    // Knuth's generator: no pattern that a resend could fall into step with.
    let mut state: u64 = 1;
    hub.link = Box::new(move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        fates[(state >> 33) as usize % fates.len()]
    });
    let (sender, receiver) = (hub.id_in(0, 0), hub.id_in(1, 0));
    hub.start(&receiver, "Collect", Some("20"));
    hub.start(&sender, "Send", Some(&format!("{receiver} 20")));
    let (parent, kid) = (hub.id_in(0, 1), hub.id_in(1, 1));
    hub.start(&parent, "Parent", Some(&kid));
    hub.advance_seconds(300);
    assert_eq!(hub.outcome(&receiver), format!("COMPLETED {}", numbers(20)));
    assert_eq!(hub.outcome(&parent), "COMPLETED from afar");
    assert_eq!(hub.outcome(&kid), "COMPLETED from afar");
}

#[test]
fn a_good_way() {
    check(|hub| exchange(hub, &[Fate::Once]));
}

#[test]
fn a_way_that_loses_every_second() {
    check(|hub| exchange(hub, &[Fate::Once, Fate::Lost]));
}

#[test]
fn a_way_that_loses_two_of_three() {
    check(|hub| exchange(hub, &[Fate::Lost, Fate::Lost, Fate::Once]));
}

#[test]
fn a_way_that_doubles() {
    check(|hub| exchange(hub, &[Fate::Twice]));
}

#[test]
fn a_way_that_turns_things_round() {
    check(|hub| exchange(hub, &[Fate::Once, Fate::Early, Fate::Early, Fate::Twice, Fate::Lost]));
}

#[test]
fn lost_acknowledgements_are_asked_for_again() {
    check(|hub| {
        hub.reopen(2);
        functions(hub);
        let mut lost = 0;
        hub.link = Box::new(move |mail| match mail {
            Mail::Acknowledgement if lost < 30 => {
                lost += 1;
                Fate::Lost
            }
            _ => Fate::Once,
        });
        let (sender, receiver) = (hub.id_in(0, 0), hub.id_in(1, 0));
        hub.start(&receiver, "Collect", Some("5"));
        hub.start(&sender, "Send", Some(&format!("{receiver} 5")));
        hub.advance_seconds(60);
        assert_eq!(hub.outcome(&receiver), format!("COMPLETED {}", numbers(5)));
    });
}

#[test]
fn an_outbox_is_sent_again_every_second_until_it_is_acknowledged() {
    let mut hub = Hub::new(Mode::Plain);
    hub.reopen(2);
    functions(&mut hub);
    hub.link = Box::new(|_| Fate::Lost);
    let (sender, receiver) = (hub.id_in(0, 0), hub.id_in(1, 0));
    hub.start(&receiver, "Collect", Some("3"));
    hub.start(&sender, "Send", Some(&format!("{receiver} 3")));
    assert_eq!(hub.mail.len(), 3);
    for second in 1..=5 {
        hub.advance_seconds(1);
        assert_eq!(hub.mail.len(), 3 + 3 * second);
    }
    hub.link = Box::new(|_| Fate::Once);
    hub.advance_seconds(2);
    let mail = hub.mail.len();
    hub.advance_seconds(100);
    assert_eq!(hub.mail.len(), mail, "nothing is sent again");
    assert_eq!(hub.deadline(), None);
    assert_eq!(hub.outcome(&receiver), "COMPLETED 1,2,3");
}

/// A repeated message is acknowledged without anything being written for it.
#[test]
fn a_repetition_costs_no_checkpoint() {
    let mut hub = Hub::new(Mode::Plain);
    hub.reopen(2);
    functions(&mut hub);
    hub.link = Box::new(|mail| if matches!(mail, Mail::Acknowledgement) { Fate::Lost } else { Fate::Once });
    let (sender, receiver) = (hub.id_in(0, 0), hub.id_in(1, 0));
    hub.start(&receiver, "Collect", Some("9"));
    hub.start(&sender, "Send", Some(&format!("{receiver} 3")));
    let checkpoints = hub.checkpoints.len();
    hub.advance_seconds(50);
    assert_eq!(hub.checkpoints.len(), checkpoints);
}

/// What the last owner sent and was not told about goes out when its slots are taken up.
#[test]
fn an_outbox_outlives_its_owner() {
    check_in(&[Mode::Plain, Mode::Evict, Mode::Slow], |hub| {
        hub.reopen(2);
        functions(hub);
        hub.link = Box::new(|_| Fate::Lost);
        let (sender, receiver) = (hub.id_in(0, 0), hub.id_in(1, 0));
        hub.start(&receiver, "Collect", Some("4"));
        hub.start(&sender, "Send", Some(&format!("{receiver} 4")));
        hub.link = Box::new(|_| Fate::Once);
        hub.crash();
        hub.run();
        assert_eq!(hub.outcome(&receiver), "COMPLETED 1,2,3,4");
    });
}

/// The two slots of a pair come to one owner while messages are on their way.
#[test]
fn a_pair_comes_together() {
    check_in(&[Mode::Plain, Mode::Evict, Mode::Slow], |hub| {
        for lost in ["messages", "acknowledgements"] {
            hub.reopen(2);
            functions(hub);
            hub.link = Box::new(move |mail| match mail {
                Mail::Message if lost == "messages" => Fate::Lost,
                Mail::Acknowledgement => Fate::Lost,
                Mail::Message => Fate::Once,
            });
            let (sender, receiver) = (hub.id_in(0, 0), hub.id_in(1, 0));
            hub.start(&receiver, "Collect", Some("6"));
            hub.start(&sender, "Send", Some(&format!("{receiver} 4")));
            hub.reopen(1);
            hub.run();
            let so_far = hub.history(&receiver).matches("EventRaised").count();
            assert_eq!(so_far, 4, "{lost}: each once");
            hub.raise(&receiver, "n", Some("5"));
            hub.raise(&receiver, "n", Some("6"));
            assert_eq!(hub.outcome(&receiver), format!("COMPLETED {}", numbers(6)));
            assert_eq!(hub.deadline(), None);
        }
    });
}

/// And they part again: the sequence goes on where it was.
#[test]
fn a_pair_comes_together_and_parts() {
    check_in(&[Mode::Plain, Mode::Evict, Mode::Slow], |hub| {
        hub.reopen(2);
        functions(hub);
        let (receiver, senders) = (hub.id_in(1, 0), [hub.id_in(0, 0), hub.id_in(0, 0), hub.id_in(0, 0)]);
        hub.start(&receiver, "Collect", Some("9"));
        for (round, sender) in senders.iter().enumerate() {
            hub.reopen(if round == 1 { 1 } else { 2 });
            hub.run();
            hub.start(sender, "Send", Some(&format!("{receiver} 3")));
            hub.advance_seconds(5);
            assert_eq!(hub.history(&receiver).matches("EventRaised").count(), 3 * (round + 1));
        }
        assert_eq!(hub.outcome(&receiver), "COMPLETED 1,2,3,1,2,3,1,2,3");
    });
}

/// Down a tree over two partitions, before whatever the new run sends.
#[test]
fn a_replacement_ends_children_in_another_partition_first() {
    check(|hub| {
        hub.reopen(2);
        functions(hub);
        let (top, kid) = (hub.id_in(0, 0), hub.id_in(1, 0));
        let child = kid.clone();
        hub.orchestrator("Top", move |o| {
            o.act(create_child(1, &child, "Wait", None));
            o.event("go", 0)
        });
        hub.start(&top, "Top", None);
        hub.advance_seconds(1);
        let before = hub.state(&kid).execution_id;
        hub.start_with(create(&top, "Top", None), OnExisting::Replace(vec![Status::Running, Status::Terminated]));
        hub.advance_seconds(2);
        assert_eq!(hub.status(&kid), Status::Running);
        assert_ne!(hub.state(&kid).execution_id, before);
        assert!(!hub.history(&top).contains("ChildFailed"));
    });
}

/// Rewinding reaches across, and a child that was purged there is made again.
#[test]
fn a_rewind_reaches_another_partition() {
    check(|hub| {
        hub.reopen(2);
        functions(hub);
        let mended = std::rc::Rc::new(std::cell::Cell::new(false));
        let look = mended.clone();
        hub.activity("Flaky", move |_| if look.get() { Ok("mended".into()) } else { Err(failure("E", "x")) });
        let (top, kid) = (hub.id_in(0, 0), hub.id_in(1, 0));
        let child = kid.clone();
        hub.orchestrator("Top", move |o| o.child(1, &child, "Kid", None));
        hub.orchestrator("Kid", |o| o.call(1, "Flaky", None));
        hub.start(&top, "Top", None);
        hub.advance_seconds(5);
        assert_eq!(hub.status(&top), Status::Failed);
        mended.set(true);
        hub.done(Request::Rewind { id: top.as_str().into(), reason: None });
        hub.advance_seconds(5);
        assert_eq!((hub.outcome(&top), hub.outcome(&kid)), ("COMPLETED mended".into(), "COMPLETED mended".into()));
    });
}

/// Direct delivery within a partition never overtakes what waits in the pair's outbox.
#[test]
fn messages_within_a_partition_keep_their_order_over_loads() {
    check(|hub| {
        functions(hub);
        hub.orchestrator("Burst", |o| {
            let target = o.input()?;
            for k in 1..=10 {
                o.act(send(k, &target, "n", Some(&k.to_string())));
            }
            o.event("go", 0)?;
            for k in 11..=20 {
                o.act(send(k, &target, "n", Some(&k.to_string())));
            }
            Some("sent".into())
        });
        hub.start("c", "Collect", Some("20"));
        hub.start("b", "Burst", Some("c"));
        hub.raise("b", "go", None);
        assert_eq!(hub.outcome("c"), format!("COMPLETED {}", numbers(20)));
    });
}

#[test]
fn what_is_within_reach_needs_no_outbox() {
    let mut hub = Hub::new(Mode::Plain);
    functions(&mut hub);
    hub.start("collect", "Collect", Some("3"));
    hub.start("send", "Send", Some("collect 3"));
    hub.start("parent", "Parent", Some(""));
    assert_eq!(hub.outcome("collect"), "COMPLETED 1,2,3");
    assert_eq!(hub.outcome("parent"), "COMPLETED from afar");
    let mut changes = hub.checkpoints.iter().flat_map(|(_, checkpoint)| &checkpoint.deltas);
    assert!(!changes.any(|delta| matches!(delta.change, Some(Change::Sent(_)))));
}

/// Both slots come to one owner, who has the message in its outbox, while the same message is on its
/// way; and both wait for their target to be loaded.
#[test]
fn a_message_that_comes_over_the_way_and_from_the_outbox_is_taken_once() {
    check_in(&[Mode::Plain, Mode::Evict], |hub| {
        hub.reopen(2);
        functions(hub);
        let (sender, receiver) = (hub.id_in(0, 0), hub.id_in(1, 0));
        hub.start(&receiver, "Collect", Some("4"));
        hub.link = Box::new(|_| Fate::Lost);
        hub.start(&sender, "Send", Some(&format!("{receiver} 2")));
        hub.link = Box::new(|_| Fate::Once);
        // They are sent again, and have not arrived when the hub is opened anew.
        let sent = hub.mail.len();
        hub.now = hub.now.plus(RESEND_EVERY);
        while hub.mail.len() == sent {
            assert!(hub.run_at_hand(), "the messages are sent again");
        }
        hub.reopen(1);
        // They come before the load that the outbox waits for.
        hub.stalled = true;
        hub.run();
        hub.stalled = false;
        hub.run();
        hub.raise(&receiver, "n", Some("3"));
        hub.raise(&receiver, "n", Some("4"));
        assert_eq!(hub.outcome(&receiver), format!("COMPLETED {}", numbers(4)));
        assert_eq!(hub.deadline(), None);
    });
}
