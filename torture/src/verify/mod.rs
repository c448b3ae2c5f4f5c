//! Looks what became of the promises after the last kill of a folder.
//!
//! The store is opened again and again: twice to read what the kill has left, with nothing in between;
//! once with a hub and a worker, to bring everything to its end; once more to read that. What was
//! promised is compared with what was left and with the end.

#[cfg(test)]
mod forged;
mod history;
mod images;
mod promises;
mod replay;
mod runs;

use crate::desk::Desk;
use crate::finish::Finisher;
use crate::functions::{Stages, app};
use crate::house::{Manner, gates, open_hub, run_worker};
use crate::known::{Counts, Known};
use crate::witness::{self, Witness};
use duramen::worker::{Worker, WorkerOptions};
use duramen_core::request::Refusal;
use futures::stream::{self, StreamExt};
use images::{Images, Record};
use promises::When;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long everything may take to come to its end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Instances that are brought to their end at a time.
const AT_A_TIME: usize = 64;
/// Characters that are printed of what was promised or found.
const TEXT: usize = 2_000;
/// The life of the verifier in the witness.
const LIFE: u64 = 0;

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Violation {
    instance: String,
    promised: String,
    found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance, promised, found } = self;
        let cut = |text: &str| text.chars().take(TEXT).collect::<String>();
        write!(f, "instance {instance}\n  promised: {}\n  found:    {}", cut(promised), cut(found))
    }
}

/// The promises that were not kept.
#[derive(Debug, Default)]
pub(crate) struct Violations(Vec<Violation>);

impl Violations {
    fn add(&mut self, instance: &str, promised: &str, found: String) {
        self.0.push(Violation { instance: instance.to_owned(), promised: promised.to_owned(), found });
    }
}

/// What was found in a folder.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) violations: Vec<Violation>,
    pub(crate) counts: Counts,
    pub(crate) instances: u64,
    /// Those that had not ended when the last kill came.
    pub(crate) unfinished: u64,
    pub(crate) episodes_replayed: u64,
    /// Lines of the witness that a kill cut short.
    pub(crate) torn_lines: u64,
}

/// Verifies a folder in which nothing runs.
pub(crate) fn verify(folder: &Path, partitions: u32) -> Result<Report, Box<dyn Error>> {
    let mut violations = Violations::default();
    let left = images::read(folder)?;
    differences(&left, &images::read(folder)?, "opening the store changes nothing", &mut violations);

    let (lines, torn) = witness::read(folder)?;
    let known = Known::gather(lines);
    let records = take_apart(left)?;
    check(&known, &records, When::Killed, &mut violations);
    let mut report = Report {
        counts: known.counts,
        instances: records.len() as u64,
        unfinished: records.values().filter(|record| !record.has_ended()).count() as u64,
        torn_lines: torn as u64,
        ..Report::default()
    };
    // What is broken already would only break more.
    if !violations.0.is_empty() {
        report.violations = violations.0;
        return Ok(report);
    }

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let _guard = runtime.enter();
    runtime.block_on(bring_to_an_end(folder, partitions, &known, &records, &mut violations))?;

    let known = Known::gather(witness::read(folder)?.0);
    let records = take_apart(images::read(folder)?)?;
    check(&known, &records, When::Ended, &mut violations);
    let stages = Stages { witness: Arc::new(Witness::open(folder, LIFE)?), gates: gates(folder) };
    let worker = Worker::start(app(stages), WorkerOptions::default(), runtime.handle().clone());
    report.episodes_replayed = replay::check(&worker, &records, &mut violations)?;
    report.instances = records.len() as u64;
    report.violations = violations.0;
    Ok(report)
}

fn check(known: &Known, records: &BTreeMap<String, Record>, when: When, violations: &mut Violations) {
    promises::check(known, records, when, violations);
    runs::check(known, records, violations);
    for record in records.values() {
        history::check(record, violations);
    }
}

fn take_apart(images: Images) -> Result<BTreeMap<String, Record>, prost::DecodeError> {
    images.into_iter().map(|(id, image)| Ok((id, Record::of(image)?))).collect()
}

fn differences(before: &Images, after: &Images, promised: &str, violations: &mut Violations) {
    for id in before.keys().chain(after.keys().filter(|id| !before.contains_key(*id))) {
        if before.get(id) != after.get(id) {
            violations.add(id, promised, format!("{:?} became {:?}", before.get(id), after.get(id)));
        }
    }
}

/// Lets everything come to its end, as clients that know what the witness knows.
async fn bring_to_an_end(
    folder: &Path,
    partitions: u32,
    known: &Known,
    records: &BTreeMap<String, Record>,
    violations: &mut Violations,
) -> Result<(), Box<dyn Error>> {
    let hub = open_hub(folder, Manner { partitions, evict: true, busy: false }).await?;
    let witness = Arc::new(Witness::open(folder, LIFE)?);
    let worker = run_worker(&hub, folder, &witness).await?;
    let desk = Desk { hub: hub.clone(), witness };
    let gates = gates(folder);
    let finisher = Finisher { desk: &desk, gates: &gates, patience: Some(PATIENCE) };
    let roots = known.instances.iter().filter(|(_, instance)| !instance.starts.is_empty());
    let finished = stream::iter(roots).map(async |(id, instance)| (id, finisher.finish(id, instance).await));
    let finished: Vec<_> = finished.buffer_unordered(AT_A_TIME).collect().await;
    // Children end with those who wait for them, or by themselves.
    let children = records.keys().filter(|id| !known.instances.contains_key(*id));
    let ended = stream::iter(children).map(async |id| (id, desk.ended(id, None, Some(PATIENCE)).await.map(drop)));
    let ended: Vec<_> = ended.buffer_unordered(AT_A_TIME).collect().await;
    for (id, result) in finished.into_iter().chain(ended) {
        match result {
            Ok(()) => {}
            // A child can go with what called it.
            Err(Refusal::NotFound(_)) if !known.instances.contains_key(id) => {}
            Err(refusal) => violations.add(id, "it comes to its end", refusal.to_string()),
        }
    }
    worker.shutdown().await?;
    hub.shutdown(Duration::from_secs(10)).await?;
    Ok(())
}
