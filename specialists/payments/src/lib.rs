//! The payments specialist, in a team's words: Payment Architect.
//!
//! Its field is what a service sells and how it is paid, at a provider in the shape of Stripe's
//! API. One file per capability. The provider's key and the secrets of its webhooks come from the
//! target's configuration and leave it only in a header; they are never in an input, an output, a
//! log or an error. A live key moves real money: it is used only where the target says so twice.

mod billing_rehearse;
mod catalog_apply;
mod catalog_plan;
mod catalog_revert;
mod catalogue;
mod charge;
mod client;
mod clock;
mod clock_drop;
mod drill;
mod hook;
mod ledger;
mod ledger_post;
mod ledger_reverse;
mod ledger_verify;
mod made;
mod periods;
mod reconcile;
mod refund;
mod service;
mod signature;
mod target;
#[cfg(test)]
mod testing;
mod webhook_ingest;
mod webhook_verify;

use std::collections::BTreeMap;

use deadelus_runtime::{Specialist, TargetName};

use self::target::Targets;
pub use self::{
    billing_rehearse::BillingRehearse,
    catalog_apply::CatalogApply,
    catalog_plan::CatalogPlan,
    catalog_revert::CatalogRevert,
    charge::Charge,
    clock_drop::ClockDrop,
    drill::Drill,
    ledger::{Attempt, Balance, Entry},
    ledger_post::LedgerPost,
    ledger_reverse::LedgerReverse,
    ledger_verify::LedgerVerify,
    reconcile::Reconcile,
    refund::Refund,
    target::{PaymentsTarget, TargetError},
    webhook_ingest::WebhookIngest,
    webhook_verify::WebhookVerify,
};

/// The team, in words: whose work the capabilities are.
const ROLE: &str = "Payment Architect";

/// Everything this specialist can do, for these providers.
///
/// # Errors
/// When the configuration of a target cannot be honoured.
pub fn specialist(
    targets: BTreeMap<TargetName, PaymentsTarget>,
) -> Result<Specialist, TargetError> {
    let targets = Targets::new(targets)?;
    let specialist = Specialist::new("payments", env!("CARGO_PKG_VERSION"))
        .read(CatalogPlan::new(targets.clone()))
        .read(LedgerVerify::new(targets.clone()))
        .read(Reconcile::new(targets.clone()))
        .read(WebhookVerify::new(targets.clone()))
        .change(BillingRehearse::new(targets.clone()))
        .change(CatalogApply::new(targets.clone()))
        .change(CatalogRevert::new(targets.clone()))
        .change(Charge::new(targets.clone()))
        .change(ClockDrop::new(targets.clone()))
        .change(Drill::new(targets.clone()))
        .change(LedgerPost::new(targets.clone()))
        .change(LedgerReverse::new(targets.clone()))
        .change(Refund::new(targets.clone()))
        .change(WebhookIngest::new(targets.clone()));
    Ok(targets.cards().fold(specialist, Specialist::target))
}
