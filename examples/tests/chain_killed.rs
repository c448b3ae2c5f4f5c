//! The chain, killed with SIGKILL at every activity in turn and started again: it ends with the right output, and
//! what it did to the world it did once.

mod support;

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout};

/// What the two orders do to the world, in this order.
const EFFECTS: [&str; 8] = [
    "     F1: reserved heartwood for order-1",
    "     F2: charged the card for the reservation of order-1",
    "     F3: shipped to Tokyo against the receipt for the reservation of order-1",
    "     F4: confirmed the parcel of order-1",
    "     F1: reserved heartwood for order-2",
    "     F2: charged the card for the reservation of order-2",
    "undo F2: refunded the receipt for the reservation of order-2",
    "undo F1: released the reservation of order-2",
];
const RESULTS: [&str; 2] =
    ["order-1: the parcel of order-1 is on its way", "order-2: order-2 was cancelled: nobody ships to nowhere"];

/// A running example.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// Starts the chain; its activities take `pause_ms`.
    fn start(folder: &Path, pause_ms: u32) -> Self {
        let mut command = support::example("chain", folder);
        let mut child = command.env("DURAMEN_EXAMPLE_PAUSE_MS", pause_ms.to_string()).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("its output is a pipe")).lines();
        Self { child, lines }
    }

    /// The next line that it prints.
    fn line(&mut self) -> Option<String> {
        self.lines.next().map(|line| line.expect("it prints text"))
    }

    fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Lets it run to its end; gives the rest of its lines.
    fn finish(mut self) -> Vec<String> {
        let lines: Vec<String> = self.lines.by_ref().map(|line| line.expect("it prints text")).collect();
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "the chain failed: {status}; it printed {lines:#?}");
        lines
    }
}

fn assert_finished(folder: &Path, last_run: &[String]) {
    let results: Vec<_> = last_run.iter().filter(|line| line.starts_with("order-")).collect();
    assert_eq!(results, RESULTS, "of the last run: {last_run:#?}");
    let effects = std::fs::read_to_string(folder.join("effects.txt")).expect("it has done something");
    assert_eq!(effects.lines().collect::<Vec<_>>(), EFFECTS);
}

/// A line of an activity, as it was done or found done.
fn effect(line: &str) -> Option<&str> {
    let line = line.strip_suffix(" (already done before the process died)").unwrap_or(line);
    EFFECTS.iter().find(|effect| **effect == line).copied()
}

#[test]
fn killed_once_at_each_activity() {
    for (killed_at, killed_effect) in EFFECTS.iter().enumerate() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut first = Running::start(folder.path(), 50);
        let mut seen = Vec::new();
        while seen.len() <= killed_at {
            let line = first.line().expect("it goes on to the activity");
            seen.extend(effect(&line).map(str::to_owned));
        }
        first.kill();
        assert_eq!(seen.last().map(String::as_str), Some(*killed_effect));

        let rest = Running::start(folder.path(), 1).finish();
        assert_finished(folder.path(), &rest);
        // The activity that was running runs again, finds its effect, and the ones before it do not run again.
        let again: Vec<_> = rest.iter().filter_map(|line| effect(line)).collect();
        assert_eq!(again, EFFECTS[killed_at..], "after a kill at {killed_effect:?}");
    }
}

#[test]
fn killed_again_and_again() {
    let folder = tempfile::tempdir().expect("a folder");
    // Each run is killed at the first thing that it newly does to the world, so each activity is killed in turn.
    for expected in EFFECTS {
        let mut run = Running::start(folder.path(), 50);
        loop {
            let line = run.line().expect("it goes on to the next activity");
            if EFFECTS.contains(&line.as_str()) {
                assert_eq!(line, expected);
                break;
            }
        }
        run.kill();
    }
    let last = Running::start(folder.path(), 1).finish();
    assert_finished(folder.path(), &last);

    // A run after the end finds everything done.
    let after = Running::start(folder.path(), 1).finish();
    assert_finished(folder.path(), &after);
    assert_eq!(after.iter().filter(|line| effect(line).is_some()).count(), 0, "{after:#?}");
}
