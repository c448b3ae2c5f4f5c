//! `cargo xtask mutants`: small changes of duramen-core, each of which core's tests or the simulator
//! should notice. A seed says which are tried; a copy of the repository under `target/mutants` takes
//! them one at a time.

mod operators;
mod trial;

use crate::folder::{collect_sources, every_file, read};
use operators::Mutant;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use trial::{Outcome, Trial};

const USAGE: &str = "usage: cargo xtask mutants --seed N [--count 25] [--seeds 500]

  --seed N     says which mutants are tried; the same seed gives the same ones while the sources stay
  --count M    how many that compile are tried
  --seeds K    seeds of the simulator that each of them meets";

struct Options {
    seed: u64,
    count: usize,
    seeds: u64,
}

fn options(arguments: &[&str]) -> Result<Options, String> {
    let mut seed = None;
    let mut options = Options { seed: 0, count: 25, seeds: 500 };
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { return Err(USAGE.to_owned()) };
        let number: u64 = value.parse().map_err(|_| format!("{value} is no number\n{USAGE}"))?;
        match *name {
            "--seed" => seed = Some(number),
            "--count" => options.count = number as usize,
            "--seeds" => options.seeds = number,
            _ => return Err(format!("{name} is not known\n{USAGE}")),
        }
    }
    options.seed = seed.ok_or(USAGE)?;
    Ok(options)
}

pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let options = options(arguments)?;
    let tree = root.join("target/mutants/tree");
    copy_repository(root, &tree)?;
    let trial = Trial::new(&tree, &root.join("target/mutants/target"), options.seeds);
    eprintln!("building and running everything once without a change");
    match trial.run()? {
        Outcome::Survived => {}
        other => return Err(format!("the repository does not pass without a change: {other}")),
    }
    let mut candidates = shuffled(mutants(&tree)?, options.seed);
    eprintln!("{} candidates", candidates.len());
    let began = Instant::now();
    let mut rows = Vec::new();
    let mut useless = 0;
    while rows.len() < options.count {
        let Some(mutant) = candidates.pop() else { break };
        let outcome = try_one(&trial, &tree, &mutant)?;
        eprintln!("{:>5} s  {}/{}  {mutant}: {outcome}", began.elapsed().as_secs(), rows.len() + 1, options.count);
        match outcome {
            Outcome::DoesNotCompile => useless += 1,
            outcome => rows.push((mutant, outcome)),
        }
    }
    let survived = rows.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Survived)).count();
    println!("| place | change | outcome |\n|---|---|---|");
    for (mutant, outcome) in &rows {
        println!("| {} | {} | {outcome} |", mutant.place(), mutant.change());
    }
    let tried = rows.len();
    println!("\nseed {}: {} of {tried} killed; {useless} did not compile", options.seed, tried - survived);
    Ok(())
}

/// Puts a mutant into the tree, tries it, and puts the source back.
fn try_one(trial: &Trial, tree: &Path, mutant: &Mutant) -> Result<Outcome, String> {
    let path = tree.join(&mutant.file);
    let source = read(&path)?;
    write(&path, &mutant.applied(&source))?;
    let outcome = trial.run();
    write(&path, &source)?;
    outcome
}

fn mutants(tree: &Path) -> Result<Vec<Mutant>, String> {
    let mut files = Vec::new();
    collect_sources(&tree.join("crates/duramen-core/src"), &mut files)?;
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(tree).unwrap_or(&file);
        // Planted bugs are not compiled in.
        if !name.ends_with("planted.rs") {
            found.extend(operators::mutants(name, &read(&file)?));
        }
    }
    Ok(found)
}

/// Copies what git knows and what is new; a file that is the same already stays as it is, so that
/// what was built from it stays good.
fn copy_repository(root: &Path, tree: &Path) -> Result<(), String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("failed to start git: {error}"))?;
    if !listed.status.success() {
        return Err(format!("git ls-files: {}", String::from_utf8_lossy(&listed.stderr)));
    }
    let wanted: BTreeSet<PathBuf> = String::from_utf8_lossy(&listed.stdout).lines().map(PathBuf::from).collect();
    let mut there = Vec::new();
    if tree.exists() {
        every_file(tree, &mut there)?;
    }
    for file in there.iter().filter(|file| file.strip_prefix(tree).is_ok_and(|name| !wanted.contains(name))) {
        std::fs::remove_file(file).map_err(|error| format!("failed to remove {}: {error}", file.display()))?;
    }
    for file in wanted.iter().filter(|file| root.join(file).is_file()) {
        let (from, to) = (root.join(file), tree.join(file));
        let bytes = std::fs::read(&from).map_err(|error| format!("failed to read {}: {error}", from.display()))?;
        if std::fs::read(&to).is_ok_and(|same| same == bytes) {
            continue;
        }
        let folder = to.parent().expect("a file has a folder");
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&to, bytes))
            .map_err(|error| format!("failed to write {}: {error}", to.display()))?;
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|error| format!("failed to write {}: {error}", file.display()))
}

/// The order in which a seed tries them: SplitMix64 under Fisher and Yates.
fn shuffled(mut mutants: Vec<Mutant>, seed: u64) -> Vec<Mutant> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    for end in (1..mutants.len()).rev() {
        mutants.swap(end, (next() % (end as u64 + 1)) as usize);
    }
    mutants
}
