//! Testing durable functions, with no server and no waiting.
//!
//! A [`TestHub`] is the real hub on a store in memory, with a clock that stands still while there is something to
//! do and jumps when there is not: a timer of 30 days costs no time.
//!
//! ```
//! use duramen::prelude::*;
//! use duramen::testing::TestHub;
//!
//! #[activity]
//! async fn say_hello(_ctx: ActivityContext, name: String) -> Result<String> {
//!     Ok(format!("Hello {name}!"))
//! }
//!
//! #[orchestrator]
//! async fn remind(ctx: OrchestrationContext, name: String) -> Result<String> {
//!     ctx.create_timer(std::time::Duration::from_secs(30 * 86_400)).await;
//!     Ok(ctx.call_activity(SayHello, name).await?)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let t = TestHub::new().orchestrator(Remind).mock(SayHello, |name: String| Ok(format!("hi {name}")));
//! assert_eq!(t.run(Remind, "Tokyo").await?, "hi Tokyo");
//! # Ok(())
//! # }
//! ```
//!
//! [`replay_check`] runs today's code over a history that was recorded before, and says where it no longer fits.

mod check;
mod hub;

pub use check::{ReplayError, replay_check, replay_check_with};
pub use duramen_hub::{Clock, VirtualClock};
pub use hub::TestHub;
