//! What can be called: the tokens that the attributes make, names with types, and bare names.

use crate::json::{self, JsonError};
use crate::{ActivityContext, Error, OrchestrationContext};
use futures::future::{BoxFuture, LocalBoxFuture};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// A function of one of the attributes: its name and types.
pub trait Token: Copy + 'static {
    /// The name on the wire.
    const NAME: &'static str;
    /// What it takes.
    type Input: DeserializeOwned;
    /// What it returns.
    type Output: Serialize + Output;
}

/// An activity that can be registered. Made by `#[activity]`.
pub trait Activity: Token {
    /// Runs it on JSON text.
    fn invoke(ctx: ActivityContext, input: Option<String>) -> BoxFuture<'static, Result<String, Error>>;
}

/// An orchestrator that can be registered. Made by `#[orchestrator]`.
pub trait Orchestrator: Token {
    /// Begins it on JSON text.
    fn invoke(ctx: OrchestrationContext, input: Option<String>) -> LocalBoxFuture<'static, Result<String, Error>>;
}

/// The result of a call: anything that can be read from JSON.
///
/// A call by name gives what is asked for, so somebody has to ask:
///
/// ```compile_fail
/// # use duramen::prelude::*;
/// #[orchestrator]
/// async fn wrong(ctx: OrchestrationContext, _: ()) -> Result<()> {
///     ctx.call_activity("F4", 1).await?;              // error: the result of this call has no type …
///     Ok(())
/// }
/// ```
///
/// ```
/// # use duramen::prelude::*;
/// #[orchestrator]
/// async fn right(ctx: OrchestrationContext, _: ()) -> Result<()> {
///     let _: () = ctx.call_activity("F4", 1).await?;  // `()` takes any result
///     Ok(())
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "the result of this call has no type that can be read from JSON",
    label = "which type does this call give?",
    note = "a call by name gives what is asked for: `let total: u64 = ctx.call_activity(\"Sum\", x).await?;`",
    note = "if the result is not used, say so: `let _: () = ctx.call_activity(\"F4\", x).await?;`"
)]
pub trait Output: Sized + 'static {
    /// Reads a result; `()` takes any.
    #[doc(hidden)]
    fn from_result(text: Option<&str>) -> Result<Self, JsonError>;
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + 'static> Output for T {
    fn from_result(text: Option<&str>) -> Result<Self, JsonError> {
        json::result_from_text(text)
    }
}

/// What [`OrchestrationContext::call_activity`] can call with an `I` for an `O`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an activity that takes `{I}`",
    note = "call a token that `#[activity]` made, an `ActivityName`, or a name as `&str`"
)]
pub trait ActivityCallee<I, O> {
    /// The name on the wire.
    fn name(&self) -> &str;
    /// The input as JSON text.
    fn encode(&self, input: I) -> Result<String, JsonError>;
}

/// What [`OrchestrationContext::call_sub_orchestrator`] can call, and a client can start, with an
/// `I` for an `O`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an orchestrator that takes `{I}`",
    note = "use a token that `#[orchestrator]` made, an `OrchestratorName`, or a name as `&str`"
)]
pub trait OrchestratorCallee<I, O> {
    /// The name on the wire.
    fn name(&self) -> &str;
    /// The input as JSON text.
    fn encode(&self, input: I) -> Result<String, JsonError>;
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $callee:ident;)*) => { $(
        $(#[$doc])*
        pub struct $name<I, O> {
            name: &'static str,
            types: PhantomData<fn(I) -> O>,
        }

        impl<I, O> $name<I, O> {
            /// A function of this name, which takes an `I` and gives an `O`.
            pub const fn new(name: &'static str) -> Self {
                Self { name, types: PhantomData }
            }
        }

        impl<I, O> Clone for $name<I, O> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<I, O> Copy for $name<I, O> {}

        impl<I, O> std::fmt::Debug for $name<I, O> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.name).finish()
            }
        }

        #[diagnostic::do_not_recommend]
        impl<I: Serialize, O> $callee<I, O> for $name<I, O> {
            fn name(&self) -> &str {
                self.name
            }

            fn encode(&self, input: I) -> Result<String, JsonError> {
                json::to_text(&input)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<I: Serialize, O> $callee<I, O> for &str {
            fn name(&self) -> &str {
                self
            }

            fn encode(&self, input: I) -> Result<String, JsonError> {
                json::to_text(&input)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<I: Serialize, O> $callee<I, O> for String {
            fn name(&self) -> &str {
                self
            }

            fn encode(&self, input: I) -> Result<String, JsonError> {
                json::to_text(&input)
            }
        }
    )* };
}

names! {
    /// The name of an activity, in any language, with its types:
    /// `const SUM: ActivityName<Vec<u64>, u64> = ActivityName::new("Sum");`
    ActivityName: ActivityCallee;
    /// The name of an orchestrator, in any language, with its types.
    OrchestratorName: OrchestratorCallee;
}
