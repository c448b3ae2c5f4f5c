//! Hostile clients and workers against a whole server, under a seed.
//!
//! A seed decides what is sent: messages of every call made from the protocol's own description with values that
//! nobody should send, well-formed ones with broken bytes, and among them starts, workers and answers that get
//! somewhere, so that the hostile ones meet instances in every state. The server is real, over a real socket, and so
//! is the hub behind it. Afterwards a chain by a well-behaved worker must run through the same server as if nothing
//! had happened, every list must agree with every state, and what is stored must open again.
//!
//! - `schema`, `message`, `values`: messages from the description
//! - `wire`: calls with any bytes
//! - `house`: the server
//! - `script`, `seat`: what a seed does; `chain`, `lists`: the checks
//! - [`run_seed`], [`Finding`]: one seed, and what it found
//!
//! A seed gives the same calls each time. How the hub's threads meet them is not in its hand, so what one run finds
//! the next may have to be asked for a few times.

mod chain;
mod house;
mod lists;
mod message;
mod panics;
mod rng;
mod run;
mod schema;
mod script;
mod seat;
mod values;
mod wire;

pub use panics::count_panics;
pub use run::{Finding, run_seed};
