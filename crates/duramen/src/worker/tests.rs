//! Author code against a hub that is played by the test: work items in, answers out.

mod calls;
mod determinism;
mod failures;
mod harness;
mod nets;
mod options;
mod sessions;
mod stuck;
mod waits;
