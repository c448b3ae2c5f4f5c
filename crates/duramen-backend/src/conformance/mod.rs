//! What every backend has to do, as tests that each of them runs.
//!
//! A backend gives a [`Subject`]: how to make a store, open it again, and, where it can, how to pull
//! the plug. [`all`] lists the tests by name; each panics with what it found.

mod answers;
mod content;
mod crashes;
mod lists;
mod probe;
mod rows;
mod samples;

pub use crate::disk::Fate;
pub use probe::{Held, Probe};
pub use rows::{rows_agree, rows_find_damage};
pub use samples::{Sample, delta};

use crate::Backend;
use std::sync::Arc;

/// One store under test. Dropping it takes away what it left.
pub struct Subject {
    /// Opens the store: an empty one at first, later what the life before left. Whatever was opened
    /// before is closed or dead.
    pub open: Box<dyn Fn() -> Arc<dyn Backend>>,
    /// How to make it fail; `None` for one on a real disk.
    pub faults: Option<Faults>,
}

/// How a store is made to fail.
pub struct Faults {
    /// From now on every write fails.
    pub fail_writes: Box<dyn Fn()>,
    /// From now on every sync fails.
    pub fail_syncs: Box<dyn Fn()>,
    /// Ends the process, and with it what was made to fail. The page cache lives on.
    pub kill: Box<dyn Fn()>,
    /// Pulls the plug, which does the same and takes the page cache. What was not synced is kept, lost or torn.
    pub crash: Box<dyn Fn(Fate)>,
}

/// A test and its name.
pub type Test = (&'static str, fn(&Subject));

/// All tests. Each wants a subject of its own.
pub fn all() -> Vec<Test> {
    let mut tests = Vec::new();
    tests.extend_from_slice(answers::TESTS);
    tests.extend_from_slice(content::TESTS);
    tests.extend_from_slice(lists::TESTS);
    tests.extend_from_slice(crashes::TESTS);
    tests
}
