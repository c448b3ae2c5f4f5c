//! Whole hubs in one thread under a seed.
//!
//! A seed decides everything: how many partitions there are, what orchestrators and clients do, which
//! fault happens when. The real partitions, the real dispatcher and the real journal run over
//! simulated sectors and a virtual clock; a model that shares no code with them says what is allowed.
//!
//! - [`plan`]: what a seed decides before it begins
//! - `world`: everything there is, and the schedule over it; `hub`, `worker`, `client`, `store`, `faults` are its parts
//! - `routes`, `reports`, `events`: what goes between them; `handed`, `work`, `post`, `answers`: items on their way to
//!   workers and back, with a token or without
//! - `program`, `machine`: random orchestrators, and a worker's side for them
//! - `model`, `replies`, `lists`, `wellformed`, `replayed`, `ending`: the checks

mod answers;
mod check;
mod client;
mod coverage;
mod ending;
mod events;
mod faults;
mod garbage;
mod handed;
mod held;
mod hub;
mod lists;
mod machine;
mod model;
pub mod plan;
mod post;
mod program;
mod replayed;
mod replies;
mod reports;
mod rng;
mod routes;
pub mod run;
mod store;
mod story;
mod wellformed;
mod work;
mod worker;
mod world;

pub use check::Violation;
pub use coverage::Coverage;
