//! `/readyz`: whether the server can do what it is there for, and what each hub is doing.

use crate::{HubState, Hubs, Phase, StoreState};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

/// The answer.
#[derive(Serialize)]
pub(super) struct Readiness {
    ready: bool,
    /// The server is going down.
    stopping: bool,
    hubs: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    #[serde(flatten)]
    state: Doing,
}

#[derive(Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum Doing {
    /// Nobody has asked for it since the process began: it opens when somebody does.
    Untouched,
    Opening,
    Open(StoreState),
    Closed {
        reason: String,
    },
    Ended,
}

impl Doing {
    fn is_ready(&self) -> bool {
        match self {
            Self::Untouched => true,
            Self::Open(store) => !store.no_space,
            Self::Opening | Self::Closed { .. } | Self::Ended => false,
        }
    }
}

impl From<HubState> for Row {
    fn from(hub: HubState) -> Self {
        let state = match hub.phase {
            None => Doing::Untouched,
            Some(Phase::Opening) => Doing::Opening,
            Some(Phase::Open(open)) => Doing::Open((open.store)()),
            Some(Phase::Closed(reason)) => Doing::Closed { reason: reason.to_string() },
            Some(Phase::Ended) => Doing::Ended,
        };
        Self { name: hub.name.to_string(), state }
    }
}

pub(super) async fn ready(State(hubs): State<Hubs>) -> (StatusCode, Json<Readiness>) {
    let stopping = hubs.is_stopping();
    let rows: Vec<Row> = hubs.states().into_iter().map(Row::from).collect();
    let ready = !stopping && rows.iter().all(|row| row.state.is_ready());
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, stopping, hubs: rows }))
}
