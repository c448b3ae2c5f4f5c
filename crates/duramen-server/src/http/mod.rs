//! HTTP: what people and what watches over the process ask.
//!
//! | path | answers |
//! |---|---|
//! | `/` | what is where, as text |
//! | `/healthz` | 200 while the process is alive |
//! | `/readyz` | 200 while every hub that is in use is open and its store has space, 503 otherwise, with the state of each |
//! | `/hubs/{hub}/workers`, `queues`, `unroutable`, `held` | what the operator of a hub sees |
//! | `POST /hubs/{hub}/held/{instance}/{item}/retry`, `fail` | what the operator decides about a held item |
//! | `POST /hubs/{hub}/workers/{id}/drain` | drains a worker |

mod error;
mod operator;
mod ready;

use crate::Hubs;
use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// The routes, over these hubs. `front_page` is what `/` answers.
pub fn routes(hubs: Hubs, front_page: String) -> Router {
    Router::new()
        .route("/", get(move || async { front_page }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready::ready))
        .merge(operator::routes())
        .fallback(nothing_there)
        .method_not_allowed_fallback(wrong_method)
        .with_state(hubs)
}

async fn nothing_there(uri: Uri) -> Response {
    let text = format!("there is nothing at {}; see / for what is where\n", uri.path());
    (StatusCode::NOT_FOUND, text).into_response()
}

async fn wrong_method(uri: Uri) -> Response {
    let text = match uri.path().starts_with("/hubs/") && uri.path().split('/').count() > 4 {
        true => format!("{} is only to be told: use POST\n", uri.path()),
        false => format!("{} is only to be read: use GET\n", uri.path()),
    };
    (StatusCode::METHOD_NOT_ALLOWED, text).into_response()
}
