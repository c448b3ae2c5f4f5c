//! A chain: four activities, each fed by the one before. F1 reserves, F2 charges, F3 ships, F4 confirms; when one
//! fails, what was done before is undone.
//!
//! ```console
//! $ cargo run --example chain              # kill it at any moment and run it again: it goes on where it was
//! $ cargo run --example chain -- FOLDER    # keeps its state in FOLDER instead of ./chain-data
//! ```
//!
//! It processes two orders. The first goes through; the second has an address that nobody can ship to, so its card
//! is refunded and its goods are released. What an activity does to the world is a line in `FOLDER/effects.txt`.
//! An activity that was running when the process died runs again, so each looks first whether its line is there:
//! activities run at least once, and a key makes their effect happen once.
//!
//! `DURAMEN_EXAMPLE_PAUSE_MS` says how long each activity takes, 1,000 unless set: time to kill it.

use duramen::prelude::*;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    id: String,
    goods: String,
    address: String,
}

#[orchestrator]
async fn process_order(ctx: OrchestrationContext, order: Order) -> Result<String> {
    let reservation = ctx.call_activity(world::Reserve, order.clone()).await?;
    let receipt = ctx.call_activity(world::Charge, reservation.clone()).await?;
    match ctx.call_activity(world::Ship, (order.clone(), receipt.clone())).await {
        Ok(parcel) => Ok(ctx.call_activity(world::Confirm, parcel).await?),
        Err(failure) => {
            // Compensation is ordinary code: undo in reverse order.
            ctx.call_activity(world::Refund, receipt).await?;
            ctx.call_activity(world::Release, reservation).await?;
            Ok(format!("{} was cancelled: {}", order.id, failure.message()))
        }
    }
}

/// The activities, with what they need of the world: the file that stands for it.
struct World {
    effects: PathBuf,
    pause: Duration,
}

#[activities]
impl World {
    async fn reserve(&self, _ctx: ActivityContext, order: Order) -> Result<String> {
        self.effect("F1", &format!("reserved {} for {}", order.goods, order.id)).await?;
        Ok(format!("reservation of {}", order.id))
    }

    async fn charge(&self, _ctx: ActivityContext, reservation: String) -> Result<String> {
        self.effect("F2", &format!("charged the card for the {reservation}")).await?;
        Ok(format!("receipt for the {reservation}"))
    }

    async fn ship(&self, _ctx: ActivityContext, (order, receipt): (Order, String)) -> Result<String> {
        if order.address == "nowhere" {
            return Err(Error::msg(format!("nobody ships to {}", order.address)));
        }
        self.effect("F3", &format!("shipped to {} against the {receipt}", order.address)).await?;
        Ok(format!("parcel of {}", order.id))
    }

    async fn confirm(&self, _ctx: ActivityContext, parcel: String) -> Result<String> {
        self.effect("F4", &format!("confirmed the {parcel}")).await?;
        Ok(format!("the {parcel} is on its way"))
    }

    async fn refund(&self, _ctx: ActivityContext, receipt: String) -> Result<()> {
        self.effect("undo F2", &format!("refunded the {receipt}")).await
    }

    async fn release(&self, _ctx: ActivityContext, reservation: String) -> Result<()> {
        self.effect("undo F1", &format!("released the {reservation}")).await
    }
}

impl World {
    /// Does something to the world, once: the text is the key by which it is known.
    async fn effect(&self, step: &str, what: &str) -> Result<()> {
        let line = format!("{step:>7}: {what}");
        if fs::read_to_string(&self.effects).unwrap_or_default().lines().any(|done| done == line) {
            println!("{line} (already done before the process died)");
        } else {
            // One write, so that a kill leaves a whole line or none.
            let mut file = OpenOptions::new().create(true).append(true).open(&self.effects)?;
            file.write_all(format!("{line}\n").as_bytes())?;
            println!("{line}");
        }
        tokio::time::sleep(self.pause).await;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "chain-data".to_owned());
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    let pause = std::env::var("DURAMEN_EXAMPLE_PAUSE_MS").ok().and_then(|ms| ms.parse().ok()).unwrap_or(1000);
    let world = World { effects: folder.join("effects.txt"), pause: Duration::from_millis(pause) };

    let hub = TaskHub::open(folder.join("hub")).await?;
    let worker = hub.run_worker(App::new().orchestrator(ProcessOrder).activities(world)).await?;

    for (id, address) in [("order-1", "Tokyo"), ("order-2", "nowhere")] {
        let order = Order { id: id.to_owned(), goods: "heartwood".to_owned(), address: address.to_owned() };
        // A process that was killed and is run again attaches to what is there instead of starting it twice.
        let handle = hub.client().start(ProcessOrder, order).id(id).on_existing(OnExisting::AttachAny).await?;
        println!("{id}: {}", handle.wait().await?);
    }
    println!("done; remove {} to begin anew", folder.display());
    worker.shutdown().await
}
