//! A service whose delays are known: what the generator says of it can be worked out on paper.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// When the stall begins after the first request, and how long it lasts.
pub(super) const STALL_AT: Duration = Duration::from_secs(3);
pub(super) const STALL: Duration = Duration::from_secs(2);
/// What `/fixed` takes.
pub(super) const FIXED: Duration = Duration::from_millis(30);

#[derive(Default)]
struct Service {
    requests: AtomicU64,
    first: OnceLock<Instant>,
    body: OnceLock<Value>,
}

/// An open server; its task ends with the test's runtime.
pub(super) struct Server {
    pub(super) url: String,
    service: Arc<Service>,
}

impl Server {
    pub(super) async fn open() -> Self {
        let service = Arc::new(Service::default());
        let router = Router::new()
            .route("/fixed", get(fixed))
            .route("/stall", get(stall))
            .route("/broken", get(broken))
            .route("/body", post(body))
            .route("/hang", get(hang))
            .route("/counters", get(counters))
            .with_state(Arc::clone(&service));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, service }
    }

    /// Requests that came, without those for `/counters`.
    pub(super) fn requests(&self) -> u64 {
        self.service.requests.load(Ordering::SeqCst)
    }

    /// What was posted first.
    pub(super) fn posted(&self) -> &Value {
        self.service.body.get().unwrap()
    }
}

type Here = State<Arc<Service>>;

async fn fixed(State(here): Here) {
    here.requests.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(FIXED).await;
}

/// Answers at once, except during the stall: then all answers leave together at its end.
async fn stall(State(here): Here) {
    here.requests.fetch_add(1, Ordering::SeqCst);
    let since = here.first.get_or_init(Instant::now).elapsed();
    if (STALL_AT..STALL_AT + STALL).contains(&since) {
        tokio::time::sleep(STALL_AT + STALL - since).await;
    }
}

async fn broken(State(here): Here) -> StatusCode {
    match here.requests.fetch_add(1, Ordering::SeqCst) % 2 {
        0 => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::NOT_FOUND,
    }
}

async fn body(State(here): Here, Json(body): Json<Value>) {
    here.requests.fetch_add(1, Ordering::SeqCst);
    here.body.get_or_init(|| body);
}

async fn hang(State(here): Here) {
    here.requests.fetch_add(1, Ordering::SeqCst);
    std::future::pending().await
}

async fn counters(State(here): Here) -> Json<Value> {
    Json(json!({"revision": "v7", "requests": here.requests.load(Ordering::SeqCst)}))
}
