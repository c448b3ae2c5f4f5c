//! Work items on their way: tokens, redelivery, workers that go (1.1, 1.3; traps 1, 7, 8, 28).

use crate::common::*;
use crate::episodes::chain;
use duramen_core::limits::UNSHOWN_PAUSE;
use duramen_core::request::Reply;
use duramen_core::work::{Announcement, Work, WorkItem};
use duramen_proto::{ActivityResponse, OrchestratorResponse};
use std::time::Duration;

fn wait_function(hub: &mut Hub) {
    hub.orchestrator("Wait", |o| o.event("go", 0));
}

#[test]
fn an_answer_is_taken_once() {
    check_without_crashes(|hub| {
        chain(hub);
        hub.hold("Chain");
        hub.hold("A");
        hub.start("c", "Chain", Some("x"));
        let (worker, item) = hub.take_held();
        let answer = hub.perform(worker, &item);
        hub.answer(worker, answer.clone());
        let (before, checkpoints) = (hub.history("c"), hub.checkpoints.len());
        for _ in 0..10 {
            hub.answer(worker, answer.clone());
        }
        assert_eq!((hub.history("c"), hub.checkpoints.len()), (before, checkpoints), "a stale answer changes nothing");
        let (worker, item) = hub.take_held();
        let answer = hub.perform(worker, &item);
        hub.answer(worker, answer.clone());
        hub.answer(worker, answer);
        let history = hub.history("c");
        assert_eq!(history.matches("TaskScheduled A").count(), 1);
        hub.release("Chain");
        assert_eq!(hub.outcome("c"), "COMPLETED xab");
    });
}

#[test]
fn an_answer_of_another_worker_is_stale() {
    check_without_crashes(|hub| {
        chain(hub);
        hub.hold("Chain");
        hub.start("c", "Chain", Some("x"));
        let (worker, item) = hub.take_held();
        let answer = hub.perform(worker, &item);
        let before = hub.checkpoints.len();
        hub.answer(WorkerId(99), answer.clone());
        assert_eq!(hub.checkpoints.len(), before);
        assert_eq!(hub.status("c"), Status::Pending);
        hub.answer(worker, answer);
        assert_eq!(hub.status("c"), Status::Running);
    });
}

#[test]
fn an_answer_from_before_a_crash_is_stale() {
    let mut hub = Hub::new(Mode::Plain);
    chain(&mut hub);
    hub.hold("Chain");
    hub.start("c", "Chain", Some("x"));
    let (worker, item) = hub.take_held();
    let answer = hub.perform(worker, &item);
    hub.crash();
    hub.run();
    let (_, again) = hub.take_held();
    assert_ne!(again.token, item.token);
    let before = hub.checkpoints.len();
    hub.answer(worker, answer);
    assert_eq!((hub.checkpoints.len(), hub.status("c")), (before, Status::Pending));
    hub.held.push((worker, again));
    hub.release("Chain");
    assert_eq!(hub.outcome("c"), "COMPLETED xab");
}

/// The episodes in an item, without its token.
fn shown(item: &WorkItem) -> (Vec<bytes::Bytes>, Option<Vec<bytes::Bytes>>) {
    let work = orchestrator_work(item);
    (work.new.clone(), work.past.clone())
}

#[test]
fn an_item_that_comes_again_has_the_same_events_and_time() {
    check_without_crashes(|hub| {
        wait_function(hub);
        hub.hold("Wait");
        hub.start("w", "Wait", None);
        hub.raise("w", "one", None);
        let (worker, first) = hub.take_held();
        hub.advance_seconds(5);
        hub.raise("w", "two", None);
        hub.answer(worker, Answer::Abandoned(first.token, "not mine".into()));
        hub.advance_seconds(1);
        let (worker, second) = hub.take_held();
        assert_eq!(shown(&first), shown(&second));
        assert_ne!(first.token, second.token);
        // The worker is lost with it.
        hub.advance_seconds(5);
        hub.leave(worker);
        hub.join(WorkerId(2), remote());
        hub.advance_seconds(1);
        let (_, third) = hub.take_held();
        assert_eq!(shown(&first), shown(&third));
        hub.held.push((WorkerId(2), third));
        hub.release("Wait");
        let lines = text::lines(&hub.events("w"));
        assert_eq!(lines[..2], ["OrchestratorStarted", "ExecutionStarted Wait"]);
        assert!(lines.contains(&"EventRaised two".to_string()), "what came meanwhile follows: {lines:?}");
    });
}

#[test]
fn the_pause_before_an_item_comes_again_grows_to_a_minute() {
    check_without_crashes(|hub| {
        wait_function(hub);
        hub.hold("Wait");
        hub.start("w", "Wait", None);
        let mut pauses = Vec::new();
        for _ in 0..14 {
            let (worker, item) = hub.take_held();
            let given_back = hub.now;
            hub.answer(worker, Answer::Abandoned(item.token, String::new()));
            while hub.held.is_empty() {
                let next = hub.deadline().expect("it will be offered again");
                hub.advance(next.since(hub.now));
            }
            pauses.push(hub.now.since(given_back).as_millis());
        }
        assert_eq!(pauses[..4], [100, 200, 400, 800], "a worker that gives back what it gets does not spin");
        assert_eq!(pauses[13], 60_000);
        // An answer ends the count.
        hub.release("Wait");
        hub.hold("Wait");
        hub.raise("w", "other", None);
        let (worker, item) = hub.take_held();
        hub.answer(worker, Answer::Abandoned(item.token, String::new()));
        hub.advance(Duration::from_millis(100));
        assert_eq!(hub.held.len(), 1);
    });
}

#[test]
fn an_activity_that_is_abandoned_comes_again_and_later_and_later() {
    check_without_crashes(|hub| {
        chain(hub);
        hub.hold("A");
        hub.start("c", "Chain", Some("x"));
        for pause in [100, 200, 400] {
            let (worker, item) = hub.take_held();
            hub.answer(worker, Answer::Abandoned(item.token, String::new()));
            hub.advance(Duration::from_millis(pause - 1));
            assert!(hub.held.is_empty());
            hub.advance(Duration::from_millis(1));
            assert_eq!(hub.held.len(), 1);
        }
        hub.release("A");
        assert_eq!(hub.outcome("c"), "COMPLETED xab");
    });
}

#[test]
fn what_a_worker_had_goes_to_the_next_when_it_is_gone() {
    check_without_crashes(|hub| {
        chain(hub);
        hub.hold("A");
        hub.hold("Wait");
        wait_function(hub);
        hub.start("c", "Chain", Some("x"));
        hub.start("w", "Wait", None);
        let lost = std::mem::take(&mut hub.held);
        assert_eq!(lost.len(), 2);
        hub.leave(WORKER);
        hub.held_names.clear();
        hub.join(WorkerId(2), remote());
        assert_eq!(hub.outcome("c"), "COMPLETED xab");
        assert_eq!(hub.status("w"), Status::Running);
        assert_eq!(*hub.ran.borrow(), ["A", "B"]);
    });
}

#[test]
fn an_episode_that_is_out_too_long_goes_to_another() {
    check_without_crashes(|hub| {
        wait_function(hub);
        hub.hold("Wait");
        hub.start("w", "Wait", None);
        let (worker, first) = hub.take_held();
        hub.advance(hub.settings.episode_limit - Duration::from_nanos(1));
        assert!(hub.held.is_empty());
        hub.advance(Duration::from_nanos(1));
        let (_, second) = hub.take_held();
        assert_eq!(shown(&first), shown(&second));
        let Work::Orchestrator(work) = &first.work else { panic!("{first:?} is an activity") };
        assert!(
            hub.ended_sessions.contains(&(worker, work.session.run)),
            "what it answers now is the start of nothing"
        );
        let late = hub.perform(worker, &first);
        let before = hub.checkpoints.len();
        hub.answer(worker, late);
        assert_eq!(hub.checkpoints.len(), before, "it was handed out again: the first answer is stale");
    });
}

/// Nobody else has it yet, so the answer that is late is as good as any.
#[test]
fn an_answer_that_comes_before_the_item_is_handed_out_again_is_taken() {
    check_without_crashes(|hub| {
        chain(hub);
        hub.hold("Chain");
        hub.hold("A");
        hub.leave(WORKER);
        // Room for one: while it is full, what comes back waits.
        hub.join(WorkerId(2), Announcement { orchestrators: 2, activities: 1, ..remote() });
        hub.start("c", "Chain", Some("x"));
        let (worker, item) = hub.take_held();
        let answer = hub.perform(worker, &item);
        hub.leave(worker);
        hub.answer(worker, answer);
        assert_eq!(hub.status("c"), Status::Running, "the episode was answered over another channel");
        hub.held_names.clear();
        hub.join(WorkerId(3), remote());
        assert_eq!(hub.outcome("c"), "COMPLETED xab");
        // And an activity's.
        hub.hold("A");
        hub.start("d", "Chain", Some("y"));
        let (worker, item) = hub.take_held();
        let answer = hub.perform(worker, &item);
        hub.leave(worker);
        hub.answer(worker, answer);
        let ran = hub.ran.borrow().len();
        hub.join(WorkerId(4), remote());
        assert_eq!(hub.outcome("d"), "COMPLETED yab");
        assert_eq!(hub.ran.borrow().len(), ran + 1, "only B ran after it");
    });
}

#[test]
fn activities_have_no_limit_unless_the_hub_sets_one() {
    check_without_crashes(|hub| {
        chain(hub);
        hub.hold("A");
        hub.start("c", "Chain", Some("x"));
        let (worker, item) = hub.take_held();
        hub.advance_seconds(1_000_000);
        assert!(hub.held.is_empty());
        let answer = hub.perform(worker, &item);
        hub.answer(worker, answer);
        assert_eq!(hub.outcome("c"), "COMPLETED xab");

        hub.settings.activity_limit = Some(Duration::from_secs(60));
        hub.reopen(1);
        hub.start("d", "Chain", Some("y"));
        let (worker, first) = hub.take_held();
        hub.advance_seconds(59);
        assert!(hub.held.is_empty());
        hub.advance_seconds(1);
        assert_eq!(hub.held.len(), 1);
        let late = hub.perform(worker, &first);
        hub.answer(worker, late);
        assert_eq!(hub.status("d"), Status::Running, "stale");
        hub.release("A");
        assert_eq!(hub.outcome("d"), "COMPLETED yab");
    });
}

#[test]
fn a_worker_that_lost_its_session_gets_the_whole_history() {
    check_in(&[Mode::Plain, Mode::Slow], |hub| {
        hub.raw("Forget", |work| match (work.session.episodes, &work.past) {
            (0, Some(past)) if past.is_empty() => answer(vec![]),
            (_, None) => OrchestratorResponse { requires_history: true, ..answer(vec![schedule(1, "A", None)]) },
            (_, Some(past)) => answer(vec![complete(1, Status::Completed, Some(&text::lines(past).join(";")))]),
        });
        hub.start("f", "Forget", None);
        hub.raise("f", "go", None);
        let [.., asked, again] = &hub.episodes[..] else { panic!("{:?}", hub.episodes) };
        assert!(asked.past.is_none() && again.past.is_some());
        assert_eq!(asked.new, again.new);
        assert_eq!(hub.outcome("f"), "COMPLETED OrchestratorStarted;ExecutionStarted Forget");
        assert_eq!(*hub.ran.borrow(), Vec::<String>::new(), "nothing of the refused answer is applied");
    });
}

#[test]
fn a_session_goes_on_in_this_process_alone() {
    check_in(&[Mode::Plain, Mode::Slow], |hub| {
        wait_function(hub);
        hub.start("w", "Wait", None);
        hub.raise("w", "x", None);
        hub.raise("w", "y", None);
        let past: Vec<bool> = hub.episodes.iter().map(|work| work.past.is_some()).collect();
        assert_eq!(past, [true, false, false]);
        hub.go_remote();
        hub.raise("w", "z", None);
        hub.raise("w", "z", None);
        let past: Vec<bool> = hub.episodes[3..].iter().map(|work| work.past.is_some()).collect();
        assert_eq!(past, [true, true]);
    });
}

#[test]
fn a_session_ends_with_its_run_with_a_rewind_and_with_a_load() {
    let mut hub = Hub::new(Mode::Plain);
    hub.orchestrator("Loop", |o| match o.input().as_deref() {
        Some("0") => {
            o.event("next", 0)?;
            o.continue_as_new(Some("1"), vec![]);
            None
        }
        _ => {
            if o.event("fail", 0).is_some() && o.event("again", 0).is_none() {
                o.fail(failure("E", "x"));
            }
            o.event("end", 0)
        }
    });
    let has_past = |hub: &Hub| hub.episodes.last().expect("there was one").past.is_some();
    hub.start("l", "Loop", Some("0"));
    hub.raise("l", "x", None);
    assert!(!has_past(&hub));
    hub.raise("l", "next", None);
    assert!(has_past(&hub), "a new generation");
    hub.raise("l", "x", None);
    assert!(!has_past(&hub));
    hub.raise("l", "fail", None);
    hub.hold("Loop");
    hub.done(Request::Rewind { id: "l".into(), reason: None });
    assert!(has_past(&hub), "a rewind");
    hub.raise("l", "again", None);
    hub.release("Loop");
    hub.raise("l", "x", None);
    assert_eq!(hub.status("l"), Status::Failed, "the code fails at the same place again");

    let mut hub = Hub::new(Mode::Evict);
    wait_function(&mut hub);
    hub.start("w", "Wait", None);
    assert_eq!(hub.ended_sessions.len(), 1, "the worker is told to forget it");
    hub.raise("w", "x", None);
    assert!(has_past(&hub), "a load");
}

#[test]
fn an_episode_that_never_came_back_is_not_handed_out_again_in_this_process() {
    check_without_crashes(|hub| {
        wait_function(hub);
        hub.hold("Wait");
        hub.start("w", "Wait", None);
        let (worker, item) = hub.take_held();
        hub.answer(worker, Answer::WrittenOff(item.token));
        hub.raise("w", "go", Some("x"));
        hub.advance_seconds(10_000);
        assert!(hub.held.is_empty());
        hub.crash();
        hub.run();
        hub.release("Wait");
        assert_eq!(hub.outcome("w"), "COMPLETED x", "another process tries again");
    });
}

#[test]
fn one_that_was_written_off_can_be_terminated() {
    check_without_crashes(|hub| {
        wait_function(hub);
        hub.raw("Begin", |_| answer(vec![]));
        hub.start("b", "Begin", None);
        hub.hold("Begin");
        hub.raise("b", "x", None);
        let (worker, item) = hub.take_held();
        hub.answer(worker, Answer::WrittenOff(item.token));
        hub.terminate("b", "stop", false);
        hub.advance_seconds(10);
        assert_eq!(hub.outcome("b"), "TERMINATED stop");
    });
}

/// Without their worker nothing is lost and nothing spins.
#[test]
fn work_waits_for_a_worker() {
    check(|hub| {
        chain(hub);
        hub.leave(WORKER);
        hub.start("c", "Chain", Some("x"));
        hub.advance_seconds(100_000);
        assert_eq!(hub.status("c"), Status::Pending);
        hub.join(WorkerId(5), Announcement { orchestrators: 1, activities: 0, ..in_process() });
        assert_eq!(hub.status("c"), Status::Running);
        hub.join(WorkerId(6), Announcement { orchestrators: 0, activities: 1, ..remote() });
        assert_eq!(hub.outcome("c"), "COMPLETED xab");
    });
}

/// The instance remembers what it left behind until that is answered, over a restart too.
#[test]
fn what_a_completed_instance_left_behind_runs_in_the_end() {
    check_without_crashes(|hub| {
        hub.orchestrator("Leaves", |o| {
            o.act(schedule(1, "A", None));
            Some("left".into())
        });
        hub.activity("A", |_| Ok("a".into()));
        hub.leave(WORKER);
        hub.join(WORKER, Announcement { activities: 0, ..in_process() });
        hub.start("l", "Leaves", None);
        assert_eq!(hub.outcome("l"), "COMPLETED left");
        hub.crash();
        hub.run();
        assert_eq!(hub.stored("l").expect("there").tasks.len(), 1);
        let before = hub.state("l");
        hub.advance_seconds(60);
        hub.join(WorkerId(2), remote());
        assert_eq!(*hub.ran.borrow(), ["A"]);
        assert_eq!(hub.stored("l").expect("there").tasks.len(), 0);
        assert_eq!(hub.state("l"), before);
    });
}

/// The instance of a granted item is being loaded when the worker goes away.
#[test]
fn a_grant_that_waits_for_its_instance_goes_to_another_worker() {
    let mut hub = Hub::new(Mode::Plain);
    chain(&mut hub);
    hub.hold("A");
    hub.start("c", "Chain", Some("x"));
    hub.held.clear();
    hub.held_names.clear();
    hub.stalled = true;
    hub.crash();
    hub.run();
    hub.leave(WORKER);
    hub.stalled = false;
    hub.run();
    hub.join(WorkerId(2), remote());
    assert_eq!(hub.outcome("c"), "COMPLETED xab");
}

#[test]
fn an_answer_that_names_another_instance_is_none() {
    check_without_crashes(|hub| {
        wait_function(hub);
        hub.hold("Wait");
        hub.start("w", "Wait", None);
        let (worker, item) = hub.take_held();
        let before = hub.checkpoints.len();
        let other = OrchestratorResponse { instance_id: "other".into(), ..OrchestratorResponse::default() };
        hub.answer(worker, Answer::Orchestrator(item.token, other));
        assert_eq!(hub.checkpoints.len(), before);
        let answer = hub.perform(worker, &item);
        hub.answer(worker, answer);
        assert_eq!(hub.status("w"), Status::Running);
    });
}

#[test]
fn a_session_that_moves_on_ends_where_it_was() {
    let mut hub = Hub::new(Mode::Plain);
    wait_function(&mut hub);
    hub.orchestrator("Busy", |_| Some("done".into()));
    hub.leave(WORKER);
    let narrow = || Announcement { orchestrators: 1, ..in_process() };
    hub.join(WorkerId(1), narrow());
    hub.start("w", "Wait", None);
    // The worker that holds the session has no room when the next item comes.
    hub.hold("Busy");
    hub.start("b", "Busy", None);
    hub.join(WorkerId(2), narrow());
    hub.raise("w", "x", None);
    let run = hub.episodes.last().expect("an episode ran").session.run;
    assert!(hub.ended_sessions.contains(&(WorkerId(1), run)), "{:?}", hub.ended_sessions);
    hub.release("Busy");
    hub.raise("w", "go", Some("y"));
    assert_eq!(hub.outcome("w"), "COMPLETED y");
}

#[test]
fn an_answer_of_another_kind_is_none() {
    check_without_crashes(|hub| {
        hub.orchestrator("Call", |o| o.call(1, "A", None));
        hub.activity("A", |_| Ok("done".into()));
        hub.hold("Call");
        hub.start("c", "Call", None);
        let (worker, episode) = hub.take_held();
        hub.answer(worker, Answer::Activity(episode.token, ActivityResponse::default()));
        hub.hold("A");
        let answer = hub.perform(worker, &episode);
        hub.answer(worker, answer);
        let (worker, task) = hub.take_held();
        hub.answer(worker, Answer::Orchestrator(task.token, OrchestratorResponse::default()));
        hub.release("Call");
        let answer = hub.perform(worker, &task);
        hub.answer(worker, answer);
        assert_eq!(hub.outcome("c"), "COMPLETED done");
    });
}

/// A worker may still be at an item of the hub before, and if it returns no tokens, what another
/// instance begins under the same id would be taken for that.
#[test]
fn what_takes_an_id_after_a_restart_waits_for_what_may_be_out_under_it() {
    let mut hub = Hub::new(Mode::Plain);
    wait_function(&mut hub);
    hub.orchestrator("Done", |_| Some("done".into()));
    hub.start("w", "Wait", None);
    hub.start("p", "Done", None);
    hub.leave(WORKER);
    hub.reopen(1);
    let before = hub.episodes.len();
    hub.join_unshown(WorkerId(2), remote());
    hub.start_with(create("w", "Done", None), OnExisting::Replace(vec![Status::Running, Status::Terminated]));
    assert!(matches!(hub.ask(Request::Purge("p".into())), Reply::Purged(true)));
    hub.start("p", "Done", None);
    hub.start("new", "Done", None);
    let seen =
        |hub: &Hub| -> Vec<String> { hub.episodes[before..].iter().map(|work| work.instance.to_string()).collect() };
    assert_eq!(seen(&hub), ["new"], "nothing was ever out under this one");
    hub.advance(UNSHOWN_PAUSE);
    assert_eq!(hub.outcome("w"), "COMPLETED done");
    assert_eq!(hub.outcome("p"), "COMPLETED done");
}
