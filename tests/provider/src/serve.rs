//! The shell: HTTP in, HTTP out, events delivered.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::net::TcpListener;

use crate::{
    events::{self, Delivery},
    fault::Trap,
    world::{Answer, Outcome, Request, World},
};

/// No form of this API is longer; Stripe's own limit is of this order.
const BODY_MAX_BYTES: usize = 1 << 20;
/// An endpoint that takes longer has missed its event: nothing is sent twice.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);

/// A provider; clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Provider(Arc<Mutex<World>>);

impl Provider {
    /// Answers until the future is dropped.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        axum::serve(listener, Router::new().fallback(handle).with_state(self)).await
    }

    /// Sets a fault.
    pub fn trap(&self, trap: Trap) {
        self.with(|world| world.traps.push(trap));
    }

    /// The objects of a kind (`price`) as they are now, in the order of their making.
    pub fn objects(&self, object: &str) -> Vec<serde_json::Value> {
        self.with(|world| world.of(object).cloned().collect())
    }

    fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn handle(State(provider): State<Provider>, request: axum::extract::Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_MAX_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let request = Request {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        body: body.to_vec(),
        authorized: authorized(&head.headers),
        idempotency_key: text(&head.headers, "idempotency-key").map(str::to_owned),
    };
    let (outcome, deliveries) = provider
        .with(|world| (world.handle(&request, now_unix_s()), std::mem::take(&mut world.outbox)));
    // In their order, as far as one request causes them; two requests may overtake each other.
    tokio::spawn(async move {
        for delivery in deliveries {
            deliver(delivery).await;
        }
    });
    match outcome {
        Outcome::Answered(answer) => respond(&answer),
        Outcome::Lost => {
            let cut = std::io::Error::other("the answer is lost, on demand");
            Body::from_stream(futures_util::stream::iter([Err::<Bytes, _>(cut)])).into_response()
        }
        Outcome::Hung => std::future::pending().await,
    }
}

/// A bearer of a secret key of either mode; which one is no matter here.
fn authorized(headers: &HeaderMap) -> bool {
    let key = text(headers, "authorization").and_then(|value| value.strip_prefix("Bearer "));
    key.is_some_and(|key| key.starts_with("sk_test_") || key.starts_with("sk_live_"))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn respond(answer: &Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let replayed = if answer.replayed { "true" } else { "false" };
    let headers = [("content-type", "application/json"), ("idempotent-replayed", replayed)];
    (status, headers, answer.body.to_string()).into_response()
}

/// Once: what an endpoint misses it finds in `/v1/events`.
async fn deliver(delivery: Delivery) {
    let signature = events::signature(&delivery.secret, &delivery.body, now_unix_s());
    let request = hyper::Request::post(&delivery.url)
        .header(header::CONTENT_TYPE, "application/json")
        .header("stripe-signature", signature)
        .body(Full::new(Bytes::from(delivery.body)));
    let Ok(request) = request else { return };
    let client = Client::builder(TokioExecutor::new()).build_http();
    // A lost event is a lost event: the receiver is what is tested.
    let _ = tokio::time::timeout(DELIVERY_TIMEOUT, client.request(request)).await;
}

fn now_unix_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
