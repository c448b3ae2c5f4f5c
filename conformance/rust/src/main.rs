//! A Rust worker beside a Python and a JavaScript one: `duramen-conformance ADDRESS HUB`. Says `ready` when it is
//! connected, and runs until it is killed. An empty HUB is the default one.

use duramen::ConnectOptions;
use duramen::prelude::*;
use serde_json::{Value, json};

#[activity(name = "rs_echo")]
async fn echo(_: ActivityContext, value: Value) -> Result<Value> {
    Ok(value)
}

/// What it was given, as a word.
#[activity(name = "rs_type")]
async fn kind(_: ActivityContext, value: Option<Value>) -> Result<String> {
    Ok(if value.is_some() { "something" } else { "nothing" }.to_owned())
}

#[activity(name = "rs_absent")]
async fn absent(_: ActivityContext, _: ()) -> Result<()> {
    Ok(())
}

#[activity(name = "rs_fails")]
async fn fails(_: ActivityContext, _: ()) -> Result<()> {
    Err("x".parse::<u8>().unwrap_err().into())
}

#[orchestrator(name = "rs_through")]
async fn through(ctx: OrchestrationContext, value: Value) -> Result<Value> {
    let value: Value = ctx.call_activity("py_echo", value).await?;
    let value: Value = ctx.call_sub_orchestrator("js_child", value).await?;
    let event: Value = ctx.wait_for_event("value").await?;
    Ok(json!([value, event]))
}

#[orchestrator(name = "rs_child")]
async fn child(ctx: OrchestrationContext, value: Value) -> Result<Value> {
    let value: Value = ctx.call_activity("py_echo", value).await?;
    Ok(ctx.call_activity("js_echo", value).await?)
}

#[orchestrator(name = "rs_told")]
async fn told(ctx: OrchestrationContext, _: ()) -> Result<Value> {
    let of_python: Value = ctx.call_activity("py_type", ()).await?;
    let of_javascript: Value = ctx.call_activity("js_type", ()).await?;
    let from_python: Option<Value> = ctx.call_activity("py_absent", ()).await?;
    let from_javascript: Option<Value> = ctx.call_activity("js_absent", ()).await?;
    Ok(json!([of_python, of_javascript, from_python, from_javascript]))
}

#[orchestrator(name = "rs_catches")]
async fn catches(ctx: OrchestrationContext, _: ()) -> Result<Value> {
    let mut found = Vec::new();
    for name in ["py_fails", "js_fails"] {
        let outcome: Result<Value, TaskFailed> = ctx.call_activity(name, ()).await;
        let failure = outcome.expect_err("it always fails");
        found.push(json!([failure.error_type(), failure.message()]));
    }
    Ok(found.into())
}

/// One language after the other, each a child of the one before.
#[orchestrator(name = "rs_ping")]
async fn ping(ctx: OrchestrationContext, depth: u64) -> Result<Vec<String>> {
    let below: Vec<String> = match depth {
        0 => return Ok(Vec::new()),
        _ => ctx.call_sub_orchestrator("py_pong", depth - 1).await?,
    };
    Ok([vec!["rs".to_owned()], below].concat())
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(hub)) = (arguments.next(), arguments.next()) else {
        return Err(Error::msg("usage: duramen-conformance ADDRESS HUB"));
    };
    let options = ConnectOptions { task_hub: Some(hub).filter(|hub| !hub.is_empty()), ..ConnectOptions::default() };
    let hub = TaskHub::connect_with(&format!("http://{address}"), options).await?;
    let app = App::new().activity(Echo).activity(Kind).activity(Absent).activity(Fails);
    let app = app.orchestrator(Through).orchestrator(Child).orchestrator(Told).orchestrator(Catches).orchestrator(Ping);
    let _worker = hub.run_worker(app.only_registered()).await?;
    println!("ready");
    std::future::pending().await
}
