//! What the HTTP door answers.

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use duramen_backend::Memory;
use duramen_hub::{Hub, Options};
use duramen_server::{HubName, Hubs, HubsOptions, OpenHub, Opener, StoreState, http};
use futures::FutureExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tower::ServiceExt;

/// Hubs in memory, of which `broken` does not open; they have space while `full` is not set.
fn hubs(full: Arc<AtomicBool>) -> Hubs {
    let open: Opener = Box::new(move |name| {
        let full = Arc::clone(&full);
        async move {
            if name.as_str() == "broken" {
                return Err("its journal is damaged".to_owned());
            }
            let hub = Hub::run(Arc::new(Memory::new()), Options::default()).await.map_err(|error| error.to_string())?;
            let store = move || StoreState { unsettled_bytes: 7, no_space: full.load(Ordering::Relaxed) };
            Ok(OpenHub { hub, store: Arc::new(store) })
        }
        .boxed()
    });
    let there = vec![HubName::default()];
    Hubs::new(HubsOptions { there, ..HubsOptions::default() }, open)
}

async fn ask(hubs: &Hubs, method: Method, path: &str) -> (StatusCode, String) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
    let routes = http::routes(hubs.clone(), "all is here\n".to_owned());
    let response = routes.oneshot(request).await.expect("routes do not fail");
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 16).await.expect("a short body");
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

async fn get(hubs: &Hubs, path: &str) -> (StatusCode, String) {
    ask(hubs, Method::GET, path).await
}

#[tokio::test]
async fn it_lives_says_what_is_where_and_leads_back_who_is_lost() {
    let hubs = hubs(Arc::default());
    assert_eq!(get(&hubs, "/healthz").await, (StatusCode::OK, "ok\n".to_owned()));
    assert_eq!(get(&hubs, "/").await, (StatusCode::OK, "all is here\n".to_owned()));
    let (status, text) = get(&hubs, "/dashboard").await;
    assert_eq!(
        (status, text.as_str()),
        (StatusCode::NOT_FOUND, "there is nothing at /dashboard; see / for what is where\n")
    );
    let (status, text) = ask(&hubs, Method::POST, "/readyz").await;
    assert_eq!((status, text.as_str()), (StatusCode::METHOD_NOT_ALLOWED, "/readyz is only to be read: use GET\n"));
}

#[tokio::test]
async fn it_is_ready_while_its_hubs_are_open_and_have_space() {
    let full = Arc::new(AtomicBool::new(false));
    let hubs = hubs(Arc::clone(&full));
    let untouched = r#"{"ready":true,"stopping":false,"hubs":[{"name":"default","state":"untouched"}]}"#;
    assert_eq!(get(&hubs, "/readyz").await, (StatusCode::OK, untouched.to_owned()));

    hubs.get(None).await.expect("it opens");
    let open = r#"{"ready":true,"stopping":false,"hubs":[{"name":"default","state":"open","unsettled_bytes":7,"no_space":false}]}"#;
    assert_eq!(get(&hubs, "/readyz").await, (StatusCode::OK, open.to_owned()));

    full.store(true, Ordering::Relaxed);
    let (status, text) = get(&hubs, "/readyz").await;
    assert!(status == StatusCode::SERVICE_UNAVAILABLE && text.contains(r#""no_space":true"#), "{status} {text}");
    full.store(false, Ordering::Relaxed);

    hubs.get(Some("broken")).await.expect_err("it does not open");
    let (status, text) = get(&hubs, "/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains(r#"{"name":"broken","state":"closed","reason":"its journal is damaged"}"#), "{text}");
}

#[tokio::test]
async fn a_server_that_is_stopping_lives_and_is_not_ready() {
    let hubs = hubs(Arc::default());
    hubs.get(None).await.expect("it opens");
    hubs.shutdown(Duration::ZERO).await;
    let (status, text) = get(&hubs, "/readyz").await;
    assert!(status == StatusCode::SERVICE_UNAVAILABLE && text.contains(r#""stopping":true"#), "{status} {text}");
    assert_eq!(get(&hubs, "/healthz").await.0, StatusCode::OK);
}
