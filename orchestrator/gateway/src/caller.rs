//! Who asks, and whether they may: what a route's parameters say, the request has to be.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, header, request::Parts},
};
use deadelus_mesh::{meters, names};
use deadelus_view::time::now_unix_ms;

use crate::{
    problem::Problem,
    serve::Desk,
    tokens::{NoToken, Role},
};

/// The owner of a token, whose name is what the log says of who decided.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) name: String,
    /// When the token expires, in seconds since the epoch.
    pub(crate) expires_unix_s: Option<i64>,
}

/// Somebody who may look.
#[derive(Debug)]
pub(crate) struct Viewer(pub(crate) Caller);

/// Somebody who may start and stop.
#[derive(Debug)]
pub(crate) struct Operator(pub(crate) Caller);

/// Somebody who may decide at gates.
#[derive(Debug)]
pub(crate) struct Approver(pub(crate) Caller);

impl FromRequestParts<Arc<Desk>> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Problem> {
        admit(parts, desk, Role::Viewer).map(Self)
    }
}

impl FromRequestParts<Arc<Desk>> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Problem> {
        admit(parts, desk, Role::Operator).map(Self)
    }
}

impl FromRequestParts<Arc<Desk>> for Approver {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Problem> {
        admit(parts, desk, Role::Approver).map(Self)
    }
}

fn admit(parts: &Parts, desk: &Desk, role: Role) -> Result<Caller, Problem> {
    let shown = bearer(parts).ok_or_else(|| unknown("no_token", "there is no bearer token"))?;
    let found = desk.tokens.find(shown, now_unix_ms().div_euclid(1_000));
    let (at, token) = found.map_err(|why| match why {
        NoToken::Unknown => unknown("unknown_token", "this token is not known here"),
        NoToken::Expired => unknown("expired_token", "this token has expired"),
    })?;
    tracing::Span::current().record(names::USER_ID, &token.name);
    desk.take_turn(at).map_err(|seconds| too_often(&token.name, seconds))?;
    if !token.may(role) {
        meters::request_refused("role");
        let (name, role) = (&token.name, role.as_str());
        let detail = format!("{name} may not: this takes the role {role}");
        return Err(Problem::new(StatusCode::FORBIDDEN, "role", detail)
            .next("ask somebody who has the role, or whoever keeps gateway.tokens"));
    }
    Ok(Caller { name: token.name.clone(), expires_unix_s: token.expires_unix_s })
}

fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn unknown(why: &'static str, detail: &str) -> Problem {
    meters::request_refused(why);
    Problem::new(StatusCode::UNAUTHORIZED, "token", detail)
        .next("send `Authorization: Bearer TOKEN`; `deadelus token NAME` makes one")
        .header(header::WWW_AUTHENTICATE, "Bearer realm=\"deadelus\"")
}

fn too_often(name: &str, seconds: u64) -> Problem {
    meters::request_refused("rate");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate", format!("{name} asks too often"))
        .next(format!("ask again in {seconds} s; an event stream tells without asking"))
        .header(header::RETRY_AFTER, seconds.to_string())
}
