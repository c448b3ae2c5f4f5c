//! Which hubs there are, opening them once, and what is heard when they do not open.

use duramen_backend::Memory;
use duramen_core::ids::Run;
use duramen_core::request::{OnExisting, Reply, Request, Start};
use duramen_core::work::{Announcement, Answer, WorkItem};
use duramen_hub::{Hub, HubError, Options, WorkerLink};
use duramen_proto::CreateInstanceRequest;
use duramen_server::{HubName, Hubs, HubsError, HubsOptions, OpenHub, Opener, Phase};
use futures::FutureExt;
use futures::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

async fn in_memory() -> OpenHub {
    let hub = Hub::run(Arc::new(Memory::new()), Options::default()).await.expect("memory opens");
    hub.into()
}

fn names(names: &[&str]) -> Vec<HubName> {
    names.iter().map(|name| name.parse().expect("a name")).collect()
}

fn only(these: &[&str]) -> HubsOptions {
    HubsOptions { only: Some(names(these)), ..HubsOptions::default() }
}

fn opens_in_memory() -> Opener {
    Box::new(|_| async { Ok(in_memory().await) }.boxed())
}

/// Lets time pass on a clock that is not real until a hub is open, for which nobody asks meanwhile.
async fn opened_by_itself(hubs: &Hubs) {
    while !hubs.states().iter().any(|hub| matches!(hub.phase, Some(Phase::Open(_)))) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_hub_is_opened_once_however_many_ask_at_once() {
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let open = move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        async {
            tokio::task::yield_now().await;
            Ok(in_memory().await)
        }
        .boxed()
    };
    let hubs = Hubs::new(HubsOptions::default(), Box::new(open));
    let asked = join_all(["orders", "Orders", "ORDERS"].map(|name| hubs.get(Some(name)))).await;
    assert!(asked.iter().all(Result::is_ok), "{asked:?}");
    assert_eq!(opened.load(Ordering::Relaxed), 1, "one hub, whatever the case of its name");
    hubs.get(None).await.expect("the default hub");
    assert_eq!(opened.load(Ordering::Relaxed), 2);
    let there: Vec<_> = hubs.states().iter().map(|hub| hub.name.to_string()).collect();
    assert_eq!(there, ["default", "orders"]);
}

#[tokio::test]
async fn a_server_with_a_list_says_what_it_has_and_what_may_have_been_meant() {
    let hubs = Hubs::new(only(&["default", "orders"]), opens_in_memory());
    assert_eq!(
        hubs.get(Some("ordrs")).await.expect_err("it is not in the list").to_string(),
        "there is no task hub \"ordrs\", did you mean \"orders\"?; there are: default, orders"
    );
    assert_eq!(
        hubs.get(Some("something")).await.expect_err("it is not in the list").to_string(),
        "there is no task hub \"something\"; there are: default, orders"
    );
    assert_eq!(
        hubs.get(Some("no/name")).await.expect_err("a slash").to_string(),
        "\"no/name\" is no name of a task hub: use 3 to 45 letters (a to z), digits, `-` and `_`"
    );
}

#[tokio::test]
async fn a_server_that_makes_hubs_stops_at_32_and_those_go_on() {
    let there = HubsOptions { there: names(&["made-before"]), ..HubsOptions::default() };
    let hubs = Hubs::new(there, opens_in_memory());
    for n in 0..31 {
        hubs.get(Some(&format!("hub-{n}"))).await.expect("there is room");
    }
    let error = hubs.get(Some("one-more")).await.expect_err("there is no room");
    assert!(matches!(&error, HubsError::TooMany { there, .. } if there.len() == 32), "{error}");
    assert!(error.to_string().contains("hub-30, ") && error.to_string().contains("made-before"), "{error}");
    hubs.get(Some("made-before")).await.expect("it is one of them");
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_does_not_open_is_tried_again_and_everybody_hears_why_meanwhile() {
    let tries = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tries);
    let open = move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => async { Err("the disk is on fire".to_owned()) }.boxed(),
        _ => async { Ok(in_memory().await) }.boxed(),
    };
    let hubs = Hubs::new(only(&["default"]), Box::new(open));
    let asked = join_all([hubs.get(None), hubs.get(None)]).await;
    for asked in asked {
        let error = asked.expect_err("it does not open");
        assert_eq!(
            error.to_string(),
            "task hub \"default\" is not open: the disk is on fire. It is tried again every few seconds"
        );
    }
    assert_eq!(tries.load(Ordering::Relaxed), 1);
    opened_by_itself(&hubs).await;
    hubs.get(None).await.expect("the third try");
    assert_eq!(tries.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_has_stopped_is_opened_again() {
    let hubs = Hubs::new(HubsOptions::default(), opens_in_memory());
    let first = hubs.get(None).await.expect("it opens").hub;
    first.shutdown(Duration::ZERO).await.expect("it stops");
    // For a moment it is closed, which nobody has to see: another one is there in the end.
    let again = loop {
        match hubs.get(None).await {
            Ok(named) if !named.hub.is(&first) => break named.hub,
            Ok(_) | Err(HubsError::Closed { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(hubs.get(None).await.expect("it is open").hub.is(&again));
}

#[tokio::test]
async fn shutdown_stops_every_hub_and_lets_none_open_again() {
    let hubs = Hubs::new(HubsOptions::default(), opens_in_memory());
    let (one, two) = (hubs.get(Some("one")).await.unwrap().hub, hubs.get(Some("two")).await.unwrap().hub);
    let errors = hubs.shutdown(Duration::from_secs(10)).await;
    assert!(errors.is_empty(), "{errors:?}");
    assert!(matches!(one.stopped().await, HubError::Stopped(_)));
    assert!(matches!(two.stopped().await, HubError::Stopped(_)));
    assert_eq!(hubs.get(Some("three")).await.expect_err("too late"), HubsError::Stopping);
}

/// A worker that says what it was given.
struct Busy(mpsc::UnboundedSender<WorkItem>);

impl WorkerLink for Busy {
    fn drained(&self) {}

    fn deliver(&self, items: Vec<WorkItem>) {
        items.into_iter().for_each(|item| drop(self.0.send(item)));
    }

    fn end_session(&self, _: Run) {}

    fn closed(&self, _: &str) {}
}

#[tokio::test]
async fn while_a_hub_waits_for_its_workers_they_find_it() {
    let hubs = Hubs::new(HubsOptions::default(), opens_in_memory());
    let hub = hubs.get(None).await.expect("it opens").hub;
    let (give, mut given) = mpsc::unbounded_channel();
    let room = Announcement { orchestrators: 1, activities: 1, ..Announcement::default() };
    let attachment = hub.attach(Box::new(Busy(give)), room);
    let request = CreateInstanceRequest { instance_id: "one".into(), name: "Greet".into(), ..Default::default() };
    let start = Start { request, fresh: false, on_existing: OnExisting::Reject };
    let reply = hub.request(Request::Start(Box::new(start))).await;
    assert!(matches!(reply, Reply::Started { .. }), "{reply:?}");
    let item = given.recv().await.expect("an item");

    let stopping = tokio::spawn({
        let hubs = hubs.clone();
        async move { hubs.shutdown(Duration::from_secs(3600)).await }
    });
    while !hubs.is_stopping() {
        tokio::task::yield_now().await;
    }
    assert!(hubs.get(None).await.expect("it is still there").hub.is(&hub));
    assert_eq!(hubs.get(Some("other")).await.expect_err("too late"), HubsError::Stopping);
    assert!(!stopping.is_finished(), "a worker has something");
    attachment.answer(vec![Answer::Abandoned(item.token, "it goes home".into())]);
    assert!(stopping.await.unwrap().is_empty());
    assert_eq!(hubs.get(None).await.expect_err("it has gone"), HubsError::Stopping);
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_hub_that_is_being_opened() {
    let open: Opener = Box::new(|_| futures::future::pending().boxed());
    let hubs = Hubs::new(HubsOptions::default(), open);
    let waiting = tokio::spawn({
        let hubs = hubs.clone();
        async move { hubs.get(None).await }
    });
    while hubs.states().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(hubs.shutdown(Duration::from_secs(3600)).await.is_empty());
    assert_eq!(waiting.await.unwrap().expect_err("it never opened"), HubsError::Stopping);
}
