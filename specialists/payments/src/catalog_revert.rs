//! `payments.catalog_revert`: the catalogue sells what it sold before. The way back of
//! [`crate::CatalogApply`]; what cannot be deleted is archived and listed.

use std::time::Duration;

use deadelus_runtime::{
    About, ChangeCapability, Check, Context, Effect, Failure, Found, Idempotency, Measured,
    Prepared,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    catalogue::{self, declared::Catalogue, observed::Observed, steps},
    target::Targets,
};

/// Some hundred requests, one after the other.
const TIMEOUT: Duration = Duration::from_secs(600);

/// What was there, and who changed it. Written by `payments.catalog_apply` before it begins.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// What was declared: it says where to look.
    pub catalogue: Catalogue,
    /// What was there.
    pub before: Observed,
    /// Whose objects go.
    pub made_by: String,
}

/// What is there now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// SHA-256 of what is there now, what is left behind included.
    pub observed_sha256: String,
    /// Objects that are archived because they cannot be deleted.
    pub left_behind: Vec<String>,
}

/// Nothing more than the inputs say.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    /// SHA-256 of what is seen before the first step.
    observed_sha256: String,
}

/// `payments.catalog_revert`
#[derive(Debug, Clone)]
pub struct CatalogRevert {
    targets: Targets,
}

impl CatalogRevert {
    /// For these providers.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ChangeCapability for CatalogRevert {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "catalog_revert",
            role: crate::ROLE,
            summary: "Archives what an apply made and gives the lookup keys back.",
            effect: Effect::Compensatable,
            idempotency: Idempotency::Natural,
            checks: &[
                ("steps_left", "everything is sold as before, and nothing else"),
                ("lookup_keys_as_before", "each is where it was"),
            ],
            undo: None,
            timeout: TIMEOUT,
            locks: &["payments:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        inputs.catalogue.check()?;
        let client = self.targets.open(cx)?;
        let now = Observed::look(&client, &inputs.catalogue).await;
        let now = now.map_err(|fault| fault.untouched("reading the catalogue"))?;
        Ok(Prepared { before: Before { observed_sha256: now.fingerprint() }, undo: None })
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let client = self.targets.open(cx)?;
        let key = format!("{}.{}", cx.key().effect_key(), before.observed_sha256);
        let next = |now: &Observed| Ok(steps::back(&inputs.before, now, &inputs.made_by));
        let now = catalogue::carry_out(&client, &inputs.catalogue, &key, next).await?;
        Ok(measured(inputs, &now))
    }

    async fn reconcile(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let client = self.targets.open(cx)?;
        let now = Observed::look(&client, &inputs.catalogue).await;
        let now = now.map_err(|fault| fault.untouched("reading the catalogue"))?;
        Ok(if steps::back(&inputs.before, &now, &inputs.made_by).is_empty() {
            Found::Done(measured(inputs, &now))
        } else if now.fingerprint() == before.observed_sha256 {
            Found::NotBegun
        } else {
            Found::Partly
        })
    }
}

fn measured(inputs: &Inputs, now: &Observed) -> Measured<Outputs> {
    let left = steps::back(&inputs.before, now, &inputs.made_by).len();
    let moved = inputs.catalogue.prices().filter(|(_, price)| {
        let holder = |at: &Observed| at.holder(&price.lookup_key).map(|(id, _)| id.clone());
        holder(now) != holder(&inputs.before)
    });
    let checks = vec![
        Check::equal("steps_left", left, 0),
        Check::equal("lookup_keys_as_before", moved.count(), 0).note("those that are elsewhere"),
    ];
    let left_behind = steps::residue(&inputs.before, now, &inputs.made_by);
    let outputs = Outputs { observed_sha256: now.fingerprint(), left_behind: left_behind.clone() };
    Measured::new(outputs, checks).residue(left_behind)
}
