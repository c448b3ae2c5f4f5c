//! Runs the core of Duramen: loops, queues, clock, threads.
//!
//! A [`Hub`] is one store with its partitions and its dispatcher, driven by one loop. The core decides
//! everything and does nothing; the hub decides nothing and does everything: it hands arrivals to the
//! partitions in order, writes the checkpoints that they cut, and lets out what they say may leave.
//!
//! ```text
//!  clients ──────► Hub::request ─┐                      ┌─► reply
//!  workers ─► Attachment::answer ├─► inbox ─► loop ─────┼─► WorkerLink::deliver
//!  backend ──────────► Event ────┘    │  partitions     └─► Backend::append, load, settle, query
//!                                     │  dispatcher
//!                                     └─ clock
//! ```
//!
//! A loop is not a thread. The loops of all hubs of a process share a few, and an idle loop is on none.
//! The crate knows nothing of gRPC, HTTP and concrete backends, and needs no async runtime: the futures
//! that it gives out are woken by the loop.
//!
//! Nobody waits in a circle: the loop never blocks on a send. Work goes where a worker has announced
//! room, and so has room for its answer; a message for a partition that is full stays in its sender's
//! outbox; only what comes from clients is refused.
//!
//! # Contents
//!
//! - [`Hub`]: the handle; [`Options`], [`HubError`]. [`Purge`]: what [`Hub::purge`] is to
//!   remove; [`Retention`]: what the hub removes by itself.
//! - [`ConnectedWorker`]: what an operator sees of a worker; [`Hub::queues`], [`Hub::unroutable`], [`Hub::held`] and
//!   [`Hub::decide`] are the rest of that.
//! - [`WorkerLink`] and [`Attachment`]: the two ends of a worker's connection.
//! - [`Clock`] and [`VirtualClock`].

mod attachment;
mod clock;
mod driver;
mod error;
mod hub;
mod inbox;
mod operator;
mod options;
mod pool;
mod purge;
mod retention;

pub use attachment::{Attachment, BareAnswer, WorkerLink};
pub use clock::{Clock, VirtualClock};
pub use error::HubError;
pub use hub::Hub;
pub use operator::{ConnectedWorker, InFlight};
pub use options::{OPEN_REQUESTS, Options, WAITING_MESSAGES};
pub use purge::Purge;
pub use retention::Retention;
