use super::*;
use crate::work::Filters;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;

const PARTITION: PartitionId = PartitionId(0);

fn offer(name: &str, version: Option<&str>, number: u64, after: u64) -> Offer {
    let item = Item::Task { id: InstanceId::new("i"), birth: Run(1), number };
    Offer { item, name: name.into(), version: version.map(Into::into), after, prefer: None }
}

fn episode(run: u64, after: u64, prefer: Option<WorkerId>) -> Offer {
    let item = Item::Episode { id: InstanceId::new(format!("i{run}")), birth: Run(run), run: Run(run) };
    Offer { item, name: "O".into(), version: None, after, prefer }
}

fn worker(orchestrators: usize, activities: usize) -> Announcement {
    Announcement { in_process: false, orchestrators, activities, filters: None }
}

fn granted(dispatcher: &mut Dispatcher) -> Vec<(u64, u64)> {
    let mut out = vec![];
    dispatcher.grants(&mut out);
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
    (1..=3).for_each(|n| dispatcher.offer(PARTITION, offer("A", None, n, 0)));
    assert_eq!(granted(&mut dispatcher), [(1, 1), (1, 2)]);
    dispatcher.freed(WorkerId(1), WorkKind::Activity);
    assert_eq!(granted(&mut dispatcher), [(1, 3)]);
    assert_eq!(dispatcher.waiting(WorkKind::Activity), 0);
}

#[test]
fn what_is_not_durable_goes_to_an_in_process_orchestrator_alone() {
    let mut dispatcher = Dispatcher::new();
    dispatcher.join(WorkerId(1), worker(5, 5));
    dispatcher.join(WorkerId(2), Announcement { in_process: true, ..worker(1, 5) });
    dispatcher.offer(PARTITION, episode(10, 7, None));
    dispatcher.offer(PARTITION, episode(11, 7, None));
    dispatcher.offer(PARTITION, offer("A", None, 12, 7));
    assert_eq!(granted(&mut dispatcher), [(2, 10)], "the second waits: the worker in the process is full");
    dispatcher.committed(PARTITION, 6);
    assert_eq!(granted(&mut dispatcher), []);
    dispatcher.committed(PARTITION, 7);
    let now = granted(&mut dispatcher);
    assert_eq!(now.len(), 2, "{now:?}");
}

#[test]
fn a_session_is_preferred_but_never_waited_for() {
    let mut dispatcher = Dispatcher::new();
    (1..=3).for_each(|n| dispatcher.join(WorkerId(n), worker(1, 0)));
    dispatcher.offer(PARTITION, episode(10, 0, Some(WorkerId(3))));
    dispatcher.offer(PARTITION, episode(11, 0, Some(WorkerId(3))));
    let out = granted(&mut dispatcher);
    assert_eq!(out[0], (3, 10));
    assert_ne!(out[1].0, 3);
}

#[test]
fn equal_workers_share_evenly() {
    let mut dispatcher = Dispatcher::new();
    (1..=2).for_each(|n| dispatcher.join(WorkerId(n), worker(0, 100)));
    (0..100).for_each(|n| dispatcher.offer(PARTITION, offer("A", None, n, 0)));
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
    all.into_iter().for_each(|(name, version, n)| dispatcher.offer(PARTITION, offer(name, version, n, 0)));
    dispatcher.offer(PARTITION, episode(6, 0, None));
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
    dispatcher.leave(WorkerId(1));
    dispatcher.freed(WorkerId(1), WorkKind::Activity);
    dispatcher.offer(PARTITION, offer("A", None, 1, 0));
    assert_eq!(granted(&mut dispatcher), []);
}

use alloc::string::String;
