//! Sub-orchestrations: an orchestrator that calls orchestrators, each an instance with a history of its own.
//!
//! ```console
//! $ cargo run --example sub_orchestration
//! ```
//!
//! Sets up a fleet of devices: one child for each. A device that cannot be set up does not take the others down.

use duramen::prelude::*;

#[activity]
async fn create_identity(_ctx: ActivityContext, device: String) -> Result<String> {
    Ok(format!("identity of {device}"))
}

#[activity]
async fn install(_ctx: ActivityContext, (device, identity): (String, String)) -> Result<String> {
    if device == "toaster" {
        return Err(Error::msg("a toaster has no room for it"));
    }
    Ok(format!("{device} runs with the {identity}"))
}

#[orchestrator]
async fn set_up_device(ctx: OrchestrationContext, device: String) -> Result<String> {
    let identity = ctx.call_activity(CreateIdentity, device.clone()).await?;
    Ok(ctx.call_activity(Install, (device, identity)).await?)
}

#[orchestrator]
async fn set_up_fleet(ctx: OrchestrationContext, devices: Vec<String>) -> Result<Vec<String>> {
    // Calling starts all of them; a child's id may be chosen, here to find it again.
    let children: Vec<_> = devices
        .iter()
        .map(|device| {
            let id = format!("{}-{device}", ctx.instance_id());
            ctx.call_sub_orchestrator(SetUpDevice, device.clone()).instance_id(id)
        })
        .collect();
    let mut report = Vec::new();
    for (device, child) in devices.iter().zip(children) {
        match child.await {
            Ok(done) => report.push(done),
            Err(failure) => report.push(format!("{device} is left out: {}", failure.message())),
        }
    }
    Ok(report)
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "sub_orchestration-data".to_owned());
    let app = App::new().orchestrator(SetUpFleet).orchestrator(SetUpDevice).activity(CreateIdentity).activity(Install);
    let hub = TaskHub::open(folder).await?;
    let worker = hub.run_worker(app).await?;

    let devices = ["lamp", "toaster", "door"].map(str::to_owned).to_vec();
    for line in hub.client().start(SetUpFleet, devices).await?.wait().await? {
        println!("{line}");
    }
    worker.shutdown().await
}
