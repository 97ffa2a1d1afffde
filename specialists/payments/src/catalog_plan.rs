//! `payments.catalog_plan`: what would change, and nothing is changed.

use std::time::Duration;

use deadelus_runtime::{
    About, Check, Context, Effect, Failure, Idempotency, Measured, ReadCapability,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    catalogue::{
        declared::Catalogue,
        observed::Observed,
        steps::{self, Step},
    },
    target::Targets,
};

/// A few lists are read.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What shall be.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Products and prices.
    pub catalogue: Catalogue,
    /// Whether a price that says something else may be archived for a new one.
    #[serde(default)]
    pub replace: bool,
}

/// What would be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// In their order; none when everything is as declared.
    pub steps: Vec<Step>,
    /// SHA-256 of what is there: for `expect_observed` of `payments.catalog_apply`.
    pub observed_sha256: String,
}

/// `payments.catalog_plan`
#[derive(Debug, Clone)]
pub struct CatalogPlan {
    targets: Targets,
}

impl CatalogPlan {
    /// For these providers.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ReadCapability for CatalogPlan {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "catalog_plan",
            role: crate::ROLE,
            summary: "Says what would change at the provider so that a catalogue is there.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[("every_price_is_planned", "each price is there or has a step")],
            undo: None,
            timeout: TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        inputs.catalogue.check()?;
        let client = self.targets.open(cx)?;
        let doing = "reading the catalogue";
        let now = Observed::look(&client, &inputs.catalogue).await;
        let now = now.map_err(|fault| fault.untouched(doing))?;
        let made_by = cx.key().effect_key();
        let steps = steps::forth(&inputs.catalogue, &now, &now, inputs.replace, &made_by)?;
        let planned = inputs.catalogue.prices().filter(|(_, price)| {
            let key = &price.lookup_key;
            let created = |step: &Step| {
                matches!(step, Step::CreatePrice { lookup_key, .. } if lookup_key == key)
            };
            now.holder(key).is_some() || steps.iter().any(created)
        });
        let all = inputs.catalogue.prices().count();
        let checks = vec![Check::equal("every_price_is_planned", planned.count(), all)];
        Ok(Measured::new(Outputs { steps, observed_sha256: now.fingerprint() }, checks))
    }
}
