//! What a request says, read: what cannot be is answered as a problem.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::JsonRejection},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{problem::Problem, serve::Desk};

/// A JSON object.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

/// What the path names.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) T);

/// What stands behind the question mark.
#[derive(Debug)]
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Desk>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, desk: &Arc<Desk>) -> Result<Self, Problem> {
        // The library reads a struct from a list, too, field by field; the document says object.
        let read = Json::<Map<String, Value>>::from_request(request, desk).await;
        let Json(object) = read.map_err(|rejection| unreadable(&rejection))?;
        let value = serde_json::from_value(Value::Object(object));
        value.map(Self).map_err(|e| Problem::bad_request(format!("the body: {e}")))
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Desk>> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Problem> {
        let read = Path::<T>::from_request_parts(parts, desk).await;
        read.map(|Path(value)| Self(value)).map_err(|e| Problem::bad_request(e.body_text()))
    }
}

impl<T: DeserializeOwned> FromRequestParts<Arc<Desk>> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Problem> {
        let read = Query::<T>::from_request_parts(parts, desk).await;
        read.map(|Query(value)| Self(value)).map_err(|e| Problem::bad_request(e.body_text()))
    }
}

fn unreadable(rejection: &JsonRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            Problem::new(status, "too-large", "the body is larger than gateway.limits allows")
                .next("plans refer to artefacts by their sha256 instead of holding them")
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            Problem::new(status, "media-type", rejection.body_text())
                .next("send Content-Type: application/json")
        }
        _ => Problem::bad_request(rejection.body_text()),
    }
}
