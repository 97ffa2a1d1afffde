//! `deployment.validate`: manifests against strict schemas, and against what this house asks of a
//! service. It only reads what it is given; nothing is applied anywhere.
//!
//! A field that the schema does not know is an error: a misspelt `readynessProbe` is a service
//! without one. What no schema here knows is `unsupported`, never "valid".

mod policy;
mod schema;

use std::{path::Path, process::Stdio, time::Duration};

use bytes::Bytes;
use deadelus_runtime::{
    About, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured, ReadCapability,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{io::AsyncWriteExt as _, process::Command, time::timeout};

use crate::{
    manifest::{Kind, Manifest},
    revision_file::fingerprint,
};

/// Files of one task; a chart with more is validated service by service.
const FILES_MAX: usize = 64;

/// HAProxy reads a configuration in milliseconds.
const HAPROXY_WITHIN: Duration = Duration::from_secs(10);

/// All files, each of HAProxy's with its longest time, is still less.
const VALIDATE_TIMEOUT: Duration = Duration::from_secs(60);

/// Where Debian and others put it.
const HAPROXY_PROGRAMS: [&str; 3] =
    ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy"];

/// Of directives that load Lua, or that let another word become one.
const CODE_WORDS: [&str; 2] = ["lua-", "setenv"];

/// The capability.
pub(crate) struct Validate;

/// What to read.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// 1 to 64, as `deployment.render` puts them out.
    pub(crate) files: Vec<Manifest>,
}

/// What was found; also as the artefact `findings.json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// Empty when all is well.
    pub(crate) findings: Vec<Finding>,
    /// Documents that were read.
    pub(crate) documents: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Finding {
    /// Which file.
    pub(crate) file: String,
    /// `schema`, `syntax`, `image-tag`, `health-check`, `resource-limit`, `secret-value`,
    /// `haproxy`.
    pub(crate) rule: &'static str,
    /// Where in it: `Deployment/shop/spec/replicas`.
    pub(crate) place: String,
    /// What.
    pub(crate) message: String,
}

impl ReadCapability for Validate {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "validate",
            role: "Cloud Primitives",
            summary: "Reads manifests strictly: schemas, secrets, health checks, image tags.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[("findings", "nothing is wrong with any of the files")],
            undo: None,
            timeout: VALIDATE_TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let count = inputs.files.len();
        if !(1..=FILES_MAX).contains(&count) {
            let text = format!("files: {count} of them, use 1 to {FILES_MAX}");
            return Err(Failure::new(ErrorClass::InvalidInput, text));
        }
        let (mut findings, mut documents) = (vec![], 0);
        for file in &inputs.files {
            as_promised(file)?;
            let read = match file.kind {
                Kind::Compose => schema::compose(file)?,
                Kind::Kubernetes => schema::kubernetes(file)?,
                Kind::Haproxy => (haproxy(file).await?, 1),
            };
            findings.extend(read.0);
            documents += read.1;
        }
        let json = serde_json::json!({ "findings": findings });
        let kept =
            cx.keep("findings.json", "application/json", Bytes::from(json.to_string())).await?;
        let first = findings.first();
        let note = first.map(|f| format!("{} {}: {}", f.file, f.place, f.message));
        let check = Check::equal("findings", findings.len(), 0)
            .note(note.unwrap_or_else(|| format!("in {documents} documents")))
            .evidence(kept.clone());
        Ok(Measured::new(Outputs { findings, documents }, vec![check]).artefacts(vec![kept]))
    }
}

/// Refuses a text that is not the one its digest is of.
fn as_promised(file: &Manifest) -> Result<(), Failure> {
    match &file.sha256 {
        Some(sha256) if *sha256 != fingerprint(&file.text) => {
            let text = format!("{}: the text is not the one with sha256 {sha256}", file.name);
            Err(Failure::new(ErrorClass::InvalidInput, text))
        }
        Some(_) | None => Ok(()),
    }
}

/// Refuses a configuration that would run code while it is read: Lua, however its directive is
/// written. Escapes and variables set in the file could write it so that nobody sees it.
fn runs_nothing(file: &Manifest) -> Result<(), Failure> {
    let plain: String = file.text.chars().filter(|c| !"\"'\\".contains(*c)).collect();
    let hidden = file.text.contains("\\x");
    match CODE_WORDS.into_iter().find(|word| plain.contains(word)) {
        None if !hidden => Ok(()),
        found => {
            let text = format!("{}: {} may run code", file.name, found.unwrap_or("an escape"));
            Err(Failure::new(ErrorClass::Denied, text)
                .help("a configuration is only read here; load Lua where HAProxy is started"))
        }
    }
}

/// HAProxy itself reads the file; it opens nothing, starts nothing and ends.
async fn haproxy(file: &Manifest) -> Result<Vec<Finding>, Failure> {
    runs_nothing(file)?;
    let program = haproxy_program().ok_or_else(|| {
        let text = "haproxy reads its own configuration, and is not installed";
        Failure::new(ErrorClass::Unavailable, text).help("Debian: apt-get install haproxy")
    })?;
    let unavailable = |e: &dyn std::fmt::Display| {
        Failure::new(ErrorClass::Unavailable, format!("{}: {e}", program.display()))
    };
    let read = async {
        let mut child = Command::new(program)
            .args(["-c", "-f", "/dev/stdin"])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(file.text.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let output = timeout(HAPROXY_WITHIN, read)
        .await
        .map_err(|e| unavailable(&e))?
        .map_err(|e| unavailable(&e))?;
    if output.status.success() {
        return Ok(vec![]);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // The last two only say that there were others.
    let alerts = said.lines().filter(|line| line.contains("[ALERT]"));
    let alerts = alerts.filter(|line| !line.contains("found in configuration"));
    let finding = |line: &str| Finding {
        file: file.name.clone(),
        rule: "haproxy",
        place: String::new(),
        message: line.split(" : ").skip(1).collect::<Vec<_>>().join(" : "),
    };
    Ok(alerts.map(finding).collect())
}

fn haproxy_program() -> Option<&'static Path> {
    HAPROXY_PROGRAMS.map(Path::new).into_iter().find(|path| path.exists())
}

#[cfg(test)]
pub(crate) fn haproxy_is_there() -> bool {
    haproxy_program().is_some()
}

#[cfg(test)]
mod tests;
