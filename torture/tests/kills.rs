//! A short run of the killer, and proof that the verifier sees what is broken.

use duramen_backend::journal::{BatchHeader, SegmentHeader};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn torture(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen-torture"));
    command.args(arguments).arg("--folder").arg(folder).output().expect("the binary runs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn twenty_kills_break_no_promise() {
    let place = tempfile::tempdir().expect("a folder");
    let output = torture(&["run", "--kills", "20", "--kills-per-folder", "10"], place.path());
    if !output.status.success() {
        // What was broken is to be looked at.
        panic!("in {}:\n{}", place.keep().display(), text(&output));
    }
    assert!(text(&output).contains("violations: 0"), "{}", text(&output));
}

/// A folder with a store that was killed a few times and is not verified yet.
fn killed(place: &Path) -> PathBuf {
    let output = torture(&["kill", "--kills", "3", "--seed", "5"], place);
    assert!(output.status.success(), "{}", text(&output));
    place.to_owned()
}

fn witness(folder: &Path, line: &str) {
    let mut file = fs::OpenOptions::new().append(true).open(folder.join("witness.jsonl")).expect("it is there");
    writeln!(file, "\n{line}").expect("it can be written");
}

fn assert_violated(folder: &Path, expected: &[&str]) {
    let output = torture(&["verify"], folder);
    assert!(!output.status.success(), "the verifier saw nothing");
    for part in expected {
        assert!(text(&output).contains(part), "{part:?} is not in:\n{}", text(&output));
    }
}

#[test]
fn a_broken_promise_is_seen() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = killed(place.path());
    let job = r#"{"key":"lost","size":1,"pad":"","got":[]}"#;
    witness(&folder, &format!(r#"{{"Starting":{{"id":"lost-1","orchestrator":"Chain","job":{job}}}}}"#));
    witness(&folder, r#"{"Started":{"id":"lost-1","key":"lost","birth":1}}"#);
    let ran = |input: &str| {
        format!(r#"{{"Ran":{{"instance":"i","execution":"twice","action":0,"name":"Step","input":"{input}"}}}}"#)
    };
    witness(&folder, &ran("1"));
    witness(&folder, &ran("2"));
    assert_violated(
        &folder,
        &[
            "instance lost-1",
            "its start was acknowledged",
            "it does not exist",
            "one decision for action 0 of execution twice",
        ],
    );
}

/// The last segment loses its end, as on a disk that acknowledged what it had not written.
#[test]
fn a_lost_batch_is_seen() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = killed(place.path());
    let journal = folder.join("store").join("journal");
    let mut segments: Vec<_> =
        fs::read_dir(&journal).expect("it is there").map(|entry| entry.expect("an entry").path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "segment"));
    // The one that was written to last. Others may be empty, or full of what they held under another number.
    let first = |bytes: &[u8]| {
        let segment = SegmentHeader::decode(bytes)?.number;
        let (batch, _) = BatchHeader::decode(bytes.get(512..)?)?;
        (batch.segment == segment).then_some(batch.number)
    };
    let read = segments.into_iter().map(|path| (path.clone(), fs::read(path).expect("it can be read")));
    let (path, mut bytes) = read.max_by_key(|(_, bytes)| first(bytes)).expect("there is one");
    // All but the header and the first batches of the segment.
    let from = 512 + 4_096;
    bytes[from..].fill(0);
    fs::write(path, bytes).expect("it can be written");
    // What is missing was promised, or stands in the tables already.
    let output = torture(&["verify"], &folder);
    assert!(!output.status.success(), "the verifier saw nothing");
    let said = text(&output);
    assert!(said.contains("promised") || said.contains("the tables stand at batch"), "{said}");
}
