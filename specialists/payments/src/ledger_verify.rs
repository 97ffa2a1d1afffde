//! `payments.ledger_verify`: the books add up to nothing, and let nobody change or forget what they
//! have: that is tried, in a transaction that is taken back whatever comes of it.

use std::time::Duration;

use deadelus_runtime::{
    About, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured, ReadCapability,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ledger::{Attempt, Audit, Balance, ENTRIES_LISTED_MAX, Entry},
    reconcile::Line,
    target::Targets,
};

/// Some sums over all entries.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What is asked for besides.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Whose entries are given out, as the `ledger` of `payments.reconcile`; at most 1,000.
    #[serde(default)]
    pub account: Option<String>,
}

/// What the books say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// How many postings there are.
    pub postings: i64,
    /// What each account has; the first 500 by name.
    pub balances: Vec<Balance>,
    /// The entries of the account that was asked for.
    pub lines: Vec<Line>,
    /// What was tried, and whether the books said no.
    pub attempts: Vec<Attempt>,
}

/// `payments.ledger_verify`
#[derive(Debug, Clone)]
pub struct LedgerVerify {
    targets: Targets,
}

impl LedgerVerify {
    /// For these books.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ReadCapability for LedgerVerify {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "ledger_verify",
            role: crate::ROLE,
            summary: "Adds the books up, and proves that they are only added to by trying to break them.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("out_of_balance", "postings and currencies that do not add up to nothing"),
                ("halves", "entries without a posting, and postings without entries"),
                ("let_happen", "tries to change, to forget or to unbalance that were not refused"),
            ],
            undo: None,
            timeout: TIMEOUT,
            locks: &["ledger:{target}"],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let audit = self.targets.books(cx)?.audit(inputs.account.as_deref()).await;
        let audit = audit.map_err(|fault| fault.failure("reading the books"))?;
        let audit = audit.ok_or_else(|| {
            let text = "there are no books yet, and nothing to verify";
            Failure::new(ErrorClass::PreconditionFailed, text)
                .help("payments.ledger_post makes them with the first posting")
        })?;
        if audit.entries.len() as u64 > ENTRIES_LISTED_MAX.unsigned_abs() {
            let text = format!("account: it has more than {ENTRIES_LISTED_MAX} entries");
            return Err(Failure::new(ErrorClass::Unsupported, text));
        }
        Ok(measured(audit))
    }
}

fn measured(audit: Audit) -> Measured<Outputs> {
    let broken: Vec<&str> =
        audit.attempts.iter().filter(|a| !a.refused).map(|a| a.what.as_str()).collect();
    let tried = match broken.is_empty() {
        true => format!("{} were tried", audit.attempts.len()),
        false => broken.join("; "),
    };
    let checks = vec![
        Check::equal("out_of_balance", audit.out_of_balance, 0),
        Check::equal("halves", audit.halves, 0),
        Check::equal("let_happen", broken.len(), 0).note(tried),
    ];
    let line = |entry: Entry| {
        let Entry { reference, currency, amount, account: _ } = entry;
        Line { reference, currency, amount }
    };
    let outputs = Outputs {
        postings: audit.postings,
        balances: audit.balances,
        lines: audit.entries.into_iter().map(line).collect(),
        attempts: audit.attempts,
    };
    Measured::new(outputs, checks)
}
