//! Purging (1.6).

use crate::support::*;
use duramen::prelude::*;
use duramen::testing::TestHub;

#[tokio::test]
async fn what_has_ended_can_be_purged_by_id_and_is_gone() {
    check(hub, async |t| {
        let client = t.client();
        let handle = client.start(Echo, "x").id("e").await.unwrap();
        handle.wait().await.unwrap();
        assert!(client.purge("e").await.unwrap());
        assert!(!client.purge("e").await.unwrap(), "there is nothing left");
        assert!(!client.purge("nobody").await.unwrap());
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
            assert!(!client.purge(id).await.unwrap(), "{id}");
        }
        assert_eq!(client.purge_matching(Filter::new()).await.unwrap(), 0);
        assert_eq!(client.list(Filter::new()).all().await.unwrap().len(), 3);
    })
    .await;
}

/// Ten that completed, one a day, and one each that failed and was terminated.
async fn history_of_days(t: &TestHub) -> Result<()> {
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
        assert_eq!(client.purge_matching(few.clone()).await.unwrap(), gone as u64);
        assert_eq!(client.purge_matching(few).await.unwrap(), 0);
        assert_eq!(client.purge_matching(Filter::new().status(OrchestrationStatus::Failed)).await.unwrap(), 1);
        assert_eq!(client.get("failed").await.unwrap(), None);
        assert!(client.get("terminated").await.unwrap().is_some());
        let rest = client.list(Filter::new()).all().await.unwrap().len() as u64;
        assert_eq!(client.purge_matching(Filter::new()).await.unwrap(), rest);
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
        assert_eq!(t.client().purge_matching(Filter::new().prefix("e-1")).await.unwrap(), 111);
        assert_eq!(t.client().purge_matching(Filter::new()).await.unwrap(), 189);
    })
    .await;
}
