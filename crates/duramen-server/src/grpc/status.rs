//! Refusals as the SDKs expect them.

use crate::HubsError;
use duramen_core::extension::REFUSAL;
use duramen_core::request::{Refusal, Reply};
use tonic::{Code, Status};

pub(super) fn refused(refusal: Refusal) -> Status {
    let code = match &refusal {
        Refusal::NotFound(_) => Code::NotFound,
        Refusal::AlreadyExists { .. } => Code::AlreadyExists,
        Refusal::WrongStatus { .. } | Refusal::Replaced(_) => Code::FailedPrecondition,
        Refusal::ReusePolicy | Refusal::BadInput(_) => Code::InvalidArgument,
        Refusal::TimedOut(_) => Code::DeadlineExceeded,
        Refusal::Overloaded(_) | Refusal::NoSpace => Code::ResourceExhausted,
        Refusal::Stopped(_) => Code::Unavailable,
        // A caller that repeats it must know that it may have been done.
        Refusal::OutcomeUnknown(_) => Code::Unknown,
    };
    with_detail(code, refusal.to_string(), &refusal)
}

/// A status that says in a form for programs too what it means. Only our own clients read that.
fn with_detail(code: Code, text: String, refusal: &Refusal) -> Status {
    let mut status = Status::new(code, text);
    if let Ok(detail) = refusal.to_text().parse() {
        status.metadata_mut().insert(REFUSAL, detail);
    }
    status
}

pub(super) fn no_hub(error: HubsError) -> Status {
    let code = match &error {
        HubsError::Name { .. } => Code::InvalidArgument,
        HubsError::Unknown { .. } => Code::NotFound,
        HubsError::TooMany { .. } => Code::ResourceExhausted,
        HubsError::Closed { .. } | HubsError::Stopping => Code::Unavailable,
    };
    match code {
        // Nothing was done, and it can be tried again.
        Code::Unavailable => with_detail(code, error.to_string(), &Refusal::Stopped(error.to_string())),
        _ => Status::new(code, error.to_string()),
    }
}

/// A reply that does not belong to its request, or a refusal.
pub(super) fn not(reply: Reply) -> Status {
    match reply {
        Reply::Refused(refusal) => refused(refusal),
        Reply::Started { .. }
        | Reply::State(_)
        | Reply::Done
        | Reply::Purged(_)
        | Reply::History(_)
        | Reply::Held(_) => {
            tracing::error!(?reply, "the hub gave an answer to another question");
            Status::internal("the hub gave an answer to another question; please report it")
        }
    }
}

/// What waits for entities.
pub(super) fn no_entities(what: &str) -> Status {
    Status::unimplemented(format!("{what} is not possible: this version of Duramen has no entities yet"))
}
