//! What a purge and retention ask of the store, and that a hub stops while they are at it.

mod support;

use duramen_backend::disk::Disk;
use duramen_backend::{Backend, Memory, MemoryOptions, Query};
use duramen_core::ids::InstanceId;
use duramen_hub::{Clock, Hub, Options, Purge, Retention, VirtualClock};
use std::sync::Arc;
use std::time::Duration;
use support::{Script, Worker, complete, in_time, output, started};

fn ends_at_once() -> Script {
    Script::new(|_| Some(vec![complete("1")]))
}

/// A store that settles when somebody asks for it.
fn late() -> Arc<Memory> {
    let options = MemoryOptions { settles_late: true, ..MemoryOptions::default() };
    Arc::new(Memory::open(Disk::default(), options).expect("an empty disk opens"))
}

async fn open(store: &Arc<Memory>, options: Options) -> Hub {
    Hub::run(Arc::clone(store) as Arc<dyn Backend>, options).await.unwrap()
}

/// A store that lags behind hides nothing from a purge that had ended before.
#[tokio::test]
async fn a_purge_sees_what_had_ended_before_it() {
    let store = late();
    let hub = open(&store, Options::default()).await;
    let _worker = Worker::attach(&hub, 1, true, ends_at_once());
    for n in 0..40 {
        started(&hub, &n.to_string(), "Echo").await;
        output(&hub, &n.to_string()).await;
    }
    let purged = in_time(hub.purge(Purge::matching(Query::default()))).await.unwrap();
    assert_eq!((purged.deleted, purged.complete), (40, true));
    let purged = in_time(hub.purge(Purge::ids([InstanceId::new("0")]).recursive())).await.unwrap();
    assert_eq!(purged.deleted, 0);
}

/// A look that is under way holds the hub's parts, and must let go of them.
#[tokio::test]
async fn a_hub_stops_and_goes_while_it_looks_for_what_has_come_of_age() {
    for patience in [None, Some(Duration::from_secs(1))] {
        let (store, clock) = (Arc::new(Memory::new()), VirtualClock::default());
        let retention = Retention::all(Duration::ZERO);
        let options = Options { clock: Clock::Virtual(clock.clone()), retention, ..Options::default() };
        let hub = open(&store, options).await;
        let worker = Worker::attach(&hub, 1, true, ends_at_once());
        started(&hub, "a", "Echo").await;
        output(&hub, "a").await;
        clock.advance(Duration::from_secs(60));
        if let Some(patience) = patience {
            in_time(hub.shutdown(patience)).await.unwrap();
        }
        drop((worker, hub));
        in_time(async {
            while Arc::strong_count(&store) > 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
}
