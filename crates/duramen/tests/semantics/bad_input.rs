//! What may not be: each gives an error that names the thing and what to do.

use crate::support::*;
use duramen::History;
use duramen::prelude::*;
use duramen::testing::{TestHub, replay_check};
use duramen_core::limits::{ANSWER_ACTIONS, FAILURE_DEPTH, NAME_BYTES, PAYLOAD_BYTES};
use serde_json::{Value, json};
use std::error::Error as StdError;
use std::fmt;

fn assert_says(error: impl fmt::Display, parts: &[&str]) {
    let text = error.to_string();
    assert!(text.len() < 3_000, "an error that nobody can read: {} bytes", text.len());
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

#[tokio::test]
async fn names_are_neither_empty_nor_without_end() {
    let t = hub();
    let client = t.client();
    let start = async |name: &str| client.start::<_, _, ()>(name, ()).await.map(|handle| handle.id().to_owned());
    assert_says(start("").await.unwrap_err(), &["name of the orchestrator", "is empty", "use 1 to 1024 bytes"]);
    let long = "x".repeat(NAME_BYTES + 1);
    assert_says(start(&long).await.unwrap_err(), &["name of the orchestrator", "is too long", "use 1 to 1024 bytes"]);
    start(&long[1..]).await.unwrap();

    client.start(Echo, "x").tag("", "x").await.unwrap();
    let tagged = client.start(Echo, "x").tag(&long, "x").await.map(drop);
    assert_says(tagged.unwrap_err(), &["name of the tag", "is too long"]);

    client.start(WaitForGo, ()).id("w").await.unwrap();
    let raise = async |name: &str| client.raise_event("w", name, 1).await;
    assert_says(raise("").await.unwrap_err(), &["name of the event", "is empty", "use 1 to 1024 bytes"]);
    assert_says(raise(&long).await.unwrap_err(), &["name of the event", "is too long"]);
    raise(&long[1..]).await.unwrap();
}

#[orchestrator]
async fn names_badly(ctx: OrchestrationContext, name: String) -> Result<Vec<String>> {
    let activity: Result<(), _> = ctx.call_activity(name.as_str(), ()).await;
    let child: Result<(), _> = ctx.call_sub_orchestrator(name.as_str(), ()).await;
    let event = ctx.send_event("somebody", &name, &());
    let tag: Result<(), _> = ctx.call_activity("A", ()).tag("x".repeat(NAME_BYTES + 1), "x").await;
    let wait: Result<(), _> = ctx.wait_for_event(&name).await;
    Ok(vec![
        activity.unwrap_err().to_string(),
        child.unwrap_err().to_string(),
        event.unwrap_err().to_string(),
        wait.unwrap_err().to_string(),
        tag.unwrap_err().to_string(),
    ])
}

#[tokio::test]
async fn names_are_checked_where_an_orchestrator_calls() {
    check(
        || TestHub::new().orchestrator(NamesBadly),
        async |t| {
            let long = "x".repeat(NAME_BYTES + 1);
            for (name, problem) in [("", "is empty"), (long.as_str(), "is too long")] {
                let errors = t.run(NamesBadly, name).await.unwrap();
                for (error, what) in errors.iter().zip(["activity", "orchestrator", "event", "event"]) {
                    assert_says(error, &[&format!("the name of the {what} {problem}"), "use 1 to 1024 bytes"]);
                }
                assert_says(&errors[4], &["the name of the tag is too long"]);
            }
        },
    )
    .await;
}

#[orchestrator]
async fn child_ids(ctx: OrchestrationContext, id: String) -> Result<String> {
    let by_option = ctx.call_sub_orchestrator(Echo, "x").instance_id(id).await.expect_err("it may not be");
    let of_activity: Result<(), _> = ctx.call_activity("A", ()).instance_id("x").await;
    Ok(format!("{by_option} | {}", of_activity.expect_err("it has none")))
}

#[tokio::test]
async fn ids_of_children_are_checked_where_they_are_given() {
    let t = Stage::from(hub().orchestrator(ChildIds));
    let long = "x".repeat(257);
    for (id, problem) in [
        ("", "is empty"),
        ("@entity@1", "begins with `@`"),
        ("a/b", "holds one of"),
        ("a\tb", "control character"),
        (long.as_str(), "is too long"),
    ] {
        let handle = t.client().start(ChildIds, id).await.unwrap();
        let error = handle.wait().await.unwrap();
        assert_says(error, &["orchestrator Echo", problem, "use 1 to 256 characters", "activity A has no instance id"]);
        // What fails for its options is not done.
        let lines = history(&t, handle.id()).await;
        assert_eq!(lines.len(), 3, "{lines:?}");
    }
}

#[tokio::test]
async fn payloads_have_a_limit_that_is_named() {
    let t = Stage::from(hub());
    let client = t.client();
    // With its quotes, two bytes too large.
    let large = "x".repeat(PAYLOAD_BYTES);
    let says = |what: &str| [format!("the {what} has 33554434 bytes"), "33554432 allowed".into()];
    let check = |error: ClientError, what: &str| {
        let [size, limit] = says(what);
        assert_says(error, &[&size, &limit, "store it elsewhere and pass a reference"]);
    };
    check(client.start(Echo, large.as_str()).await.unwrap_err(), "input");
    client.start(WaitForGo, ()).id("w").await.unwrap();
    check(client.raise_event("w", "go", &large).await.unwrap_err(), "event's input");
    check(client.terminate("w").output(&large).await.unwrap_err(), "output");
    check(client.suspend("w", format!("{large}xx").as_str()).await.unwrap_err(), "reason");
    assert_eq!(state(&t, "w").await.status(), OrchestrationStatus::Running);
}

#[orchestrator]
async fn asks_for_much(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let outcome: Result<String, _> = ctx.call_activity("Much", ()).await;
    Ok(outcome.expect_err("it is too much").to_string())
}

#[tokio::test]
async fn a_result_over_the_limit_fails_its_activity() {
    let t = TestHub::new().orchestrator(AsksForMuch).mock("Much", |(): ()| Ok("x".repeat(PAYLOAD_BYTES)));
    let error = t.run(AsksForMuch, ()).await.unwrap();
    assert_says(error, &["activity Much (#0)", "33554434 bytes", "33554432 allowed", "return a reference"]);
}

#[orchestrator]
async fn answers_much(ctx: OrchestrationContext, how: String) -> Result<String> {
    match how.as_str() {
        "returns" => return Ok("x".repeat(PAYLOAD_BYTES)),
        "calls" => drop(ctx.call_activity::<_, ()>("Weigh", "x".repeat(PAYLOAD_BYTES))),
        "tells" => ctx.send_event("somebody", "gossip", &"x".repeat(PAYLOAD_BYTES))?,
        "shows" => ctx.set_custom_status(&"x".repeat(PAYLOAD_BYTES))?,
        "shows and waits" => {
            ctx.set_custom_status(&"x".repeat(PAYLOAD_BYTES))?;
            let _: u64 = ctx.wait_for_event("go").await?;
        }
        "continues" => drop(ctx.continue_as_new("x".repeat(PAYLOAD_BYTES))),
        _ => {
            for _ in 0..=ANSWER_ACTIONS {
                ctx.send_event("somebody", "gossip", &0)?;
            }
        }
    }
    Ok("done".into())
}

#[tokio::test]
async fn an_answer_over_the_limit_fails_its_instance_and_names_the_largest_part() {
    let t = Stage::from(TestHub::new().orchestrator(AnswersMuch));
    for (how, part) in [
        ("returns", "the result of the orchestrator"),
        ("calls", "a call of the activity \"Weigh\""),
        ("tells", "the event \"gossip\" for another instance"),
        ("shows", "the custom status with 33554434 bytes"),
        ("shows and waits", "the custom status with 33554434 bytes"),
        ("continues", "the result of the orchestrator"),
        ("gossips", "100002 actions"),
    ] {
        let failure = failure(t.client().start(AnswersMuch, how).id(how).await.unwrap().wait().await.unwrap_err());
        assert_eq!(failure.error_type(), "EpisodeTooLarge");
        assert_says(
            failure.message(),
            &["100000 actions and 33554432 bytes are allowed", part, "Pass large data by reference"],
        );
        // Nothing of it was done.
        let lines = history(&t, how).await;
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(state(&t, how).await.custom_status::<Value>().unwrap(), Value::Null);
    }
}

#[orchestrator]
async fn recurses(ctx: OrchestrationContext, level: u32) -> Result<u32> {
    Ok(ctx.call_sub_orchestrator("Recurses", level + 1).await?)
}

#[tokio::test]
async fn a_recursion_without_end_is_ended() {
    check(
        || TestHub::new().orchestrator(Recurses),
        async |t| {
            let failure = failure(t.client().start(Recurses, 0).id("r").await.unwrap().wait().await.unwrap_err());
            // Of the causes at each level only so many are kept.
            assert!(
                failure.message().starts_with("orchestrator Recurses (#0) failed: orchestrator Recurses (#0) failed")
            );
            let mut depth = 1;
            let mut last = failure.details();
            while let Some(inner) = last.inner_failure.as_deref() {
                (depth, last) = (depth + 1, inner);
            }
            assert_eq!(depth, FAILURE_DEPTH);
            assert!(
                last.error_message.ends_with("(inner failures beyond the 32th were cut)"),
                "{}",
                last.error_message
            );

            let all = t.client().list(Filter::new()).all().await.unwrap();
            assert_eq!(all.len(), 257, "the first and 256 below it");
            let deepest = all.last().expect("there are many");
            let failure = deepest.failure().expect("it failed");
            let mut failure = failure;
            while let Some(inner) = failure.inner_failure.as_deref() {
                failure = inner;
            }
            assert_eq!(failure.error_type, "RecursionTooDeep");
            assert_says(&failure.error_message, &["256 generations", "recursion without end", "continue_as_new"]);
        },
    )
    .await;
}

/// An error that says that it is its own cause.
#[derive(Debug)]
struct Ouroboros;

impl fmt::Display for Ouroboros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it bites its tail")
    }
}

impl StdError for Ouroboros {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self)
    }
}

/// An error with so many causes.
#[derive(Debug)]
struct Deep(usize, Option<Box<Deep>>);

impl fmt::Display for Deep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "level {}", self.0)
    }
}

impl StdError for Deep {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.1.as_deref().map(|inner| inner as _)
    }
}

#[activity]
async fn fails_deeply(_ctx: ActivityContext, how: String) -> Result<()> {
    if how == "circle" {
        return Err(Ouroboros)?;
    }
    let deep = (0..1_000).fold(None, |inner, level| Some(Box::new(Deep(level, inner))));
    Err(*deep.expect("there is one"))?
}

#[orchestrator]
async fn has_deep_failure(ctx: OrchestrationContext, how: String) -> Result<()> {
    Ok(ctx.call_activity(FailsDeeply, how).await?)
}

#[tokio::test]
async fn causes_without_end_are_cut_with_a_note() {
    check(
        || TestHub::new().orchestrator(HasDeepFailure).activity(FailsDeeply),
        async |t| {
            for (how, message) in [("circle", "it bites its tail"), ("deep", "level 999")] {
                let error = t.client().start(HasDeepFailure, how).await.unwrap().wait().await.unwrap_err();
                // Shown as a failing `main` shows it: to the end, which there is.
                let shown = format!("{:?}", Error::from(error));
                assert!(shown.len() < 10_000, "{shown}");
                let error = t.client().start(HasDeepFailure, how).await.unwrap().wait().await.unwrap_err();
                let failure = failure(error);
                assert!(failure.message().ends_with(message), "{failure}");
                let mut depth = 1;
                let mut last = failure.details();
                while let Some(inner) = last.inner_failure.as_deref() {
                    (depth, last) = (depth + 1, inner);
                }
                assert_eq!(depth, FAILURE_DEPTH);
                assert_says(&last.error_message, &["the 32th were cut"]);
            }
        },
    )
    .await;
    let shown = format!("{:?}", Error::from(Ouroboros));
    assert!(shown.len() < 10_000 && shown.contains("it bites its tail"), "{} bytes", shown.len());
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Order {
    lines: Vec<Line>,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Line {
    price: u32,
}

#[activity]
async fn ships(_ctx: ActivityContext, order: Order) -> Result<usize> {
    Ok(order.lines.len())
}

#[orchestrator]
async fn sells(ctx: OrchestrationContext, order: Order) -> Result<String> {
    let outcome: Result<usize, _> = ctx.call_activity("Ships", json!({"lines": [{"price": -1}]})).await;
    let error = outcome.expect_err("the price is wrong").to_string();
    let wrong: Result<String, _> = ctx.call_activity("Ships", order).await;
    Ok(format!("{error} | {}", wrong.expect_err("it is a number")))
}

#[tokio::test]
async fn values_that_do_not_fit_are_named_with_function_type_and_place() {
    check(
        || TestHub::new().orchestrator(Sells).activity(Ships),
        async |t| {
            let errors = t.run(Sells, Order { lines: vec![Line { price: 1 }] }).await.unwrap();
            assert_says(
                errors,
                &["the input of activity Ships", "Order", "lines[0].price", "result does not fit", "String"],
            );
            let started: Handle<String> = t.client().start("Sells", json!({"lines": [{}]})).await.unwrap();
            let failure = failure(started.wait().await.unwrap_err());
            assert!(failure.is_non_retriable());
            assert_says(failure.message(), &["the input of orchestrator Sells", "Order", "lines[0]", "price"]);
        },
    )
    .await;
}

#[tokio::test]
async fn a_text_that_is_no_history_is_named_by_line_and_column() {
    for (text, parts) in [
        ("hello", ["line 1", "column 1"].as_slice()),
        ("#-1 2026-01-31T08:00:00Z OrchestratorStarted\n#x", &["line 2", "event id"]),
        ("#-1 yesterday OrchestratorStarted", &["line 1", "\"yesterday\" is no time"]),
        ("#-1 2026-01-31T08:00:00Z Orchestrator", &["line 1", "no event of kind \"Orchestrator\""]),
        ("#-1 2026-01-31T08:00:00Z TaskCompleted(0) result=\"", &["line 1"]),
        ("#-1 2026-01-31T08:00:00Z TaskCompleted(0) colour=\"red\"", &["line 1", "colour"]),
    ] {
        assert_says(History::from_text(text).unwrap_err(), parts);
        assert_says(replay_check(Echo, text).unwrap_err(), parts);
    }
    assert_says(replay_check(Echo, "").unwrap_err(), &["the history is one of nothing", "Echo"]);
}

mod folders {
    use super::*;
    use duramen_backend::journal::{FORMAT, SegmentHeader};
    use std::fs;
    use std::path::{Path, PathBuf};

    fn segment(folder: &Path) -> PathBuf {
        let files = fs::read_dir(folder.join("journal")).expect("it has a journal");
        let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        files.sort();
        files.remove(0)
    }

    async fn used() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let hub = TaskHub::open(folder.path()).await.unwrap();
        let worker = hub.run_worker(App::new().orchestrator(Echo)).await.unwrap();
        hub.client().start(Echo, "x").id("e").await.unwrap().wait().await.unwrap();
        worker.shutdown().await.unwrap();
        hub.shutdown().await.unwrap();
        folder
    }

    #[tokio::test]
    async fn one_in_use_is_not_opened_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let hub = TaskHub::open(folder.path()).await.unwrap();
        let error = TaskHub::open(folder.path()).await.unwrap_err();
        let path = folder.path().to_str().expect("text");
        assert_says(error, &[path, "is in use", "lock", "stop that process, or use another folder"]);
        hub.shutdown().await.unwrap();
        TaskHub::open(folder.path()).await.unwrap();
    }

    #[tokio::test]
    async fn one_of_a_newer_format_is_left_as_it_is() {
        let folder = used().await;
        let file = segment(folder.path());
        let mut bytes = fs::read(&file).unwrap();
        let header = SegmentHeader::decode(&bytes).expect("it has a header");
        let newer = SegmentHeader { format: FORMAT + 1, ..header }.encode();
        bytes[..newer.len()].copy_from_slice(&newer);
        fs::write(&file, &bytes).unwrap();
        let error = TaskHub::open(folder.path()).await.unwrap_err();
        let name = file.file_name().and_then(|name| name.to_str()).expect("text");
        assert_says(
            error,
            &[folder.path().to_str().expect("text"), name, "open the store with the version that wrote it"],
        );
        assert_eq!(fs::read(&file).unwrap(), bytes, "nothing was changed");
    }

    #[tokio::test]
    async fn one_that_is_damaged_is_named_with_the_place() {
        let folder = used().await;
        let file = segment(folder.path());
        let mut bytes = fs::read(&file).unwrap();
        bytes[512 + 100] ^= 1;
        fs::write(&file, &bytes).unwrap();
        let error = TaskHub::open(folder.path()).await.unwrap_err();
        assert_says(error, &["is damaged at byte 512", "restore the store from a backup"]);
        assert_eq!(fs::read(&file).unwrap(), bytes, "nothing was changed");
    }

    #[tokio::test]
    async fn one_that_is_none_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let error = TaskHub::open(file.path()).await.unwrap_err();
        assert_says(error, &["failed to make the folder", file.path().to_str().expect("text")]);
    }
}
