//! The worker's side: author code over a history gives actions.
//!
//! ```text
//! past events ─┐                        ┌─► poll of the author's future
//!              ├─► feed, one at a time ─┤        │ asks for tasks, timers, events
//! new events ──┘                        └◄───────┘
//!                        finish ─► the actions that the past does not have
//! ```
//!
//! [`Replay`] holds what a history says and what the code has asked for. It knows neither futures'
//! executors nor threads: whoever drives it implements [`Code`] and calls [`feed`] for every event,
//! then [`finish`] at the end of the episode. Kept between two episodes it is a session, which is fed
//! new events alone.

mod drive;
mod inbox;
mod machine;
mod mismatch;
mod pending;
mod retry;
mod tasks;

pub use drive::{Code, End, feed, finish};
pub use inbox::WaitId;
pub use machine::{Completion, Outcome, Replay};
pub use mismatch::kind_of_action;
pub use retry::{Attempt, Backoff, BadBackoff, Retry, RetryHandler};

#[cfg(test)]
mod tests;
