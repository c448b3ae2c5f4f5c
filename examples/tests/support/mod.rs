//! Runs examples as a user does: the built program, with a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program of an example; Cargo builds all of them before it runs these tests.
pub(crate) fn example(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(program(name));
    command.arg(folder).stdin(Stdio::null()).stdout(Stdio::piped()).env("DURAMEN_EXAMPLE_PAUSE_MS", "10");
    command
}

fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its program");
    let profile = test.ancestors().nth(2).expect("tests are in target/PROFILE/deps");
    let program = profile.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(program.exists(), "{} is missing: run `cargo build --examples`", program.display());
    program
}
