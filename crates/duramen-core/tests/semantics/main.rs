//! The semantics of Durable Task, feature by feature, on the whole of the hub's side: partitions,
//! dispatcher and a backend in memory, in virtual time. Names of sections and traps are those of
//! the protocol's notes: section 1.1 to 1.6 of the feature table, traps 1 to 31 of the SDKs.

#![expect(unreachable_pub, reason = "the harness is written as a crate of its own would be")]

mod common;

mod activities;
mod children;
mod continue_as_new;
mod custom_status;
mod delivery;
mod determinism;
mod durability;
mod episodes;
mod events;
mod held;
mod hub_named;
mod limits;
mod long;
mod manage;
mod partitions;
mod replace;
mod residence;
mod rewind;
mod starting;
mod storm;
mod suspend;
mod terminate;
mod timers;
mod waits;
mod windows;
