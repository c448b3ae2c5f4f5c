//! A long history leaves memory in chunks while a worker holds its session, and is whole again for
//! whoever needs it.

use crate::common::*;
use duramen_proto::OrchestratorResponse;

/// Chunks of four events. Calls `A` as often as the input says, then waits for `go`; a child stands at
/// the beginning.
fn long(mode: Mode) -> Hub {
    let mut hub = Hub::new(mode);
    hub.settings.history_chunk = 4;
    hub.settings.idle_after = std::time::Duration::from_secs(1_000_000);
    hub.settings.resident = usize::MAX;
    hub.reopen(1);
    hub.run();
    let mended = std::cell::Cell::new(false);
    hub.orchestrator("Long", move |o| {
        let steps: i32 = o.input()?.parse().ok()?;
        o.act(create_child(1, "kid", "Kid", None));
        for step in 0..steps {
            o.call(10 + step, "A", Some(&step.to_string()))?;
        }
        let gone = o.event("go", 0)?;
        if gone == "fail" && !mended.replace(true) {
            o.fail(failure("E", "as asked"));
            return None;
        }
        Some(format!("{steps} steps, {gone}"))
    });
    hub.orchestrator("Kid", |o| o.event("never", 0));
    hub.activity("A", |input| Ok(format!("did {input}")));
    hub
}

const STEPS: usize = 60;

fn start(hub: &mut Hub) {
    hub.start("l", "Long", Some(&STEPS.to_string()));
    for _ in 0..2 {
        hub.settle();
        hub.raise("l", "other", None);
    }
    hub.settle();
    assert!(hub.footprint().events < 30, "{:?}", hub.footprint());
}

/// Events of an instance that has done all its steps and heard two events.
const EVENTS: usize = 2 + 1 + 3 * STEPS + 2 * 2;

#[test]
fn the_history_of_a_session_leaves_in_chunks() {
    let mut hub = long(Mode::Plain);
    start(&mut hub);
    hub.loads.clear();
    let state = hub.state("l");
    assert_eq!(state.input.as_deref(), Some("60"));
    hub.raise("l", "go", Some("on"));
    assert!(hub.loads.is_empty(), "nothing of it was needed: {:?}", hub.loads);
    assert_eq!(hub.outcome("l"), "COMPLETED 60 steps, on");
}

#[test]
fn a_client_is_shown_all_of_it() {
    for mode in [Mode::Plain, Mode::Late] {
        let mut hub = long(mode);
        start(&mut hub);
        hub.loads.clear();
        let events = hub.events("l");
        assert_eq!(hub.loads, ["l"]);
        assert_eq!(events.len(), EVENTS, "{mode:?}");
        assert_eq!(events, hub.stored("l").expect("it is there").history, "{mode:?}");
        // It goes on as before, and leaves again.
        hub.raise("l", "go", Some("on"));
        assert_eq!(hub.outcome("l"), "COMPLETED 60 steps, on");
    }
}

/// Requests that come while the history is being read wait for it, in order.
#[test]
fn what_comes_meanwhile_waits() {
    let mut hub = long(Mode::Plain);
    start(&mut hub);
    hub.stalled = true;
    let history = hub.submit(Request::History("l".into()));
    let raise = hub.submit(Request::Raise { id: "l".into(), name: "go".into(), input: Some("on".into()) });
    let status = hub.submit(Request::Get("l".into()));
    hub.run();
    assert!(hub.reply(history).is_none() && hub.reply(raise).is_none() && hub.reply(status).is_none());
    assert!(!hub.partition(0).idle());
    hub.stalled = false;
    hub.run();
    assert!(matches!(hub.reply(history), Some(Reply::History(events)) if events.len() == EVENTS));
    assert_eq!(hub.outcome("l"), "COMPLETED 60 steps, on");
}

#[test]
fn a_worker_without_the_session_gets_all_of_it() {
    for mode in [Mode::Plain, Mode::Late] {
        let mut hub = long(mode);
        start(&mut hub);
        hub.leave(WORKER);
        hub.join(WorkerId(2), in_process());
        let before = hub.episodes.len();
        hub.raise("l", "go", Some("on"));
        assert_eq!(hub.outcome("l"), "COMPLETED 60 steps, on", "{mode:?}");
        let past = hub.episodes[before].past.as_ref().expect("a new worker gets the history");
        assert_eq!(past.len(), EVENTS, "{mode:?}");
    }
}

/// A worker elsewhere that keeps sessions is shown a past once; with its connection they are gone.
#[test]
fn a_remote_worker_that_keeps_sessions_is_shown_what_is_new() {
    let mut hub = long(Mode::Plain);
    hub.leave(WORKER);
    hub.join(WorkerId(2), remote_with_sessions());
    start(&mut hub);
    assert!(hub.episodes.len() > STEPS);
    // The first episode of each instance has an empty past.
    assert!(hub.episodes.iter().all(|work| work.past.as_ref().is_none_or(Vec::is_empty)));
    hub.leave(WorkerId(2));
    hub.join(WorkerId(3), remote_with_sessions());
    let before = hub.episodes.len();
    hub.raise("l", "go", Some("on"));
    assert_eq!(hub.outcome("l"), "COMPLETED 60 steps, on");
    assert_eq!(hub.episodes[before].past.as_ref().map(Vec::len), Some(EVENTS));
}

/// The worker has lost its session between two episodes.
#[test]
fn a_worker_that_asks_for_the_history_gets_it() {
    let mut hub = long(Mode::Plain);
    start(&mut hub);
    hub.hold("Long");
    hub.raise("l", "go", Some("on"));
    let (worker, item) = hub.take_held();
    assert!(orchestrator_work(&item).past.is_none(), "it was thought to hold the session");
    let asks = OrchestratorResponse { requires_history: true, ..OrchestratorResponse::default() };
    hub.answer(worker, Answer::Orchestrator(item.token, asks));
    let (_, again) = hub.held.first().expect("it is handed out again");
    assert_eq!(orchestrator_work(again).past.as_ref().map(Vec::len), Some(EVENTS));
    assert_eq!(orchestrator_work(again).new, orchestrator_work(&item).new);
    hub.release("Long");
    assert_eq!(hub.outcome("l"), "COMPLETED 60 steps, on");
}

/// An instance that has just failed is rewound before it has left.
#[test]
fn a_rewind_has_all_of_it() {
    for mode in [Mode::Plain, Mode::Late] {
        let mut hub = long(mode);
        start(&mut hub);
        hub.settles_every = usize::MAX;
        hub.raise("l", "go", Some("fail"));
        assert_eq!(hub.status("l"), Status::Failed, "{mode:?}");
        hub.loads.clear();
        hub.done(Request::Rewind { id: "l".into(), reason: None });
        assert_eq!(hub.outcome("l"), "COMPLETED 60 steps, fail", "{mode:?}");
        assert_eq!(hub.loads.first().map(String::as_str), Some("l"), "{mode:?}");
        let stored = hub.stored("l").expect("it is there");
        assert_eq!(stored.history.len() as u64, stored.tail.history_events);
        assert_eq!(*hub.ran.borrow(), ["A"; STEPS], "{mode:?}: no activity ran again");
    }
}

/// The child was made in what has left.
#[test]
fn children_end_with_it() {
    for end in ["terminate", "replace"] {
        let mut hub = long(Mode::Plain);
        start(&mut hub);
        assert_eq!(hub.status("kid"), Status::Running);
        hub.loads.clear();
        if end == "terminate" {
            hub.terminate("l", "enough", true);
        } else {
            hub.orchestrator("Other", |o| o.event("go", 0));
            let policy = OnExisting::Replace(vec![Status::Running, Status::Terminated]);
            hub.start_with(create("l", "Other", None), policy);
        }
        // What the terminated child says to its parent finds one that has ended and left.
        let expected: &[&str] = if end == "terminate" { &["l"] } else { &[] };
        assert_eq!(hub.loads, expected, "{end}");
        assert_eq!(hub.status("kid"), Status::Terminated, "{end}");
    }
}

/// Places in the history count from its first event.
#[test]
fn an_activity_is_found_by_its_place() {
    let mut hub = long(Mode::Plain);
    hub.hold("A");
    hub.start("l", "Long", Some("40"));
    for _ in 0..30 {
        let (worker, item) = hub.take_held();
        let answer = hub.perform(worker, &item);
        hub.answer(worker, answer);
    }
    assert!(hub.footprint().events < 30, "{:?}", hub.footprint());
    let stored = hub.stored("l").expect("it is there");
    assert_eq!(stored.tasks.len(), 1);
    hub.held.clear();
    hub.crash();
    hub.run();
    let (_, item) = hub.held.first().expect("the activity is handed out again");
    let duramen_core::work::Work::Activity(work) = &item.work else { panic!("{item:?}") };
    assert_eq!(scheduled(work).1.input.as_deref(), Some("30"));
    hub.release("A");
    hub.raise("l", "go", Some("on"));
    assert_eq!(hub.outcome("l"), "COMPLETED 40 steps, on");
}

/// And a new generation begins with an empty one.
#[test]
fn generations_begin_anew() {
    check(|hub| {
        hub.settings.history_chunk = 2;
        hub.reopen(1);
        hub.orchestrator("Rounds", |o| {
            let round: i32 = o.input()?.parse().ok()?;
            for step in 0..12 {
                o.call(step, "A", None)?;
            }
            if round == 3 {
                return Some("three rounds".into());
            }
            o.continue_as_new(Some(&(round + 1).to_string()), Vec::new());
            None
        });
        hub.activity("A", |_| Ok("a".into()));
        hub.start("r", "Rounds", Some("1"));
        assert_eq!(hub.outcome("r"), "COMPLETED three rounds");
        assert_eq!(hub.state("r").input.as_deref(), Some("3"));
        assert_eq!(hub.events("r").len(), 2 + 3 * 12 + 1);
    });
}
