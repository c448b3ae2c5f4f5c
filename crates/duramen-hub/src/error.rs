//! Why a hub does not run.

use duramen_backend::Failure;
use duramen_core::request::Refusal;

/// Why a hub could not be started, or has stopped.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HubError {
    /// An option is out of range.
    #[error("{name} is {value}, but must be {range}")]
    Option {
        /// Which.
        name: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        range: &'static str,
    },
    /// The store could not go on; what was not acknowledged may or may not have landed.
    #[error("the store failed, {0}; open the hub again")]
    Store(#[from] Failure),
    /// Another process has taken over the store.
    #[error("the hub has lost its lease: {0}; only one process may own a store at a time")]
    LostLease(String),
    /// The hub had been stopped before.
    #[error("the hub has stopped: {0}")]
    Stopped(String),
    /// An assertion of the engine did not hold. Nothing was written after it.
    #[error("the hub stopped itself over an internal error: {0}; please report it")]
    Internal(String),
}

impl HubError {
    /// The end that was asked for.
    pub(crate) fn shut_down() -> Self {
        Self::Stopped("it was shut down".into())
    }

    /// What a call hears that was under way when this happened.
    pub(crate) fn under_way(&self) -> Refusal {
        match self {
            Self::Option { .. } | Self::Stopped(_) => self.later(),
            Self::Store(failure) => Refusal::OutcomeUnknown(failure.to_string()),
            Self::LostLease(_) | Self::Internal(_) => Refusal::OutcomeUnknown(self.to_string()),
        }
    }

    /// What a call hears that came later.
    pub(crate) fn later(&self) -> Refusal {
        Refusal::Stopped(match self {
            Self::Stopped(reason) => reason.clone(),
            Self::Option { .. } | Self::Store(_) | Self::LostLease(_) | Self::Internal(_) => self.to_string(),
        })
    }
}
