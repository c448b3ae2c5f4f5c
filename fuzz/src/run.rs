//! One seed.

use crate::house::{Ground, House};
use crate::rng::Rng;
use crate::schema::Schema;
use crate::script::Script;
use crate::{chain, count_panics, lists};
use std::fmt;
use std::time::Duration;

/// Longer than any seed takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding(String);

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Finding {}

pub(crate) fn found<T>(what: impl Into<String>) -> Result<T, Finding> {
    Err(Finding(what.into()))
}

/// Runs a seed, in a runtime with threads. `story` prints each step to stderr before it is done.
///
/// # Errors
///
/// What it found.
pub async fn run_seed(seed: u64, story: bool) -> Result<(), Finding> {
    let panics = count_panics();
    let outcome = match tokio::time::timeout(PATIENCE, sequence(seed, story)).await {
        Ok(outcome) => outcome,
        Err(_) => found(format!("it was not over after {PATIENCE:?}")),
    };
    match count_panics() - panics {
        0 => outcome,
        more => {
            found(format!("{more} panics; {}", outcome.map_or_else(|finding| finding.0, |()| "else nothing".into())))
        }
    }
}

async fn sequence(seed: u64, story: bool) -> Result<(), Finding> {
    let mut rng = Rng::new(seed);
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let ground = Ground::new(&mut rng, folder.path().join("hub"));
    let schema = Schema::read();

    let house = House::open(&ground).await;
    let mut script = Script::new(&schema, &mut rng, &house, story).await;
    let steps = 20 + script.below(60);
    for _ in 0..steps {
        script.step(&house).await?;
    }
    drop(script);
    chain::runs(&house, "well-behaved").await?;
    let before = lists::agree(&house).await?;
    house.close().await?;

    // What it wrote can be read by the next.
    let house = House::open(&ground).await;
    let after = lists::agree(&house).await?;
    if before != after {
        return found(format!("the hub was opened again, and its instances are {after:?}, not {before:?}"));
    }
    chain::runs(&house, "after").await?;
    house.close().await
}
