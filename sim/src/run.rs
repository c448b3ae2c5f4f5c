//! Running seeds, and making a failing one small.

use crate::check::Violation;
use crate::coverage::Coverage;
use crate::plan::{Fault, Without};
use crate::world::World;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// What came of a seed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The rule that was broken, if one was.
    pub violation: Option<Violation>,
    /// What was counted.
    pub cover: Coverage,
    /// The last lines of the story, if it was to be told.
    pub story: Vec<String>,
    /// Steps taken.
    pub steps: u64,
    /// Instances made.
    pub births: u64,
}

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().is::<Violation>() {
                return;
            }
            if std::thread::current().name().is_some_and(|name| name.starts_with("seeds")) {
                PANIC.with(|panic| *panic.borrow_mut() = info.to_string());
            } else {
                usual(info);
            }
        }));
    });
}

/// Runs a seed in this thread.
fn run_here(seed: u64, without: &Without, tells: bool) -> Outcome {
    let mut world = None;
    let result = catch_unwind(AssertUnwindSafe(|| {
        let world = world.insert(World::new(seed, without, tells));
        world.run();
    }));
    let violation = result.err().map(|panic| match panic.downcast::<Violation>() {
        Ok(violation) => *violation,
        Err(_) => Violation { check: "the engine does not panic", what: PANIC.with(|panic| panic.borrow().clone()) },
    });
    let (cover, story, steps, births) = match &mut world {
        Some(world) => {
            let story = std::mem::take(&mut world.story);
            (std::mem::take(&mut world.cover), story, world.steps, world.durable.births)
        }
        None => Default::default(),
    };
    Outcome { violation, cover, story: story.into(), steps, births }
}

/// Runs seeds on this many threads and hands each outcome on.
pub fn run_seeds(from: u64, count: u64, threads: usize, on_outcome: impl Fn(u64, Outcome) -> bool + Sync) {
    quiet_panics();
    let next = std::sync::atomic::AtomicU64::new(from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (next, on_outcome) = (&next, &on_outcome);
            let run = move || {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if seed >= from + count || !on_outcome(seed, run_here(seed, &Without::default(), false)) {
                        return;
                    }
                }
            };
            let spawned = std::thread::Builder::new().name(format!("seeds {thread}")).spawn_scoped(scope, run);
            spawned.expect("a thread can be made");
        }
    });
}

/// Runs one seed.
pub fn run_one(seed: u64, without: &Without, tells: bool) -> Outcome {
    quiet_panics();
    let run = || run_here(seed, without, tells);
    std::thread::scope(|scope| {
        let spawned = std::thread::Builder::new().name("seeds".into()).spawn_scoped(scope, run);
        spawned.expect("a thread can be made").join().expect("panics were caught")
    })
}

/// Leaves out whatever the failure of a seed does not need.
pub fn shrink(seed: u64, violation: &Violation) -> Without {
    let mut without = Without::default();
    let fails =
        |without: &Without| run_one(seed, without, false).violation.is_some_and(|found| found.check == violation.check);
    for fault in Fault::ALL {
        let mut less = without.clone();
        less.faults.push(fault);
        if fails(&less) {
            without = less;
        }
    }
    for name in 0..crate::plan::NAMES {
        let mut less = without.clone();
        less.names.push(name);
        if fails(&less) {
            without = less;
        }
    }
    without
}
