//! What a service is, said once: the release descriptor that manifests are rendered from.
//!
//! It holds references to secrets, never a secret. Pure.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Of a DNS label: names of services become host names.
const NAME_MAX_CHARS: usize = 63;

/// More replicas than this are not one service's, and a typing mistake.
const REPLICAS_MAX: u16 = 1_000;

/// Words in a variable's name that say that its value is a secret.
const SECRET_WORDS: [&str; 7] =
    ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "PRIVATE_KEY", "API_KEY"];

/// A service to be rendered.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Descriptor {
    /// A DNS label: `shop`.
    pub(crate) name: String,
    /// `v2`
    pub(crate) revision: String,
    /// With a tag other than `latest`, or a digest: `registry.example/shop:2.1.0`.
    pub(crate) image: String,
    /// How many of it.
    #[serde(default = "one")]
    pub(crate) replicas: u16,
    /// Where it listens.
    pub(crate) port: u16,
    /// Where customers come: the proxy's port.
    pub(crate) public_port: u16,
    /// How it says that it is well.
    pub(crate) health: Health,
    /// What it may use.
    pub(crate) resources: Resources,
    /// Its environment, without secrets.
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    /// Variables whose values are kept elsewhere.
    #[serde(default)]
    pub(crate) secrets: BTreeMap<String, SecretRef>,
    /// Versions of the database's schema that it can work with, the first and the last.
    #[serde(default)]
    pub(crate) schema_range: Option<[i64; 2]>,
}

/// How a service says that it is well.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Health {
    /// `/healthz`
    pub(crate) path: String,
    /// Seconds from one question to the next.
    #[serde(default = "five")]
    pub(crate) interval_seconds: u16,
}

/// What a service may use.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resources {
    /// Thousandths of a processor.
    pub(crate) cpu_millis: u32,
    /// Of memory.
    pub(crate) memory_mib: u32,
}

/// Where a value is kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretRef {
    /// The secret's name.
    pub(crate) name: String,
    /// The key in it.
    pub(crate) key: String,
}

fn one() -> u16 {
    1
}

fn five() -> u16 {
    5
}

impl Descriptor {
    /// What cannot be rendered, or must not be; none when all is well.
    pub(crate) fn problem(&self) -> Option<String> {
        [
            self.name_problem(),
            image_problem(&self.image).map(|problem| format!("image: {problem}")),
            self.number_problem(),
            self.variable_problem(),
        ]
        .into_iter()
        .find_map(|problem| problem)
    }

    fn name_problem(&self) -> Option<String> {
        for (field, name) in [("name", &self.name)]
            .into_iter()
            .chain(self.secrets.values().map(|secret| ("secrets", &secret.name)))
        {
            if !is_label(name) {
                return Some(format!("{field}: {name:?} is no DNS label"));
            }
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if self.revision.is_empty()
            || !self.revision.chars().all(legal)
            || !is_value(&self.revision)
        {
            return Some(format!("revision: {:?}: use a-z A-Z 0-9 . _ -", self.revision));
        }
        let path = &self.health.path;
        let plain = |c: char| c.is_ascii_graphic() && !"\"'\\${}".contains(c);
        if !path.starts_with('/') || !path.chars().all(plain) {
            return Some(format!("health.path: {path:?} is no plain path"));
        }
        None
    }

    fn number_problem(&self) -> Option<String> {
        let zero = [
            ("replicas", u32::from(self.replicas)),
            ("port", self.port.into()),
            ("public_port", self.public_port.into()),
            ("health.interval_seconds", self.health.interval_seconds.into()),
            ("resources.cpu_millis", self.resources.cpu_millis),
            ("resources.memory_mib", self.resources.memory_mib),
        ];
        if let Some((field, _)) = zero.into_iter().find(|(_, value)| *value == 0) {
            return Some(format!("{field}: 0 of it makes no service"));
        }
        if self.replicas > REPLICAS_MAX {
            return Some(format!("replicas: {}, at most {REPLICAS_MAX}", self.replicas));
        }
        let [first, last] = self.schema_range?;
        (first > last).then(|| format!("schema_range: {first} to {last} is empty"))
    }

    fn variable_problem(&self) -> Option<String> {
        for (name, value) in &self.environment {
            if self.secrets.contains_key(name) {
                return Some(format!("{name} is in environment and in secrets"));
            }
            if names_a_secret(name) {
                return Some(format!("environment: {name} is a secret: move it to secrets"));
            }
            if has_password(value) {
                return Some(format!("environment: {name} holds a password: move it to secrets"));
            }
        }
        let mut names = self.environment.keys().chain(self.secrets.keys());
        names.find(|name| !is_variable(name)).map(|name| format!("{name:?} is no variable's name"))
    }
}

/// What is wrong with an image's name; none when it names one image for ever, or as good as.
pub(crate) fn image_problem(image: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    if image.is_empty() || !image.chars().all(legal) {
        return Some(format!("{image:?} is no name of an image"));
    }
    if let Some((_, digest)) = image.split_once('@') {
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        let whole = hex.len() == 64 && hex.chars().all(|c| c.is_ascii_hexdigit());
        return (!whole).then(|| format!("{image:?}: a digest is sha256: and 64 digits"));
    }
    // A colon before the last slash belongs to the registry's port.
    let last = image.rsplit('/').next().unwrap_or(image);
    match last.split_once(':') {
        Some((_, "latest")) => Some(format!("{image:?}: latest is another image tomorrow")),
        Some((_, tag)) if !tag.is_empty() => None,
        Some(_) | None => Some(format!("{image:?} has neither a tag nor a digest")),
    }
}

/// Whether a variable of this name holds a secret.
pub(crate) fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// `scheme://user:password@host`
pub(crate) fn has_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let Some((user, _)) = authority.rsplit_once('@') else { return false };
    user.split_once(':').is_some_and(|(_, password)| {
        // `${PASSWORD}` is a reference.
        !password.is_empty() && !password.starts_with('$')
    })
}

fn is_label(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=NAME_MAX_CHARS).contains(&name.len())
        && name.chars().all(legal)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// What Kubernetes takes as the value of a label.
fn is_value(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= NAME_MAX_CHARS && edge(text.chars().next()) && edge(text.chars().last())
}

fn is_variable(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(legal) && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(crate) fn shop() -> Value {
        json!({
            "name": "shop",
            "revision": "v2",
            "image": "registry.example:5000/shop:2.1.0",
            "replicas": 2,
            "port": 8080,
            "public_port": 80,
            "health": {"path": "/healthz"},
            "resources": {"cpu_millis": 250, "memory_mib": 128},
            "environment": {"RUST_LOG": "info", "GREETING": "50 % \"off\": $HOME\n#x"},
            "secrets": {"DATABASE_URL": {"name": "shop-db", "key": "url"}},
            "schema_range": [7, 8],
        })
    }

    #[test]
    fn what_must_not_be_rendered_is_named() {
        let good: Descriptor = serde_json::from_value(shop()).unwrap();
        assert_eq!(good.problem(), None);
        type Spoil = fn(&mut Value);
        let cases: [(Spoil, &str); 12] = [
            (|d| d["image"] = json!("shop:latest"), "latest is another image tomorrow"),
            (|d| d["image"] = json!("registry:5000/shop"), "neither a tag nor a digest"),
            (|d| d["image"] = json!("shop@sha256:12"), "64 digits"),
            (|d| d["name"] = json!("Shop"), "no DNS label"),
            (|d| d["health"]["path"] = json!("/a b"), "no plain path"),
            (|d| d["health"]["path"] = json!("/\"; rm"), "no plain path"),
            (|d| d["replicas"] = json!(0), "replicas: 0"),
            (|d| d["environment"]["DB_PASSWORD"] = json!("x"), "move it to secrets"),
            (|d| d["environment"]["URL"] = json!("http://a:b@c/"), "holds a password"),
            (|d| d["environment"]["DATABASE_URL"] = json!("x"), "in environment and in secrets"),
            (|d| d["environment"]["1X"] = json!("x"), "no variable's name"),
            (|d| d["schema_range"] = json!([8, 7]), "is empty"),
        ];
        for (spoil, expected) in cases {
            let mut value = shop();
            spoil(&mut value);
            let descriptor: Descriptor = serde_json::from_value(value).unwrap();
            let problem = descriptor.problem().unwrap_or_default();
            assert!(problem.contains(expected), "{problem}, wanted {expected}");
        }
    }
}
