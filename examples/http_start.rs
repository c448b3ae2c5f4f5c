//! Orchestrations over HTTP, the asynchronous way: a start answers 202 at once and says where to look.
//!
//! ```console
//! $ cargo run --example http_start                     # serves http://127.0.0.1:7071
//! $ cargo run --example http_start -- FOLDER 8080      # its folder and its port; 0 takes a free one
//!
//! $ curl -i -X POST localhost:7071/orchestrators/GreetLater -d '"Tokyo"'
//! HTTP/1.1 202 Accepted
//! location: http://localhost:7071/instances/4f0b…
//! {"id":"4f0b…","statusQueryGetUri":"http://localhost:7071/instances/4f0b…", …}
//!
//! $ curl -i localhost:7071/instances/4f0b…             # 202 while it runs, 200 once it has ended
//! ```
//!
//! The routes and the payload are those of Durable Functions, so its clients understand them.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use duramen::prelude::*;
use duramen::{Client, ClientError, Handle, Refusal};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

#[activity]
async fn greet(_ctx: ActivityContext, name: String) -> Result<String> {
    Ok(format!("Hello {name}!"))
}

#[orchestrator]
async fn greet_later(ctx: OrchestrationContext, name: String) -> Result<String> {
    let pause = std::env::var("DURAMEN_EXAMPLE_PAUSE_MS").ok().and_then(|ms| ms.parse().ok()).unwrap_or(5000);
    ctx.create_timer(Duration::from_millis(pause)).await;
    Ok(ctx.call_activity(Greet, name).await?)
}

/// `POST /orchestrators/{name}`: starts an orchestration with the body as its input.
async fn start(State(client): State<Client>, Path(name): Path<String>, headers: HeaderMap, body: String) -> Response {
    let body = if body.is_empty() { "null" } else { &body };
    let Ok(input) = serde_json::from_str::<Value>(body) else {
        return (StatusCode::BAD_REQUEST, "Invalid JSON content").into_response();
    };
    accepted(client.start(name.as_str(), input).await, &headers)
}

/// `GET /instances/{id}`: 202 while it is under way, 200 once it has ended.
async fn status(State(client): State<Client>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    match client.get(&id).await {
        Ok(Some(state)) if state.is_completed() => Json(state).into_response(),
        Ok(Some(state)) => {
            let location = [(header::LOCATION, format!("{}/instances/{id}", base(&headers)))];
            (StatusCode::ACCEPTED, location, Json(state)).into_response()
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => refused(&error),
    }
}

/// `POST /instances/{id}/raiseEvent/{event}`: the body is what the event carries.
async fn raise(State(client): State<Client>, Path((id, event)): Path<(String, String)>, body: String) -> Response {
    if let Some(refusal) = gone(&client, &id).await {
        return refusal;
    }
    let body = if body.is_empty() { "null" } else { &body };
    match serde_json::from_str::<Value>(body) {
        Ok(input) => done(client.raise_event(&id, &event, input).await),
        Err(_) => (StatusCode::BAD_REQUEST, "Invalid JSON content").into_response(),
    }
}

/// `POST /instances/{id}/{verb}?reason=`: what else can be done to an instance.
async fn manage(
    State(client): State<Client>,
    Path((id, verb)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let reason = query.get("reason").map_or("", String::as_str);
    match verb.as_str() {
        "rewind" => done(client.rewind(&id, reason).await),
        "restart" => accepted(client.restart(&id).await, &headers),
        "terminate" | "suspend" | "resume" => match gone(&client, &id).await {
            Some(refusal) => refusal,
            None if verb == "terminate" => done(client.terminate(&id).output(reason).await),
            None if verb == "suspend" => done(client.suspend(&id, reason).await),
            None => done(client.resume(&id, reason).await),
        },
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// `DELETE /instances/{id}`: forgets an instance that has ended.
async fn purge(State(client): State<Client>, Path(id): Path<String>) -> Response {
    match client.purge(&id).await {
        Ok(purged) if purged.deleted > 0 => Json(json!({"instancesDeleted": purged.deleted})).into_response(),
        Ok(_) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => refused(&error),
    }
}

/// The answer about an instance that does not exist or has ended.
async fn gone(client: &Client, id: &str) -> Option<Response> {
    match client.get(id).await {
        Ok(Some(state)) if state.is_completed() => Some(StatusCode::GONE.into_response()),
        Ok(Some(_)) => None,
        Ok(None) => Some(StatusCode::NOT_FOUND.into_response()),
        Err(error) => Some(refused(&error)),
    }
}

/// Where this server is, as the caller sees it.
fn base(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    format!("http://{host}")
}

/// The 202 of a start, with the URLs by which the instance is managed.
fn accepted(started: Result<Handle<Value>, ClientError>, headers: &HeaderMap) -> Response {
    match started {
        Ok(handle) => {
            let payload = handle.check_status_payload(&base(headers));
            let location = [(header::LOCATION, payload.status_query_get_uri.clone())];
            (StatusCode::ACCEPTED, location, Json(payload)).into_response()
        }
        Err(error) => refused(&error),
    }
}

fn done(outcome: Result<(), ClientError>) -> Response {
    match outcome {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(error) => refused(&error),
    }
}

fn refused(error: &ClientError) -> Response {
    let code = match error {
        ClientError::Refused(Refusal::NotFound(_)) => StatusCode::NOT_FOUND,
        ClientError::Refused(Refusal::WrongStatus { .. }) => StatusCode::GONE,
        ClientError::Refused(Refusal::BadInput(_)) => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (code, error.to_string()).into_response()
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "http_start-data".to_owned());
    let port = arguments.next().unwrap_or_else(|| "7071".to_owned());

    let hub = TaskHub::open(folder).await?;
    let worker = hub.run_worker(App::new().orchestrator(GreetLater).activity(Greet)).await?;
    let routes = Router::new()
        .route("/orchestrators/{name}", post(start))
        .route("/instances/{id}", get(status).delete(purge))
        .route("/instances/{id}/raiseEvent/{event}", post(raise))
        .route("/instances/{id}/{verb}", post(manage))
        .with_state(hub.client());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, routes).with_graceful_shutdown(interrupted()).await?;
    worker.shutdown().await
}

/// Ends when the user presses Ctrl-C.
async fn interrupted() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        eprintln!("cannot listen for Ctrl-C: {error}");
        std::future::pending::<()>().await;
    }
}
