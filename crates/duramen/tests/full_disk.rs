//! What a full disk does to a task hub, on a small disk of its own.

use duramen::prelude::*;
use duramen::{RunningWorker, TaskHubOptions};
use duramen_embedded::{SegmentSizes, Settling};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Tells the process within where the small disk is.
const DISK: &str = "DURAMEN_TEST_SMALL_DISK";

#[activity]
async fn blow_up(_ctx: ActivityContext, bytes: usize) -> Result<String> {
    Ok("x".repeat(bytes))
}

#[orchestrator]
async fn fill(ctx: OrchestrationContext, bytes: usize) -> Result<usize> {
    Ok(ctx.call_activity(BlowUp, bytes).await?.len())
}

#[orchestrator]
async fn park(ctx: OrchestrationContext, _: ()) -> Result<u64> {
    Ok(ctx.wait_for_event("go").await?)
}

/// Runs this very test again where it may have a disk of its own: a file system in memory, in namespaces that end
/// with it.
#[test]
fn nothing_new_is_taken_on_a_full_disk_and_a_purge_makes_space() {
    if let Some(disk) = std::env::var_os(DISK) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        return runtime.block_on(on_a_small_disk(PathBuf::from(disk).join("hub")));
    }
    let disk = tempfile::tempdir().expect("there is a place for temporary files");
    let mount = |then: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
        command.arg(format!("mount -t tmpfs -o size=96m tmpfs \"${DISK}\" && {then}"));
        command.env(DISK, disk.path()).env("TEST", std::env::current_exe().expect("it runs from a file"));
        command
    };
    if !mount("true").output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this system does not let a test mount a file system");
        return;
    }
    let name = "nothing_new_is_taken_on_a_full_disk_and_a_purge_makes_space";
    let output = mount(&format!("exec \"$TEST\" --exact {name} --nocapture")).output().expect("it runs");
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{told}");
}

async fn open(folder: &Path) -> (TaskHub, RunningWorker) {
    let mut options = TaskHubOptions::default();
    options.store.sizes = SegmentSizes { first: 1 << 20, next: 1 << 20 };
    let settling = Settling { bytes: 1 << 20, age: Duration::from_millis(100), bound: 8 << 20, reserve: 24 << 20 };
    options.store.settling = settling;
    let hub = TaskHub::open_with(folder, options).await.expect("it opens");
    let app = App::new().orchestrator(Fill).orchestrator(Park).activity(BlowUp);
    let worker = hub.run_worker(app).await.expect("it runs");
    (hub, worker)
}

/// Starts instances until the hub takes none; gives how many it took.
async fn fill_up(client: &Client) -> usize {
    let mut started = 0;
    loop {
        assert!(started < 10_000, "the disk is larger than it was said to be");
        match client.start(Fill, 20_000_usize).await {
            // Some of them stay open when space runs out.
            Ok(_) => started += 1,
            Err(ClientError::Refused(Refusal::NoSpace)) => return started,
            Err(other) => panic!("{other}"),
        }
        if started % 16 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn on_a_small_disk(folder: PathBuf) {
    let (hub, worker) = open(&folder).await;
    let client = hub.client();
    client.start(Park, ()).id("parked").await.expect("there is space").started().await.expect("it begins");
    let started = fill_up(&client).await;

    // Whatever takes space is refused, and says why; reads, and what leads to space, are not.
    let refused = client.raise_event("parked", "go", 7).await.expect_err("there is no space");
    assert!(refused.to_string().contains("disk of the task hub is full"), "{refused}");
    client.get("parked").await.expect("the hub answers").expect("it is there");

    // A hub that is opened again on the full disk knows that it is full.
    drop(worker);
    hub.shutdown_within(Duration::ZERO).await.expect("it stops");
    drop((client, hub));
    let (hub, worker) = open(&folder).await;
    let client = hub.client();
    // It cannot say so before it has looked; what it takes until then it keeps.
    let taken = fill_up(&client).await;

    let all = client.list(Filter::new()).all().await.expect("it can be listed").len();
    assert_eq!(all, started + taken + 1, "nothing that was acknowledged is lost");

    // Purging works, and then everything goes on by itself.
    let begun = Instant::now();
    let mut purged = 0;
    let start = loop {
        purged += client.purge(Filter::new().status(OrchestrationStatus::Completed)).await.expect("it purges").deleted;
        match client.start(Fill, 1_usize).await {
            Ok(start) => break start,
            Err(ClientError::Refused(Refusal::NoSpace)) => {}
            Err(other) => panic!("{other}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{purged} were purged, and there still is no space");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(purged > 0);
    assert_eq!(start.wait().await.expect("it ends"), 1);
    client.raise_event("parked", "go", 7).await.expect("there is space");
    let parked = client.wait_for_completion("parked").await.expect("it ends");
    assert_eq!(parked.output::<u64>().expect("it has one"), 7);
    // So do those that were open when space ran out, as far as they fit.
    let open = async || client.list(Filter::new().status(OrchestrationStatus::Running)).all().await;
    while !open().await.expect("it can be listed").is_empty() {
        client.purge(Filter::new().status(OrchestrationStatus::Completed)).await.expect("it purges");
        assert!(begun.elapsed() < Duration::from_secs(120), "some do not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    worker.shutdown().await.expect("it stops");
    hub.shutdown().await.expect("it stops");
    drop((start, client, hub));
    let report = duramen_embedded::verify(&folder).expect("it can be read");
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}
