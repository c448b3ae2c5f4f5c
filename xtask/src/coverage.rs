//! `cargo xtask coverage`: which lines of duramen-core its own tests and the simulator reach.

use std::path::Path;
use std::process::Command;

/// Below this the chore fails.
const WANTED_PERCENT: &str = "95";

pub(crate) fn run(root: &Path) -> Result<(), String> {
    let installed = Command::new("cargo").args(["tarpaulin", "--version"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        return Err("cargo-tarpaulin is not installed; `cargo install cargo-tarpaulin --locked` installs it".to_owned());
    }
    // The engine that the compiler instruments for needs no tools of LLVM: tarpaulin reads its profiles itself.
    crate::run(
        Command::new("cargo")
            .args(["tarpaulin", "--engine", "llvm", "--packages", "duramen-core", "--packages", "duramen-sim"])
            .args([
                "--include-files",
                "crates/duramen-core/src/*",
                "--exclude-files",
                "crates/duramen-core/src/planted.rs",
            ])
            .args(["--skip-clean", "--timeout", "1800", "--fail-under", WANTED_PERCENT])
            .args(["--out", "Json", "--output-dir", "target/coverage"])
            .arg("--target-dir")
            .arg(root.join("target/coverage")),
    )
}
