//! `payments.ledger_post`: entries that are in balance, written into the books once, whoever asks how
//! often. Taken back by [`crate::LedgerReverse`]: nothing that is written is ever deleted.

use std::{collections::BTreeSet, time::Duration};

use deadelus_runtime::{
    About, ChangeCapability, Check, Context, Effect, ErrorClass, Failure, Found, Idempotency,
    Measured, Prepared, Undo, UndoClass, UndoPromise,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    catalogue::declared::is_currency,
    ledger::{Books, Entry, Fault, Kept, Posting},
    ledger_reverse,
    target::Targets,
};

/// One transaction, and one that looks.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Of one posting: what is more is several.
const ENTRIES_MAX: usize = 100;
/// Of one entry, in the smallest unit: a hundred of them are far from what a sum can hold.
const AMOUNT_MAX: i64 = 999_999_999_999;
/// Of an account's name and of a reference.
const TEXT_MAX_CHARS: usize = 200;

/// What is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Two to a hundred, of one currency, which add up to nothing.
    pub entries: Vec<Entry>,
}

/// What stands in the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// The key of the posting, the same in every attempt.
    pub posting: String,
    /// How many entries it has.
    pub entries: usize,
}

/// What is known before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    /// The same in every attempt.
    key: String,
}

/// `payments.ledger_post`
#[derive(Debug, Clone)]
pub struct LedgerPost {
    targets: Targets,
}

impl LedgerPost {
    /// For these books.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ChangeCapability for LedgerPost {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "ledger_post",
            role: crate::ROLE,
            summary: "Writes balanced entries into books that are only added to.",
            effect: Effect::Compensatable,
            idempotency: Idempotency::Keyed,
            checks: &[
                ("entries_written", "the books have exactly these entries under the key"),
                ("not_reversed", "no posting says the opposite"),
            ],
            undo: Some(UndoPromise { verb: "ledger_reverse", class: UndoClass::Semantic }),
            timeout: TIMEOUT,
            locks: &["ledger:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        inputs.check()?;
        let key = cx.key().effect_key();
        let found = self.targets.books(cx)?.find(&key).await;
        found.map_err(|fault| fault.failure("reading the books"))?;
        let back = ledger_reverse::Inputs { posting: key.clone() };
        let stays = format!("posting {key} and the one that reverses it stay in the books");
        let undo = Undo::exact("payments.ledger_reverse", &back).leaving(vec![stays]);
        Ok(Prepared { before: Before { key }, undo: Some(undo) })
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let books = self.targets.books(cx)?;
        let posting = inputs.posting(&before.key);
        books.post(&posting).await.map_err(|fault| fault.failure("writing the entries"))?;
        let kept = look(&books, &posting).await.map_err(|fault| fault.failure("reading them"))?;
        let text = format!("posting {} was written and is not there", posting.key);
        kept.map(|kept| measured(&posting, &kept))
            .ok_or_else(|| Failure::new(ErrorClass::UnknownOutcome, text))
    }

    async fn reconcile(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let posting = inputs.posting(&before.key);
        let kept = look(&self.targets.books(cx)?, &posting).await;
        let kept = kept.map_err(|fault| fault.failure("reading the books"))?;
        Ok(kept.map_or(Found::NotBegun, |kept| Found::Done(measured(&posting, &kept))))
    }
}

impl Inputs {
    fn check(&self) -> Result<(), Failure> {
        let invalid = |text: String| Err(Failure::new(ErrorClass::InvalidInput, text));
        if !(2..=ENTRIES_MAX).contains(&self.entries.len()) {
            return invalid(format!("entries: 2 to {ENTRIES_MAX}, not {}", self.entries.len()));
        }
        for (n, entry) in self.entries.iter().enumerate() {
            let chars = |text: &str| text.chars().count();
            if entry.account.is_empty() || chars(&entry.account) > TEXT_MAX_CHARS {
                return invalid(format!("entries[{n}].account: 1 to {TEXT_MAX_CHARS} characters"));
            }
            if chars(&entry.reference) > TEXT_MAX_CHARS {
                return invalid(format!(
                    "entries[{n}].reference: over {TEXT_MAX_CHARS} characters"
                ));
            }
            if !is_currency(&entry.currency) {
                let text = "a code of ISO 4217, in small letters";
                return invalid(format!("entries[{n}].currency: {text}"));
            }
            if entry.amount == 0 || !(-AMOUNT_MAX..=AMOUNT_MAX).contains(&entry.amount) {
                return invalid(format!("entries[{n}].amount: 1 to {AMOUNT_MAX}, or negative"));
            }
        }
        let currencies: BTreeSet<&str> = self.entries.iter().map(|e| &*e.currency).collect();
        if currencies.len() > 1 {
            let text = "entries: of several currencies; what is exchanged is two postings";
            return invalid(text.to_owned());
        }
        match self.entries.iter().map(|entry| entry.amount).sum::<i64>() {
            0 => Ok(()),
            sum => invalid(format!("entries: they add up to {sum}, not to 0")),
        }
    }

    fn posting(&self, key: &str) -> Posting {
        Posting { key: key.to_owned(), reverses: None, entries: self.entries.clone() }
    }
}

/// What is there under the key, if it says this.
async fn look(books: &Books, posting: &Posting) -> Result<Option<Kept>, Fault> {
    match books.find(&posting.key).await? {
        Some(kept) if kept.posting != *posting => Err(Fault::Taken(posting.key.clone())),
        found => Ok(found),
    }
}

fn measured(wanted: &Posting, kept: &Kept) -> Measured<Outputs> {
    let reversed = kept.reversed_by.clone().unwrap_or_else(|| "not reversed".to_owned());
    let entries = kept.posting.entries.len();
    let checks = vec![
        Check::equal("entries_written", entries, wanted.entries.len()),
        Check::equal("not_reversed", reversed, "not reversed".to_owned()),
    ];
    Measured::new(Outputs { posting: wanted.key.clone(), entries }, checks)
}

#[cfg(test)]
mod tests;
