//! The pure state machines of Duramen.
//!
//! Two of them make a durable function. The *hub's side* (`partition`, `instance`, `dispatch`) takes
//! requests, messages and answers of workers, applies them to instances, and says what has to be
//! written and what may leave once it is. The *worker's side* (`replay`) runs author code over a
//! history and collects the actions that it asks for.
//!
//! ```text
//! inputs ─► Partition::handle(inputs, now) ─► effects that may leave now
//!                     │
//!                     └ Partition::cut(now) ─► Ready { number, checkpoint } ─► a backend writes it
//!           Partition::committed(number)    ─► effects that waited for it
//! ```
//!
//! Time, randomness, ids and run numbers are inputs: the same inputs give the same outputs, byte for
//! byte (invariant 10). The crate therefore knows nothing of clocks, threads, files, sockets and
//! futures' executors, and is `no_std`.

#![no_std]

extern crate alloc;

pub mod checkpoint;
pub mod dispatch;
mod event;
pub mod extension;
pub mod history;
pub mod ids;
mod instance;
pub mod limits;
mod lookup;
mod message;
pub mod partition;
pub mod planted;
pub mod replay;
pub mod request;
mod row;
pub mod time;
pub mod work;
