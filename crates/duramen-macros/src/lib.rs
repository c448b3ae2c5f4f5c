//! Attributes for authors of durable functions.
//!
//! Each leaves what it stands on as it is and adds what a person could write by hand: a unit struct
//! that carries the function's name and types, and the traits that make it callable.

mod activities;
mod function;
mod options;

use proc_macro::TokenStream;

/// Makes a token for an orchestrator: `hello_cities` gives `HelloCities`, which is also its name on
/// the wire unless `#[orchestrator(name = "...")]` gives another.
///
/// The function is `async`, takes an `OrchestrationContext` and one input, and returns a `Result`.
#[proc_macro_attribute]
pub fn orchestrator(options: TokenStream, item: TokenStream) -> TokenStream {
    finish(function::expand(function::Kind::Orchestrator, options.into(), item.into()))
}

/// Makes a token for an activity: `say_hello` gives `SayHello`, which is also its name on the wire
/// unless `#[activity(name = "...")]` gives another.
///
/// The function is `async`, takes an `ActivityContext` and one input, and returns a `Result`.
#[proc_macro_attribute]
pub fn activity(options: TokenStream, item: TokenStream) -> TokenStream {
    finish(function::expand(function::Kind::Activity, options.into(), item.into()))
}

/// Makes activities of the async methods of an `impl`, which share the value that is registered with
/// `App::activities`. The tokens are in a module named after the type: `charge` of `Payments` is
/// `payments::Charge`. A method's `#[activity(name = "...")]` gives it another name on the wire.
#[proc_macro_attribute]
pub fn activities(options: TokenStream, item: TokenStream) -> TokenStream {
    finish(activities::expand(options.into(), item.into()))
}

fn finish(expanded: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}

#[cfg(test)]
mod tests;
