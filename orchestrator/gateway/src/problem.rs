//! Errors as RFC 9457 has them: what is wrong, where, and what to do next.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use deadelus_view::ViewError;
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong, on its way to who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem(Box<ProblemJson>);

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemJson {
    /// `urn:deadelus:problem:not-found`: the kind, the same for the same status and cause.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// This occurrence, in a sentence.
    detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    next: String,
    /// Each thing that is wrong, with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
    /// A plan file that was not detailed enough is kept under this id; ask again with it and with
    /// answers.
    #[serde(skip_serializing_if = "String::is_empty")]
    draft: String,
    /// What is asked about it, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    questions: Vec<Asked>,
    #[serde(skip)]
    headers: Vec<(header::HeaderName, String)>,
}

/// A question about a plan file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Asked {
    /// What to call the answer.
    pub(crate) name: String,
    /// In words.
    pub(crate) asks: String,
}

impl Problem {
    /// `kind` is a word with hyphens: `not-found`.
    pub(crate) fn new(status: StatusCode, kind: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(ProblemJson {
            kind: format!("urn:deadelus:problem:{kind}"),
            title: status.canonical_reason().unwrap_or("Problem").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            next: String::new(),
            problems: vec![],
            draft: String::new(),
            questions: vec![],
            headers: vec![],
        }))
    }

    /// What to do about it.
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.0.next = next.into();
        self
    }

    /// Each thing that is wrong.
    pub(crate) fn problems(mut self, problems: Vec<String>) -> Self {
        self.0.problems = problems;
        self
    }

    /// What is asked about a draft.
    pub(crate) fn questions(mut self, draft: String, questions: Vec<Asked>) -> Self {
        (self.0.draft, self.0.questions) = (draft, questions);
        self
    }

    pub(crate) fn header(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.0.headers.push((name, value.into()));
        self
    }

    /// What was asked for cannot be read.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
            .next("compare the request with /openapi.json")
    }
}

impl From<ViewError> for Problem {
    fn from(error: ViewError) -> Self {
        let detail = deadelus_mesh::chain(&error);
        match error {
            ViewError::NoWorkflow(_) => Self::new(StatusCode::NOT_FOUND, "no-workflow", detail)
                .next("list them: GET /v1/workflows"),
            ViewError::BadId(_) => Self::bad_request(detail),
            ViewError::NoOrchestrator
            | ViewError::NotStored(_)
            | ViewError::Nats { .. }
            | ViewError::Mesh(_) => {
                tracing::warn!(error = detail, "the mesh did not answer a request");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "mesh-away", detail)
                    .next("ask again in a moment; GET /readyz says when the mesh is back")
                    .header(header::RETRY_AFTER, "2")
            }
            ViewError::Log { .. } => {
                tracing::error!(error = detail, "a log cannot be read");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "damaged-log", detail)
                    .next("look with `deadelus audit`")
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = self.0.headers.clone();
        let mut response = (status, Json(self.0)).into_response();
        let own = response.headers_mut();
        own.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                own.insert(name, value);
            }
        }
        response
    }
}
