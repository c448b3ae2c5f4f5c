//! Invariant 10: the same inputs give the same outputs, byte for byte, in every process.

use crate::common::*;
use std::process::Command;

const FILE: &str = "DURAMEN_TEST_CHECKPOINTS";

/// A scenario with a little of everything; its checkpoints.
fn checkpoints() -> Vec<Vec<u8>> {
    let mut hub = Hub::new(Mode::Evict);
    hub.reopen(2);
    hub.orchestrator("Mix", |o| {
        o.custom_status = Some(o.execution_id.clone());
        let n: i32 = o.input()?.parse().ok()?;
        let done = (1..=5).filter(|k| o.try_call(*k, "A", Some(&k.to_string())).is_some()).count();
        o.act(send(6, "mix0", "note", Some("hello")));
        let kid = (n % 5 < 4).then(|| o.try_child(7, "", "Kid", None)).unwrap_or(Some(Ok(None)));
        o.sleep(8, 3)?;
        kid?.ok()?;
        if n % 5 == 2 && o.raised("again").is_empty() {
            o.continue_as_new(Some(&n.to_string()), vec![raised("again", None)]);
            return None;
        }
        (done == 5).then(|| "mixed".into())
    });
    hub.orchestrator("Kid", |o| o.call(1, "Flaky", None));
    hub.activity("A", |input| Ok(format!("a{input}")));
    hub.activity("Flaky", |_| Err(failure("E", "x")));
    let tags = (0..10).map(|n| (format!("tag{n}"), n.to_string())).collect();
    hub.start_with(
        duramen_proto::CreateInstanceRequest { tags, ..create("mix0", "Mix", Some("0")) },
        OnExisting::Reject,
    );
    for n in 1..20 {
        hub.start(&format!("mix{n}"), "Mix", Some(&n.to_string()));
    }
    hub.suspend("mix1");
    hub.terminate("mix3", "stop", true);
    hub.advance_seconds(20);
    hub.resume("mix1");
    hub.crash();
    hub.advance_seconds(20);
    for n in 0..20 {
        if hub.status(&format!("mix{n}")) == Status::Failed {
            hub.done(Request::Rewind { id: format!("mix{n}").into(), reason: None });
        }
    }
    hub.advance_seconds(20);
    hub.checkpoints.iter().map(|(_, checkpoint)| prost::Message::encode_to_vec(checkpoint)).collect()
}

fn text_of(checkpoints: &[Vec<u8>]) -> String {
    let hex = |bytes: &Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    checkpoints.iter().map(|checkpoint| hex(checkpoint) + "\n").collect()
}

#[test]
fn two_processes_make_the_same_checkpoints() {
    let here = text_of(&checkpoints());
    if let Ok(file) = std::env::var(FILE) {
        std::fs::write(file, here).expect("the parent made the folder");
        return;
    }
    assert!(here.lines().count() > 50, "it is a scenario of some size");
    let file = std::env::temp_dir().join(format!("duramen-checkpoints-{}", std::process::id()));
    let itself = std::env::current_exe().expect("a test knows its program");
    let status = Command::new(itself)
        .args(["determinism::two_processes_make_the_same_checkpoints", "--exact"])
        .env(FILE, &file)
        .status()
        .expect("the program runs once more");
    assert!(status.success());
    let there = std::fs::read_to_string(&file).expect("it wrote its checkpoints");
    std::fs::remove_file(&file).expect("it is there");
    for (number, (here, there)) in here.lines().zip(there.lines()).enumerate() {
        assert_eq!(here, there, "checkpoint {number}");
    }
    assert_eq!(here.len(), there.len());
}
