//! The wheel: the binary in a form that `pip install` takes.

use crate::{root, run};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime};

/// How the binary in it is built.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    /// As it is given to people.
    Release,
    /// As tests build it: its parts are there already.
    Dev,
}

/// Builds the wheel and says where it is.
pub(crate) fn dist(profile: Profile) -> Result<PathBuf, String> {
    let begun = Instant::now();
    let since = SystemTime::now();
    let maturin = venv(&root().join("target/maturin"), &["maturin>=1.7,<2"])?.join("maturin");
    let wheels = root().join("target/wheels");
    let mut build = Command::new(maturin);
    build.args(["build", "--locked", "--manifest-path", "crates/duramen-cli/Cargo.toml", "--out"]).arg(&wheels);
    if let Profile::Release = profile {
        build.arg("--release");
    }
    run(&mut build)?;
    let wheel = newest(&wheels, since)?;
    let bytes = fs::metadata(&wheel).map_err(|error| format!("{}: {error}", wheel.display()))?.len();
    println!("{}: {:.1} MiB, built in {} s", wheel.display(), bytes as f64 / 1048576.0, begun.elapsed().as_secs());
    Ok(wheel)
}

/// The wheel that was built after a moment.
fn newest(wheels: &Path, since: SystemTime) -> Result<PathBuf, String> {
    let unreadable = |error| format!("{}: {error}", wheels.display());
    for entry in fs::read_dir(wheels).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let built = entry.metadata().and_then(|metadata| metadata.modified()).map_err(unreadable)?;
        if entry.path().extension().is_some_and(|extension| extension == "whl") && built >= since {
            return Ok(entry.path());
        }
    }
    Err(format!("maturin left no wheel in {}", wheels.display()))
}

/// A virtual environment with these packages in it; gives the folder of its programs.
pub(crate) fn venv(folder: &Path, packages: &[&str]) -> Result<PathBuf, String> {
    let programs = folder.join("bin");
    if !programs.join("pip").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    }
    run(Command::new(programs.join("pip")).args(["install", "--quiet", "--disable-pip-version-check"]).args(packages))?;
    Ok(programs)
}
