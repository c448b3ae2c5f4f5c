//! Exports are read back: lines of JSON, and a SQLite file.

use duramen::client::{Export, ExportError};
use duramen::prelude::*;
use duramen::testing::TestHub;
use rusqlite::Connection;
use serde_json::{Value, json};

#[activity]
async fn double(_ctx: ActivityContext, number: u64) -> Result<u64> {
    if number > 100 { Err(Error::msg("too large")) } else { Ok(number * 2) }
}

#[orchestrator]
async fn quadruple(ctx: OrchestrationContext, number: u64) -> Result<u64> {
    let twice = ctx.call_activity(Double, number).await?;
    ctx.create_timer(secs(60)).await;
    let name: String = ctx.wait_for_event("name \"with\" quotes\nand lines").await?;
    Ok(ctx.call_activity(Double, twice).await? + name.len() as u64)
}

#[orchestrator]
async fn parent(ctx: OrchestrationContext, _: ()) -> Result<u64> {
    Ok(ctx.call_sub_orchestrator(Quick, "x").instance_id("child").await?)
}

#[orchestrator]
async fn quick(_ctx: OrchestrationContext, text: String) -> Result<u64> {
    Ok(text.len() as u64)
}

fn hub() -> TestHub {
    TestHub::new().orchestrator(Quadruple).orchestrator(Parent).orchestrator(Quick).activity(Double)
}

/// One that completed, one that failed, a parent with a child, one that waits.
async fn filled(t: &TestHub) {
    let client = t.client();
    let handle = client.start(Quadruple, 3).id("ok").tag("a", "b").await.unwrap();
    handle.raise_event("name \"with\" quotes\nand lines", "ab").await.unwrap();
    assert_eq!(handle.wait().await.unwrap(), 14);
    client.start(Quadruple, 300).id("failed").await.unwrap().wait().await.unwrap_err();
    client.start(Parent, ()).id("parent").await.unwrap().wait().await.unwrap();
    client.start(Quadruple, 1).id("waits").await.unwrap().started().await.unwrap();
}

async fn lines(export: Export) -> Vec<Value> {
    let mut text = Vec::new();
    let exported = export.json_lines(&mut text).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exported.events, lines.len() as u64);
    lines
}

#[tokio::test]
async fn a_line_is_an_event_with_its_place() {
    let t = hub();
    filled(&t).await;
    let lines = lines(t.client().export("ok")).await;
    let history = t.client().history("ok").await.unwrap();
    assert_eq!(lines.len(), history.events.len());
    for (at, line) in lines.iter().enumerate() {
        assert_eq!((&line["instanceId"], &line["sequence"]), (&json!("ok"), &json!(at)));
        assert_eq!(line["executionId"], lines[1]["executionStarted"]["orchestrationInstance"]["executionId"]);
    }
    let of = |kind: &str| lines.iter().filter(|line| line.get(kind).is_some()).collect::<Vec<_>>();
    assert_eq!(of("executionStarted")[0]["executionStarted"]["input"], "3");
    assert_eq!(of("executionStarted")[0]["executionStarted"]["tags"], json!({"a": "b"}));
    assert_eq!(of("taskScheduled")[0]["taskScheduled"]["name"], "Double");
    assert_eq!(of("taskCompleted")[1]["taskCompleted"]["result"], "12");
    assert_eq!(of("eventRaised")[0]["eventRaised"]["name"], "name \"with\" quotes\nand lines");
    assert_eq!(of("eventRaised")[0]["eventRaised"]["input"], "\"ab\"");
    assert_eq!(of("timerFired")[0]["timerFired"]["timerId"], of("timerCreated")[0]["eventId"]);
    assert_eq!(of("executionCompleted")[0]["executionCompleted"]["result"], "14");
}

#[tokio::test]
async fn a_filter_a_batch_and_what_is_not_there() {
    let t = hub();
    filled(&t).await;
    let ids = |lines: Vec<Value>| {
        let mut ids: Vec<_> = lines.iter().map(|line| line["instanceId"].as_str().unwrap().to_owned()).collect();
        ids.dedup();
        ids
    };
    assert_eq!(ids(lines(t.client().export(Filter::new())).await).len(), 5);
    let failed = Filter::new().status(OrchestrationStatus::Failed);
    assert_eq!(ids(lines(t.client().export(failed)).await), ["failed"]);
    assert_eq!(ids(lines(t.client().export(["waits", "nobody", "child"])).await), ["waits", "child"]);
    assert!(lines(t.client().export("nobody")).await.is_empty());
}

#[tokio::test]
async fn a_sqlite_file_has_a_row_for_each_instance_and_event() {
    let t = hub();
    filled(&t).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.sqlite");
    let exported = t.client().export(Filter::new()).sqlite(&path).await.unwrap();
    assert_eq!(exported.instances, 5);

    let file = Connection::open(&path).unwrap();
    let text = |query: &str| file.query_row(query, [], |row| row.get::<_, Option<String>>(0)).unwrap();
    assert_eq!(file.query_row("SELECT count(*) FROM events", [], |row| row.get(0)), Ok(exported.events as i64));
    let ids = "SELECT group_concat(id, ' ') FROM (SELECT id FROM instances ORDER BY id)";
    assert_eq!(text(ids).unwrap(), "child failed ok parent waits");
    assert_eq!(text("SELECT output FROM instances WHERE id = 'ok'").unwrap(), "14");
    assert_eq!(text("SELECT status FROM instances WHERE id = 'waits'").unwrap(), "RUNNING");
    assert_eq!(text("SELECT parent_id FROM instances WHERE id = 'child'").unwrap(), "parent");
    assert!(text("SELECT failure FROM instances WHERE id = 'failed'").unwrap().contains("too large"));
    // What a task was given and what it gave.
    let task = "SELECT group_concat(s.name || ' ' || s.input || ' ' || c.result, ', ') FROM events s JOIN events c
        ON c.instance_id = s.instance_id AND c.scheduled_id = s.event_id AND c.type = 'TaskCompleted'
        WHERE s.instance_id = 'ok' AND s.type = 'TaskScheduled'";
    assert_eq!(text(task).unwrap(), "Double 3 6, Double 6 12");
    let reason = "SELECT reason FROM events WHERE instance_id = 'failed' AND type = 'TaskFailed'";
    assert!(text(reason).unwrap().contains("too large"));
    // Every event is there in full.
    let history = t.client().history("ok").await.unwrap();
    let mut rows = file.prepare("SELECT raw FROM events WHERE instance_id = 'ok' ORDER BY sequence").unwrap();
    let raw: Vec<Vec<u8>> = rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let raw: Vec<_> = raw.into_iter().map(Into::into).collect();
    assert_eq!(duramen::History::decode(&raw).unwrap(), history);
}

#[tokio::test]
async fn a_file_that_exists_is_not_written_over() {
    let t = hub();
    filled(&t).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine");
    std::fs::write(&path, "mine").unwrap();
    let error = t.client().export(Filter::new()).sqlite(&path).await.unwrap_err();
    assert!(matches!(error, ExportError::File(_)), "{error}");
    assert!(error.to_string().contains("exists; remove it"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

/// More than a page of ids, and more than fit on the way to the file at a time.
#[tokio::test]
async fn many_instances_go_into_one_file() {
    let t = hub();
    let starts = (0..1200).map(|n| {
        let start = t.client().start(Quick, "x").id(format!("q-{n}"));
        async move { start.await.unwrap().wait().await.unwrap() }
    });
    futures::future::join_all(starts).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.sqlite");
    let exported = t.client().export(Filter::new()).sqlite(&path).await.unwrap();
    assert_eq!(exported.instances, 1200);
    let file = Connection::open(&path).unwrap();
    assert_eq!(file.query_row("SELECT count(DISTINCT instance_id) FROM events", [], |row| row.get(0)), Ok(1200));
}
