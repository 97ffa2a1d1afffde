//! Documents against schemas in which an unknown field is an error. Pure.

use std::{collections::BTreeMap, sync::LazyLock};

use deadelus_runtime::{ErrorClass, Failure};
use jsonschema::Validator;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::{Finding, policy};
use crate::manifest::Manifest;

/// Findings of one document; more say nothing that these do not.
const FINDINGS_MAX: usize = 32;

/// Kinds of Kubernetes that a schema is here for, with the version that it is of.
const KUBERNETES_KINDS: [(&str, &str); 11] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("batch/v1", "Job"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
];

static COMPOSE: LazyLock<Option<Validator>> = LazyLock::new(|| {
    let schema = serde_json::from_str(include_str!("../../schemas/compose.json")).ok()?;
    jsonschema::validator_for(&schema).ok()
});

static KUBERNETES: LazyLock<BTreeMap<&str, Validator>> = LazyLock::new(|| {
    let text = include_str!("../../schemas/kubernetes.json");
    let all: Value = serde_json::from_str(text).unwrap_or_default();
    let validator = |(_, kind): (&'static str, &'static str)| {
        let schema = json!({ "$defs": all["$defs"], "$ref": format!("#/$defs/{kind}") });
        Some((kind, jsonschema::validator_for(&schema).ok()?))
    };
    KUBERNETES_KINDS.into_iter().filter_map(validator).collect()
});

/// Findings, and how many documents were read.
pub(super) type Read = (Vec<Finding>, usize);

/// A Compose file.
pub(super) fn compose(file: &Manifest) -> Result<Read, Failure> {
    let documents = match documents(file) {
        Ok(documents) => documents,
        Err(finding) => return Ok((vec![finding], 1)),
    };
    let [document] = documents.as_slice() else {
        let message = format!("{} documents, a Compose file is one", documents.len());
        return Ok((vec![syntax(file, message)], documents.len()));
    };
    let validator = COMPOSE.as_ref().ok_or_else(no_schema)?;
    let mut findings = against(validator, file, "", document);
    findings.extend(policy::compose(file, document));
    Ok((findings, 1))
}

/// Objects of Kubernetes.
pub(super) fn kubernetes(file: &Manifest) -> Result<Read, Failure> {
    let documents = match documents(file) {
        Ok(documents) => documents,
        Err(finding) => return Ok((vec![finding], 1)),
    };
    if documents.is_empty() {
        return Ok((vec![syntax(file, "there is no document in it".to_owned())], 0));
    }
    let mut findings = vec![];
    let mut named = std::collections::BTreeSet::new();
    for document in &documents {
        let text = |field: &str| document[field].as_str().unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        if version.is_empty() || kind.is_empty() {
            findings.push(syntax(file, "a document without apiVersion or kind".to_owned()));
            continue;
        }
        if !KUBERNETES_KINDS.contains(&(version, kind)) {
            let text = format!("{}: {kind} of {version}: no schema for it is here", file.name);
            let known = KUBERNETES_KINDS.map(|(version, kind)| format!("{version} {kind}"));
            return Err(Failure::new(ErrorClass::Unsupported, text)
                .help(format!("there are: {}", known.join(", "))));
        }
        let place = format!("{kind}/{}", document["metadata"]["name"].as_str().unwrap_or("?"));
        let space = document["metadata"]["namespace"].as_str().unwrap_or_default();
        if !named.insert(format!("{space} {place}")) {
            findings.push(Finding {
                place: place.clone(),
                ..syntax(file, "it stands there twice".to_owned())
            });
        }
        let validator = KUBERNETES.get(kind).ok_or_else(no_schema)?;
        findings.extend(against(validator, file, &place, document));
        findings.extend(policy::kubernetes(file, &place, document));
    }
    Ok((findings, documents.len()))
}

/// Every document of the file; a key that stands twice is an error of its own.
fn documents(file: &Manifest) -> Result<Vec<Value>, Finding> {
    let mut read = vec![];
    for document in serde_yaml_ng::Deserializer::from_str(&file.text) {
        let value =
            serde_yaml_ng::Value::deserialize(document).map_err(|e| syntax(file, e.to_string()))?;
        let mut value = value;
        value.apply_merge().map_err(|e| syntax(file, e.to_string()))?;
        let value: Value =
            serde_yaml_ng::from_value(value).map_err(|e| syntax(file, e.to_string()))?;
        if !value.is_null() {
            read.push(value);
        }
    }
    Ok(read)
}

fn against(validator: &Validator, file: &Manifest, place: &str, document: &Value) -> Vec<Finding> {
    let finding = |error: jsonschema::ValidationError<'_>| Finding {
        file: file.name.clone(),
        rule: "schema",
        place: format!("{place}{}", error.instance_path()),
        message: shown(&error.to_string()),
    };
    validator.iter_errors(document).take(FINDINGS_MAX).map(finding).collect()
}

/// An error repeats the value that it is about: of a large one the end says what is wrong.
fn shown(message: &str) -> String {
    /// Room for a sentence.
    const SHOWN_CHARS: usize = 160;
    let count = message.chars().count();
    if count <= SHOWN_CHARS {
        return message.to_owned();
    }
    let end: String = message.chars().skip(count - SHOWN_CHARS).collect();
    format!("…{end}")
}

fn syntax(file: &Manifest, message: String) -> Finding {
    Finding { file: file.name.clone(), rule: "syntax", place: String::new(), message }
}

fn no_schema() -> Failure {
    Failure::new(ErrorClass::Unsupported, "the schema of this build cannot be read")
}
