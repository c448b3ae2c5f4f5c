//! What was promised, written down outside of the store.
//!
//! Each line is one appended write, so what the page cache has of it survives the death of the
//! process. A thread that is killed in the middle of its write leaves a piece of a line: it had not
//! gone on, so nothing rests on it.

use crate::functions::Job;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// One observation. `…ing` is written before something is asked, the other form after its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Line {
    /// A process begins.
    Life {
        number: u64,
    },
    Starting {
        id: String,
        orchestrator: String,
        job: Job,
    },
    Started {
        id: String,
        key: String,
        birth: u64,
    },
    Raising {
        id: String,
        event: String,
    },
    Raised {
        id: String,
        event: String,
    },
    Suspending {
        id: String,
    },
    Suspended {
        id: String,
    },
    Resuming {
        id: String,
    },
    Resumed {
        id: String,
    },
    Terminating {
        id: String,
        output: String,
    },
    Terminated {
        id: String,
        output: String,
    },
    Rewinding {
        id: String,
    },
    Rewound {
        id: String,
    },
    Purging {
        id: String,
        key: String,
    },
    Purged {
        id: String,
        key: String,
    },
    /// A client was shown this custom status.
    Seen {
        id: String,
        key: String,
        count: u32,
    },
    /// A client was told how an instance ended.
    Told(Told),
    /// An activity ran; written before it returned.
    Ran(Ran),
}

/// How an instance ended, as a client was told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) execution: String,
    pub(crate) status: String,
    pub(crate) output: Option<String>,
    pub(crate) failure: Option<String>,
}

/// One run of an activity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ran {
    pub(crate) instance: String,
    pub(crate) execution: String,
    pub(crate) action: i32,
    pub(crate) name: String,
    pub(crate) input: String,
}

/// Writes the lines of one process.
#[derive(Debug)]
pub(crate) struct Witness(File);

impl Witness {
    /// Opens the file of a folder, and ends what a killed process may have left of a line.
    pub(crate) fn open(folder: &Path, life: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).append(true).open(file(folder))?;
        file.write_all(b"\n")?;
        let witness = Self(file);
        witness.note(&Line::Life { number: life });
        Ok(witness)
    }

    pub(crate) fn note(&self, line: &Line) {
        let mut text = serde_json::to_string(line).expect("a line is plain data");
        text.push('\n');
        (&self.0).write_all(text.as_bytes()).expect("the witness must be able to write");
    }
}

/// The lines of a folder, and how many of them cannot be read.
pub(crate) fn read(folder: &Path) -> io::Result<(Vec<Line>, usize)> {
    let text = match std::fs::read(file(folder)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let (mut lines, mut torn) = (Vec::new(), 0);
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(line) => lines.push(line),
            Err(_) => torn += 1,
        }
    }
    Ok((lines, torn))
}

fn file(folder: &Path) -> std::path::PathBuf {
    folder.join("witness.jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_of_a_line_costs_that_line_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let line = Line::Raised { id: "a\nb".into(), event: "e".into() };
        Witness::open(folder.path(), 1).expect("it opens").note(&line);
        let mut file = OpenOptions::new().append(true).open(file(folder.path())).expect("it is there");
        file.write_all(br#"{"Raised":{"id":"#).expect("it writes");
        Witness::open(folder.path(), 2).expect("it opens").note(&line);
        let (lines, torn) = read(folder.path()).expect("it reads");
        assert_eq!(lines, [Line::Life { number: 1 }, line.clone(), Line::Life { number: 2 }, line]);
        assert_eq!(torn, 1);
    }
}
