//! The door: who comes, what they ask for, whether the policies allow it, and what follows in each
//! mode.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::decisions::Refusal;
use super::policies::{Asked, Policies, Resource};
use super::token::{Claims, believed};
use super::{Auth, Mode, now_unix_s};
use crate::revision::Revision;
use crate::routes::{Premises, refuse};
use crate::shop::ShopError;
use crate::visit::Visit;

/// On answers in report-only: what enforcing would have meant.
const X_ACCESS: HeaderName = HeaderName::from_static("x-access");

/// Who has come.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    /// Somebody whose token is believed.
    Known(Claims),
    /// Somebody without a token.
    Nobody,
    /// Somebody whose token is not believed, and why.
    Unbelieved(String),
}

/// What a request asks for.
struct Asks {
    /// `GET /orders/1`
    request: String,
    door: Door,
}

/// What a route asks of the policies.
enum Door {
    /// Anybody may: making an account, and logging in.
    Public,
    /// Something on all of the shop, or on oneself.
    On(Asked),
    /// Something on the order of this number.
    OnOrder { action: &'static str, id: String },
    /// There is no such route, or nobody has said what it asks for.
    Unknown,
}

/// Lets a request through to its handler, or does not.
pub(crate) async fn guard(
    State(here): State<Arc<Premises>>,
    mut request: Request,
    next: Next,
) -> Response {
    let visit = request.extensions().get::<Visit>().cloned();
    let Some(visit) = visit else { return next.run(request).await };
    let Some(mode) = mode(&visit, &request, here.auth.is_some()) else {
        return next.run(request).await;
    };
    let Some(auth) = &here.auth else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "this shop has no table `auth`");
    };
    let who = auth.who(&request);
    let asks = Asks::of(&request);
    let refusal = match here.judged(auth, mode, &visit, asks, &who).await {
        Ok(refusal) => refusal,
        Err(error) => return error.into_response(),
    };
    request.extensions_mut().insert(who.clone());
    match (mode, refusal) {
        (Mode::Enforce, Some(refusal)) => refuse(who.refused(), &refusal.because),
        (Mode::Off | Mode::Report | Mode::Enforce, refusal) => {
            let mut answer = next.run(request).await;
            if refusal.is_some() {
                let words = HeaderValue::from_static("would be refused");
                answer.headers_mut().insert(X_ACCESS, words);
            }
            answer
        }
    }
}

/// How the policies count for this request; not at all where nobody asks them. Of v4 they decide on
/// subscriptions and on nothing else, in a shop that has policies.
fn mode(visit: &Visit, request: &Request, has_policies: bool) -> Option<Mode> {
    match visit.revision {
        Revision::Auth(mode) => Some(mode),
        Revision::V4 => {
            let asked = request.uri().path().starts_with("/subscriptions");
            // What is no method of theirs is 405, to everybody.
            let known = asked && matches!(door(request), Door::On(_));
            (known && has_policies).then_some(Mode::Enforce)
        }
        Revision::V1 | Revision::V2 | Revision::V3 => None,
    }
}

impl Who {
    pub(crate) fn claims(&self) -> Option<&Claims> {
        match self {
            Self::Known(claims) => Some(claims),
            Self::Nobody | Self::Unbelieved(_) => None,
        }
    }

    /// What a refusal means to them: to say who they are, or that it does not help.
    fn refused(&self) -> StatusCode {
        match self {
            Self::Known(_) => StatusCode::FORBIDDEN,
            Self::Nobody | Self::Unbelieved(_) => StatusCode::UNAUTHORIZED,
        }
    }
}

impl Auth {
    /// `Authorization: Bearer …`, or `Token …` as some clients have it.
    fn who(&self, request: &Request) -> Who {
        let Some(value) = request.headers().get(header::AUTHORIZATION) else { return Who::Nobody };
        let text = value.to_str().unwrap_or_default();
        let token = text.strip_prefix("Bearer ").or_else(|| text.strip_prefix("Token "));
        let Ok(keys) = self.keys.now() else {
            return Who::Unbelieved(
                "no keys are published that a token could be believed by".to_owned(),
            );
        };
        match believed(token.unwrap_or_default(), &keys, now_unix_s()) {
            Ok(claims) => Who::Known(claims),
            Err(problem) => Who::Unbelieved(format!("the token: {problem}")),
        }
    }
}

impl Premises {
    /// Why the request is not allowed; none when it is, or when nobody asks.
    async fn judged(
        &self,
        auth: &Auth,
        mode: Mode,
        visit: &Visit,
        asks: Asks,
        who: &Who,
    ) -> Result<Option<Refusal>, ShopError> {
        if mode == Mode::Off {
            return Ok(None);
        }
        let policies = auth.policies.now();
        let decided = |asked: &Asked| decided(policies.as_deref(), who, asked);
        let because = match asks.door {
            Door::Public => return Ok(None),
            Door::Unknown => Some("nobody may do this".to_owned()),
            Door::On(asked) => decided(&asked),
            Door::OnOrder { action, id } => {
                let owner = self.owner(visit, &id).await?;
                decided(&Asked { action, on: Resource::Order { id, owner } })
            }
        };
        let refusal = because.map(|because| Refusal {
            request: asks.request,
            who: who.claims().map(|claims| claims.sub.clone()),
            because,
        });
        let is_signed_in = who.claims().is_some();
        auth.decisions.add(mode, policies.as_ref().ok(), is_signed_in, refusal.clone());
        Ok(refusal)
    }

    /// The address of whose the order is; empty when there is no such order.
    async fn owner(&self, visit: &Visit, id: &str) -> Result<String, ShopError> {
        let Ok(id) = id.parse() else { return Ok(String::new()) };
        match self.shop.order(visit, id).await {
            Ok(order) => Ok(order.customer),
            Err(ShopError::NoOrder(_)) => Ok(String::new()),
            Err(error) => Err(error),
        }
    }
}

/// Why it is not allowed. Who shows a bad token is not let in as nobody.
fn decided(policies: Result<&Policies, &String>, who: &Who, asked: &Asked) -> Option<String> {
    let Ok(policies) = policies else {
        return Some("there are no policies to decide by".to_owned());
    };
    match who {
        Who::Unbelieved(problem) => Some(problem.clone()),
        Who::Nobody => (!policies.allow(None, asked)).then(|| "a token is needed".to_owned()),
        Who::Known(claims) => {
            (!policies.allow(Some(claims), asked)).then(|| "you may not do this".to_owned())
        }
    }
}

impl Asks {
    fn of(request: &Request) -> Self {
        let request_line = format!("{} {}", request.method(), request.uri().path());
        Self { request: request_line, door: door(request) }
    }
}

fn door(request: &Request) -> Door {
    let Some(path) = request.extensions().get::<MatchedPath>() else { return Door::Public };
    let on = |action, on| Door::On(Asked { action, on });
    let on_order = |action| {
        let id = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        Door::OnOrder { action, id }
    };
    match (request.method(), path.as_str()) {
        (&Method::POST, "/users" | "/users/login") => Door::Public,
        (&Method::GET, "/products") => on("listProducts", Resource::Shop),
        (&Method::POST, "/checkout") => on("placeOrder", Resource::Shop),
        (&Method::GET, "/subscriptions") => on("listSubscriptions", Resource::Shop),
        (&Method::POST, "/subscriptions") => on("subscribe", Resource::Shop),
        (&Method::DELETE, "/subscriptions/{key}") => on("endSubscription", Resource::Shop),
        (&Method::GET, "/user") => on("readUser", Resource::Oneself),
        (&Method::PUT, "/user") => on("updateUser", Resource::Oneself),
        (&Method::GET, "/orders/{id}") => on_order("readOrder"),
        (&Method::GET, "/checkout/{id}") => on_order("readCheckout"),
        _ => Door::Unknown,
    }
}
