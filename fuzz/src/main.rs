//! `duramen-fuzz --seeds N [--from S] [--story]`: runs seeds, and says which found something.

use duramen_fuzz::{count_panics, run_seed};
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "duramen-fuzz --seeds N [--from S] [--story]";

struct Options {
    seeds: u64,
    from: u64,
    story: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options { seeds: 100, from: 1, story: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let given = arguments.next().and_then(|given| given.parse().ok());
            given.ok_or_else(|| format!("{argument} needs a number; {USAGE}"))
        };
        match argument.as_str() {
            "--seeds" => options.seeds = number()?,
            "--from" => options.from = number()?,
            "--story" => options.story = true,
            other => return Err(format!("{other} is not known; {USAGE}")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    count_panics();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("the machine has threads");
    let (begun, mut failed) = (Instant::now(), 0);
    for seed in options.from..options.from.saturating_add(options.seeds) {
        if let Err(finding) = runtime.block_on(run_seed(seed, options.story)) {
            failed += 1;
            println!("seed {seed}: {finding}");
            println!("  once more: cargo run --package duramen-fuzz -- --from {seed} --seeds 1 --story");
        }
    }
    println!("{} seeds in {:.0?}, {failed} found something", options.seeds, begun.elapsed());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
