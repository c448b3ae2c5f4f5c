use super::*;
use crate::limits::SEND_WINDOW;
use crate::work::{ActivityWork, Filters, OrchestratorWork, Session, Work};
use alloc::format;
use alloc::string::String;
use alloc::string::ToString;
use alloc::vec;
use bytes::Bytes;
use duramen_proto::history_event::EventType;
use duramen_proto::{OrchestratorAction, TaskScheduledEvent, TimerCreatedEvent};

const PARTITION: PartitionId = PartitionId(0);

fn offer(name: &str, version: Option<&str>, number: u64, after: u64) -> Offer {
    let item = Item::Task { id: InstanceId::new("i"), birth: Run(1), number, action: number as i32 };
    Offer {
        item,
        name: name.into(),
        version: version.map(Into::into),
        after,
        prefer: None,
        bytes: ItemBytes::default(),
        follows: false,
    }
}

fn episode(run: u64, after: u64, prefer: Option<WorkerId>) -> Offer {
    let item = Item::Episode { id: InstanceId::new(format!("i{run}")), birth: Run(run), run: Run(run) };
    Offer { item, name: "O".into(), version: None, after, prefer, bytes: ItemBytes::default(), follows: false }
}

fn worker(orchestrators: usize, activities: usize) -> Announcement {
    Announcement { orchestrators, activities, ..Announcement::default() }
}

fn windowed(activities: usize) -> Announcement {
    Announcement { windowed: true, ..worker(0, activities) }
}

fn granted(dispatcher: &mut Dispatcher) -> Vec<(u64, u64)> {
    let mut out = vec![];
    dispatcher.grants(Time::EPOCH, &mut out);
    out.into_iter()
        .map(|(_, grant)| match grant.item {
            Item::Episode { run, .. } => (grant.worker.0, run.0),
            Item::Task { number, .. } => (grant.worker.0, number),
        })
        .collect()
}

#[test]
fn never_more_than_a_worker_has_room_for() {
    let mut dispatcher = Dispatcher::new();
    dispatcher.join(WorkerId(1), worker(0, 2));
    (1..=3).for_each(|n| dispatcher.offer(PARTITION, offer("A", None, n, 0), Time::EPOCH));
    assert_eq!(granted(&mut dispatcher), [(1, 1), (1, 2)]);
    dispatcher.freed(WorkerId(1), WorkKind::Activity);
    assert_eq!(granted(&mut dispatcher), [(1, 3)]);
    assert_eq!(dispatcher.waiting(WorkKind::Activity), 0);
}

#[test]
fn what_is_not_durable_goes_to_who_forgets_it_with_the_lease_if_it_is_an_orchestrators() {
    let forgets = [
        Announcement { in_process: true, ..worker(1, 5) },
        Announcement { sessions: true, ..worker(1, 5) },
        Announcement { in_process: true, sessions: true, ..worker(1, 5) },
    ];
    for announcement in forgets {
        let mut dispatcher = Dispatcher::new();
        dispatcher.join(WorkerId(1), worker(5, 5));
        dispatcher.join(WorkerId(2), announcement);
        dispatcher.offer(PARTITION, episode(10, 7, None), Time::EPOCH);
        dispatcher.offer(PARTITION, episode(11, 7, None), Time::EPOCH);
        dispatcher.offer(PARTITION, offer("A", None, 12, 7), Time::EPOCH);
        assert_eq!(granted(&mut dispatcher), [(2, 10)], "the second waits: that worker is full");
        dispatcher.committed(PARTITION, 6);
        assert_eq!(granted(&mut dispatcher), []);
        dispatcher.committed(PARTITION, 7);
        let now = granted(&mut dispatcher);
        assert_eq!(now.len(), 2, "{now:?}");
    }
}

#[test]
fn a_session_is_preferred_but_never_waited_for() {
    let mut dispatcher = Dispatcher::new();
    (1..=3).for_each(|n| dispatcher.join(WorkerId(n), worker(1, 0)));
    dispatcher.offer(PARTITION, episode(10, 0, Some(WorkerId(3))), Time::EPOCH);
    dispatcher.offer(PARTITION, episode(11, 0, Some(WorkerId(3))), Time::EPOCH);
    let out = granted(&mut dispatcher);
    assert_eq!(out[0], (3, 10));
    assert_ne!(out[1].0, 3);
}

#[test]
fn equal_workers_share_evenly() {
    let mut dispatcher = Dispatcher::new();
    (1..=2).for_each(|n| dispatcher.join(WorkerId(n), worker(0, 100)));
    (0..100).for_each(|n| dispatcher.offer(PARTITION, offer("A", None, n, 0), Time::EPOCH));
    let out = granted(&mut dispatcher);
    let first = out.iter().filter(|(worker, _)| *worker == 1).count();
    assert_eq!((first, out.len()), (50, 100));
}

#[test]
fn filters_compare_names_without_case_and_keep_what_nobody_takes() {
    let mut dispatcher = Dispatcher::new();
    let filters = Filters {
        orchestrators: vec![],
        activities: vec![("Charge".to_string(), vec![]), ("Pay".to_string(), vec!["2".to_string(), String::new()])],
    };
    dispatcher.join(WorkerId(1), Announcement { filters: Some(filters), ..worker(9, 9) });
    let all =
        [("CHARGE", Some("7"), 1), ("pay", Some("1"), 2), ("pay", Some("2"), 3), ("pay", None, 4), ("other", None, 5)];
    all.into_iter().for_each(|(name, version, n)| dispatcher.offer(PARTITION, offer(name, version, n, 0), Time::EPOCH));
    dispatcher.offer(PARTITION, episode(6, 0, None), Time::EPOCH);
    assert_eq!(granted(&mut dispatcher), [(1, 1), (1, 3), (1, 4)]);
    assert_eq!(dispatcher.waiting(WorkKind::Activity), 2);
    assert_eq!(dispatcher.waiting(WorkKind::Orchestrator), 1);
    dispatcher.join(WorkerId(2), worker(9, 9));
    assert_eq!(granted(&mut dispatcher).len(), 3);
}

#[test]
fn a_worker_that_is_gone_gets_nothing() {
    let mut dispatcher = Dispatcher::new();
    dispatcher.join(WorkerId(1), worker(1, 1));
    dispatcher.leave(WorkerId(1), Time::EPOCH);
    dispatcher.freed(WorkerId(1), WorkKind::Activity);
    dispatcher.offer(PARTITION, offer("A", None, 1, 0), Time::EPOCH);
    assert_eq!(granted(&mut dispatcher), []);
}

/// A worker elsewhere that says nothing of tokens.
fn with_bare(room: usize) -> Dispatcher {
    let mut dispatcher = Dispatcher::new();
    dispatcher.join(WorkerId(1), worker(room, room));
    dispatcher
}

fn at(seconds: u64) -> Time {
    Time::new(seconds as i64, 0)
}

fn granted_at(dispatcher: &mut Dispatcher, now: Time) -> Vec<Grant> {
    let mut out = vec![];
    dispatcher.grants(now, &mut out);
    out.into_iter().map(|(_, grant)| grant).collect()
}

#[test]
fn a_worker_of_our_own_needs_to_show_no_token_first() {
    let mut dispatcher = Dispatcher::new();
    dispatcher.join(WorkerId(1), Announcement { sessions: true, ..worker(9, 9) });
    // Two generations of an instance, each with an activity of the same id.
    for number in [1, 2] {
        let item = Item::Task { id: InstanceId::new("i"), birth: Run(1), number, action: 0 };
        dispatcher.offer(PARTITION, Offer { item, ..offer("A", None, 0, 0) }, at(0));
    }
    assert_eq!(granted_at(&mut dispatcher, at(0)).len(), 2);
}

/// What a partition does with a grant.
fn hand(dispatcher: &mut Dispatcher, grant: &Grant, token: u64, past: Vec<Bytes>) {
    let instance = grant.item.instance().clone();
    let work = match &grant.item {
        Item::Episode { run, .. } => Work::Orchestrator(OrchestratorWork {
            instance,
            execution_id: "x".into(),
            name: "O".into(),
            version: None,
            session: Session { epoch: Epoch(1), run: *run, rewinds: 0, episodes: 0 },
            past: Some(past),
            new: vec![],
            trace: Bytes::new(),
        }),
        Item::Task { action, .. } => Work::Activity(ActivityWork {
            instance,
            execution_id: "x".into(),
            orchestration_version: None,
            scheduled: crate::event::encode(*action, at(0), EventType::TaskScheduled(TaskScheduledEvent::default())),
        }),
    };
    dispatcher.handed(grant.worker, &WorkItem { token: Token(token), work });
}

fn run_of(id: &str, run: u64) -> Offer {
    let item = Item::Episode { id: InstanceId::new(id), birth: Run(run), run: Run(run) };
    Offer { item, name: "O".into(), version: None, after: 0, prefer: None, bytes: ItemBytes::default(), follows: false }
}

fn answer_of(id: &str, actions: &[i32]) -> OrchestratorResponse {
    let action = |id: &i32| OrchestratorAction { id: *id, orchestrator_action_type: None };
    let actions = actions.iter().map(action).collect();
    OrchestratorResponse { instance_id: id.into(), actions, ..OrchestratorResponse::default() }
}

fn result_of(task_id: i32) -> ActivityResponse {
    ActivityResponse { instance_id: "i".into(), task_id, ..ActivityResponse::default() }
}

#[test]
fn an_answer_without_a_token_is_about_what_is_out_on_its_connection() {
    let mut dispatcher = with_bare(5);
    dispatcher.join(WorkerId(2), worker(0, 0));
    dispatcher.offer(PARTITION, run_of("a", 1), at(0));
    dispatcher.offer(PARTITION, offer("A", None, 7, 0), at(0));
    let grants = granted_at(&mut dispatcher, at(0));
    assert_eq!(dispatcher.token_of_episode(WorkerId(1), &answer_of("a", &[])), None, "it is not out yet");
    (0..).zip(&grants).for_each(|(token, grant)| hand(&mut dispatcher, grant, token, vec![]));
    assert_eq!(dispatcher.token_of_episode(WorkerId(2), &answer_of("a", &[])), None, "it is another's");
    assert_eq!(dispatcher.token_of_episode(WorkerId(1), &answer_of("b", &[])), None);
    assert_eq!(dispatcher.token_of_activity(WorkerId(1), &result_of(8)), None);
    assert_eq!(dispatcher.token_of_episode(WorkerId(1), &answer_of("a", &[])), Some(Token(0)));
    assert_eq!(dispatcher.token_of_activity(WorkerId(1), &result_of(7)), Some(Token(1)));
    assert_eq!(dispatcher.token_of_activity(WorkerId(1), &result_of(7)), None, "it was answered");
}

#[test]
fn an_answer_that_would_make_what_the_history_has_is_to_an_earlier_episode() {
    let mut dispatcher = with_bare(5);
    dispatcher.offer(PARTITION, run_of("a", 1), at(0));
    let grant = granted_at(&mut dispatcher, at(0)).remove(0);
    let past = vec![
        crate::event::orchestrator_started(at(0)),
        crate::event::encode(3, at(0), EventType::TimerCreated(TimerCreatedEvent::default())),
    ];
    hand(&mut dispatcher, &grant, 9, past);
    assert_eq!(dispatcher.token_of_episode(WorkerId(1), &answer_of("a", &[3, 4])), None);
    // That of another event says nothing: the id of OrchestratorStarted is no action's.
    assert_eq!(dispatcher.token_of_episode(WorkerId(1), &answer_of("a", &[-1])), Some(Token(9)));
}

#[test]
fn a_connection_without_tokens_never_has_two_items_that_it_cannot_tell_apart() {
    let mut dispatcher = with_bare(5);
    dispatcher.offer(PARTITION, run_of("a", 1), at(0));
    let first = granted_at(&mut dispatcher, at(0)).remove(0);
    hand(&mut dispatcher, &first, 1, vec![]);
    // The run has ended, and its id has begun anew: the old item is still with the worker.
    dispatcher.freed(WorkerId(1), WorkKind::Orchestrator);
    dispatcher.offer(PARTITION, run_of("a", 2), at(0));
    dispatcher.offer(PARTITION, run_of("b", 3), at(0));
    let others = granted_at(&mut dispatcher, at(0));
    assert_eq!(others.len(), 1, "what is kept back is in nobody's way");
    assert_eq!(others[0].item.instance().as_str(), "b");
    assert_eq!((dispatcher.waiting(WorkKind::Orchestrator), dispatcher.deadline()), (1, None));
    assert_eq!(dispatcher.token_of_episode(WorkerId(1), &answer_of("a", &[])), Some(Token(1)));
    assert_eq!(granted_at(&mut dispatcher, at(0)).len(), 1);
}

#[test]
fn what_is_kept_back_goes_to_another_that_has_room() {
    let mut dispatcher = with_bare(5);
    dispatcher.offer(PARTITION, run_of("a", 1), at(0));
    let first = granted_at(&mut dispatcher, at(0)).remove(0);
    hand(&mut dispatcher, &first, 1, vec![]);
    dispatcher.join(WorkerId(2), worker(1, 0));
    dispatcher.offer(PARTITION, run_of("b", 2), at(0));
    assert_eq!(granted_at(&mut dispatcher, at(0))[0].worker, WorkerId(2), "it is the next in turn");
    dispatcher.offer(PARTITION, run_of("a", 3), at(0));
    assert!(granted_at(&mut dispatcher, at(0)).is_empty());
    dispatcher.freed(WorkerId(2), WorkKind::Orchestrator);
    assert_eq!(granted_at(&mut dispatcher, at(0))[0].worker, WorkerId(2));
    // Or to one that comes.
    dispatcher.offer(PARTITION, run_of("a", 4), at(0));
    assert!(granted_at(&mut dispatcher, at(0)).is_empty());
    dispatcher.join(WorkerId(3), Announcement { in_process: true, ..worker(1, 0) });
    assert_eq!(granted_at(&mut dispatcher, at(0))[0].worker, WorkerId(3));
}

#[test]
fn a_grant_that_was_refused_is_not_booked() {
    let mut dispatcher = with_bare(1);
    dispatcher.offer(PARTITION, run_of("a", 1), at(0));
    let grant = granted_at(&mut dispatcher, at(0)).remove(0);
    dispatcher.offer(PARTITION, run_of("a", 2), at(0));
    assert!(granted_at(&mut dispatcher, at(0)).is_empty());
    dispatcher.refused(&grant);
    assert_eq!(granted_at(&mut dispatcher, at(0)).len(), 1);
}

#[test]
fn a_connection_that_has_shown_a_token_is_bound_no_longer() {
    let mut dispatcher = with_bare(9);
    dispatcher.offer(PARTITION, offer("A", None, 1, 0), at(0));
    dispatcher.offer(PARTITION, offer("A", None, 1, 0), at(0));
    let grants = granted_at(&mut dispatcher, at(0));
    assert_eq!(grants.len(), 1, "a retry may have the id of the first try");
    hand(&mut dispatcher, &grants[0], 5, vec![]);
    // Giving it back under its token will do.
    dispatcher.answered(WorkerId(1), &Answer::Abandoned(Token(5), String::new()));
    dispatcher.offer(PARTITION, offer("A", None, 1, 0), at(0));
    assert_eq!(granted_at(&mut dispatcher, at(0)).len(), 2);
    assert_eq!(dispatcher.token_of_activity(WorkerId(1), &result_of(1)), None, "it knows better");
    // A connection counts, not a kind of work.
    dispatcher.offer(PARTITION, run_of("a", 1), at(0));
    dispatcher.offer(PARTITION, run_of("a", 2), at(0));
    assert_eq!(granted_at(&mut dispatcher, at(0)).len(), 2);
}

#[test]
fn a_connection_has_not_shown_a_token_with_what_the_hub_keeps_back_from_it() {
    let mut dispatcher = with_bare(9);
    dispatcher.offer(PARTITION, run_of("a", 1), at(0));
    let grant = granted_at(&mut dispatcher, at(0)).remove(0);
    hand(&mut dispatcher, &grant, 5, vec![]);
    dispatcher.answered(WorkerId(1), &Answer::TooLarge(Token(5), ItemBytes { whole: 9, bare: 1 }));
    assert_eq!(dispatcher.booked(), 0, "it has never been out");
    dispatcher.offer(PARTITION, run_of("b", 1), at(0));
    dispatcher.offer(PARTITION, run_of("b", 2), at(0));
    assert_eq!(granted_at(&mut dispatcher, at(0)).len(), 1, "the connection is still bound");
}

#[test]
fn what_was_out_on_a_lost_connection_waits_before_it_goes_to_one_without_tokens() {
    let mut dispatcher = with_bare(9);
    dispatcher.offer(PARTITION, run_of("a", 1), at(0));
    let grant = granted_at(&mut dispatcher, at(0)).remove(0);
    hand(&mut dispatcher, &grant, 1, vec![]);
    dispatcher.leave(WorkerId(1), at(10));
    dispatcher.join(WorkerId(2), worker(9, 9));
    dispatcher.offer(PARTITION, run_of("a", 1), at(10));
    dispatcher.offer(PARTITION, run_of("b", 2), at(10));
    assert_eq!(granted_at(&mut dispatcher, at(10)).len(), 1, "b was never out");
    assert_eq!(dispatcher.deadline(), Some(at(12)));
    assert!(granted_at(&mut dispatcher, at(11)).is_empty());
    assert_eq!(granted_at(&mut dispatcher, at(12)).len(), 1);
    assert_eq!(dispatcher.deadline(), None);
    // A grant that never became an item was never out.
    dispatcher.leave(WorkerId(2), at(20));
    dispatcher.join(WorkerId(3), worker(9, 9));
    dispatcher.offer(PARTITION, run_of("a", 1), at(20));
    assert_eq!(granted_at(&mut dispatcher, at(20)).len(), 1);
}

#[test]
fn nothing_is_kept_back_for_longer_when_the_clock_is_turned_back() {
    let mut dispatcher = with_bare(9);
    dispatcher.offer(PARTITION, run_of("a", 1), at(5000));
    let grant = granted_at(&mut dispatcher, at(5000)).remove(0);
    hand(&mut dispatcher, &grant, 1, vec![]);
    dispatcher.leave(WorkerId(1), at(5000));
    dispatcher.join(WorkerId(2), worker(9, 9));
    dispatcher.offer(PARTITION, run_of("a", 1), at(10));
    assert!(granted_at(&mut dispatcher, at(10)).is_empty());
    assert_eq!(dispatcher.deadline(), Some(at(12)));
    assert_eq!(granted_at(&mut dispatcher, at(12)).len(), 1);
    assert_eq!(dispatcher.booked(), 1);
}

#[test]
fn what_began_before_the_hub_waits_before_it_goes_to_a_connection_without_tokens() {
    let mut dispatcher = with_bare(9);
    dispatcher.opened(PARTITION, Epoch(2), at(10));
    let (old, new) = (run_of("a", 1 << 40 | 5), run_of("b", 2 << 40 | 5));
    dispatcher.offer(PARTITION, old.clone(), at(11));
    dispatcher.offer(PARTITION, new, at(11));
    let grants = granted_at(&mut dispatcher, at(11));
    assert_eq!(grants.iter().map(|grant| grant.item.instance().as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(granted_at(&mut dispatcher, at(12)).len(), 1);
    // So does what its instance, or another of its id, has begun since.
    let mut dispatcher = with_bare(9);
    dispatcher.opened(PARTITION, Epoch(2), at(10));
    let item = Item::Episode { id: InstanceId::new("a"), birth: Run(1 << 40 | 5), run: Run(2 << 40 | 9) };
    dispatcher.offer(PARTITION, Offer { item, ..old.clone() }, at(11));
    dispatcher.offer(PARTITION, Offer { follows: true, ..run_of("b", 2 << 40 | 7) }, at(11));
    assert_eq!(granted_at(&mut dispatcher, at(11)).len(), 0);
    assert_eq!(dispatcher.deadline(), Some(at(12)));
    assert_eq!(granted_at(&mut dispatcher, at(12)).len(), 2);
    assert_eq!(dispatcher.deadline(), None);
    // Or at once to one in this process.
    let mut dispatcher = Dispatcher::new();
    dispatcher.join(WorkerId(1), Announcement { in_process: true, ..worker(9, 9) });
    dispatcher.opened(PARTITION, Epoch(2), at(10));
    dispatcher.offer(PARTITION, old.clone(), at(10));
    assert_eq!(granted_at(&mut dispatcher, at(10)).len(), 1);
    // Or when enough time has passed.
    let mut dispatcher = with_bare(9);
    dispatcher.opened(PARTITION, Epoch(2), at(10));
    dispatcher.offer(PARTITION, old, at(12));
    assert_eq!(granted_at(&mut dispatcher, at(12)).len(), 1);
}

#[test]
fn who_takes_any_number_gets_as_much_as_its_connection_takes() {
    let mut dispatcher = Dispatcher::new();
    dispatcher.join(WorkerId(1), windowed(Announcement::UNLIMITED));
    dispatcher.join(WorkerId(2), windowed(Announcement::UNLIMITED));
    (0..500).for_each(|n| dispatcher.offer(PARTITION, offer("A", None, n, 0), at(0)));
    assert_eq!(granted(&mut dispatcher).len(), 2 * SEND_WINDOW);
    // Answers make no room, what leaves for the connection does.
    dispatcher.freed(WorkerId(1), WorkKind::Activity);
    assert_eq!(granted(&mut dispatcher), []);
    dispatcher.sent(WorkerId(1), WorkKind::Activity, 3);
    let more = granted(&mut dispatcher);
    assert_eq!((more.len(), more.iter().all(|(worker, _)| *worker == 1)), (3, true));
    // One that was not open after all goes back.
    let grant = Grant {
        item: offer("A", None, 1, 0).item,
        worker: WorkerId(2),
        in_process: false,
        sessions: false,
        early: false,
        name: "".into(),
    };
    dispatcher.refused(&grant);
    assert_eq!(granted(&mut dispatcher).len(), 1);
    // What a worker with a number of its own sends makes none.
    dispatcher.join(WorkerId(3), worker(0, 1));
    assert_eq!(granted(&mut dispatcher).len(), 1);
    dispatcher.sent(WorkerId(3), WorkKind::Activity, 1);
    assert_eq!(granted(&mut dispatcher), []);
    (1..=3).for_each(|n| dispatcher.leave(WorkerId(n), at(0)));
    assert_eq!(dispatcher.room(), (0, 0));
}

#[test]
fn who_takes_a_large_number_gets_no_more_at_once_than_its_connection_takes() {
    let mut dispatcher = Dispatcher::new();
    dispatcher.join(WorkerId(1), windowed(SEND_WINDOW + 3));
    (0..500).for_each(|n| dispatcher.offer(PARTITION, offer("A", None, n, 0), at(0)));
    assert_eq!(granted(&mut dispatcher).len(), SEND_WINDOW);
    // It has room for three more, however many have left.
    dispatcher.sent(WorkerId(1), WorkKind::Activity, SEND_WINDOW);
    assert_eq!(granted(&mut dispatcher).len(), 3);
    dispatcher.freed(WorkerId(1), WorkKind::Activity);
    assert_eq!(granted(&mut dispatcher).len(), 1);
    dispatcher.leave(WorkerId(1), at(0));
    assert_eq!(dispatcher.room(), (0, 0));
}

#[test]
fn a_clock_that_is_set_back_keeps_nothing_from_a_connection_for_longer_than_the_pause() {
    let mut dispatcher = Dispatcher::new();
    let late = Time::new(10_000, 0);
    dispatcher.opened(PARTITION, Epoch(1), late);
    dispatcher.join(WorkerId(1), worker(1, 1));
    dispatcher.offer(PARTITION, offer("A", None, 1, 0), late);
    let mut out = vec![];
    dispatcher.grants(late, &mut out);
    assert!(out.is_empty(), "it may still be out elsewhere");
    let early = Time::new(1_000, 0);
    dispatcher.grants(early, &mut out);
    assert!(out.is_empty());
    dispatcher.grants(early.plus(UNSHOWN_PAUSE), &mut out);
    assert_eq!(out.len(), 1);
}
