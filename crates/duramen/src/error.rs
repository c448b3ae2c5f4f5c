//! The error that author code returns, and what becomes of it.

use crate::failure::{self, DurableErrors, TaskFailed};
use crate::{DurableError, json};
use duramen_core::limits::FAILURE_DEPTH;
use duramen_proto::TaskFailureDetails;
use std::any::type_name;
use std::error::Error as StdError;
use std::fmt;

/// What author code and clients return: a value, or [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error. Every `std::error::Error` becomes one by `?`, a failed task among them.
///
/// It is no `std::error::Error` itself: that is what lets `?` take all of them.
pub struct Error(Box<Repr>);

struct Repr {
    kind: Kind,
    non_retriable: bool,
}

enum Kind {
    Author { error: Box<dyn StdError + Send + Sync>, type_name: &'static str },
    Ready(TaskFailureDetails),
}

impl Error {
    /// An error with a text only.
    pub fn msg(message: impl fmt::Display) -> Self {
        Self::ready(failure::details("Error", message.to_string()))
    }

    /// An error of the author's that travels whole, so that an orchestrator can get it back with
    /// [`TaskFailed::downcast`]. A function whose error type is a [`DurableError`] needs no call of
    /// this; one that returns [`Result`] does, or registers the type with [`crate::App::error`].
    pub fn durable<E: DurableError>(error: E) -> Self {
        Self::ready(failure::durable_details(&error))
    }

    /// The same error, but nobody tries again because of it.
    #[must_use]
    pub fn non_retriable(error: impl Into<Self>) -> Self {
        let mut error = error.into();
        error.0.non_retriable = true;
        error
    }

    /// The author's error, if it is of this type.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        match &self.0.kind {
            Kind::Author { error, .. } => error.downcast_ref(),
            Kind::Ready(_) => None,
        }
    }

    pub(crate) fn ready(details: TaskFailureDetails) -> Self {
        Self(Box::new(Repr { non_retriable: details.is_non_retriable, kind: Kind::Ready(details) }))
    }

    /// The input of a function does not fit its type. Another attempt would not change that.
    pub(crate) fn bad_input(what: &str, name: &str, error: &json::JsonError) -> Self {
        let message = format!("the input of {what} {name} does not fit: {error}");
        let details = failure::details("InvalidInput", message);
        Self::ready(TaskFailureDetails { is_non_retriable: true, ..details })
    }

    pub(crate) fn into_details(self, errors: &DurableErrors) -> TaskFailureDetails {
        let mut details = match self.0.kind {
            Kind::Ready(details) => details,
            Kind::Author { error, type_name } => failure::details_of(&*error, type_name, errors),
        };
        details.is_non_retriable |= self.0.non_retriable;
        failure::bound(&mut details);
        details
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        let kind = Kind::Author { error: Box::new(error), type_name: type_name::<E>() };
        Self(Box::new(Repr { kind, non_retriable: false }))
    }
}

impl From<Error> for Box<dyn StdError + Send + Sync> {
    fn from(error: Error) -> Self {
        match error.0.kind {
            Kind::Author { error, .. } => error,
            Kind::Ready(details) => Box::new(TaskFailed::new("the function".into(), details)),
        }
    }
}

impl From<Error> for Box<dyn StdError> {
    fn from(error: Error) -> Self {
        <Box<dyn StdError + Send + Sync>>::from(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            Kind::Author { error, .. } => fmt::Display::fmt(error, f),
            Kind::Ready(details) => f.write_str(&details.error_message),
        }
    }
}

/// With the chain of causes, since this is what a failing `main` shows.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        match &self.0.kind {
            Kind::Author { error, .. } => {
                let causes = std::iter::successors(error.source(), |cause| (*cause).source());
                // An error may say that it is its own cause.
                for cause in causes.take(FAILURE_DEPTH) {
                    write!(f, "\n  caused by: {cause}")?;
                }
            }
            Kind::Ready(details) => {
                let mut inner = details.inner_failure.as_deref();
                while let Some(cause) = inner {
                    write!(f, "\n  caused by: {}: {}", cause.error_type, cause.error_message)?;
                    inner = cause.inner_failure.as_deref();
                }
            }
        }
        Ok(())
    }
}
