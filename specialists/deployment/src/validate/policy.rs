//! What this house asks of a service beyond its schema: an image that stays the same, a health
//! check, a limit, and no secret in the clear. Pure.

use serde_json::Value;

use super::Finding;
use crate::{
    descriptor::{has_password, image_problem, names_a_secret},
    manifest::Manifest,
};

/// Of every service of a Compose file.
pub(super) fn compose(file: &Manifest, document: &Value) -> Vec<Finding> {
    let services = document["services"].as_object();
    let services = services.into_iter().flatten();
    services
        .flat_map(|(name, service)| {
            let at = Place { file, place: format!("/services/{name}") };
            let image = service["image"].as_str().and_then(image_problem);
            let unchecked = service["healthcheck"].is_null();
            let unlimited = service["deploy"]["resources"]["limits"]["memory"].is_null()
                && service["mem_limit"].is_null();
            [
                image.map(|problem| at.finding("image-tag", problem)),
                unchecked.then(|| at.finding("health-check", "there is no healthcheck")),
                unlimited.then(|| at.finding("resource-limit", "there is no limit of memory")),
            ]
            .into_iter()
            .flatten()
            .chain(secrets(&at, variables(&service["environment"])))
            .collect::<Vec<_>>()
        })
        .collect()
}

/// Of every container of an object.
pub(super) fn kubernetes(file: &Manifest, place: &str, document: &Value) -> Vec<Finding> {
    let pod = &document["spec"]["template"]["spec"];
    // A job runs to its end: nobody waits for it to be ready.
    let serves = document["kind"] != "Job";
    let list = |field: &str| pod[field].as_array().into_iter().flatten();
    let container = |(container, must_be_ready): (&Value, bool)| {
        let name = container["name"].as_str().unwrap_or("?");
        let at = Place { file, place: format!("{place}/containers/{name}") };
        let image = container["image"].as_str().map_or(Some("there is none".into()), image_problem);
        let unchecked = must_be_ready && container["readinessProbe"].is_null();
        let unlimited = container["resources"]["limits"]["memory"].is_null();
        [
            image.map(|problem| at.finding("image-tag", problem)),
            unchecked.then(|| at.finding("health-check", "there is no readinessProbe")),
            unlimited.then(|| at.finding("resource-limit", "there is no limit of memory")),
        ]
        .into_iter()
        .flatten()
        .chain(secrets(&at, literals(&container["env"])))
        .collect::<Vec<_>>()
    };
    let all = list("containers").map(|c| (c, serves));
    all.chain(list("initContainers").map(|c| (c, false))).flat_map(container).collect()
}

struct Place<'a> {
    file: &'a Manifest,
    place: String,
}

impl Place<'_> {
    fn finding(&self, rule: &'static str, message: impl Into<String>) -> Finding {
        let (file, place) = (self.file.name.clone(), self.place.clone());
        Finding { file, rule, place, message: message.into() }
    }
}

/// Names only: the value is what must not be repeated.
fn secrets(at: &Place<'_>, variables: Vec<(String, String)>) -> Vec<Finding> {
    let in_the_clear = |(name, value): &(String, String)| {
        let literal = !value.is_empty() && !value.starts_with('$');
        (names_a_secret(name) && literal) || has_password(value)
    };
    let found = variables.into_iter().filter(in_the_clear);
    found
        .map(|(name, _)| at.finding("secret-value", format!("{name} holds a secret in the clear")))
        .collect()
}

/// Of Compose: a map, or a list of `NAME=value`.
fn variables(environment: &Value) -> Vec<(String, String)> {
    match environment {
        Value::Object(map) => map
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect(),
        Value::Array(lines) => lines
            .iter()
            .filter_map(|line| line.as_str()?.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => vec![],
    }
}

/// Of Kubernetes: those with a value of their own.
fn literals(env: &Value) -> Vec<(String, String)> {
    let text = |variable: &Value, field: &str| variable[field].as_str().map(str::to_owned);
    let variables = env.as_array().into_iter().flatten();
    variables.filter_map(|v| Some((text(v, "name")?, text(v, "value")?))).collect()
}
