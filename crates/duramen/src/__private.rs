//! What the attributes expand to. Not for use by hand.

use crate::Error;
use crate::json;
pub use crate::json::JsonError;
pub use futures::future::{BoxFuture, LocalBoxFuture};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a function returns, taken apart.
#[diagnostic::on_unimplemented(
    message = "an orchestrator or activity returns a `Result`, not `{Self}`",
    note = "`duramen::Result<T>` takes every error; `Result<T, MyError>` one of your own"
)]
pub trait Returned {
    /// The value.
    type Output;
    /// The error.
    type Error;
    /// As the result that it is.
    fn into_result(self) -> Result<Self::Output, Self::Error>;
}

impl<T, E> Returned for Result<T, E> {
    type Output = T;
    type Error = E;

    fn into_result(self) -> Self {
        self
    }
}

/// Reads the input of a function.
pub fn read<T: DeserializeOwned>(what: &str, name: &str, input: Option<&str>) -> Result<T, Error> {
    json::from_text(input).map_err(|error| Error::bad_input(what, name, &error))
}

/// Writes the output of a function.
pub fn write<T: Serialize>(output: &T) -> Result<String, Error> {
    Ok(json::to_text(output)?)
}

/// Writes the input of a call.
pub fn encode<T: Serialize>(input: &T) -> Result<String, JsonError> {
    json::to_text(input)
}

/// Turns the error of a function into ours, whatever it is.
pub mod fail {
    use crate::{DurableError, Error};
    use std::cell::Cell;

    /// An error on its way out. Which of the two traits below applies is decided where the error's type
    /// is known: a `DurableError` is found without a reference, everything else by way of one.
    pub struct Failing<E>(Cell<Option<E>>);

    impl<E> Failing<E> {
        /// Takes the error.
        pub fn new(error: E) -> Self {
            Self(Cell::new(Some(error)))
        }
    }

    /// For errors that travel whole.
    pub trait FailWhole {
        /// The error as ours.
        fn fail(&self) -> Error;
    }

    impl<E: DurableError> FailWhole for Failing<E> {
        fn fail(&self) -> Error {
            self.0.take().map_or_else(|| Error::msg("failed"), Error::durable)
        }
    }

    /// For all others.
    pub trait FailPlain {
        /// The error as ours.
        fn fail(&self) -> Error;
    }

    impl<E: Into<Error>> FailPlain for &Failing<E> {
        fn fail(&self) -> Error {
            self.0.take().map_or_else(|| Error::msg("failed"), Into::into)
        }
    }
}
