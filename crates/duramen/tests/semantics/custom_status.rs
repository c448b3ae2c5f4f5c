//! Custom status (1.4).

use crate::support::*;
use duramen::prelude::*;
use duramen::testing::TestHub;
use serde_json::{Value, json};

#[orchestrator]
async fn reports(ctx: OrchestrationContext, _: ()) -> Result<()> {
    for percent in [0, 50, 90] {
        ctx.set_custom_status("is overwritten before anyone sees it")?;
        ctx.set_custom_status(&json!({ "percent": percent }))?;
        let _: () = ctx.wait_for_event("next").await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_last_value_of_an_episode_shows_and_stays() {
    check(
        || TestHub::new().orchestrator(Reports),
        async |t| {
            let handle = t.client().start(Reports, ()).id("r").await.unwrap();
            for percent in [0, 50, 90] {
                idle(t).await;
                let shown = state(t, "r").await;
                assert_eq!(shown.custom_status::<Value>().unwrap(), json!({ "percent": percent }));
                assert_eq!(shown.status(), OrchestrationStatus::Running);
                handle.raise_event("next", ()).await.unwrap();
            }
            handle.wait().await.unwrap();
            assert_eq!(state(t, "r").await.custom_status::<Value>().unwrap(), json!({ "percent": 90 }));
        },
    )
    .await;
}

#[orchestrator]
async fn reports_and_ends(ctx: OrchestrationContext, how: String) -> Result<()> {
    ctx.set_custom_status(how.as_str())?;
    match how.as_str() {
        "fails" => Err(Error::msg("sad")),
        "panics" => panic!("sad"),
        "clears" => ctx.set_custom_status(&()),
        _ => Ok(()),
    }
}

#[tokio::test]
async fn it_is_kept_however_the_orchestration_ends() {
    check(
        || TestHub::new().orchestrator(ReportsAndEnds),
        async |t| {
            for (how, shown) in [("ends", json!("ends")), ("fails", json!("fails")), ("panics", json!("panics"))] {
                let _ = t.client().start(ReportsAndEnds, how).id(how).await.unwrap().wait().await;
                assert_eq!(state(t, how).await.custom_status::<Value>().unwrap(), shown);
            }
            t.client().start(ReportsAndEnds, "clears").id("c").await.unwrap().wait().await.unwrap();
            assert_eq!(state(t, "c").await.custom_status::<Value>().unwrap(), Value::Null);
        },
    )
    .await;
}

#[orchestrator]
async fn reports_nonsense(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let error = ctx.set_custom_status(&f64::INFINITY).expect_err("JSON has none");
    Ok(error.to_string())
}

#[tokio::test]
async fn a_value_without_a_json_form_is_an_error_where_it_is_set() {
    let t = TestHub::new().orchestrator(ReportsNonsense);
    let error = t.run(ReportsNonsense, ()).await.unwrap();
    assert!(error.contains("f64") && error.contains("no JSON form"), "{error}");
}
