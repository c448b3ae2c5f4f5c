//! Does what README tells newcomers from other languages to do, in a fresh folder: installs the wheel, starts
//! `duramen dev` from it, and runs the programs as they are printed.

use crate::dist::{Profile, dist, venv};
use crate::{root, run};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// What each of the programs prints.
const GREETINGS: [&str; 3] = ["Hello Tokyo!", "Hello Paris!", "Hello Oslo!"];

/// From the installation to the first orchestration that has finished.
const SECONDS: u64 = 20;

pub(crate) fn newcomer() -> Result<(), String> {
    let readme = fs::read_to_string(root().join("README.md")).map_err(|error| format!("README.md: {error}"))?;
    let wheel = dist(Profile::Dev)?;
    let folder = root().join("target/newcomer");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;

    let begun = Instant::now();
    let programs = venv(&folder.join("venv"), &[wheel.to_str().ok_or("a path that is not text")?, "durabletask"])?;
    let _server = Server::start(&programs.join("duramen"), &folder)?;
    greets(&folder, "chain.py", block(&readme, "python")?, &programs.join("python"))?;
    let seconds = begun.elapsed().as_secs();
    println!("from pip install to the first finished orchestration: {seconds} s");
    if seconds > SECONDS {
        return Err(format!("that took more than {SECONDS} s"));
    }
    run(Command::new("npm").args(["install", "--silent", "--prefix"]).arg(&folder).arg("@microsoft/durabletask-js"))?;
    greets(&folder, "chain.mjs", block(&readme, "javascript")?, Path::new("node"))
}

/// The one block of code in this language.
fn block<'a>(page: &'a str, language: &str) -> Result<&'a str, String> {
    let mut blocks = page.split("\n```").filter_map(|block| block.strip_prefix(&format!("{language}\n")));
    match (blocks.next(), blocks.next()) {
        (Some(block), None) => Ok(block),
        _ => Err(format!("README.md has no block of {language}, or more than one")),
    }
}

/// Runs a program as it is printed, and looks at what it says.
fn greets(folder: &Path, name: &str, program: &str, with: &Path) -> Result<(), String> {
    fs::write(folder.join(name), program).map_err(|error| format!("{name}: {error}"))?;
    let mut command = Command::new(with);
    command.arg(name).current_dir(folder).stderr(Stdio::inherit());
    let output = command.output().map_err(|error| format!("failed to start {command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    // The SDK for JavaScript logs on stdout; the program speaks last.
    println!("{name}: {}", text.lines().last().unwrap_or_default());
    if output.status.success() && GREETINGS.iter().all(|greeting| text.contains(greeting)) {
        Ok(())
    } else {
        Err(format!("{name} of README.md ended with {} and did not greet all cities", output.status))
    }
}

/// `duramen dev`, until it is dropped.
struct Server(Child);

impl Server {
    fn start(binary: &Path, folder: &Path) -> Result<Self, String> {
        let mut command = Command::new(binary);
        command.arg("dev").current_dir(folder).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("failed to start {command:?}: {error}"))?;
        let stdout = child.stdout.take().expect("it is piped");
        let server = Self(child);
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(|error| format!("failed to read what duramen dev says: {error}"))?;
            println!("{line}");
            if line.trim_start().starts_with("connect") {
                return Ok(server);
            }
        }
        Err("duramen dev did not start".to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_found_by_its_language_if_there_is_one() {
        let page = "text\n```python\nprint(1)\nprint(2)\n```\nmore\n```rust\nfn main() {}\n```\n```rust\n```\n";
        assert_eq!(block(page, "python"), Ok("print(1)\nprint(2)"));
        assert!(block(page, "javascript").is_err() && block(page, "rust").is_err());
    }
}
