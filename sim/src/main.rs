//! `duramen-sim --seeds N [--from S]`: runs seeds, and shows the first one that fails.

use duramen_sim::plan::{Fault, Without};
use duramen_sim::run::{Outcome, run_one, run_seeds, shrink};
use duramen_sim::{Coverage, Violation};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

struct Options {
    seeds: u64,
    from: u64,
    threads: usize,
    without: Without,
    story: bool,
    keep_going: bool,
    planted: bool,
    /// Only this planted bug.
    bug: Option<String>,
}

const USAGE: &str = "duramen-sim --seeds N [--from S] [--threads T] [--without FAULT,FAULT] [--without-names 0,1] [--story] [--keep-going] [--planted [--bug NAME]]";

fn options() -> Result<Options, String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut options = Options {
        seeds: 100,
        from: 1,
        threads,
        without: Without::default(),
        story: false,
        keep_going: false,
        planted: false,
        bug: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value; {USAGE}"));
        match argument.as_str() {
            "--seeds" => options.seeds = number(&value()?)?,
            "--from" => options.from = number(&value()?)?,
            "--threads" => options.threads = number(&value()?)? as usize,
            "--story" => options.story = true,
            "--planted" => options.planted = true,
            "--bug" => options.bug = Some(value()?),
            "--keep-going" => options.keep_going = true,
            "--without" => {
                for name in value()?.split(',') {
                    options
                        .without
                        .faults
                        .push(Fault::named(name).ok_or_else(|| format!("no fault is called {name}"))?);
                }
            }
            "--without-names" => {
                for name in value()?.split(',') {
                    options.without.names.push(number(name)? as usize);
                }
            }
            other => return Err(format!("{other} is not known; {USAGE}")),
        }
    }
    Ok(options)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is no number; {USAGE}"))
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    if options.planted {
        return planted(&options);
    }
    if options.story || options.without != Without::default() {
        return replay(&options);
    }
    let cover = Mutex::new(Coverage::default());
    let failed = Mutex::new(Vec::<(u64, Violation)>::new());
    let totals = Mutex::new((0u64, 0u64, 0u64));
    let began = Instant::now();
    run_seeds(options.from, options.seeds, options.threads, |seed, outcome| {
        lock(&cover).add(&outcome.cover);
        let mut totals = lock(&totals);
        *totals = (totals.0 + 1, totals.1 + outcome.steps, totals.2 + outcome.births);
        if totals.0.is_multiple_of(500) {
            let rate = totals.0 as f64 / began.elapsed().as_secs_f64();
            eprintln!("{} of {} seeds, {rate:.0} a second", totals.0, options.seeds);
        }
        drop(totals);
        let Some(violation) = outcome.violation else { return true };
        lock(&failed).push((seed, violation));
        options.keep_going
    });
    let (seeds, steps, births) = *lock(&totals);
    let cover = lock(&cover).clone();
    let mut failed = std::mem::take(&mut *lock(&failed));
    failed.sort_by_key(|(seed, _)| *seed);
    println!("{seeds} seeds, {steps} steps, {births} instances in {:.1} s", began.elapsed().as_secs_f64());
    for (name, count) in &cover.0 {
        println!("{count:>12}  {name}");
    }
    if let Some((seed, violation)) = failed.first() {
        if options.keep_going {
            let mut by_check = std::collections::BTreeMap::<&str, Vec<u64>>::new();
            failed.iter().for_each(|(seed, violation)| by_check.entry(violation.check).or_default().push(*seed));
            by_check.iter().for_each(|(check, seeds)| {
                println!("{:>6}  {check}: {:?}", seeds.len(), &seeds[..seeds.len().min(8)]);
            });
        }
        println!("seed {seed} fails: {violation}");
        let without = shrink(*seed, violation);
        show(*seed, &without);
        return ExitCode::FAILURE;
    }
    let missing = cover.missing(seeds);
    if !missing.is_empty() {
        println!("never seen in {seeds} seeds: {missing:?}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Findings of a planted bug after which the next is switched on, and seeds after which one is enough:
/// which checks find it, and how often, says more than which was the first.
#[cfg(feature = "planted")]
const FINDINGS: usize = 10;
#[cfg(feature = "planted")]
const SEEDS_OF_FINDINGS: u64 = 200;

/// Switches each planted bug on, and says which checks found it, how often, and after how many seeds.
#[cfg(feature = "planted")]
fn planted(options: &Options) -> ExitCode {
    use duramen_core::planted::{Bug, plant};
    let mut missed = 0;
    println!("| bug | found by | seeds from 1 | from 1,000,001 | from 2,000,001 |");
    println!("|---|---|---|---|---|");
    for bug in Bug::ALL.into_iter().filter(|bug| options.bug.as_ref().is_none_or(|name| format!("{bug:?}") == *name)) {
        plant(Some(bug));
        let mut checks = std::collections::BTreeMap::<&str, u32>::new();
        let mut taken = Vec::new();
        for from in [1, 1_000_001, 2_000_001] {
            let found = Mutex::new(Vec::<(u64, &str)>::new());
            run_seeds(from, options.seeds, options.threads, |seed, outcome| {
                let mut found = lock(&found);
                found.extend(outcome.violation.map(|violation| (seed, violation.check)));
                found.len() < FINDINGS && (found.is_empty() || seed < from + SEEDS_OF_FINDINGS)
            });
            let found = std::mem::take(&mut *lock(&found));
            found.iter().for_each(|(_, check)| *checks.entry(check).or_default() += 1);
            match found.iter().map(|(seed, _)| seed - from + 1).min() {
                Some(seeds) => taken.push(seeds.to_string()),
                None => {
                    missed += 1;
                    taken.push("not found".into());
                }
            }
        }
        let mut checks: Vec<(&str, u32)> = checks.into_iter().collect();
        checks.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
        let checks: Vec<String> = checks.iter().map(|(check, times)| format!("{check} ({times})")).collect();
        println!("| {bug:?} | {} | {} |", checks.join("; "), taken.join(" | "));
    }
    plant(None);
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(not(feature = "planted"))]
fn planted(_: &Options) -> ExitCode {
    eprintln!("planted bugs need `--features planted`");
    ExitCode::from(2)
}

fn replay(options: &Options) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for seed in options.from..options.from + options.seeds {
        let outcome = run_one(seed, &options.without, options.story);
        tell(&outcome, 4000);
        if let Some(violation) = &outcome.violation {
            println!("seed {seed} fails: {violation}");
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn show(seed: u64, without: &Without) {
    let outcome = run_one(seed, without, true);
    println!("its last steps, with what it does not need left out:");
    tell(&outcome, 40);
    if let Some(violation) = &outcome.violation {
        println!("seed {seed} fails: {violation}");
    }
    let mut line = format!("cargo run --release -p duramen-sim -- --seeds 1 --from {seed} --story");
    if !without.faults.is_empty() {
        let names: Vec<String> = without.faults.iter().map(|fault| format!("{fault:?}")).collect();
        line += &format!(" --without {}", names.join(","));
    }
    if !without.names.is_empty() {
        let names: Vec<String> = without.names.iter().map(usize::to_string).collect();
        line += &format!(" --without-names {}", names.join(","));
    }
    println!("replay it with: {line}");
}

fn tell(outcome: &Outcome, lines: usize) {
    let skip = outcome.story.len().saturating_sub(lines);
    outcome.story.iter().skip(skip).for_each(|line| println!("{line}"));
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
