//! What a mutant has to survive: core's tests, then seeds of the simulator.

use std::fmt;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What came of a mutant.
pub(super) enum Outcome {
    DoesNotCompile,
    /// By what.
    Killed(String),
    Survived,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DoesNotCompile => f.write_str("does not compile"),
            Self::Killed(by) => write!(f, "killed by {by}"),
            Self::Survived => f.write_str("SURVIVED"),
        }
    }
}

/// A copy of the repository in which mutants are tried.
pub(super) struct Trial {
    tree: PathBuf,
    target: PathBuf,
    seeds: u64,
}

/// How a command ended.
enum End {
    Well,
    Badly(String),
    Late,
}

const BUILD: Duration = Duration::from_secs(900);
const TESTS: Duration = Duration::from_secs(300);
const SIMULATOR: Duration = Duration::from_secs(900);
/// A mutant that never stops asking for memory must not take the machine along.
const MEMORY_KIB: u64 = 6 << 20;

impl Trial {
    pub(super) fn new(tree: &Path, target: &Path, seeds: u64) -> Self {
        Self { tree: tree.to_owned(), target: target.to_owned(), seeds }
    }

    pub(super) fn run(&self) -> Result<Outcome, String> {
        let core = ["test", "--quiet", "--package", "duramen-core", "--lib", "--tests"];
        match self.cargo(&[&core[..], &["--no-run"]].concat(), BUILD)? {
            End::Well => {}
            End::Badly(_) => return Ok(Outcome::DoesNotCompile),
            End::Late => return Err("building takes for ever".to_owned()),
        }
        match self.cargo(&core, TESTS)? {
            End::Well => {}
            End::Badly(output) => return Ok(Outcome::Killed(format!("test {}", failed_test(&output)))),
            End::Late => return Ok(Outcome::Killed("tests that do not end".to_owned())),
        }
        if let End::Badly(output) = self.cargo(&["build", "--quiet", "--package", "duramen-sim"], BUILD)? {
            return Err(format!("the simulator does not build:\n{output}"));
        }
        let seeds = self.seeds.to_string();
        let simulator = ["run", "--quiet", "--package", "duramen-sim", "--", "--seeds", &seeds];
        match self.cargo(&simulator, SIMULATOR)? {
            End::Well => Ok(Outcome::Survived),
            End::Badly(output) => Ok(Outcome::Killed(format!("simulator: {}", broken_rule(&output)))),
            End::Late => Ok(Outcome::Killed("seeds that do not end".to_owned())),
        }
    }

    /// Runs cargo in a process group of its own, so that what it started ends with it.
    fn cargo(&self, arguments: &[&str], limit: Duration) -> Result<End, String> {
        let log = self.target.join("mutant.log");
        let io = |error: std::io::Error| format!("{}: {error}", log.display());
        std::fs::create_dir_all(&self.target).map_err(io)?;
        let output = File::create(&log).map_err(io)?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut child = Command::new("sh")
            .args(["-c", &format!("ulimit -v {MEMORY_KIB}; exec \"$@\""), "sh"])
            .arg(cargo)
            .args(arguments)
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_INCREMENTAL", "1")
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(io)?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .map_err(|error| format!("failed to start cargo: {error}"))?;
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                let text = String::from_utf8_lossy(&std::fs::read(&log).map_err(io)?).into_owned();
                return Ok(if status.success() { End::Well } else { End::Badly(text) });
            }
            if Instant::now() > until {
                let group = format!("-{}", child.id());
                let killed = Command::new("kill").args(["-KILL", "--", &group]).status();
                killed.map_err(|error| format!("failed to start kill: {error}"))?;
                child.wait().map_err(|error| error.to_string())?;
                return Ok(End::Late);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The first test that a log says has failed.
fn failed_test(log: &str) -> &str {
    let panicked = log.lines().find_map(|line| line.strip_prefix("---- ")?.strip_suffix(" stdout ----"));
    panicked.unwrap_or("process, which died")
}

/// The rule that the simulator says was broken.
fn broken_rule(log: &str) -> &str {
    let line = log.lines().find(|line| line.contains(" fails: ["));
    let rule = line.and_then(|line| line.split_once(" fails: [")?.1.split_once(']'));
    rule.map_or("the process died", |(rule, _)| rule)
}
