//! A few hundred seeds, and those that once found something.

use duramen_sim::plan::Without;
use duramen_sim::run::{run_one, run_seeds};
use std::sync::Mutex;

#[test]
fn seeds_hold() {
    let failed = Mutex::new(Vec::new());
    run_seeds(1, 300, 2, |seed, outcome| {
        if let Some(violation) = outcome.violation {
            failed.lock().expect("nobody panics with it").push(format!("seed {seed}: {violation}"));
        }
        true
    });
    let failed = failed.into_inner().expect("nobody panics with it");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Each of these found a bug of the engine once.
#[test]
fn seeds_that_found_something_hold() {
    for seed in [329, 432, 526, 750, 751, 814, 945, 1259, 1905, 2469, 2804] {
        let outcome = run_one(seed, &Without::default(), false);
        assert!(outcome.violation.is_none(), "seed {seed}: {}", outcome.violation.expect("there is one"));
    }
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    let tell = || run_one(42, &Without::default(), true).story;
    assert_eq!(tell(), tell());
}
