//! A whole run: folders, kills, verification, figures.

use crate::aim::Tally;
use crate::arguments::Partitions;
use crate::child::Orders;
use crate::house::is_busy;
use crate::killer::kill_one;
use crate::known::Counts;
use crate::phase::Phase;
use crate::rng::Rng;
use crate::verify::{Report, verify};
use std::error::Error;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Violations of a folder that are printed.
const SHOWN: usize = 20;

/// Of so many kills at least one must fall into each phase, in a run that is long enough to say so.
const KILLS_PER_HIT: u64 = 25;
/// A shorter run can miss a phase by chance.
const LONG: u64 = 100;

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) kills: u64,
    /// Drawn when it is not given.
    pub(crate) seed: Option<u64>,
    /// Where the folders are made; in the system's temporary folder when it is not given.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) partitions: Partitions,
    /// Then a new folder is begun.
    pub(crate) kills_per_folder: u64,
}

/// Figures of all folders.
#[derive(Debug, Default)]
struct Sum {
    folders: u64,
    counts: Counts,
    instances: u64,
    unfinished: u64,
    episodes_replayed: u64,
    torn_lines: u64,
    violations: u64,
}

impl Sum {
    fn add(&mut self, report: &Report) {
        let Counts { starts, raises, results, others, activities } = report.counts;
        self.folders += 1;
        self.counts.starts += starts;
        self.counts.raises += raises;
        self.counts.results += results;
        self.counts.others += others;
        self.counts.activities += activities;
        self.instances += report.instances;
        self.unfinished += report.unfinished;
        self.episodes_replayed += report.episodes_replayed;
        self.torn_lines += report.torn_lines;
        self.violations += report.violations.len() as u64;
    }
}

/// Kills and verifies; says whether every promise was kept.
pub(crate) fn run(plan: &Plan) -> Result<bool, Box<dyn Error>> {
    let began = Instant::now();
    let seed = plan.seed.unwrap_or_else(|| RandomState::new().hash_one(std::process::id()));
    let place = plan.folder.clone().unwrap_or_else(std::env::temp_dir);
    println!("seed {seed}, {} kills, {:?}, folders in {}", plan.kills, plan.partitions, place.display());
    let (mut rng, mut tally, mut sum) = (Rng::new(seed), Tally::default(), Sum::default());
    let mut killed = 0;
    while killed < plan.kills {
        let folder = place.join(format!("duramen-torture-{}-{}", std::process::id(), sum.folders + 1));
        fs::create_dir_all(&folder)?;
        let kills = plan.kills_per_folder.min(plan.kills - killed);
        kill_all(&folder, killed..killed + kills, &plan.partitions, &mut rng, &mut tally)?;
        killed += kills;
        copy(&folder.join("store"), &folder.join("store-as-killed"))?;
        let verifying = Instant::now();
        let report =
            verify(&folder, plan.partitions.of(0)).map_err(|error| format!("{}: {error}", folder.display()))?;
        sum.add(&report);
        let Report { instances, unfinished, counts, .. } = &report;
        println!(
            "{killed:4} kills: {instances} instances, {unfinished} of them unfinished at the last kill; {} starts, {} \
             events, {} results acknowledged; {} activities; verified in {:.1} s",
            counts.starts,
            counts.raises,
            counts.results,
            counts.activities,
            verifying.elapsed().as_secs_f64()
        );
        if report.violations.is_empty() {
            fs::remove_dir_all(&folder)?;
        } else {
            print_violations(&report);
            println!("kept: {}", folder.display());
        }
    }
    print_sum(&sum, &tally, began);
    let missed = Phase::ALL.into_iter().filter(|phase| tally.hits[phase.index()] < plan.kills / KILLS_PER_HIT);
    let missed: Vec<_> = missed.map(Phase::name).collect();
    let missed = if plan.kills < LONG { Vec::new() } else { missed };
    if !missed.is_empty() {
        println!("too few kills while {}: this run says nothing about that", missed.join(", "));
    }
    Ok(sum.violations == 0 && missed.is_empty())
}

/// Kills the children of one folder, and does not look what has become of it.
pub(crate) fn kill(folder: &Path, kills: u64, seed: u64, partitions: &Partitions) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    kill_all(folder, 0..kills, partitions, &mut Rng::new(seed), &mut Tally::default())
}

fn kill_all(
    folder: &Path,
    numbers: Range<u64>,
    partitions: &Partitions,
    rng: &mut Rng,
    tally: &mut Tally,
) -> Result<(), Box<dyn Error>> {
    let seed = rng.next();
    for (life, number) in (1..).zip(numbers) {
        let aim = tally.aim(number, is_busy(life), rng);
        let orders = Orders { folder: folder.to_owned(), seed, life, partitions: partitions.of(life) };
        kill_one(&orders, aim, tally)
            .map_err(|error| format!("kill {} in {}: {error}", number + 1, folder.display()))?;
    }
    Ok(())
}

/// Prints what was not kept.
pub(crate) fn print_violations(report: &Report) {
    for violation in report.violations.iter().take(SHOWN) {
        println!("VIOLATION {violation}");
    }
    if report.violations.len() > SHOWN {
        println!("and {} more", report.violations.len() - SHOWN);
    }
}

fn print_sum(sum: &Sum, tally: &Tally, began: Instant) {
    let Sum { folders, counts, instances, unfinished, episodes_replayed, torn_lines, violations } = sum;
    let Counts { starts, raises, results, others, activities } = counts;
    println!("kills: {} at random moments, {} steered, in {folders} folders", tally.random, tally.steered);
    for phase in Phase::ALL {
        println!("kills while {}: {}", phase.name(), tally.hits[phase.index()]);
    }
    println!("instances: {instances}, unfinished at the last kill of their folder: {unfinished}");
    println!("acknowledged: {starts} starts, {raises} events, {results} results, {others} other requests");
    println!("activity runs witnessed: {activities}; episodes replayed: {episodes_replayed}; torn lines: {torn_lines}");
    println!("violations: {violations}, in {:.0} s", began.elapsed().as_secs_f64());
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
