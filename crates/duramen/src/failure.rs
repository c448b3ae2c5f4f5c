//! Failures as they travel: the protocol's failure details.

use crate::json;
use duramen_core::limits::FAILURE_DEPTH;
use duramen_proto::{TaskFailureDetails, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::TypeId;
use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;

/// The property that holds a [`DurableError`] as JSON text.
const WHOLE: &str = "json";
pub(crate) const TIMED_OUT: &str = "TimedOut";

/// An error that travels whole from the function that failed to the orchestrator that called it.
///
/// ```
/// # use serde::{Serialize, Deserialize};
/// #[derive(Debug, Serialize, Deserialize, thiserror::Error)]
/// #[error("card {last_digits} was declined")]
/// struct CardDeclined { last_digits: String }
///
/// impl duramen::DurableError for CardDeclined {
///     const NAME: &'static str = "CardDeclined";
/// }
/// ```
pub trait DurableError: StdError + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The error's type on the wire. It may not change while failures of it are stored.
    const NAME: &'static str;

    /// Whether trying again is pointless.
    fn is_non_retriable(&self) -> bool {
        false
    }
}

/// A task that an orchestrator called has failed.
#[derive(Clone, PartialEq)]
pub struct TaskFailed(Box<Failed>);

#[derive(Clone, PartialEq)]
struct Failed {
    task: String,
    details: TaskFailureDetails,
}

impl TaskFailed {
    pub(crate) fn new(task: String, details: TaskFailureDetails) -> Self {
        Self(Box::new(Failed { task, details }))
    }

    /// The failure's type: the name of a [`DurableError`], of an error type of any language, or one
    /// of the engine's own, such as `ActivityTaskNotFound`.
    pub fn error_type(&self) -> &str {
        &self.0.details.error_type
    }

    /// The failure's message.
    pub fn message(&self) -> &str {
        &self.0.details.error_message
    }

    /// Whether this, or what caused it, is the given error.
    pub fn is<E: DurableError>(&self) -> bool {
        self.find::<E>().is_some()
    }

    /// The error, if this, or what caused it, is the given one.
    pub fn downcast<E: DurableError>(&self) -> Option<E> {
        let details = self.find::<E>()?;
        let whole = match details.properties.get(WHOLE)?.kind.as_ref()? {
            prost_types::value::Kind::StringValue(text) => text,
            _ => return None,
        };
        json::from_text(Some(whole)).ok()
    }

    /// Whether trying again is pointless.
    pub fn is_non_retriable(&self) -> bool {
        self.0.details.is_non_retriable
    }

    /// Whether the task failed because the time given to it was over.
    pub fn is_timeout(&self) -> bool {
        self.error_type() == TIMED_OUT
    }

    /// Everything that is known, as the protocol has it.
    pub fn details(&self) -> &TaskFailureDetails {
        &self.0.details
    }

    fn find<E: DurableError>(&self) -> Option<&TaskFailureDetails> {
        chain(&self.0.details).find(|details| details.error_type == E::NAME)
    }
}

impl fmt::Display for TaskFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}", self.0.task, self.0.details.error_message)
    }
}

impl fmt::Debug for TaskFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.0.task)?;
        for details in chain(&self.0.details) {
            write!(f, "\n  {}: {}", details.error_type, details.error_message)?;
        }
        Ok(())
    }
}

impl StdError for TaskFailed {}

fn chain(details: &TaskFailureDetails) -> impl Iterator<Item = &TaskFailureDetails> {
    std::iter::successors(Some(details), |details| details.inner_failure.as_deref())
}

/// The types that were registered, so that one that was turned into an [`crate::Error`] is still
/// known.
#[derive(Clone, Default)]
pub(crate) struct DurableErrors(HashMap<TypeId, Recognise>);

type Recognise = fn(&(dyn StdError + 'static)) -> Option<TaskFailureDetails>;

impl DurableErrors {
    pub(crate) fn add<E: DurableError>(&mut self) {
        self.0.insert(TypeId::of::<E>(), |error| error.downcast_ref::<E>().map(durable_details));
    }

    fn recognise(&self, error: &(dyn StdError + 'static)) -> Option<TaskFailureDetails> {
        self.0.values().find_map(|recognise| recognise(error))
    }
}

pub(crate) fn details(error_type: &str, message: String) -> TaskFailureDetails {
    TaskFailureDetails { error_type: error_type.to_string(), error_message: message, ..Default::default() }
}

pub(crate) fn durable_details<E: DurableError>(error: &E) -> TaskFailureDetails {
    let mut details = details(E::NAME, error.to_string());
    details.is_non_retriable = error.is_non_retriable();
    details.inner_failure =
        error.source().map(|source| Box::new(details_of(source, "Error", &DurableErrors::default())));
    // An error that cannot be written keeps its name and message.
    if let Ok(text) = json::to_text(error) {
        details.properties.insert(WHOLE.to_string(), Value { kind: Some(prost_types::value::Kind::StringValue(text)) });
    }
    details
}

/// The details of an error with those of its causes.
pub(crate) fn details_of(
    error: &(dyn StdError + 'static),
    type_name: &str,
    errors: &DurableErrors,
) -> TaskFailureDetails {
    let mut causes: Vec<TaskFailureDetails> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let name = if causes.is_empty() { type_name } else { "Error" };
        if let Some(failed) = error.downcast_ref::<TaskFailed>() {
            causes.push(TaskFailureDetails {
                inner_failure: Some(Box::new(failed.details().clone())),
                is_non_retriable: failed.is_non_retriable(),
                ..details("TaskFailed", failed.to_string())
            });
            break;
        }
        if let Some(known) = errors.recognise(error) {
            causes.push(known);
            break;
        }
        causes.push(details(name, error.to_string()));
        // One more than is kept, so that the cut is seen and noted.
        next = error.source().filter(|_| causes.len() <= FAILURE_DEPTH + 1);
    }
    let mut whole: Option<TaskFailureDetails> = None;
    for mut cause in causes.into_iter().rev() {
        if let Some(inner) = whole.take() {
            cause.inner_failure = Some(Box::new(inner));
        }
        whole = Some(cause);
    }
    whole.unwrap_or_default()
}

/// Cuts a chain of causes to the length that is stored, with a note.
pub(crate) fn bound(details: &mut TaskFailureDetails) {
    let mut at = details;
    for _ in 0..FAILURE_DEPTH {
        match &mut at.inner_failure {
            Some(inner) => at = inner,
            None => return,
        }
    }
    if at.inner_failure.take().is_some() {
        at.error_message.push_str(" (and more causes, which are not kept)");
    }
}
