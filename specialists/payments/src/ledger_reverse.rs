//! `payments.ledger_reverse`: a posting is put right by one that says the opposite. The way back of
//! [`crate::LedgerPost`]; both stay in the books.

use std::time::Duration;

use deadelus_runtime::{
    About, ChangeCapability, Check, Context, Effect, ErrorClass, Failure, Found, Idempotency,
    Measured, Prepared,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ledger::Kept, target::Targets};

/// One transaction, and one that looks.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Which posting.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Its key, as `payments.ledger_post` gave it out.
    pub posting: String,
}

/// What stands in the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// The key of the posting that says the opposite; empty when there was nothing to reverse.
    pub reversal: String,
}

/// Nothing more than the inputs say.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {}

/// `payments.ledger_reverse`
#[derive(Debug, Clone)]
pub struct LedgerReverse {
    targets: Targets,
}

impl LedgerReverse {
    /// For these books.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }

    async fn find(&self, cx: &Context, inputs: &Inputs) -> Result<Option<Kept>, Failure> {
        let found = self.targets.books(cx)?.find(&inputs.posting).await;
        found.map_err(|fault| fault.failure("reading the books"))
    }
}

impl ChangeCapability for LedgerReverse {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "ledger_reverse",
            role: crate::ROLE,
            summary: "Writes the opposite of a posting into the books; both stay.",
            effect: Effect::Compensatable,
            idempotency: Idempotency::Natural,
            checks: &[("still_in_force", "postings of this key that nothing reverses")],
            undo: None,
            timeout: TIMEOUT,
            locks: &["ledger:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        if inputs.posting.is_empty() {
            return Err(Failure::new(ErrorClass::InvalidInput, "posting: is empty"));
        }
        self.targets.books(cx)?;
        Ok(Prepared { before: Before {}, undo: None })
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        _: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        if let Some(Kept { posting, reversed_by: None }) = self.find(cx, inputs).await? {
            let posted = self.targets.books(cx)?.post(&posting.reversal()).await;
            posted.map_err(|fault| fault.failure("writing the opposite"))?;
        }
        Ok(measured(self.find(cx, inputs).await?))
    }

    async fn reconcile(
        &self,
        cx: &Context,
        inputs: &Inputs,
        _: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        Ok(match self.find(cx, inputs).await? {
            Some(Kept { reversed_by: None, .. }) => Found::NotBegun,
            found => Found::Done(measured(found)),
        })
    }
}

/// What was never posted needs no opposite.
fn measured(found: Option<Kept>) -> Measured<Outputs> {
    let in_force = usize::from(found.as_ref().is_some_and(|kept| kept.reversed_by.is_none()));
    let checks = vec![Check::equal("still_in_force", in_force, 0)];
    let both = found.and_then(|kept| Some((kept.posting.key, kept.reversed_by?)));
    let stay = |(posting, reversal): &(String, String)| {
        format!("posting {posting} stays in the books, reversed by {reversal}")
    };
    let residue = both.iter().map(stay).collect();
    let reversal = both.map(|(_, reversal)| reversal).unwrap_or_default();
    Measured::new(Outputs { reversal }, checks).residue(residue)
}
