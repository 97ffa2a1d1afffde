//! `auth.policy_publish`: gives services other policies. Taken back by `auth.policy_restore`.

use std::time::Duration;

use deadelus_runtime::{
    About, Artefact, ChangeCapability, Check, Context, Effect, ErrorClass, Failure, Found,
    Idempotency, Measured, Prepared, Source, Text, UndoClass, UndoPromise, blocking, invalid,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cedar::{self, Sources},
    policy_analyze::Analysis,
    restore::LOCK_POLICIES,
    served::{Before, Kind, NOTHING, Served, digest},
    target::Targets,
};

/// Policies are parsed, and one file is replaced.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(60);

/// The capability.
pub(crate) struct PolicyPublish(pub(crate) Targets);

/// What to publish.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// Cedar's text, or its JSON, which can hold links of templates. Published byte for byte.
    policies: Source,
    /// What they are about: what does not validate strictly is not published.
    schema: Source,
    /// `analysis.json` of `auth.policy_analyze`, of these policies against those that are published.
    analysis: Artefact,
    /// SHA-256 of what is published while this is planned, or `nothing`. While something else is,
    /// nothing is touched.
    #[serde(default)]
    expect: Option<String>,
}

/// What is published.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// SHA-256 of the file before; `nothing` when it was not there.
    fingerprint_before: String,
    /// SHA-256 of the file now.
    fingerprint: String,
    /// How many policies it holds.
    policies: usize,
}

impl ChangeCapability for PolicyPublish {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "policy_publish",
            role: crate::ROLE,
            summary: "Replaces the file that services read their policies from.",
            effect: Effect::Reversible,
            idempotency: Idempotency::Natural,
            checks: &[
                ("fingerprint", "the file is the policies, byte for byte"),
                ("policies", "read back from the file, there is at least one policy"),
            ],
            undo: Some(UndoPromise {
                verb: Kind::Policies.restore_verb(),
                class: UndoClass::Exact,
            }),
            timeout: PUBLISH_TIMEOUT,
            locks: LOCK_POLICIES,
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        let served = self.served(cx)?;
        let text = self.judged(cx, inputs).await?;
        let wanted = Some(text.text.into_bytes());
        let analysis = cx.fetch(&inputs.analysis).await?;
        analysed(&analysis, &digest(&served.now().await?), &digest(&wanted))?;
        served.prepare(cx, &wanted, inputs.expect.as_deref()).await
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let served = self.served(cx)?;
        let text = inputs.policies.text(cx, &self.0.of(cx)?.folder).await?;
        served.replace(Some(text.text.into_bytes()), before).await?;
        measured(&served, before).await
    }

    async fn reconcile(
        &self,
        cx: &Context,
        _: &Inputs,
        before: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let served = self.served(cx)?;
        if digest(&served.now().await?) != before.wanted {
            return Ok(Found::NotBegun);
        }
        measured(&served, before).await.map(Found::Done)
    }
}

impl PolicyPublish {
    fn served(&self, cx: &Context) -> Result<Served, Failure> {
        self.0.of(cx)?.served(Kind::Policies)
    }

    /// The policies, if they fit their schema.
    async fn judged(&self, cx: &Context, inputs: &Inputs) -> Result<Text, Failure> {
        let sources = Sources {
            policies: &inputs.policies,
            links: None,
            schema: Some(&inputs.schema),
            entities: None,
            strict: true,
        };
        let bundle = sources.load(cx, &self.0.of(cx)?.folder).await?;
        let (text, findings) = blocking(move || {
            let findings = cedar::find(&bundle);
            (bundle.source, findings)
        })
        .await;
        match findings.errors.first().or(findings.impossible.first()) {
            None => Ok(text),
            Some(first) => {
                let text =
                    format!("{}:{}: {}: {}", text.name, first.line, first.policy, first.message);
                Err(invalid(text).help("auth.policy_validate lists all that is wrong"))
            }
        }
    }
}

/// Refuses what was not analysed as it is, against what is there, and found to allow no more than the
/// plan lists.
fn analysed(analysis: &[u8], now: &str, wanted: &str) -> Result<(), Failure> {
    let denied = |text: &str| {
        Err(Failure::new(ErrorClass::Denied, format!("analysis: {text}"))
            .help("run auth.policy_analyze on these policies, and publish by its analysis"))
    };
    let Ok(analysis) = serde_json::from_slice::<Analysis>(analysis) else {
        return denied("it is no analysis of policies");
    };
    if analysis.new_sha256 != wanted {
        return denied("it is of other policies than these");
    }
    // The first policies have nothing to be compared with but what the plan says; and those that are
    // there already change nothing.
    if analysis.old_sha256 != now && now != NOTHING && now != wanted {
        return denied("it compares with other policies than those that are published");
    }
    if analysis.unlisted > 0 {
        return denied("more is allowed than the plan lists");
    }
    Ok(())
}

async fn measured(served: &Served, before: &Before) -> Result<Measured<Outputs>, Failure> {
    let now = served.now().await?;
    let fingerprint = digest(&now);
    let text = String::from_utf8(now.unwrap_or_default()).map_err(|e| unread(&e))?;
    let name = served.path.display().to_string();
    let policies = blocking(move || cedar::count(&Text { name, text })).await?;
    let checks = vec![
        Check::equal("fingerprint", fingerprint.clone(), before.wanted.clone()),
        Check::at_least("policies", policies, 1),
    ];
    let fingerprint_before = before.previous.clone();
    Ok(Measured::new(Outputs { fingerprint_before, fingerprint, policies }, checks))
}

fn unread(error: &std::string::FromUtf8Error) -> Failure {
    Failure::new(ErrorClass::PreconditionFailed, format!("what is published is no text: {error}"))
}

#[cfg(test)]
mod tests;
