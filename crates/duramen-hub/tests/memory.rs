//! Memory is bounded by activity (invariant 8). In a process of its own, whose memory nobody else uses.

mod support;

use duramen_backend::{Backend, Memory};
use duramen_hub::{Hub, Options};
use std::sync::Arc;
use support::{Script, Worker, complete, continue_as_new, output, started};

#[tokio::test]
async fn a_loop_without_waiting_keeps_memory_flat_and_lets_others_run() {
    let store = Arc::new(Memory::new());
    let hub = Hub::run(Arc::clone(&store) as Arc<dyn Backend>, Options::default()).await.unwrap();
    let (generation, generations) = std::sync::mpsc::channel();
    let script = Script::new(move |episode| match episode.name.as_str() {
        "Eternal" => {
            let _ = generation.send(());
            Some(vec![continue_as_new("1")])
        }
        _ => Some(vec![complete("\"done\"")]),
    });
    let _worker = Worker::attach(&hub, 4, true, script);
    started(&hub, "eternal", "Eternal").await;
    let run_on = |count: usize| generations.iter().take(count).count();
    run_on(2_000);
    // The journal of the store is in memory, and nothing takes its segments out of use.
    let kept = || resident().saturating_sub(journal(&store));
    let before = kept();
    run_on(20_000);
    let grown = kept().saturating_sub(before);
    assert!(grown < 16 << 20, "memory grew by {grown} bytes in 20,000 generations");
    started(&hub, "other", "Other").await;
    assert_eq!(output(&hub, "other").await.as_deref(), Some("\"done\""));
    run_on(1);
}

/// Bytes of the store's files.
fn journal(store: &Memory) -> usize {
    let disk = store.disk();
    disk.list().iter().map(|file| disk.read(file).expect("the file is there").len()).sum()
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number of pages") * 4_096
}
