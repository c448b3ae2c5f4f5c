//! Which hubs there are, opening them once, and what is heard when they do not open.

use duramen_backend::Memory;
use duramen_hub::{Hub, HubError, Options};
use duramen_server::{HubName, Hubs, NoHub, OpenHub, Opener, Phase, StoreState, Which};
use futures::FutureExt;
use futures::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

async fn in_memory() -> OpenHub {
    let hub = Hub::run(Arc::new(Memory::new()), Options::default()).await.expect("memory opens");
    OpenHub { hub, store: Arc::new(StoreState::default) }
}

fn names(names: &[&str]) -> Vec<HubName> {
    names.iter().map(|name| name.parse().expect("a name")).collect()
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
    let hubs = Hubs::new(Which::Named, [], Box::new(open));
    let asked = join_all(["orders", "Orders", "ORDERS"].map(|name| hubs.hub(Some(name)))).await;
    assert!(asked.iter().all(Result::is_ok), "{asked:?}");
    assert_eq!(opened.load(Ordering::Relaxed), 1, "one hub, whatever the case of its name");
    hubs.hub(None).await.expect("the default hub");
    assert_eq!(opened.load(Ordering::Relaxed), 2);
    let there: Vec<_> = hubs.states().iter().map(|hub| hub.name.to_string()).collect();
    assert_eq!(there, ["default", "orders"]);
}

#[tokio::test]
async fn a_server_with_a_list_says_what_it_has_and_what_may_have_been_meant() {
    let hubs = Hubs::new(Which::Listed, names(&["default", "orders"]), opens_in_memory());
    assert_eq!(
        hubs.hub(Some("ordrs")).await.expect_err("it is not in the list").to_string(),
        "there is no task hub \"ordrs\", did you mean \"orders\"?; this server has: default, orders"
    );
    assert_eq!(
        hubs.hub(Some("something")).await.expect_err("it is not in the list").to_string(),
        "there is no task hub \"something\"; this server has: default, orders"
    );
    assert_eq!(
        hubs.hub(Some("no/name")).await.expect_err("a slash").to_string(),
        "\"no/name\" is no name of a task hub: use 3 to 45 letters (a to z), digits, `-` and `_`"
    );
}

#[tokio::test]
async fn a_server_that_makes_hubs_stops_at_32_and_those_go_on() {
    let hubs = Hubs::new(Which::Named, names(&["made-before"]), opens_in_memory());
    for n in 0..31 {
        hubs.hub(Some(&format!("hub-{n}"))).await.expect("there is room");
    }
    let error = hubs.hub(Some("one-more")).await.expect_err("there is no room");
    assert!(matches!(&error, NoHub::TooMany { there, .. } if there.len() == 32), "{error}");
    assert!(error.to_string().contains("hub-30, ") && error.to_string().contains("made-before"), "{error}");
    hubs.hub(Some("made-before")).await.expect("it is one of them");
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_does_not_open_is_tried_again_and_everybody_hears_why_meanwhile() {
    let tries = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tries);
    let open = move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => async { Err("the disk is on fire".to_owned()) }.boxed(),
        _ => async { Ok(in_memory().await) }.boxed(),
    };
    let hubs = Hubs::new(Which::Listed, names(&["default"]), Box::new(open));
    let asked = join_all([hubs.hub(None), hubs.hub(None)]).await;
    for asked in asked {
        let error = asked.expect_err("it does not open");
        assert_eq!(
            error.to_string(),
            "task hub \"default\" is not open: the disk is on fire. It is tried again every few seconds"
        );
    }
    assert_eq!(tries.load(Ordering::Relaxed), 1);
    opened_by_itself(&hubs).await;
    hubs.hub(None).await.expect("the third try");
    assert_eq!(tries.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_has_stopped_is_opened_again() {
    let hubs = Hubs::new(Which::Named, [], opens_in_memory());
    let first = hubs.hub(None).await.expect("it opens");
    first.shutdown(Duration::ZERO).await.expect("it stops");
    while hubs.states().iter().any(|hub| matches!(hub.phase, Some(Phase::Open(_)))) {
        tokio::task::yield_now().await;
    }
    assert!(matches!(hubs.hub(None).await, Err(NoHub::Closed { .. })));
    opened_by_itself(&hubs).await;
    hubs.hub(None).await.expect("it was opened again");
}

#[tokio::test]
async fn shutdown_stops_every_hub_and_lets_none_open_again() {
    let hubs = Hubs::new(Which::Named, [], opens_in_memory());
    let (one, two) = (hubs.hub(Some("one")).await.unwrap(), hubs.hub(Some("two")).await.unwrap());
    let errors = hubs.shutdown(Duration::from_secs(10)).await;
    assert!(errors.is_empty(), "{errors:?}");
    assert!(matches!(one.stopped().await, HubError::Stopped(_)));
    assert!(matches!(two.stopped().await, HubError::Stopped(_)));
    assert_eq!(hubs.hub(Some("three")).await.expect_err("too late"), NoHub::Stopping);
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_hub_that_is_being_opened() {
    let open: Opener = Box::new(|_| futures::future::pending().boxed());
    let hubs = Hubs::new(Which::Named, [], open);
    let waiting = tokio::spawn({
        let hubs = hubs.clone();
        async move { hubs.hub(None).await }
    });
    while hubs.states().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(hubs.shutdown(Duration::from_secs(3600)).await.is_empty());
    assert_eq!(waiting.await.unwrap().expect_err("it never opened"), NoHub::Stopping);
}
