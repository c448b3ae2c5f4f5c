//! What is answered when something is not done.

use crate::HubsError;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use duramen_core::request::Refusal;
use serde::Serialize;

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Problem {
    BadRequest(String),
    Forbidden(String),
    NotFound(String),
    Hub(HubsError),
    Refused(Refusal),
}

#[derive(Serialize)]
struct Text {
    error: String,
}

impl From<HubsError> for Problem {
    fn from(error: HubsError) -> Self {
        Self::Hub(error)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::BadRequest(error) => (StatusCode::BAD_REQUEST, error),
            Self::Forbidden(error) => (StatusCode::FORBIDDEN, error),
            Self::NotFound(error) => (StatusCode::NOT_FOUND, error),
            Self::Hub(error) => (of_hub(&error), error.to_string()),
            Self::Refused(refusal) => (of_refusal(&refusal), refusal.to_string()),
        };
        (status, Json(Text { error })).into_response()
    }
}

fn of_hub(error: &HubsError) -> StatusCode {
    match error {
        HubsError::Name(_) => StatusCode::BAD_REQUEST,
        HubsError::Unknown { .. } => StatusCode::NOT_FOUND,
        HubsError::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
        HubsError::Closed { .. } | HubsError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn of_refusal(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::NotFound(_) => StatusCode::NOT_FOUND,
        Refusal::AlreadyExists { .. } | Refusal::WrongStatus { .. } | Refusal::Replaced(_) => StatusCode::CONFLICT,
        Refusal::ReusePolicy | Refusal::BadInput(_) => StatusCode::BAD_REQUEST,
        Refusal::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
        Refusal::Overloaded(_) => StatusCode::TOO_MANY_REQUESTS,
        Refusal::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
        Refusal::Stopped(_) => StatusCode::SERVICE_UNAVAILABLE,
        // A caller that repeats it must know that it may have been done.
        Refusal::OutcomeUnknown(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
