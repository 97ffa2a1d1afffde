//! `security.scan_config`: what a container file, a compose file or a Kubernetes manifest opens
//! that should be shut.

mod compose;
mod docker;
mod kubernetes;

use std::{path::Path, time::Duration};

use deadelus_runtime::{
    About, Context, Effect, Failure, Idempotency, Measured, ReadCapability, blocking,
};
use schemars::JsonSchema;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;

use crate::{
    files::{self, Skipped},
    finding::{Finding, Level},
    gate::{self, Findings, Inputs, Seen},
    target::Targets,
};

/// A repository has tens of such files.
const TIMEOUT: Duration = Duration::from_secs(120);
/// A manifest is written by hand or rendered; a larger file is data.
const CONFIG_MAX_BYTES: usize = 1 << 20;
/// Documents of one file of manifests.
const DOCUMENTS_MAX: usize = 1_000;

/// What was found; all of it as the artefact `scan_config.sarif`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// What counts, and how much else there is.
    #[serde(flatten)]
    pub found: Findings,
    /// How many files of such kinds were looked at.
    pub files: usize,
    /// Of such names, but not to be read, at most 100: what is in them is not known.
    pub unread: Vec<Skipped>,
}

/// `security.scan_config`
#[derive(Debug, Clone)]
pub struct ScanConfig {
    targets: Targets,
}

impl ScanConfig {
    /// For these systems.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ReadCapability for ScanConfig {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "scan_config",
            role: crate::ROLE,
            summary: "Finds what container, compose and Kubernetes files leave open.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: gate::WEAKNESS_CHECKS,
            undo: None,
            timeout: TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let target = self.targets.of(cx)?;
        let root = target.root(inputs.root.as_deref())?.to_owned();
        let paths = inputs.paths.clone();
        let seen = blocking(move || look(&root, &paths)).await?;
        let files = seen.files;
        let gate::Weaknesses { found, checks, unread, report } =
            gate::weaknesses(cx, target, "scan_config", &inputs, seen).await?;
        Ok(Measured::new(Outputs { found, files, unread }, checks).artefacts(vec![report]))
    }
}

/// Something that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    rule: &'static str,
    level: Level,
    /// Where in the file, and of what: `services.web`.
    subject: String,
    /// From 1; 0 where it is not known.
    line: usize,
    message: String,
}

fn look(root: &Path, paths: &[String]) -> Result<Seen, Failure> {
    let mut look = Seen::default();
    for path in files::list(root, paths, false)?.files {
        let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        let container = ["dockerfile", "containerfile"].iter().any(|stem| {
            name == *stem
                || name.starts_with(&format!("{stem}."))
                || name.ends_with(&format!(".{stem}"))
        });
        let yaml = name.ends_with(".yaml") || name.ends_with(".yml");
        if !container && !yaml {
            continue;
        }
        let problems = files::read(root, &path).and_then(|bytes| {
            let unread = |reason: String| Skipped { path: path.clone(), reason };
            if bytes.len() > CONFIG_MAX_BYTES {
                return Err(unread(format!("{} bytes, at most {CONFIG_MAX_BYTES}", bytes.len())));
            }
            let text = String::from_utf8(bytes).map_err(|e| unread(e.to_string()))?;
            if container {
                Ok(Some(docker::problems(&text)))
            } else {
                manifests(&text).map_err(unread)
            }
        });
        match problems {
            Ok(Some(problems)) => {
                look.findings.extend(problems.into_iter().map(|problem| finding(problem, &path)));
                look.files += 1;
            }
            // YAML of another kind.
            Ok(None) => {}
            Err(unread) => look.unread.push(unread),
        }
    }
    Ok(look)
}

/// What is wrong with the documents of a YAML file; none when it is of neither kind.
fn manifests(text: &str) -> Result<Option<Vec<Problem>>, String> {
    let relevant = (text.contains("apiVersion:") && text.contains("kind:"))
        || text.lines().any(|line| line.trim_end() == "services:");
    // Templates and other people's formats are not judged, and not claimed to be.
    if !relevant || text.contains("{{") {
        return Ok(None);
    }
    let mut problems = None;
    for document in serde_yaml_ng::Deserializer::from_str(text).take(DOCUMENTS_MAX) {
        let document = Value::deserialize(document).map_err(|e| format!("no YAML: {e}"))?;
        let found = if document["apiVersion"].is_string() && document["kind"].is_string() {
            kubernetes::problems(&document)
        } else if document["services"].is_object() {
            compose::problems(&document)
        } else {
            continue;
        };
        problems.get_or_insert_with(Vec::new).extend(found);
    }
    Ok(problems)
}

/// Whether a setting's name says that its value is a credential, and the value stands in the open.
fn is_secret_in_the_open(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let says = ["password", "passwd", "secret", "token", "api_key", "apikey", "private_key"];
    let elsewhere = value.is_empty() || value.starts_with('$') || value.starts_with('/');
    says.iter().any(|word| name.contains(word)) && !name.ends_with("_file") && !elsewhere
}

/// Whether a reference names no release that stays the same: `nginx`, `nginx:latest`.
fn floats(image: &str) -> bool {
    if image.contains('@') || image.contains('$') {
        return false;
    }
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split_once(':').is_none_or(|(_, tag)| tag.is_empty() || tag == "latest")
}

fn finding(problem: Problem, path: &str) -> Finding {
    let Problem { rule, level, subject, line, message } = problem;
    let fingerprint = Finding::fingerprint(rule, path, &subject);
    let message = if line == 0 { format!("{subject}: {message}") } else { message };
    let (rule, place) = (rule.to_owned(), path.to_owned());
    Finding { rule, level, place, line, column: usize::from(line > 0), message, fingerprint }
}

#[cfg(test)]
mod tests;
