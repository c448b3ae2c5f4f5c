//! Histories in, actions out.

mod determinism;
mod events;
mod lifecycle;
mod retries;
mod script;
