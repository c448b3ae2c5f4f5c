//! Restarting (1.6).

use crate::support::*;
use duramen::prelude::*;
use duramen::testing::TestHub;

#[orchestrator]
async fn greets(ctx: OrchestrationContext, name: String) -> Result<String> {
    Ok(format!("{} {name} {}", ctx.version().unwrap_or("none"), ctx.instance_id()))
}

#[tokio::test]
async fn a_copy_has_the_name_input_version_and_tags_and_an_id_of_its_own() {
    check(
        || TestHub::new().orchestrator(Greets),
        async |t| {
            let client = t.client();
            client.start(Greets, "Ada").id("g").version("2").tag("k", "v").await.unwrap().wait().await.unwrap();
            let copy = client.restart("g").await.unwrap();
            assert_eq!(copy.id().len(), 32);
            assert_eq!(copy.wait().await.unwrap(), format!("2 Ada {}", copy.id()));
            let copied = state(t, copy.id()).await;
            assert_eq!((copied.name(), copied.version()), ("Greets", Some("2")));
            assert_eq!(copied.tags(), state(t, "g").await.tags());
            assert_eq!(state(t, "g").await.output::<String>().unwrap(), "2 Ada g", "the original is as it was");
        },
    )
    .await;
}

#[tokio::test]
async fn in_place_it_takes_the_place_of_what_has_ended() {
    check(
        || hub().orchestrator(Greets),
        async |t| {
            let client = t.client();
            let first = client.start(Greets, "Ada").id("g").await.unwrap();
            first.wait().await.unwrap();
            let before = state(t, "g").await;
            let again = client.restart_in_place("g").await.unwrap();
            assert_eq!(again.id(), "g");
            assert_eq!(again.wait().await.unwrap(), "none Ada g");
            assert_ne!(state(t, "g").await.execution_id(), before.execution_id());
            assert_eq!(refusal(first.wait().await.unwrap_err()), Refusal::Replaced("g".into()));
            // Failed and terminated ones too.
            client.start(Fail, "sad").id("f").await.unwrap().wait().await.unwrap_err();
            assert_eq!(failure(client.restart_in_place("f").await.unwrap().wait().await.unwrap_err()).message(), "sad");
        },
    )
    .await;
}

#[tokio::test]
async fn a_live_one_is_not_restarted_in_place_and_may_be_copied() {
    check(hub, async |t| {
        let client = t.client();
        client.start(WaitForGo, ()).id("live").await.unwrap().started().await.unwrap();
        let error = refusal(client.restart_in_place("live").await.unwrap_err());
        let text = error.to_string();
        assert!(matches!(error, Refusal::WrongStatus { .. }) && text.contains("\"live\""), "{text}");
        let copy = client.restart("live").await.unwrap();
        copy.raise_event("go", 4).await.unwrap();
        assert_eq!(copy.wait().await.unwrap(), 4);
        assert_eq!(state(t, "live").await.status(), OrchestrationStatus::Running);
        for result in [client.restart("nobody").await, client.restart_in_place("nobody").await] {
            assert_eq!(refusal(result.unwrap_err()), Refusal::NotFound("nobody".into()));
        }
    })
    .await;
}

#[orchestrator]
async fn counts_to_three(ctx: OrchestrationContext, number: u32) -> Result<u32> {
    if number < 3 {
        Err(ctx.continue_as_new(number + 1))?;
    }
    Ok(number)
}

/// What counts is the input of the last generation, as with the reference servers: the first is gone.
#[tokio::test]
async fn one_that_has_continued_is_restarted_with_its_last_input() {
    check(
        || TestHub::new().orchestrator(CountsToThree),
        async |t| {
            t.client().start(CountsToThree, 0).id("c").await.unwrap().wait().await.unwrap();
            let again = t.client().restart_in_place("c").await.unwrap();
            assert_eq!(again.wait().await.unwrap(), 3);
            assert_eq!(state(t, "c").await.input::<u32>().unwrap(), 3);
        },
    )
    .await;
}
