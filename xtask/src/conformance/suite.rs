//! How each suite is set up, and the command that runs it. A suite brings its scenarios; the packages come from
//! where its users get them.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::packages::Packages;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Suite {
    Python,
    Js,
    Cross,
    Java,
    Go,
    DotnetLike,
    Kills,
}

impl Suite {
    /// Those that take longest first: several run at a time.
    pub(crate) const ALL: [Self; 7] =
        [Self::Python, Self::DotnetLike, Self::Go, Self::Java, Self::Cross, Self::Js, Self::Kills];

    /// Also the name of its folder, with `_` for `-`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Js => "js",
            Self::Cross => "cross",
            Self::Java => "java",
            Self::Go => "go",
            Self::DotnetLike => "dotnet-like",
            Self::Kills => "kills",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// Copies the scenarios into the folder, installs the packages there, and says what runs them.
    pub(crate) fn set_up(self, sources: &Path, folder: &Path, packages: &Packages) -> Result<Command, String> {
        copy(&sources.join(self.name().replace('-', "_")), folder)?;
        let mut command = match self {
            Self::Python | Self::DotnetLike => {
                copy(&sources.join("python_harness"), folder)?;
                virtual_environment(folder, &packages.pip("python"))?;
                program("venv/bin/python", &["run.py"])
            }
            Self::Js => {
                copy(&sources.join("js_harness"), folder)?;
                npm(folder, &packages.at("js"))?;
                program("node", &["run.mjs"])
            }
            Self::Cross | Self::Kills => {
                copy(&sources.join("python_harness"), folder)?;
                virtual_environment(folder, &packages.pip("python"))?;
                npm(folder, &packages.at("js"))?;
                program("venv/bin/python", &["run.py"])
            }
            Self::Java => {
                let goals = ["-q", "-B", "-ntp", "compile", "dependency:copy-dependencies", "-DoutputDirectory=lib"];
                step(folder, "mvn", &goals, &packages.maven("java"))?;
                program("java", &["-cp", "target/classes:lib/*", "Conformance"])
            }
            Self::Go => {
                if !folder.join("go.mod").exists() {
                    step(folder, "go", &["mod", "init", "conformance"], &[])?;
                    step(folder, "go", &["get"], &packages.at("go"))?;
                }
                step(folder, "go", &["mod", "tidy"], &[])?;
                step(folder, "go", &["build", "-o", "suite", "."], &[])?;
                program("./suite", &[])
            }
        };
        command.current_dir(folder);
        Ok(command)
    }
}

/// A command that is looked up from the folder it will run in, not from ours.
fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("env");
    command.arg(name).args(arguments);
    command
}

/// `venv` in the folder, with these packages.
pub(crate) fn virtual_environment(folder: &Path, packages: &[String]) -> Result<(), String> {
    if folder.join("venv/bin/python").exists() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(|error| format!("failed to make {}: {error}", folder.display()))?;
    step(folder, "python3", &["-m", "venv", "venv"], &[])?;
    step(folder, "venv/bin/pip", &["install", "--quiet", "--disable-pip-version-check"], packages)
}

fn npm(folder: &Path, packages: &[String]) -> Result<(), String> {
    if folder.join("node_modules").exists() {
        return Ok(());
    }
    step(folder, "npm", &["init", "--yes"], &[])?;
    step(folder, "npm", &["install", "--save-exact", "--no-audit", "--no-fund", "--loglevel=error"], packages)
}

/// One command of the set-up; what it says is shown only when it fails.
fn step(folder: &Path, name: &str, arguments: &[&str], more: &[String]) -> Result<(), String> {
    let mut command = program(name, arguments);
    let output = command.args(more).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("failed to start {name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{name} {arguments:?} {more:?}: {}\n{}", output.status, String::from_utf8_lossy(&said)))
}

/// Runs the suite with its output in a file. Its processes are one group, which is killed when it takes too long.
pub(crate) fn run_to_log(mut command: Command, log: &Path, limit: Duration) -> Result<(), String> {
    let failed = |error| format!("failed to run {log:?}: {error}");
    let file = File::create(log).map_err(failed)?;
    command.stdin(Stdio::null()).stdout(file.try_clone().map_err(failed)?).stderr(file).process_group(0);
    let mut child = command.spawn().map_err(failed)?;
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            let said = || fs::read_to_string(log).unwrap_or_default();
            return if status.success() { Ok(()) } else { Err(format!("{status}:\n{}", last_lines(&said(), 60))) };
        }
        if begun.elapsed() > limit {
            let group = format!("-{}", child.id());
            Command::new("kill").args(["-KILL", "--", &group]).status().map_err(failed)?;
            child.wait().map_err(failed)?;
            return Err(format!("killed after {limit:?}; see {}", log.display()));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Copies a folder's files over what is there, folders in it included.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error| format!("failed to copy {}: {error}", from.display());
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target).map_err(failed)?;
        }
    }
    Ok(())
}
