//! Author code against a hub that is played by the test: work items in, answers out.

mod calls;
mod harness;
