//! Each known way in which a server that seems right breaks one of the SDKs has a scenario by its number.

use std::fs;
use std::path::Path;

/// The traps, by number and what they are about. Entities (15, 30) and Dapr's messages (29) are not served yet.
const TRAPS: [(u32, &str); 28] = [
    (1, "SDKs that send no completion tokens"),
    (2, "the exact history"),
    (3, "ids that retries use again"),
    (4, "a fresh execution id for each generation"),
    (5, "a start time of 1970"),
    (6, "limits of zero, and messages over the limits of gRPC"),
    (7, "stale completions are no errors"),
    (8, "silence, and streams that are lost"),
    (9, "waits without a deadline"),
    (10, "ids that nobody knows yet"),
    (11, "starting an id that exists"),
    (12, "rewind"),
    (13, "filters"),
    (14, "failures that go up unchanged, and answers in parts"),
    (16, "task hubs by metadata"),
    (17, "actions beside a completion"),
    (18, "pending until the first episode is committed; the time of episodes"),
    (19, "events that fail an SDK"),
    (20, "exact timers"),
    (21, "custom status"),
    (22, "entity parameters and trace contexts"),
    (23, "absent, empty and null"),
    (24, "terminate, suspend, resume, and calls to nobody"),
    (25, "pages"),
    (26, "purge"),
    (27, "times of an instance"),
    (28, "repeated and abandoned answers"),
    (31, "what an earlier client left behind"),
];

#[test]
fn each_trap_has_a_scenario() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in a folder of the repository");
    let mut text = String::new();
    read_all(&root.join("conformance"), &mut text);
    let missing: Vec<_> = TRAPS.iter().filter(|(number, _)| !text.contains(&format!("trap_{number:02}_"))).collect();
    assert!(missing.is_empty(), "traps without a scenario: {missing:?}");
}

/// Every scenario's file, one after another.
fn read_all(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the entry is readable").path();
        if path.is_dir() {
            read_all(&path, text);
        } else {
            text.push_str(&fs::read_to_string(&path).expect("a scenario is text"));
        }
    }
}
