//! Calls, fan-out, sessions.

use super::harness::{Hub, Instance};
use crate::prelude::*;

#[activity]
async fn say_hello(_ctx: ActivityContext, name: String) -> Result<String> {
    Ok(format!("Hello {name}!"))
}

#[activity]
async fn add(_ctx: ActivityContext, pair: (i64, i64)) -> Result<i64> {
    Ok(pair.0 + pair.1)
}

const SUM: ActivityName<(i64, i64), i64> = ActivityName::new("add");

#[orchestrator]
async fn hello_cities(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
    let tokyo = ctx.call_activity(SayHello, "Tokyo").await?;
    let seattle: String = ctx.call_activity("sayhello", "Seattle").await?;
    let rest = ctx.all(["Paris", "Oslo"].map(|city| ctx.call_activity(SayHello, city))).await?;
    Ok([vec![tokyo, seattle], rest].concat())
}

#[orchestrator]
async fn sums(ctx: OrchestrationContext, n: i64) -> Result<i64> {
    let mut sum = ctx.call_activity(SUM, (n, 1)).await?;
    for i in 0..n {
        sum = ctx.call_activity(Add, (sum, i)).await?;
    }
    let _: () = ctx.call_activity("Add", (1, 2)).await?;
    Ok(sum)
}

fn app() -> App {
    App::new().orchestrator(HelloCities).orchestrator(Sums).activity(SayHello).activity(Add)
}

#[test]
fn a_chain_and_a_fan_out() {
    let mut hub = Hub::new(app());
    let done = hub.run("HelloCities", "null");
    assert_eq!(done.output(), r#"["Hello Tokyo!","Hello Seattle!","Hello Paris!","Hello Oslo!"]"#);
}

#[test]
fn a_cold_worker_gets_to_the_same_place() {
    let mut hub = Hub::new(app());
    let mut instance = Instance::new("Sums", Some("5"));
    instance.warm = false;
    hub.drive(&mut instance);
    assert_eq!(instance.output(), "16");
    let cold = instance.history;
    assert_eq!(hub.run("Sums", "5").history, cold);
}
