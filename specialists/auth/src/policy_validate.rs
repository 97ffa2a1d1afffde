//! `auth.policy_validate`: whether policies fit the schema that they are about.

use std::time::Duration;

use deadelus_runtime::{
    About, Check, Context, Effect, Failure, Idempotency, Measured, ReadCapability, Source,
    blocking, sarif,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cedar::{Finding, Findings, Sources, find},
    target::Targets,
};

/// Ten thousand policies take a few seconds.
const VALIDATE_TIMEOUT: Duration = Duration::from_secs(60);

/// The capability.
pub(crate) struct PolicyValidate(pub(crate) Targets);

/// What to look at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// Cedar's text, or its JSON.
    policies: Source,
    /// What the policies are about: Cedar's text, or its JSON.
    schema: Source,
    /// What templates are filled with: `[{template_id, link_id, args: {"?principal": …}}]`.
    #[serde(default)]
    links: Option<Source>,
    /// A list as Cedar has it; each has to fit the schema.
    #[serde(default)]
    entities: Option<Source>,
}

/// What was found; the artefact `policy_validate.sarif` has it too.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// Policies, links of templates among them.
    policies: usize,
    /// SHA-256 of the policies' text.
    sha256: String,
    /// What is wrong with them.
    #[serde(flatten)]
    findings: Findings,
}

impl ReadCapability for PolicyValidate {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "policy_validate",
            role: crate::ROLE,
            summary: "Validates Cedar policies strictly against their schema.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("policies", "there is at least one policy"),
                ("errors", "no policy contradicts the schema"),
                ("impossible", "every policy can apply to some request"),
            ],
            undo: None,
            timeout: VALIDATE_TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let sources = Sources {
            policies: &inputs.policies,
            links: inputs.links.as_ref(),
            schema: Some(&inputs.schema),
            entities: inputs.entities.as_ref(),
            strict: true,
        };
        let bundle = sources.load(cx, &self.0.of(cx)?.folder).await?;
        let (bundle, findings) = blocking(move || {
            let findings = find(&bundle);
            (bundle, findings)
        })
        .await;
        let results = findings.results(&bundle.source.name);
        let report = sarif::report("auth.policy_validate", &results).to_string();
        let report = cx.keep("policy_validate.sarif", sarif::MEDIA_TYPE, report.into()).await?;
        let policies = bundle.policies.num_of_policies();
        let none = |id, list: &[Finding]| {
            let first = list.first().map(|f| format!("{}:{}: {}", f.policy, f.line, f.message));
            Check::equal(id, list.len(), 0).note(first.unwrap_or_default()).evidence(report.clone())
        };
        let checks = vec![
            Check::at_least("policies", policies, 1),
            none("errors", &findings.errors),
            none("impossible", &findings.impossible),
        ];
        let sha256 = deadelus_runtime::sha256(bundle.source.text.as_bytes()).to_string();
        let outputs = Outputs { policies, sha256, findings };
        Ok(Measured::new(outputs, checks).artefacts(vec![report]))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{Desk, SCHEMA};

    async fn validate(policies: &str) -> Result<(Outputs, Vec<String>), Failure> {
        let inputs = json!({"policies": {"inline": policies}, "schema": {"inline": SCHEMA}});
        of(inputs).await
    }

    async fn of(inputs: Value) -> Result<(Outputs, Vec<String>), Failure> {
        let desk = Desk::new();
        let inputs = serde_json::from_value(inputs).unwrap();
        let capability = PolicyValidate(desk.targets());
        let measured = capability.perform(&Context::detached("shop"), inputs).await?;
        let failed = measured.checks.into_iter().filter(|c| !c.pass).map(|c| c.id).collect();
        Ok((measured.outputs, failed))
    }

    #[tokio::test]
    async fn each_kind_of_mistake_fails_its_own_check() {
        let owner = r#"@id("owner") permit(principal is User, action == Action::"readOrder", resource)
            when { resource.owner == principal };"#;
        let never =
            r#"permit(principal, action == Action::"readOrder", resource) when { 1 == 2 };"#;
        let nobody = r#"permit(principal is Order, action == Action::"readOrder", resource);"#;
        let misspelt = r#"permit(principal, action == Action::"readOrder", resource)
            when { resource.ownr == principal };"#;
        let cases: [(&str, &[&str]); 6] = [
            (owner, &[]),
            ("", &["policies"]),
            (misspelt, &["errors"]),
            (r#"permit(principal, action == Action::"reedOrder", resource);"#, &["errors"]),
            (never, &["impossible"]),
            (nobody, &["impossible"]),
        ];
        for (policies, expected) in cases {
            let (outputs, failed) = validate(policies).await.unwrap();
            for check in expected {
                assert!(failed.contains(&(*check).to_owned()), "{policies}: {outputs:?}");
            }
            assert_eq!(failed.is_empty(), expected.is_empty(), "{policies}: {outputs:?}");
        }
        let (outputs, _) = validate(misspelt).await.unwrap();
        assert_eq!((outputs.findings.errors[0].line, outputs.policies), (2, 1), "{outputs:?}");
    }

    #[tokio::test]
    async fn a_template_that_nothing_fills_is_worth_a_warning() {
        let template = r#"@id("viewer") permit(principal == ?principal, action, resource);"#;
        let (outputs, failed) = validate(template).await.unwrap();
        assert_eq!(outputs.findings.warnings[0].policy, "viewer");
        assert_eq!(failed, ["policies"]);
        let link = json!([{"template_id": "viewer", "link_id": "ann",
            "args": {"?principal": r#"User::"ann""#}}]);
        let inputs = json!({"policies": {"inline": template}, "schema": {"inline": SCHEMA},
            "links": {"inline": link}});
        let (outputs, failed) = of(inputs).await.unwrap();
        assert!(outputs.findings.warnings.is_empty() && failed.is_empty(), "{outputs:?}");
    }

    #[tokio::test]
    async fn what_is_no_cedar_is_refused_with_its_place() {
        let failure = validate("permit(principal, action, resource)\n when {").await.unwrap_err();
        assert_eq!(failure.class, deadelus_runtime::ErrorClass::InvalidInput);
        assert!(failure.message.starts_with("inline:2:"), "{failure:?}");
    }
}
