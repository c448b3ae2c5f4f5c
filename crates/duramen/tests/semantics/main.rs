//! The semantics of Durable Task as a Rust author meets them: orchestrators and activities under their
//! attributes, the client, the real hub on a virtual clock. Sections are those of the feature table, 1.1 to 1.6;
//! `duramen-core` has the same rows from the hub's side.
//!
//! Each scenario runs four times: with sessions in memory, with instances that leave memory whenever they may, with
//! several partitions, and with client and worker connected to a server. Those of `reopened` run in a folder that is left and opened again.

#[path = "../server/mod.rs"]
mod server;
mod support;

mod activities;
mod bad_input;
mod children;
mod continue_as_new;
mod custom_status;
mod events;
mod failures;
mod lists;
mod purge;
mod reopened;
mod replay;
mod restart;
mod retention;
mod retries;
mod rewind;
mod starting;
mod suspend;
mod terminate;
mod timers;
mod waits;
