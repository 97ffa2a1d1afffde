//! The document of the API: its head here, the rest beside each route. A copy is kept in
//! `openapi.json`, so that a change of the API is seen by whoever reads the difference.

use utoipa::{
    Modify, OpenApi,
    openapi::{
        Components, Ref, RefOr,
        content::ContentBuilder,
        path::Operation,
        response::ResponseBuilder,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::{
    problem::{Asked, ProblemJson},
    routes::Status,
};

/// What every route that takes a token may answer besides its own answers.
const EVERYWHERE: [(&str, &str); 9] = [
    ("400", "The request cannot be read"),
    ("401", "No token, an unknown one, or an expired one"),
    ("403", "The token lacks the role"),
    ("404", "There is no such workflow"),
    ("413", "The body is too large"),
    ("415", "The body is not JSON"),
    ("429", "This token asks too often"),
    ("500", "A log is damaged"),
    ("503", "The mesh does not answer; ask again"),
];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Deadelus",
        description = "Plans, workflows, decisions and events of a Deadelus mesh. Every error is a \
            problem as RFC 9457 has it, with what to do next.",
    ),
    security(("token" = [])),
    components(schemas(ProblemJson, Asked, Status)),
    modifiers(&Token),
)]
struct Head;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let http = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let described = http.description(Some("Made by `deadelus token NAME --role ROLE`")).build();
        let components = document.components.get_or_insert_with(Components::new);
        components.add_security_scheme("token", SecurityScheme::Http(described));
    }
}

/// Without any route.
pub(crate) fn head() -> utoipa::openapi::OpenApi {
    Head::openapi()
}

/// With what every route may answer.
pub(crate) fn whole(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post];
        for operation in operations.into_iter().flatten().filter(|o| o.security.is_none()) {
            everywhere(operation);
        }
    }
    document
}

fn everywhere(operation: &mut Operation) {
    for (status, description) in EVERYWHERE {
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/problem+json", problem)
            .build();
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_owned()).or_insert(RefOr::T(response));
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::routes;

    /// Set, the copy is written instead of compared.
    const WRITE: &str = "DEADELUS_WRITE_OPENAPI";

    #[test]
    fn the_copy_is_what_is_served() {
        let document = whole(routes::documented().into_openapi());
        let text = format!("{}\n", document.to_pretty_json().unwrap());
        let copy = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json"));
        if std::env::var_os(WRITE).is_some() {
            fs::write(copy, &text).unwrap();
        }
        let kept = fs::read_to_string(copy).unwrap_or_default();
        assert!(kept == text, "openapi.json is of another version: run this test with {WRITE}=1");
    }
}
