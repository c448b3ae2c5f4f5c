//! Lists, states and histories (1.6).

use crate::support::*;
use duramen::prelude::*;
use duramen::testing::TestHub;
use duramen::{Client, History};

fn ids(instances: &[Instance]) -> Vec<&str> {
    instances.iter().map(Instance::id).collect()
}

async fn all(client: &Client, filter: Filter) -> Vec<Instance> {
    client.list(filter).all().await.unwrap()
}

#[orchestrator]
async fn parent(ctx: OrchestrationContext, _: ()) -> Result<String> {
    Ok(ctx.call_sub_orchestrator(Echo, "from the child").instance_id("child").await?)
}

fn with_parent() -> TestHub {
    hub().orchestrator(Parent)
}

#[tokio::test]
async fn a_list_is_in_the_order_of_creation_and_by_id_under_a_prefix() {
    check(hub, async |t| {
        let client = t.client();
        for id in ["c", "a2", "b", "a1"] {
            client.start(Echo, "x").id(id).await.unwrap().wait().await.unwrap();
            t.clock().advance(ms(1));
        }
        assert_eq!(ids(&all(&client, Filter::new()).await), ["c", "a2", "b", "a1"]);
        assert_eq!(ids(&all(&client, Filter::new().prefix("a")).await), ["a1", "a2"]);
        assert_eq!(all(&client, Filter::new().prefix("A")).await.len(), 0, "ids have case");
    })
    .await;
}

#[tokio::test]
async fn each_filter_narrows_the_list() {
    check(with_parent, async |t| {
        let client = t.client();
        let begun = t.clock().now();
        client.start(Parent, ()).id("parent").tag("team", "red").await.unwrap().wait().await.unwrap();
        t.clock().advance(secs(10));
        client.start(WaitForGo, ()).id("open").tag("team", "blue").await.unwrap().started().await.unwrap();
        client.start(Fail, "sad").id("failed").await.unwrap().wait().await.unwrap_err();
        let later = begun.plus(secs(5));
        for (filter, expected) in [
            (Filter::new().name("Echo"), vec!["child"]),
            (Filter::new().parent("parent"), vec!["child"]),
            (Filter::new().tag("team", "blue"), vec!["open"]),
            (Filter::new().tag("team", "red"), vec!["child", "parent"]),
            (Filter::new().tag("team", "green"), vec![]),
            (Filter::new().status(OrchestrationStatus::Failed), vec!["failed"]),
            (
                Filter::new().status(OrchestrationStatus::Failed).status(OrchestrationStatus::Running),
                vec!["failed", "open"],
            ),
            (Filter::new().created_from(later), vec!["failed", "open"]),
            (Filter::new().created_to(later), vec!["child", "parent"]),
            (Filter::new().completed_from(later), vec!["failed"]),
            (Filter::new().completed_to(later), vec!["child", "parent"]),
            (Filter::new().created_to(later).name("Parent").tag("team", "red").prefix("p"), vec!["parent"]),
        ] {
            let found = all(&client, filter.clone()).await;
            let mut found = ids(&found);
            found.sort_unstable();
            assert_eq!(found, expected, "{filter:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn pages_hold_each_instance_once_also_while_some_come_and_go() {
    check(hub, async |t| {
        let client = t.client();
        for n in 0..23 {
            client.start(Echo, "x").id(format!("e-{n:02}")).await.unwrap().wait().await.unwrap();
            t.clock().advance(ms(1));
        }
        let mut seen = Vec::new();
        let mut list = client.list(Filter::new()).page_size(5);
        let mut pages = 0;
        loop {
            let page = list.await.unwrap();
            assert!(page.instances.len() <= 5);
            seen.extend(page.instances.iter().map(|instance| instance.id().to_owned()));
            pages += 1;
            // One that was shown goes, and a new one comes.
            client.purge(format!("e-{:02}", pages - 1)).await.unwrap();
            client.start(Echo, "x").id(format!("new-{pages}")).await.unwrap().wait().await.unwrap();
            t.clock().advance(ms(1));
            let Some(next) = page.next else { break };
            assert!(pages < 50, "it comes to an end");
            list = client.list(Filter::new()).page_size(5).after(next);
        }
        let old: Vec<_> = seen.iter().filter(|id| id.starts_with("e-")).cloned().collect();
        assert_eq!(old, (0..23).map(|n| format!("e-{n:02}")).collect::<Vec<_>>());
        let mut once = seen.clone();
        once.dedup();
        assert_eq!(once, seen);
    })
    .await;
}

#[tokio::test]
async fn by_completion_come_those_that_have_ended_in_that_order() {
    check(hub, async |t| {
        let client = t.client();
        let slow = client.start(WaitForGo, ()).id("slow").await.unwrap();
        client.start(WaitForGo, ()).id("open").await.unwrap();
        client.start(Echo, "x").id("quick").await.unwrap().wait().await.unwrap();
        t.clock().advance(secs(1));
        slow.raise_event("go", 1).await.unwrap();
        slow.wait().await.unwrap();
        let ended = client.list(Filter::new()).by_completion().all().await.unwrap();
        assert_eq!(ids(&ended), ["quick", "slow"]);
    })
    .await;
}

/// A list shows the same of an instance as asking for it does.
#[tokio::test]
async fn a_list_and_a_look_agree() {
    check(with_parent, async |t| {
        let client = t.client();
        client.start(Parent, ()).id("parent").tag("a", "b").version("3").await.unwrap().wait().await.unwrap();
        client.start(Fail, "sad").id("failed").await.unwrap().wait().await.unwrap_err();
        client.start(WaitForGo, ()).id("open").await.unwrap().started().await.unwrap();
        client.start(WaitForGo, ()).id("later").at(days(1)).await.unwrap();
        let listed = all(&client, Filter::new()).await;
        assert_eq!(listed.len(), 5);
        for instance in listed {
            assert_eq!(state(t, instance.id()).await, instance);
        }
    })
    .await;
}

#[tokio::test]
async fn a_history_is_text_that_people_read() {
    check(with_parent, async |t| {
        t.client().start(Parent, ()).id("p").await.unwrap().wait().await.unwrap();
        let history = t.client().history("p").await.unwrap();
        let text = history.to_text();
        let kinds = [
            "#-1 OrchestratorStarted",
            "#0 ExecutionStarted(Parent)",
            "#0 SubOrchestrationInstanceCreated(Echo)",
            "#-1 OrchestratorStarted",
            "#-1 SubOrchestrationInstanceCompleted(0)",
            "#1 ExecutionCompleted(COMPLETED)",
        ];
        assert_eq!(lines(&text), kinds);
        assert!(text.contains("2030-01-01T00:00:00"), "{text}");
        assert!(text.contains("from the child"), "{text}");
        assert_eq!(History::from_text(&text).unwrap(), history);
    })
    .await;
}

#[tokio::test]
async fn times_of_an_instance_are_those_of_the_hub() {
    check(hub, async |t| {
        let begun = t.clock().now();
        let handle = t.client().start(WaitForGo, ()).id("w").await.unwrap();
        handle.started().await.unwrap();
        t.clock().advance(secs(60));
        handle.raise_event("go", 1).await.unwrap();
        handle.wait().await.unwrap();
        let ended = state(t, "w").await;
        assert_eq!(ended.created(), Some(begun));
        assert_eq!(ended.completed(), Some(begun.plus(secs(60))));
        assert_eq!(ended.updated(), ended.completed());
        assert_eq!(ended.scheduled(), None);
    })
    .await;
}

/// Each time it is told to go on, it does so as a new execution.
#[orchestrator]
async fn goes_on(ctx: OrchestrationContext, generation: u32) -> Result<()> {
    let _: u64 = ctx.wait_for_event("go").await?;
    ctx.continue_as_new(generation + 1);
    Ok(())
}

/// All pages of a list, one after the other, with something that is done after each.
async fn page_by_page(t: &Stage, filter: Filter, mut between: impl AsyncFnMut()) -> Vec<String> {
    let mut seen = Vec::new();
    let mut list = t.client().list(filter.clone()).page_size(2);
    loop {
        let page = list.await.unwrap();
        assert_eq!(page.as_of, None, "a store that keeps up shows all that is on disk");
        seen.extend(page.instances.iter().map(|instance| instance.id().to_owned()));
        between().await;
        match page.next {
            Some(next) => list = t.client().list(filter.clone()).page_size(2).after(next),
            None => return seen,
        }
    }
}

#[tokio::test]
async fn pages_stay_where_they_are_when_instances_continue_as_new() {
    check(
        || hub().orchestrator(GoesOn),
        async |t| {
            let client = t.client();
            for n in 0..7 {
                client.start(GoesOn, 0).id(format!("g-{n}")).await.unwrap().started().await.unwrap();
                t.clock().advance(ms(1));
            }
            let generations = async || {
                for n in 0..7 {
                    let before = state(t, &format!("g-{n}")).await.execution_id().map(str::to_owned);
                    client.raise_event(&format!("g-{n}"), "go", 1).await.unwrap();
                    idle(t).await;
                    let after = state(t, &format!("g-{n}")).await.execution_id().map(str::to_owned);
                    assert_ne!(before, after, "it has continued as new");
                }
            };
            let all: Vec<_> = (0..7).map(|n| format!("g-{n}")).collect();
            for filter in [
                Filter::new(),
                Filter::new().prefix("g-"),
                Filter::new().status(OrchestrationStatus::Running).name("GoesOn"),
            ] {
                assert_eq!(page_by_page(t, filter.clone(), generations).await, all, "{filter:?}");
            }
        },
    )
    .await;
}

/// A cursor is a place in the list, whatever the size of the pages.
#[tokio::test]
async fn a_page_may_have_another_size_than_the_one_before() {
    check(hub, async |t| {
        let client = t.client();
        for n in 0..9 {
            client.start(Echo, "x").id(format!("e-{n}")).await.unwrap().wait().await.unwrap();
            t.clock().advance(ms(1));
        }
        for by_completion in [false, true] {
            let list = || {
                let list = client.list(Filter::new());
                if by_completion { list.by_completion() } else { list }
            };
            let first = list().page_size(2).await.unwrap();
            let second = list().page_size(4).after(first.next.clone().unwrap()).await.unwrap();
            let third = list().after(second.next.clone().unwrap()).await.unwrap();
            assert_eq!(ids(&first.instances), ["e-0", "e-1"]);
            assert_eq!(ids(&second.instances), ["e-2", "e-3", "e-4", "e-5"]);
            assert_eq!(ids(&third.instances), ["e-6", "e-7", "e-8"]);
            assert_eq!(third.next, None);
        }
    })
    .await;
}
