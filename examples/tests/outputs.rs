//! Each example runs, ends, and prints what it says it does.

mod support;

/// Runs an example to its end and gives the lines that it printed.
fn lines_of(name: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let output = support::example(name, &folder.path().join("data")).output().expect("it starts");
    let text = String::from_utf8(output.stdout).expect("it prints text");
    assert!(output.status.success(), "{name} failed, having printed:\n{text}");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn chain() {
    let lines = lines_of("chain");
    assert_eq!(
        lines[..lines.len() - 1],
        [
            "     F1: reserved heartwood for order-1",
            "     F2: charged the card for the reservation of order-1",
            "     F3: shipped to Tokyo against the receipt for the reservation of order-1",
            "     F4: confirmed the parcel of order-1",
            "order-1: the parcel of order-1 is on its way",
            "     F1: reserved heartwood for order-2",
            "     F2: charged the card for the reservation of order-2",
            "undo F2: refunded the receipt for the reservation of order-2",
            "undo F1: released the reservation of order-2",
            "order-2: order-2 was cancelled: nobody ships to nowhere",
        ]
    );
    assert!(lines.last().is_some_and(|line| line.starts_with("done; remove ")));
}

#[test]
fn fan_out() {
    assert_eq!(lines_of("fan_out"), ["100 texts have 5050 words"]);
}

#[test]
fn monitor() {
    assert_eq!(
        lines_of("monitor"),
        ["look 1 at backup", "look 2 at backup", "look 3 at backup", "look 4 at backup", "backup is ready"]
    );
}

#[test]
fn approval() {
    let mut lines = lines_of("approval");
    // Which manager is asked first is open.
    lines[..2].sort();
    assert_eq!(
        lines,
        [
            "train ticket: the manager is asked",
            "yacht: the manager is asked",
            "train ticket was approved",
            "yacht was escalated"
        ]
    );
}

#[test]
fn retry() {
    assert_eq!(
        lines_of("retry"),
        ["call 1", "call 2", "call 3", "sunny in Oslo", "no forecast: there is no town named Atlantis"]
    );
}

#[test]
fn sub_orchestration() {
    assert_eq!(
        lines_of("sub_orchestration"),
        [
            "lamp runs with the identity of lamp",
            "toaster is left out: activity Install (#1) failed: a toaster has no room for it",
            "door runs with the identity of door"
        ]
    );
}

#[test]
fn eternal() {
    let lines = lines_of("eternal");
    assert_eq!(lines[..3], ["round 1: cleaned up", "round 2: cleaned up", "round 3: cleaned up"]);
    assert_eq!(lines.last().map(String::as_str), Some("stopped when asked to"));
}
