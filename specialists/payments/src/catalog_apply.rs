//! `payments.catalog_apply`: the declared products and prices are at the provider. Taken back by
//! [`crate::CatalogRevert`], with a residue: a price cannot be deleted.

use std::{collections::BTreeMap, time::Duration};

use deadelus_runtime::{
    About, ChangeCapability, Check, Context, Effect, Failure, Found, Idempotency, Measured,
    Prepared, Undo, UndoClass, UndoPromise,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    catalog_revert,
    catalogue::{
        self,
        declared::Catalogue,
        observed::Observed,
        steps::{self, Step},
    },
    target::Targets,
};

/// Some hundred requests, one after the other.
const TIMEOUT: Duration = Duration::from_secs(600);

/// What shall be.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Products and prices.
    pub catalogue: Catalogue,
    /// Whether a price that says something else may be archived for a new one.
    #[serde(default)]
    pub replace: bool,
    /// What `payments.catalog_plan` saw.
    #[serde(default)]
    pub expect_observed: Option<String>,
}

/// What is there now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// The provider's price of each lookup key.
    pub prices: BTreeMap<String, String>,
    /// SHA-256 of what was there before.
    pub observed_before_sha256: String,
    /// SHA-256 of what is there now.
    pub observed_sha256: String,
}

/// What is known before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    observed: Observed,
    /// Under which the objects remember this task; the same in every attempt.
    made_by: String,
}

/// `payments.catalog_apply`
#[derive(Debug, Clone)]
pub struct CatalogApply {
    targets: Targets,
}

impl CatalogApply {
    /// For these providers.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ChangeCapability for CatalogApply {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "catalog_apply",
            role: crate::ROLE,
            summary: "Brings the declared products and prices to the provider.",
            effect: Effect::Compensatable,
            idempotency: Idempotency::Keyed,
            checks: &[
                ("steps_left", "a new plan is empty"),
                ("prices_confirmed", "the provider shows each price under its lookup key"),
                ("lookup_keys_with_two_holders", "nobody else has one"),
            ],
            undo: Some(UndoPromise { verb: "catalog_revert", class: UndoClass::Semantic }),
            timeout: TIMEOUT,
            locks: &["payments:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        inputs.catalogue.check()?;
        let client = self.targets.open(cx)?;
        let observed = Observed::look(&client, &inputs.catalogue).await;
        let observed = observed.map_err(|fault| fault.untouched("reading the catalogue"))?;
        let made_by = cx.key().effect_key();
        let wanted =
            steps::forth(&inputs.catalogue, &observed, &observed, inputs.replace, &made_by)?;
        if let Some(expected) = &inputs.expect_observed
            && !wanted.is_empty()
            && *expected != observed.fingerprint()
        {
            return Err(catalogue::drift(expected, &observed));
        }
        let undo = undo(inputs, &observed, &made_by, &wanted);
        Ok(Prepared { before: Before { observed, made_by }, undo: Some(undo) })
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let client = self.targets.open(cx)?;
        let key = format!("{}.{}", before.made_by, before.observed.fingerprint());
        let next = |now: &Observed| left(inputs, before, now);
        let now = catalogue::carry_out(&client, &inputs.catalogue, &key, next).await?;
        measured(inputs, before, &now)
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
        Ok(if left(inputs, before, &now)?.is_empty() {
            Found::Done(measured(inputs, before, &now)?)
        } else if now == before.observed {
            Found::NotBegun
        } else {
            Found::Partly
        })
    }
}

fn left(inputs: &Inputs, before: &Before, now: &Observed) -> Result<Vec<Step>, Failure> {
    steps::forth(&inputs.catalogue, &before.observed, now, inputs.replace, &before.made_by)
}

fn undo(inputs: &Inputs, observed: &Observed, made_by: &str, wanted: &[Step]) -> Undo {
    let stays = |step: &Step| match step {
        Step::CreatePrice { product, lookup_key, .. } => {
            Some(format!("the price made for {lookup_key} of {product} stays, archived"))
        }
        Step::CreateProduct { id, .. } => {
            Some(format!("product {id} stays, archived, if it has a price"))
        }
        Step::SetProduct { .. } | Step::DeleteProduct { .. } | Step::SetPrice { .. } => None,
    };
    let inputs = catalog_revert::Inputs {
        catalogue: inputs.catalogue.clone(),
        before: observed.clone(),
        made_by: made_by.to_owned(),
    };
    let residue = wanted.iter().filter_map(stays).collect();
    let back = Undo::exact("payments.catalog_revert", &inputs);
    Undo { class: UndoClass::Semantic, residue, ..back }
}

fn measured(
    inputs: &Inputs,
    before: &Before,
    now: &Observed,
) -> Result<Measured<Outputs>, Failure> {
    let left = left(inputs, before, now)?;
    let held = |key: &String| {
        now.holder(key).filter(|(_, price)| price.active).map(|(id, _)| (key.clone(), id.clone()))
    };
    let keys: Vec<&String> =
        inputs.catalogue.prices().map(|(_, price)| &price.lookup_key).collect();
    let prices: BTreeMap<String, String> = keys.iter().filter_map(|key| held(key)).collect();
    let holders = |key: &&&String| {
        now.prices.values().filter(|price| price.lookup_key.as_ref() == Some(**key)).count() > 1
    };
    let checks = vec![
        Check::equal("steps_left", left.len(), 0),
        Check::equal("prices_confirmed", prices.len(), keys.len()),
        Check::equal("lookup_keys_with_two_holders", keys.iter().filter(holders).count(), 0),
    ];
    let outputs = Outputs {
        prices,
        observed_before_sha256: before.observed.fingerprint(),
        observed_sha256: now.fingerprint(),
    };
    Ok(Measured::new(outputs, checks))
}

#[cfg(test)]
mod tests;
