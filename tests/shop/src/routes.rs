//! The shop over HTTP.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, MatchedPath, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Serialize;

use crate::auth::{self, Auth};
use crate::counters::{Counters, Report};
use crate::payments::{Made, Order};
use crate::revision::{Release, Revision};
use crate::shop::{Basket, Placed, Shop, ShopError};
use crate::store::StoreError;
use crate::subscriptions;
use crate::visit::{Account, Visit};

/// A basket of the greatest size is a few kilobytes.
const BODY_MAX_BYTES: usize = 64 * 1_024;

/// What every request can reach.
#[derive(Debug)]
pub(crate) struct Premises {
    pub(crate) shop: Shop,
    pub(crate) release: Release,
    pub(crate) counters: Counters,
    pub(crate) auth: Option<Arc<Auth>>,
}

pub(crate) type Here = State<Arc<Premises>>;

pub(crate) fn router(premises: Arc<Premises>) -> Router {
    let shop = Router::new()
        .route("/products", get(products))
        .route("/orders/{id}", get(order))
        .route("/checkout/{id}", get(checkout))
        .route("/checkout", post(place))
        .route("/payments", get(payments).post(pay))
        .merge(subscriptions::router())
        .merge(auth::router())
        .fallback(|| async { no_such_page() })
        .layer(middleware::from_fn_with_state(Arc::clone(&premises), auth::guard))
        .layer(middleware::from_fn_with_state(Arc::clone(&premises), attend))
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES));
    let internal = Router::new()
        .route("/healthz", get(healthz))
        .route("/internal/counters", get(counters))
        .merge(auth::internal())
        .layer(middleware::from_fn_with_state(Arc::clone(&premises), stamp));
    shop.merge(internal).with_state(premises)
}

async fn products(
    State(here): Here,
    Extension(visit): Extension<Visit>,
) -> Result<impl IntoResponse, ShopError> {
    here.shop.products(&visit).await.map(Json)
}

async fn order(
    State(here): Here,
    Extension(visit): Extension<Visit>,
    id: Result<Path<i64>, PathRejection>,
) -> Result<Response, ShopError> {
    match id {
        Ok(Path(id)) => Ok(Json(here.shop.order(&visit, id).await?).into_response()),
        Err(rejection) => Ok(refuse(rejection.status(), &rejection.body_text())),
    }
}

async fn checkout(
    State(here): Here,
    Extension(visit): Extension<Visit>,
    id: Result<Path<i64>, PathRejection>,
) -> Result<Response, ShopError> {
    match id {
        Ok(Path(id)) => Ok(Json(here.shop.checkout(&visit, id).await?).into_response()),
        Err(rejection) => Ok(refuse(rejection.status(), &rejection.body_text())),
    }
}

async fn place(
    State(here): Here,
    Extension(visit): Extension<Visit>,
    basket: Result<Json<Basket>, JsonRejection>,
) -> Result<Response, ShopError> {
    match basket {
        Ok(Json(basket)) => Ok(created(here.shop.place(&visit, basket).await?)),
        Err(rejection) => Ok(refuse(rejection.status(), &rejection.body_text())),
    }
}

async fn payments(
    State(here): Here,
    Extension(visit): Extension<Visit>,
) -> Result<Response, ShopError> {
    if visit.revision != Revision::V3 {
        return Ok(no_such_page());
    }
    Ok(Json(here.shop.payments(&visit).await?).into_response())
}

async fn pay(
    State(here): Here,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
    order: Result<Json<Order>, JsonRejection>,
) -> Result<Response, ShopError> {
    if visit.revision != Revision::V3 {
        return Ok(no_such_page());
    }
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    match order {
        Ok(Json(order)) => {
            let (made, payment) = here.shop.pay(&visit, key.unwrap_or_default(), order).await?;
            let status = match made {
                Made::Now => StatusCode::CREATED,
                Made::Before => StatusCode::OK,
            };
            Ok((status, Json(payment)).into_response())
        }
        Err(rejection) => Ok(refuse(rejection.status(), &rejection.body_text())),
    }
}

pub(crate) fn no_such_page() -> Response {
    refuse(StatusCode::NOT_FOUND, "no such page")
}

fn created(placed: Placed) -> Response {
    let location = [(header::LOCATION, format!("/checkout/{}", placed.id))];
    (StatusCode::CREATED, location, Json(placed)).into_response()
}

/// The body of `GET /healthz`. The shop is well as long as it serves, also when it cannot follow
/// the revision file; whoever released looks at `revision`, and at `error` for the reason.
#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    revision: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    wanted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

async fn healthz(State(here): Here) -> Json<Health> {
    let standing = here.release.standing();
    let (wanted, error) = standing.refused.map_or((None, None), |r| (r.wanted, Some(r.error)));
    Json(Health { status: "ok", revision: standing.serving.to_string(), wanted, error })
}

async fn counters(State(here): Here) -> Json<Report> {
    let revision = here.release.standing().serving.to_string();
    Json(here.counters.report(revision, &here.shop.pool.gauges()))
}

/// Sees a customer through: fixes the revision, keeps the account, closes it before the answer
/// leaves.
async fn attend(State(here): Here, mut request: Request, next: Next) -> Response {
    let came = Instant::now();
    let visit = Visit::new(here.release.standing().serving);
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let route = format!("{} {path}", request.method());
    request.extensions_mut().insert(visit.clone());
    // A task of its own: a client that hangs up must not cut a transaction in two, and what it
    // asked for is counted.
    let attended = tokio::spawn(async move {
        let answer = next.run(request).await;
        tokio::time::sleep_until((came + here.shop.config.floor()).into()).await;
        let (account, total) = (visit.account().clone(), came.elapsed());
        here.counters.add(&route, &account, total);
        stamped(answer, &visit, &account, total)
    });
    attended.await.unwrap_or_else(|_| refuse(StatusCode::INTERNAL_SERVER_ERROR, "the shop failed"))
}

/// The same headers for what is not shopping and is not counted.
async fn stamp(State(here): Here, request: Request, next: Next) -> Response {
    let came = Instant::now();
    let visit = Visit::new(here.release.standing().serving);
    let answer = next.run(request).await;
    stamped(answer, &visit, &Account::default(), came.elapsed())
}

fn stamped(
    mut answer: Response,
    visit: &Visit,
    account: &Account,
    total: std::time::Duration,
) -> Response {
    let headers = [
        (HeaderName::from_static("x-revision"), visit.revision.to_string()),
        (HeaderName::from_static("server-timing"), account.server_timing(total)),
    ];
    for (name, value) in headers {
        // Digits, letters and punctuation of ours: always a valid header.
        if let Ok(value) = HeaderValue::try_from(value) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

pub(crate) fn refuse(status: StatusCode, reason: &str) -> Response {
    (status, Json(serde_json::json!({ "error": reason }))).into_response()
}

impl IntoResponse for ShopError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NoOrder(_) | Self::NoPrice(_) | Self::Missing(_) | Self::NoSubscription(_) => {
                StatusCode::NOT_FOUND
            }
            Self::NoProduct(_) | Self::Basket(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::OtherPayment | Self::OtherSubscription => StatusCode::CONFLICT,
            Self::Forged(_) => StatusCode::UNAUTHORIZED,
            Self::Refused(_) => StatusCode::PAYMENT_REQUIRED,
            Self::ProviderAway
            | Self::NoProvider
            | Self::Store(StoreError::Locked | StoreError::Exhausted(_)) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Store(
                StoreError::NoShop { .. }
                | StoreError::Sqlite(_)
                | StoreError::Postgres(_)
                | StoreError::Shape(_)
                | StoreError::Aborted,
            ) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        refuse(status, &with_causes(&self))
    }
}

/// The whole chain: this shop is for people who want to know why.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
