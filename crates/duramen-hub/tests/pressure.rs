//! Nobody waits in a circle, and nobody holds up the others.

mod support;

use duramen_backend::Memory;
use duramen_core::ids::InstanceId;
use duramen_core::request::{Refusal, Reply, Request};
use duramen_hub::{Hub, Options};
use std::sync::Arc;
use std::time::Duration;
use support::slow::SlowDisk;
use support::{Script, Worker, complete, output, send, started};

const TALKERS: usize = 64;

fn talker(n: usize) -> String {
    format!("talker-{n}")
}

/// Sends an event to every other talker, and ends when it has one from each.
fn talkers() -> Script {
    Script::new(|episode| {
        let mut actions = Vec::new();
        if episode.is_first() {
            let others = (0..TALKERS).map(talker).filter(|other| *other != episode.instance);
            actions.extend((0..).zip(others).map(|(id, other)| send(id, &other, "hello")));
        }
        if episode.raised() == TALKERS - 1 {
            actions.push(complete("\"heard all\""));
        }
        Some(actions)
    })
}

async fn everybody_talks_to_everybody(options: Options, sync: Duration, room: usize, in_process: bool) {
    let hub = Hub::run(SlowDisk::new(sync), options).await.unwrap();
    // Events for an instance that does not exist are dropped, so all are there before anyone talks.
    for n in 0..TALKERS {
        started(&hub, &talker(n), "Talker").await;
    }
    let _worker = Worker::attach(&hub, room, in_process, talkers());
    for n in 0..TALKERS {
        assert_eq!(output(&hub, &talker(n)).await.as_deref(), Some("\"heard all\""), "{n}");
    }
}

#[tokio::test]
async fn queues_of_one_on_two_partitions_with_a_slow_disk_do_not_lock_up() {
    let options = Options { partitions: 2, queue: 1, messages: 1, ..Options::default() };
    everybody_talks_to_everybody(options, Duration::from_millis(100), 1, true).await;
}

#[tokio::test]
async fn instances_that_are_never_in_memory_hear_everything() {
    let mut options = Options { partitions: 2, ..Options::default() };
    options.settings.resident = 0;
    everybody_talks_to_everybody(options, Duration::from_millis(1), 8, false).await;
}

#[tokio::test]
async fn requests_beyond_the_limit_are_refused_by_name_and_a_dropped_wait_gives_its_place_back() {
    let options = Options { queue: 2, ..Options::default() };
    let hub = Hub::run(Arc::new(Memory::new()), options).await.unwrap();
    started(&hub, "a", "Nobody").await;
    let waits: Vec<_> = (0..2)
        .map(|_| {
            let hub = hub.clone();
            tokio::spawn(async move { hub.request(support::wait("a")).await })
        })
        .collect();
    // The runtime has one thread: both are under way once this one has stepped back.
    tokio::task::yield_now().await;
    let reply = hub.request(Request::Get(InstanceId::new("a"))).await;
    assert!(matches!(&reply, Reply::Refused(Refusal::Overloaded(what)) if what == "open client requests"), "{reply:?}");
    for wait in waits {
        wait.abort();
        assert!(wait.await.unwrap_err().is_cancelled());
    }
    let reply = hub.request(Request::Get(InstanceId::new("a"))).await;
    assert!(matches!(reply, Reply::State(Some(_))), "{reply:?}");
}
