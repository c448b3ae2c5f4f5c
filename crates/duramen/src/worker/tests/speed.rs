//! What an episode costs. Run by hand: `cargo test --release -p duramen speed -- --ignored --nocapture`.

use super::harness::{Instance, encode, event};
use crate::prelude::*;
use crate::worker::author::Execution;
use duramen_core::work::OrchestratorWork;
use duramen_proto::history_event::EventType;
use duramen_proto::*;
use std::sync::Arc;
use std::time::Instant;

#[activity]
async fn step(_: ActivityContext, n: u32) -> Result<u32> {
    Ok(n + 1)
}

#[orchestrator]
async fn long(ctx: OrchestrationContext, steps: u32) -> Result<u32> {
    let mut n = 0;
    for _ in 0..steps {
        n = ctx.call_activity(Step, n).await?;
    }
    Ok(n)
}

#[orchestrator]
async fn wide(ctx: OrchestrationContext, width: u32) -> Result<u32> {
    Ok(ctx.all((0..width).map(|n| ctx.call_activity(Step, n))).await?.into_iter().max().unwrap_or_default())
}

#[test]
#[ignore = "measures"]
fn speed() {
    let app = Arc::new(App::new().activity(Step).orchestrator(Long).orchestrator(Wide));
    const STEPS: i32 = 100_000;
    let mut instance = Instance::new("Long", Some(&STEPS.to_string()));
    let items: Vec<OrchestratorWork> = (0..=STEPS)
        .map(|n| {
            if n > 0 {
                let result = Some(n.to_string());
                instance.inbox.push(EventType::TaskCompleted(TaskCompletedEvent { task_scheduled_id: n - 1, result }));
            }
            let item = instance.item();
            instance.session.episodes += 1;
            item
        })
        .collect();
    let began = Instant::now();
    let mut execution = Execution::new(&app, "i", None);
    let mut last = None;
    for item in &items {
        last = Some(execution.episode(&[], &item.new).unwrap());
    }
    println!("an episode of a chain: {:?}", began.elapsed() / STEPS as u32);
    assert!(last.is_some_and(|end| end.ended));

    const WIDTH: i32 = 10_000;
    let mut instance = Instance::new("Wide", Some(&WIDTH.to_string()));
    let began = Instant::now();
    let mut execution = Execution::new(&app, "i", None);
    execution.episode(&[], &instance.item().new).unwrap();
    println!("asking for {WIDTH} activities: {:?}", began.elapsed());
    let completed = |n| {
        let result = Some("1".to_string());
        event(-1, 5, EventType::TaskCompleted(TaskCompletedEvent { task_scheduled_id: n, result }))
    };
    let started = event(-1, 5, EventType::OrchestratorStarted(OrchestratorStartedEvent {}));
    let new: Vec<HistoryEvent> = std::iter::once(started).chain((0..WIDTH).map(completed)).collect();
    let new = encode(&new);
    let began = Instant::now();
    let end = execution.episode(&[], &new).unwrap();
    println!("taking {WIDTH} results: {:?}", began.elapsed());
    assert!(end.ended);
}
