//! Purging (1.6).

use crate::support::*;
use duramen::prelude::*;
use duramen::testing::TestHub;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[tokio::test]
async fn what_has_ended_can_be_purged_by_id_and_is_gone() {
    check(hub, async |t| {
        let client = t.client();
        let handle = client.start(Echo, "x").id("e").await.unwrap();
        handle.wait().await.unwrap();
        assert_eq!(client.purge("e").await.unwrap().deleted, 1);
        assert_eq!(client.purge("e").await.unwrap().deleted, 0, "there is nothing left");
        assert_eq!(client.purge("nobody").await.unwrap().deleted, 0);
        assert_eq!(client.get("e").await.unwrap(), None);
        assert_eq!(refusal(client.history("e").await.unwrap_err()), Refusal::NotFound("e".into()));
        assert!(client.list(Filter::new()).all().await.unwrap().is_empty());
        // The id is free.
        let again = client.start(Echo, "y").id("e").on_existing(OnExisting::Replace(vec![])).await.unwrap();
        assert_eq!(again.wait().await.unwrap(), "y");
        assert!(handle.wait().await.is_err(), "the old handle is not one of the new instance");
    })
    .await;
}

#[tokio::test]
async fn what_lives_is_not_purged() {
    check(hub, async |t| {
        let client = t.client();
        client.start(WaitForGo, ()).id("running").await.unwrap().started().await.unwrap();
        client.start(WaitForGo, ()).id("pending").at(days(1)).await.unwrap();
        client.start(WaitForGo, ()).id("suspended").await.unwrap().started().await.unwrap();
        client.suspend("suspended", None).await.unwrap();
        for id in ["running", "pending", "suspended"] {
            assert_eq!(client.purge(id).await.unwrap().deleted, 0, "{id}");
        }
        assert_eq!(client.purge(Filter::new()).await.unwrap().deleted, 0);
        assert_eq!(client.list(Filter::new()).all().await.unwrap().len(), 3);
    })
    .await;
}

/// Ten that completed, one a day, and one each that failed and was terminated.
async fn history_of_days(t: &Stage) -> Result<()> {
    let client = t.client();
    for day in 0..10 {
        client.start(Echo, "x").id(format!("day-{day}")).await?.wait().await?;
        t.clock().advance(days(1));
    }
    client.start(Fail, "x").id("failed").await?.wait().await.unwrap_err();
    client.start(WaitForGo, ()).id("terminated").await?.started().await?;
    client.terminate("terminated").await?;
    client.wait_for_completion("terminated").await?;
    Ok(())
}

#[tokio::test]
async fn a_filter_purges_by_status_and_time_of_creation() {
    check(hub, async |t| {
        let begun = t.clock().now();
        history_of_days(t).await.unwrap();
        let client = t.client();
        let day = |number| begun.plus(days(number));
        // From inclusive, to exclusive.
        let exact = client.list(Filter::new().created_from(begun).created_to(begun)).all().await.unwrap();
        assert!(exact.is_empty());
        let few = Filter::new().created_to(day(3)).status(OrchestrationStatus::Completed);
        let gone = client.list(few.clone()).all().await.unwrap().len();
        assert!((3..=4).contains(&gone), "{gone}");
        assert_eq!(client.purge(few.clone()).await.unwrap().deleted, gone as u64);
        assert_eq!(client.purge(few).await.unwrap().deleted, 0);
        assert_eq!(client.purge(Filter::new().status(OrchestrationStatus::Failed)).await.unwrap().deleted, 1);
        assert_eq!(client.get("failed").await.unwrap(), None);
        assert!(client.get("terminated").await.unwrap().is_some());
        let rest = client.list(Filter::new()).all().await.unwrap().len() as u64;
        assert_eq!(client.purge(Filter::new()).await.unwrap().deleted, rest);
        assert!(client.list(Filter::new()).all().await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn hundreds_are_purged_at_once() {
    check(hub, async |t| {
        let starts = (0..300).map(|n| {
            let start = t.client().start(Echo, "x").id(format!("e-{n}"));
            async move { start.await.unwrap().wait().await.unwrap() }
        });
        futures::future::join_all(starts).await;
        assert_eq!(t.client().purge(Filter::new().prefix("e-1")).await.unwrap().deleted, 111);
        assert_eq!(t.client().purge(Filter::new()).await.unwrap().deleted, 189);
    })
    .await;
}

#[tokio::test]
async fn a_batch_of_ids_counts_what_had_ended_and_is_gone() {
    check(hub, async |t| {
        let client = t.client();
        for id in ["a", "b", "c"] {
            client.start(Echo, "x").id(id).await.unwrap().wait().await.unwrap();
        }
        client.start(WaitForGo, ()).id("live").await.unwrap().started().await.unwrap();
        let purged = client.purge(["a", "b", "nobody", "live", "a"]).await.unwrap();
        assert_eq!((purged.deleted, purged.complete), (2, true));
        assert_eq!(left(t).await, ["c", "live"]);
    })
    .await;
}

#[tokio::test]
async fn a_filter_of_live_statuses_purges_nothing() {
    check(hub, async |t| {
        let client = t.client();
        client.start(Echo, "x").id("e").await.unwrap().wait().await.unwrap();
        client.start(WaitForGo, ()).id("w").await.unwrap().started().await.unwrap();
        assert_eq!(client.purge(Filter::new().status(OrchestrationStatus::Running)).await.unwrap().deleted, 0);
        assert_eq!(left(t).await, ["e", "w"]);
    })
    .await;
}

/// Starts those below it and ends, or lives on.
#[derive(Clone, Serialize, Deserialize)]
struct Node {
    id: String,
    live: bool,
    below: Vec<Node>,
}

#[orchestrator]
async fn nest(ctx: OrchestrationContext, node: Node) -> Result<()> {
    for below in node.below {
        let id = below.id.clone();
        drop(ctx.call_sub_orchestrator(Nest, below).instance_id(id));
    }
    if node.live {
        ctx.wait_for_event::<u64>("go").await?;
    }
    Ok(())
}

fn ended(id: &str, below: Vec<Node>) -> Node {
    Node { id: id.into(), live: false, below }
}

fn live(id: &str, below: Vec<Node>) -> Node {
    Node { id: id.into(), live: true, below }
}

/// Starts a tree, and returns when all of it has been started.
async fn grow(t: &Stage, root: Node) {
    let handle = t.client().start(Nest, root.clone()).id(root.id.clone()).await.unwrap();
    handle.started().await.unwrap();
    idle(t).await;
}

/// The ids of what is there, in order.
async fn left(t: &Stage) -> Vec<String> {
    let mut ids: Vec<_> =
        t.client().list(Filter::new()).all().await.unwrap().iter().map(|instance| instance.id().to_owned()).collect();
    ids.sort_unstable();
    ids
}

fn with_nest() -> TestHub {
    hub().orchestrator(Nest)
}

#[tokio::test]
async fn descendants_that_have_ended_go_along_and_live_ones_stay_with_what_is_below_them() {
    check(with_nest, async |t| {
        let tree = ended(
            "root",
            vec![
                ended("a", vec![ended("a-a", vec![]), ended("a-b", vec![])]),
                live("b", vec![ended("b-a", vec![])]),
                ended("c", vec![live("c-a", vec![])]),
            ],
        );
        grow(t, tree).await;
        t.client().start(Echo, "x").id("other").await.unwrap().wait().await.unwrap();
        assert_eq!(t.client().purge("root").recursive().await.unwrap().deleted, 5);
        assert_eq!(left(t).await, ["b", "b-a", "c-a", "other"]);
        assert_eq!(t.client().purge("root").recursive().await.unwrap().deleted, 0);
    })
    .await;
}

#[tokio::test]
async fn without_recursion_one_goes_alone() {
    check(with_nest, async |t| {
        grow(t, ended("root", vec![ended("a", vec![])])).await;
        assert_eq!(t.client().purge("root").await.unwrap().deleted, 1);
        assert_eq!(left(t).await, ["a"]);
    })
    .await;
}

#[tokio::test]
async fn what_is_below_a_live_one_is_not_touched() {
    check(with_nest, async |t| {
        grow(t, live("root", vec![ended("a", vec![])])).await;
        assert_eq!(t.client().purge("root").recursive().await.unwrap().deleted, 0);
        assert_eq!(left(t).await, ["a", "root"]);
    })
    .await;
}

/// More children than go at a time, each with one of its own, chosen by a filter that lets only the root through.
#[tokio::test]
async fn a_filter_takes_whole_trees() {
    check(with_nest, async |t| {
        let many = (0..100).map(|n| ended(&format!("c-{n}"), vec![ended(&format!("g-{n}"), vec![])]));
        grow(t, ended("root", many.collect())).await;
        grow(t, ended("stays", vec![])).await;
        let purged = t.client().purge(Filter::new().prefix("root")).recursive().await.unwrap();
        assert_eq!((purged.deleted, purged.complete), (201, true));
        assert_eq!(left(t).await, ["stays"]);
    })
    .await;
}

/// Calls a child, and when told to another one.
#[orchestrator]
async fn calls_two(ctx: OrchestrationContext, (first, second): (String, String)) -> Result<()> {
    if !first.is_empty() {
        let none = (String::new(), String::from("one"));
        let _: () = ctx.call_sub_orchestrator("CallsTwo", none).instance_id(first).await?;
    }
    let _: u64 = ctx.wait_for_event("go").await?;
    let _: String = ctx.call_sub_orchestrator(Echo, "x").instance_id(second).await?;
    Ok(())
}

/// Ids can be used again: "one" calls "two", ends, and is called by "two".
#[tokio::test]
async fn an_instance_may_stand_below_itself() {
    check(
        || hub().orchestrator(CallsTwo),
        async |t| {
            let client = t.client();
            client.start(CallsTwo, ("two".to_owned(), "none".to_owned())).id("one").await.unwrap();
            client.wait_for_start("two").await.unwrap();
            client.terminate("one").await.unwrap();
            client.wait_for_completion("one").await.unwrap();
            client.raise_event("two", "go", 1).await.unwrap();
            client.wait_for_completion("two").await.unwrap();
            let parent = |instance: Instance| instance.parent().map(str::to_owned);
            assert_eq!(parent(state(t, "one").await).as_deref(), Some("two"));
            assert_eq!(parent(state(t, "two").await).as_deref(), Some("one"));
            assert_eq!(client.purge("two").recursive().await.unwrap().deleted, 2);
            assert!(left(t).await.is_empty());
        },
    )
    .await;
}

/// Starts so many, one after the other, and waits until they have ended.
async fn many(t: &Stage, number: u64) {
    for n in 0..number {
        t.client().start(Echo, "x").id(format!("e-{n:03}")).await.unwrap().wait().await.unwrap();
    }
}

#[tokio::test]
async fn a_purge_whose_time_is_up_says_so_and_the_next_one_goes_on() {
    check(hub, async |t| {
        many(t, 150).await;
        let mut left = 150;
        let mut calls = 0;
        loop {
            let purged = t.client().purge(Filter::new()).timeout(Duration::ZERO).await.unwrap();
            assert!(purged.deleted > 0, "each call does a part");
            left -= purged.deleted;
            calls += 1;
            let instances = t.client().list(Filter::new()).all().await.unwrap();
            assert_eq!(instances.len() as u64, left);
            assert_eq!(purged.complete, left == 0, "{left}");
            if purged.complete {
                break;
            }
        }
        assert!(calls > 1);
        // What is begun within the time is finished.
        many(t, 5).await;
        let purged = t.client().purge(Filter::new()).timeout(Duration::ZERO).await.unwrap();
        assert_eq!((purged.deleted, purged.complete), (5, true));
    })
    .await;
}

#[tokio::test]
async fn progress_is_told_as_it_is_made() {
    // A server tells it in other portions.
    check_here(hub, async |t| {
        many(t, 150).await;
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        let purge = t.client().purge(Filter::new()).progress(move |deleted| tell.lock().unwrap().push(deleted));
        assert_eq!(purge.await.unwrap().deleted, 150);
        let told = told.lock().unwrap();
        assert!(told.len() > 1 && told.is_sorted(), "{told:?}");
        assert_eq!(told.last(), Some(&150));
    })
    .await;
}

/// A purge is one open request, so it is not refused half-way because it is large, and leaves room for others.
#[tokio::test]
async fn a_purge_takes_one_place_among_the_open_requests() {
    check(
        || hub().options(|options| options.queue = 1),
        async |t| {
            many(t, 100).await;
            assert_eq!(t.client().purge(Filter::new()).await.unwrap().deleted, 100);
        },
    )
    .await;
}
