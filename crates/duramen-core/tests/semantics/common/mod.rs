//! The one door to the core: a scenario is run in every mode, and must come out the same.

pub mod audit;
pub mod hub;
pub mod script;
pub mod text;

pub use duramen_core::request::{OnExisting, Refusal, Reply, Request, Until};
pub use duramen_core::time::Time;
pub use duramen_core::work::{Answer, WorkerId};
pub use duramen_proto::OrchestrationStatus as Status;
pub use hub::*;
pub use script::*;

/// Runs a scenario in every mode; what it gives back must be equal.
#[track_caller]
pub fn check<T: PartialEq + std::fmt::Debug>(scenario: impl Fn(&mut Hub) -> T) {
    check_in(&[Mode::Plain, Mode::Evict, Mode::Slow, Mode::Late, Mode::Crash], scenario);
}

/// The same for a scenario that puts items aside: those would not outlive a crash.
#[track_caller]
pub fn check_without_crashes<T: PartialEq + std::fmt::Debug>(scenario: impl Fn(&mut Hub) -> T) {
    check_in(&[Mode::Plain, Mode::Evict, Mode::Slow, Mode::Late], scenario);
}

#[track_caller]
pub fn check_in<T: PartialEq + std::fmt::Debug>(modes: &[Mode], scenario: impl Fn(&mut Hub) -> T) {
    let mut first = None;
    for mode in modes {
        let mut hub = Hub::new(*mode);
        println!("mode {mode:?}");
        let outcome = scenario(&mut hub);
        match &first {
            None => first = Some(outcome),
            Some(first) => assert_eq!(*first, outcome, "mode {mode:?} comes out otherwise than {:?}", modes[0]),
        }
    }
}
