//! Accounts over HTTP, in the shape of the RealWorld API (`{"user": {…}}`).

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::Auth;
use super::accounts::{Account, AccountError, Change, Login, NewAccount};
use super::guard::Who;
use super::password::PasswordError;
use crate::revision::Revision;
use crate::routes::{Here, Premises, no_such_page, refuse, with_causes};
use crate::store::StoreError;
use crate::visit::Visit;

type Body<T> = Result<Json<User<T>>, JsonRejection>;

/// What every body is wrapped in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User<T> {
    user: T,
}

/// The routes that older revisions do not have.
pub(crate) fn router() -> Router<Arc<Premises>> {
    Router::new()
        .route("/users", post(register))
        .route("/users/login", post(login))
        .route("/user", get(current).put(update))
}

/// Of the internal routes: what the policies have decided.
pub(crate) fn internal() -> Router<Arc<Premises>> {
    Router::new().route("/internal/decisions", get(decisions))
}

async fn register(State(here): Here, desk: Desk, body: Body<NewAccount>) -> Response {
    let Desk { auth, visit, .. } = desk;
    match body {
        Ok(Json(User { user })) => match auth.register(&here.shop, &visit, user).await {
            Ok((true, account)) => (StatusCode::CREATED, shown(account)).into_response(),
            Ok((false, account)) => shown(account).into_response(),
            Err(error) => error.into_response(),
        },
        Err(rejection) => refuse(rejection.status(), &rejection.body_text()),
    }
}

async fn login(State(here): Here, desk: Desk, body: Body<Login>) -> Response {
    match body {
        Ok(Json(User { user })) => answer(desk.auth.login(&here.shop, &desk.visit, user).await),
        Err(rejection) => refuse(rejection.status(), &rejection.body_text()),
    }
}

async fn current(State(here): Here, desk: Desk) -> Response {
    let Some(who) = desk.who.claims() else { return nobody() };
    answer(desk.auth.current(&here.shop, &desk.visit, who).await)
}

async fn update(State(here): Here, desk: Desk, body: Body<Change>) -> Response {
    let Some(who) = desk.who.claims() else { return nobody() };
    match body {
        Ok(Json(User { user })) => {
            answer(desk.auth.update(&here.shop, &desk.visit, who, user).await)
        }
        Err(rejection) => refuse(rejection.status(), &rejection.body_text()),
    }
}

async fn decisions(State(here): Here) -> Response {
    here.auth.as_ref().map_or_else(no_such_page, |auth| Json(auth.decisions.told()).into_response())
}

/// What a handler works with. In revisions without accounts there is no such page.
struct Desk {
    auth: Arc<Auth>,
    visit: Visit,
    who: Who,
}

impl FromRequestParts<Arc<Premises>> for Desk {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        here: &Arc<Premises>,
    ) -> Result<Self, Self::Rejection> {
        let visit = parts.extensions.get::<Visit>().cloned();
        let with_accounts = |visit: &Visit| matches!(visit.revision, Revision::Auth(_));
        let visit = visit.filter(with_accounts).ok_or_else(no_such_page)?;
        let auth = here.auth.clone().ok_or_else(no_such_page)?;
        let who = parts.extensions.get::<Who>().cloned().unwrap_or(Who::Nobody);
        Ok(Self { auth, visit, who })
    }
}

fn nobody() -> Response {
    refuse(StatusCode::UNAUTHORIZED, "a token is needed")
}

fn answer(account: Result<Account, AccountError>) -> Response {
    match account {
        Ok(account) => shown(account).into_response(),
        Err(error) => error.into_response(),
    }
}

fn shown(account: Account) -> Json<serde_json::Value> {
    Json(json!({ "user": account }))
}

impl IntoResponse for AccountError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Nonsense(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Taken => StatusCode::CONFLICT,
            Self::Unknown => StatusCode::UNAUTHORIZED,
            Self::NoKey
            | Self::Password(PasswordError::Busy)
            | Self::Store(StoreError::Locked | StoreError::Exhausted(_)) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Password(PasswordError::Failed)
            | Self::Store(
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
